//! The header of a program: for which machine it was built and which loader it needs. Bytes in, facts out: no files.

use std::ops::Range;

/// What we need to know of an ELF file (elf(5)).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    /// Executable or shared (which position independent programs are): what the kernel runs.
    pub(crate) runnable: bool,
    machine: u16,
    wide: bool,
    big_endian: bool,
    /// Where the file names its loader (PT_INTERP). `None` for a static program.
    pub(crate) loader: Option<Range<u64>>,
}

/// Why a file is not a usable ELF file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotElf {
    /// It begins with something else.
    OtherFormat,
    /// It begins like one and ends too early: a copy that was interrupted, or is still going on.
    Truncated,
}

const ELF_MAGIC: &[u8] = b"\x7fELF";
const CLASS: usize = 4;
const CLASS_64: u8 = 2;
const DATA: usize = 5;
const DATA_BIG_ENDIAN: u8 = 2;
const ET_EXEC: u64 = 2;
const ET_DYN: u64 = 3;
const PT_INTERP: u64 = 3;

const EM_386: u16 = 3;
const EM_PPC64: u16 = 21;
const EM_S390: u16 = 22;
const EM_ARM: u16 = 40;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;
const EM_LOONGARCH: u16 = 258;

pub(crate) fn parse(head: &[u8]) -> Result<Elf, NotElf> {
    if !head.starts_with(ELF_MAGIC) {
        return Err(NotElf::OtherFormat);
    }
    read_header(head).ok_or(NotElf::Truncated)
}

fn read_header(head: &[u8]) -> Option<Elf> {
    let fields = Fields { head, big_endian: *head.get(DATA)? == DATA_BIG_ENDIAN };
    let wide = *head.get(CLASS)? == CLASS_64;
    let kind = fields.number(16, 2)?;
    let machine = fields.number(18, 2)? as u16;
    let loader = if wide { fields.loader(&WIDE)? } else { fields.loader(&NARROW)? };
    Some(Elf { runnable: kind == ET_EXEC || kind == ET_DYN, machine, wide, big_endian: fields.big_endian, loader })
}

/// Where the two classes have what we read: offsets into the header, then into one entry of the program header table.
struct Layout {
    width: usize,
    table: usize,
    entry_size: usize,
    entries: usize,
    segment_offset: usize,
    segment_size: usize,
}

const WIDE: Layout = Layout { width: 8, table: 32, entry_size: 54, entries: 56, segment_offset: 8, segment_size: 32 };
const NARROW: Layout = Layout { width: 4, table: 28, entry_size: 42, entries: 44, segment_offset: 4, segment_size: 16 };

struct Fields<'a> {
    head: &'a [u8],
    big_endian: bool,
}

