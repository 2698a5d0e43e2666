//! What `ps` shows of a process that was forked without exec: its command line and its short name.
//!
//! Where the kernel lets us (PR_SET_MM_MAP, which needs no privilege but CONFIG_CHECKPOINT_RESTORE) command line and environment
//! are told to stand in memory of our choice, word by word as if the process had been executed so. Elsewhere the command line is
//! written over the arguments and the environment that it was started with.

use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// `struct prctl_mm_map` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Map {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arguments: u64,
    arguments_end: u64,
    environment: u64,
    environment_end: u64,
    auxiliary: u64,
    auxiliary_size: u32,
    exe: u32,
}

static MAP: OnceLock<Map> = OnceLock::new();

/// Begin and end of the environment where [`prepare`] has moved it.
static MOVED: OnceLock<(u64, u64)> = OnceLock::new();

/// The kernel has been told where command line and environment stand.
static TOLD: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    static mut environ: *const *const libc::c_char;
}

/// Finds out where things stand, and moves the environment out of the way. To be called while there is one thread, before
/// anything has borrowed from the environment.
pub fn prepare() {
    let Some(map) = places() else { return };
    let mut text = Vec::new();
    let mut begins = Vec::new();
    for (name, value) in std::env::vars_os() {
        begins.push(text.len());
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
        text.push(0);
    }
    let text: &'static [u8] = text.leak();
    let variables = begins.into_iter().map(|begin| text[begin..].as_ptr().cast());
    let pointers: Vec<*const libc::c_char> = variables.chain([std::ptr::null()]).collect();
    // SAFETY: one thread, as the caller promises; the strings and the array are leaked, so they live as long as the process.
    unsafe { environ = pointers.leak().as_ptr() };
    let begin = text.as_ptr() as u64;
    let _ = MOVED.set((begin, begin + text.len() as u64));
    let _ = MAP.set(map);
}

/// The places in our memory, which the kernel tells us in /proc/self/stat.
fn places() -> Option<Map> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    // The first of these is field 3 of proc(5).
    let fields: Vec<u64> = rest.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let map = Map {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        arguments: field(48)?,
        arguments_end: field(49)?,
        environment: field(50)?,
        environment_end: field(51)?,
        exe: u32::MAX,
        ..Map::default()
    };
    (map.arguments != 0 && map.arguments < map.arguments_end && map.environment <= map.environment_end).then_some(map)
}

/// Shows `words` as command line, and `short` (at most 15 bytes) as name.
pub fn set(words: &[&[u8]], short: &[u8]) {
    set_name(short);
    let Some(&map) = MAP.get() else { return };
    let mut line = Vec::with_capacity(words.iter().map(|word| word.len() + 1).sum());
    for word in words {
        line.extend_from_slice(word);
        line.push(0);
    }
    if point_to(map, &line) {
        // A supervisor does not write to a page for what it has from svc-init.
        if !has_moved() {
            TOLD.store(true, Ordering::Relaxed);
        }
    } else {
        write_over(map, &line);
    }
    // The kernel reads it whenever somebody asks.
    std::mem::forget(line);
}

/// Whether nobody needs the memory in which arguments and environment came: the stack of the first thread.
pub(crate) fn has_moved() -> bool {
    TOLD.load(Ordering::Relaxed)
}

fn point_to(map: Map, line: &[u8]) -> bool {
    let start = line.as_ptr() as u64;
    // SAFETY: asks for the end of the heap.
    let brk = unsafe { libc::sbrk(0) } as u64;
    let (environment, environment_end) = MOVED.get().copied().unwrap_or((map.environment, map.environment_end));
    let map = Map { brk, arguments: start, arguments_end: start + line.len() as u64, environment, environment_end, ..map };
    let size = std::mem::size_of::<Map>() as u64;
    // SAFETY: `map` is a prctl_mm_map with the places the kernel itself named, but for command line and environment, which are
    // memory of ours that is leaked.
    unsafe { libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP as u64, (&raw const map) as u64, size, 0_u64) == 0 }
}

/// Writes the line where the arguments were. A longer line uses the room of the environment, which [`prepare`] moved: the
/// kernel reads on there if the last byte of the arguments is not NUL, up to the first NUL, so the words stand in one.
fn write_over(map: Map, line: &[u8]) {
    let adjacent = map.environment == map.arguments_end;
    let end = if adjacent { map.environment_end } else { map.arguments_end };
    let length = (end - map.arguments) as usize;
    // SAFETY: this range is the kernel's own copy of our arguments and environment strings: writable memory of this process that
    // nothing refers to any more since `prepare` moved the environment (std has copied the arguments).
    let area = unsafe { std::slice::from_raw_parts_mut(map.arguments as *mut u8, length) };
    let (Some(text), Some(room)) = (line.strip_suffix(&[0]), length.checked_sub(1)) else { return };
    let shown = text.len().min(room);
    for (place, &byte) in area.iter_mut().zip(&text[..shown]) {
        *place = if byte == 0 { b' ' } else { byte };
    }
    area[shown..].fill(0);
    let last = (map.arguments_end - map.arguments) as usize - 1;
    if shown < last {
        // Not NUL: so that the kernel shows the title up to its end, and no row of blanks behind it.
        area[last] = b' ';
    }
}

/// Shows `short` (at most 15 bytes) as name.
pub fn set_name(short: &[u8]) {
    let mut name = [0; 16];
    for (place, &byte) in name[..15].iter_mut().zip(short) {
        *place = byte;
    }
    // SAFETY: `name` is a NUL-terminated string of at most 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}
