//! The allocator of all our programs: the system's, with a last word when it has nothing left, and a small heap of their own
//! for processes that were forked without exec.
//!
//! Such a child shares every page with its parent until it writes to it, and the system's allocator writes its bookkeeping
//! all over. In the small heap everything that a supervisor allocates stands together in a page or two.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Called once memory is out; svc-init re-executes itself here. Returning means that the allocation fails.
static LAST_WORD: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets what is done when memory is out. It must not allocate.
pub fn set_last_word(what: fn()) {
    LAST_WORD.store(what as *mut (), Relaxed);
}

/// Sizes that blocks of a small heap have.
const CLASSES: [usize; 13] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096];
const PAGE: usize = 4096;

/// A small heap, at the begin of its own memory: so that using it dirties no other page.
struct Heap {
    end: usize,
    /// The first byte that was never used.
    fresh: usize,
    /// Blocks given back, by class, linked through their first word.
    free: [usize; CLASSES.len()],
    /// Blocks that have pages of their own.
    pages: *mut Pages,
    /// What is to be said of new pages to the kernel, if anything.
    advice: libc::c_int,
}

/// Stands in front of a block that has pages of its own. Only what is in the list is unmapped: an address alone does not tell
/// (glibc gives out blocks at the begin of a page too).
struct Pages {
    next: *mut Pages,
    bytes: usize,
}

std::thread_local! {
    /// The small heap of this thread, if it has one. In the thread's own memory, which every process writes to anyway.
    static HEAP: Cell<*mut Heap> = const { Cell::new(std::ptr::null_mut()) };
}

/// A heap that a process had before it got one of its own.
pub struct Inherited(*mut Heap);

/// Of a limit on address space (`ulimit -v`) a small heap takes no more than this part. Where it is full, blocks have pages of their own.
const PART_OF_LIMIT: usize = 64;

/// From now on this process allocates from a heap of its own, of at most `bytes`; a page of it takes memory once it is used.
/// For processes with one thread. What was allocated before is never given back.
pub fn use_small_heap(bytes: usize) -> Inherited {
    let before = HEAP.get();
    let bytes = bytes.min(limit_of_space() / PART_OF_LIMIT / PAGE * PAGE).max(PAGE);
    let place: *mut Heap = map(bytes).cast();
    if !place.is_null() {
        let begin = place as usize;
        let heap = Heap {
            end: begin + bytes,
            fresh: begin + std::mem::size_of::<Heap>().next_multiple_of(16),
            free: [0; _],
            pages: std::ptr::null_mut(),
            advice: libc::MADV_NORMAL,
        };
        // SAFETY: new memory, aligned to a page and large enough.
        unsafe { place.write(heap) };
        HEAP.set(place);
    }
    Inherited(before)
}

impl Inherited {
    /// Gives the memory of the parent's heap back. Nothing in it may be used any more.
    pub fn discard(self) {
        if self.0.is_null() || self.0 == HEAP.get() {
            return;
        }
        // SAFETY: the headers were written by `use_small_heap` and `take` in our parent; the ranges are its mappings.
        unsafe {
            let Heap { end, mut pages, .. } = self.0.read();
            while !pages.is_null() {
                let Pages { next, bytes } = pages.read();
                libc::madvise(pages.cast(), bytes, libc::MADV_DONTNEED);
                pages = next;
            }
            libc::madvise(self.0.cast(), end - self.0 as usize, libc::MADV_DONTNEED);
        }
    }
}

/// Tells the kernel about all of the small heap, and about what it will have.
pub(crate) fn advise(advice: libc::c_int) {
    let heap = HEAP.get();
    if heap.is_null() {
        return;
    }
    // SAFETY: this thread's heap, and the mappings it is made of: what becomes of them in a fork changes nothing here.
    unsafe {
        (*heap).advice = advice;
        libc::madvise(heap.cast(), (*heap).end - heap as usize, advice);
        let mut pages = (*heap).pages;
        while !pages.is_null() {
            libc::madvise(pages.cast(), (*pages).bytes, advice);
            pages = (*pages).next;
        }
    }
}

/// Memory that children made by fork do not get: for buffers that their parent goes on writing to, which would leave each of
/// them a copy of its own.
pub fn private_buffer(bytes: usize) -> Option<&'static mut [u8]> {
    let bytes = bytes.next_multiple_of(PAGE);
    let place = map(bytes);
    if place.is_null() {
        return None;
    }
    // SAFETY: a new mapping of this size that nobody else knows of.
    unsafe {
        libc::madvise(place.cast(), bytes, libc::MADV_DONTFORK);
        Some(std::slice::from_raw_parts_mut(place, bytes))
    }
}

/// How much address space this process may have; `usize::MAX` where there is no limit.
pub fn limit_of_space() -> usize {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for an rlimit; where there is no answer there is no limit.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

fn map(bytes: usize) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at a place the kernel chooses.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if place == libc::MAP_FAILED { std::ptr::null_mut() } else { place.cast() }
}