impl Fields<'_> {
    fn number(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.head.get(at..at.checked_add(width)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    /// The place of the loader's name; the outer `None` is a header that ends too early.
    fn loader(&self, layout: &Layout) -> Option<Option<Range<u64>>> {
        let table = self.number(layout.table, layout.width)?;
        let size = self.number(layout.entry_size, 2)?;
        let entries = self.number(layout.entries, 2)?;
        for index in 0..entries {
            let Some(entry) = table.checked_add(index * size).and_then(|at| usize::try_from(at).ok()) else { break };
            // A table beyond what we read is legal, and so rare that the loader is not looked for then.
            let Some(kind) = self.number(entry, 4) else { break };
            if kind == PT_INTERP {
                let segment = |field: usize| self.number(entry.checked_add(field)?, layout.width);
                return Some(match (segment(layout.segment_offset), segment(layout.segment_size)) {
                    (Some(start), Some(length)) => start.checked_add(length).map(|end| start..end),
                    (_, _) => None,
                });
            }
        }
        Some(None)
    }
}

impl Elf {
    /// Whether a kernel on `arch` (in the words of `std::env::consts::ARCH`) runs it without an emulator: its own kind, and
    /// the 32-bit kind that its processors understand too.
    pub(crate) fn runs_on(&self, arch: &str) -> bool {
        let machines: &[u16] = match arch {
            "x86_64" => &[EM_X86_64, EM_386],
            "aarch64" => &[EM_AARCH64, EM_ARM],
            "riscv64" => &[EM_RISCV],
            "s390x" => &[EM_S390],
            "powerpc64" => &[EM_PPC64],
            "loongarch64" => &[EM_LOONGARCH],
            // Where we do not know, the kernel says it.
            _ => return true,
        };
        let big_endian = match arch {
            "s390x" => true,
            "powerpc64" => cfg!(target_endian = "big"),
            _ => false,
        };
        machines.contains(&self.machine) && self.big_endian == big_endian
    }

    /// The machine in words: `aarch64`.
    pub(crate) fn machine(&self) -> String {
        let name = match (self.machine, self.wide) {
            (EM_X86_64, true) => "x86_64",
            (EM_X86_64, false) => "x32",
            (EM_AARCH64, _) => "aarch64",
            (EM_386, _) => "i386",
            (EM_ARM, _) => "arm",
            (EM_RISCV, true) => "riscv64",
            (EM_RISCV, false) => "riscv32",
            (EM_PPC64, _) => "powerpc64",
            (EM_S390, _) => "s390x",
            (EM_LOONGARCH, _) => "loongarch64",
            (other, _) => return format!("machine {other} of elf.h"),
        };
        match (self.machine, self.big_endian) {
            (EM_PPC64, false) => format!("{name}le"),
            (EM_S390, _) | (_, false) => name.into(),
            (_, true) => format!("{name} (big-endian)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit little-endian header with one program header, of kind `segment`.
    fn header(kind: u16, machine: u16, segment: u32) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1_u16.to_le_bytes());
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes[72..80].copy_from_slice(&500_u64.to_le_bytes());
        bytes[96..104].copy_from_slice(&28_u64.to_le_bytes());
        bytes
    }

    #[test]
    fn the_machine_is_compared_with_ours() {
        let arm = parse(&header(2, EM_AARCH64, 1)).expect("a header");
        assert_eq!((arm.machine().as_str(), arm.runs_on("x86_64"), arm.runs_on("aarch64")), ("aarch64", false, true));
        assert!(parse(&header(2, EM_386, 1)).expect("a header").runs_on("x86_64"));
        assert!(!parse(&header(2, EM_386, 1)).expect("a header").runs_on("aarch64"));
        assert!(parse(&header(2, 77, 1)).expect("a header").machine().contains("77"));
    }

    #[test]
    fn the_byte_order_counts() {
        let mut bytes = header(2, 0, 1);
        bytes[DATA] = DATA_BIG_ENDIAN;
        bytes[18..20].copy_from_slice(&EM_AARCH64.to_be_bytes());
        bytes[32..40].fill(0xff);
        let elf = parse(&bytes).expect("a header");
        assert_eq!(elf.machine(), "aarch64 (big-endian)");
        assert!(!elf.runs_on("aarch64"));
    }

    #[test]
    fn the_loader_is_found_where_there_is_one() {
        assert_eq!(parse(&header(3, EM_X86_64, PT_INTERP as u32)).map(|elf| elf.loader), Ok(Some(500..528)));
        assert_eq!(parse(&header(3, EM_X86_64, 1)).map(|elf| elf.loader), Ok(None));
        let mut overflowing = header(3, EM_X86_64, PT_INTERP as u32);
        overflowing[72..80].fill(0xff);
        assert_eq!(parse(&overflowing).map(|elf| elf.loader), Ok(None));
    }

    #[test]
    fn what_the_kernel_does_not_run_is_told_apart() {
        assert!(parse(&header(3, EM_X86_64, 1)).expect("a header").runnable);
        assert!(!parse(&header(1, EM_X86_64, 1)).expect("a header").runnable, "an object file");
        assert_eq!(parse(b"#!/bin/sh"), Err(NotElf::OtherFormat));
        for length in 4..58 {
            assert_eq!(parse(&header(2, EM_X86_64, 1)[..length]), Err(NotElf::Truncated), "{length} bytes");
        }
    }

    #[test]
    fn any_bytes_after_the_magic_are_survived() {
        for seed in 0..2000_u32 {
            let mut state = seed;
            let mut bytes = ELF_MAGIC.to_vec();
            bytes.extend((0..200).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }));
            let _ = parse(&bytes).map(|elf| (elf.machine(), elf.runs_on("x86_64")));
        }
    }
}