fn class_of(size: usize) -> Option<usize> {
    CLASSES.iter().position(|&class| size <= class)
}

/// A block of the small heap, or pages of its own for what does not fit there.
fn take(heap: *mut Heap, layout: Layout) -> *mut u8 {
    // SAFETY: this thread's heap, which nobody else uses.
    let heap = unsafe { &mut *heap };
    if let Some(class) = class_of(layout.size()).filter(|_| layout.align() <= 16) {
        let free = heap.free[class];
        if free != 0 {
            // SAFETY: a free block's first word is the next free block, as `give_back` wrote it.
            heap.free[class] = unsafe { (free as *const usize).read() };
            return free as *mut u8;
        }
        if heap.fresh + CLASSES[class] <= heap.end {
            let place = heap.fresh;
            heap.fresh += CLASSES[class];
            return place as *mut u8;
        }
    }
    let front = front_of(layout);
    let Some(bytes) = layout.size().checked_add(front).and_then(|bytes| bytes.checked_next_multiple_of(PAGE)) else {
        return std::ptr::null_mut();
    };
    if front > PAGE {
        return std::ptr::null_mut();
    }
    let place = map(bytes);
    if place.is_null() {
        return place;
    }
    let pages: *mut Pages = place.cast();
    // SAFETY: a new mapping, aligned to a page and longer than `front`, which is at least as long as the header.
    unsafe {
        if heap.advice != libc::MADV_NORMAL {
            libc::madvise(place.cast(), bytes, heap.advice);
        }
        pages.write(Pages { next: heap.pages, bytes });
        heap.pages = pages;
        place.add(front)
    }
}

/// How far behind the begin of its pages a block stands.
fn front_of(layout: Layout) -> usize {
    layout.align().max(std::mem::size_of::<Pages>())
}

fn give_back(heap: *mut Heap, place: *mut u8, layout: Layout) {
    // SAFETY: this thread's heap, which nobody else uses.
    let heap_of_ours = unsafe { &mut *heap };
    if (heap as usize..heap_of_ours.end).contains(&(place as usize)) {
        let Some(class) = class_of(layout.size()) else { return };
        // SAFETY: the block is ours again, at least 16 bytes long and aligned to 16.
        unsafe { place.cast::<usize>().write(heap_of_ours.free[class]) };
        heap_of_ours.free[class] = place as usize;
        return;
    }
    let mut link: *mut *mut Pages = &mut heap_of_ours.pages;
    // SAFETY: every pointer in the list is a header that `take` wrote and nobody has unmapped.
    unsafe {
        while !(*link).is_null() {
            let pages = *link;
            if pages as usize + front_of(layout) == place as usize {
                *link = (*pages).next;
                libc::munmap(pages.cast(), (*pages).bytes);
                return;
            }
            link = &raw mut (*pages).next;
        }
    }
    // Anything else was allocated before this heap was there, and stays.
}

pub struct Allocator;

impl Allocator {
    fn checked(place: *mut u8) -> *mut u8 {
        if place.is_null() {
            let what = LAST_WORD.load(Relaxed);
            if !what.is_null() {
                // SAFETY: only `set_last_word` writes it, with a function of this type.
                let what: fn() = unsafe { std::mem::transmute(what) };
                what();
            }
        }
        place
    }

    fn small_heap() -> Option<*mut Heap> {
        let heap = HEAP.get();
        (!heap.is_null()).then_some(heap)
    }
}

// SAFETY: either passes everything on to the system's allocator unchanged; or, in a process with one thread, hands out blocks
// that are disjoint, large enough, and aligned to 16 bytes or a page.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(heap) = Allocator::small_heap() {
            return Allocator::checked(take(heap, layout));
        }
        // SAFETY: the caller's promise is the system allocator's.
        Allocator::checked(unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if let Some(heap) = Allocator::small_heap() {
            return give_back(heap, place, layout);
        }
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(heap) = Allocator::small_heap() {
            let place = Allocator::checked(take(heap, layout));
            if !place.is_null() {
                // SAFETY: `take` gave at least `size` bytes.
                unsafe { place.write_bytes(0, layout.size()) };
            }
            return place;
        }
        // SAFETY: the caller's promise is the system allocator's.
        Allocator::checked(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if let Some(heap) = Allocator::small_heap() {
            let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return std::ptr::null_mut() };
            let new = Allocator::checked(take(heap, wanted));
            if !new.is_null() {
                // SAFETY: both blocks are at least this long, and disjoint.
                unsafe { new.copy_from_nonoverlapping(place, layout.size().min(size)) };
                give_back(heap, place, layout);
            }
            return new;
        }
        // SAFETY: the caller's promise is the system allocator's.
        Allocator::checked(unsafe { System.realloc(place, layout, size) })
    }
}
