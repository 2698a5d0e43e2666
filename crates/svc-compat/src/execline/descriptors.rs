//! Commands that move, open, close and fill descriptors.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use svc_sys::process::{self, Fork};
use svc_sys::{Errno, exit, fd};

use super::program::{AUTOIMPORT, Changes, NO_AUTOIMPORT, become_program, importing, refused, variable_name};
use crate::command::{Call, Command, Failure, Opt, Outcome, number};

pub const FDBLOCK: Command = Command {
    name: "fdblock",
    about: "make a descriptor blocking, then execute a program",
    operands: "FD PROG...",
    options: &[Opt::flag('n', "make it non-blocking")],
    notes: "",
    codes: &[],
    run: fdblock,
};

pub const FDCLOSE: Command = Command {
    name: "fdclose",
    about: "close a descriptor, then execute a program",
    operands: "FD PROG...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: fdclose,
};

pub const FDMOVE: Command = Command {
    name: "fdmove",
    about: "move a descriptor to another number, then execute a program",
    operands: "TO FROM PROG...",
    options: &[Opt::flag('c', "copy it: FROM stays open")],
    notes: "",
    codes: &[],
    run: fdmove,
};

pub const FDRESERVE: Command = Command {
    name: "fdreserve",
    about: "name descriptors that are free, then execute a program",
    operands: "N PROG...",
    options: &[Opt::NONE],
    notes: "PROG finds their numbers in the variables FD0 to FD(N-1). They are free, not held: somebody may take them.",
    codes: &[],
    run: fdreserve,
};

pub const FDSWAP: Command = Command {
    name: "fdswap",
    about: "swap two descriptors, then execute a program",
    operands: "FD1 FD2 PROG...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: fdswap,
};

pub const PIPERW: Command = Command {
    name: "piperw",
    about: "make a pipe, then execute a program",
    operands: "READING_FD WRITING_FD PROG...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: piperw,
};

pub const HEREDOC: Command = Command {
    name: "heredoc",
    about: "execute a program that reads a text from a descriptor",
    operands: "FD TEXT PROG...",
    options: &[Opt::flag('d', "the process that writes it is nobody's child, so that PROG need not wait for it")],
    notes: "",
    codes: &[],
    run: heredoc,
};

pub const REDIRFD: Command = Command {
    name: "redirfd",
    about: "open a file under a descriptor, then execute a program",
    operands: "FD FILE PROG...",
    options: &[
        Opt::flag('r', "for reading"),
        Opt::flag('w', "for writing: it is made if there is none, and emptied if there is"),
        Opt::flag('u', "for reading and writing"),
        Opt::flag('a', "for appending: it is made if there is none"),
        Opt::flag('x', "for writing: it is made, and there must be none before"),
        Opt::flag('n', "without blocking"),
        Opt::flag('N', "undo -n"),
        Opt::flag('b', "afterwards, change to non-blocking; with -n to blocking"),
        Opt::flag('f', "FD is the name of a variable: PROG finds in it which descriptor it is"),
        AUTOIMPORT,
        NO_AUTOIMPORT,
    ],
    notes: "With -w, a fifo that nobody reads is opened nonetheless if -n is given. -E belongs to -f.",
    codes: &[],
    run: redirfd,
};

/// A descriptor as an operand.
fn descriptor(call: &Call, index: usize, what: &str) -> Result<RawFd, Failure> {
    let number: u32 = number(call.operand(index, what)?, what)?;
    RawFd::try_from(number).map_err(|_| Failure::usage(format!("{what} is too great a number: {number}")))
}

/// Puts a descriptor under a number; it has none other then.
fn put(descriptor: OwnedFd, number: RawFd) -> Result<(), Errno> {
    fd::place(descriptor.as_raw_fd(), number)?;
    if descriptor.as_raw_fd() == number {
        fd::release(descriptor);
    }
    Ok(())
}

/// The same open file under another number only.
fn elsewhere(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    fd::duplicate(descriptor.as_raw_fd(), 0)
}

fn fdblock(call: &Call) -> Outcome {
    let (number, words) = (descriptor(call, 0, "FD")?, call.program(1)?);
    fd::set_blocking(number, !call.has('n'))
        .map_err(|errno| Failure::system(format!("unable to change descriptor {number}: {errno}")))?;
    become_program(words, Changes::default())
}

fn fdclose(call: &Call) -> Outcome {
    let (number, words) = (descriptor(call, 0, "FD")?, call.program(1)?);
    fd::close(number);
    become_program(words, Changes::default())
}

fn fdmove(call: &Call) -> Outcome {
    let (to, from) = (descriptor(call, 0, "TO")?, descriptor(call, 1, "FROM")?);
    let words = call.program(2)?;
    let failed = |errno| Failure::system(format!("unable to move descriptor {from} to {to}: {errno}"));
    match (call.has('c'), to == from) {
        (true, true) => return Err(failed(Errno::INVALID)),
        (true, false) => fd::place(from, to).map_err(failed)?,
        (false, true) => {}
        (false, false) => {
            fd::place(from, to).map_err(failed)?;
            fd::close(from);
        }
    }
    become_program(words, Changes::default())
}

fn fdreserve(call: &Call) -> Outcome {
    let count: u64 = number(call.operand(0, "N")?, "N")?;
    let words = call.program(1)?;
    let limit = fd::limit_of_descriptors().map_err(|errno| Failure::system(format!("unable to get the limit: {errno}")))?;
    if count > limit.soft {
        return Err(refused(format!("{count} descriptors are more than the limit, {}", limit.soft)));
    }
    let held: Result<Vec<OwnedFd>, Errno> = (0..count).map(|_| fd::event()).collect();
    let held = held.map_err(|errno| Failure::system(format!("unable to find {count} free descriptors: {errno}")))?;
    let mut changes = Changes::default();
    for (index, descriptor) in held.iter().enumerate() {
        changes.set(OsStr::new(&format!("FD{index}")), OsStr::new(&descriptor.as_raw_fd().to_string()));
    }
    drop(held);
    become_program(words, changes)
}

fn fdswap(call: &Call) -> Outcome {
    let (one, other) = (descriptor(call, 0, "FD1")?, descriptor(call, 1, "FD2")?);
    let words = call.program(2)?;
    if one != other {
        let swap = || {
            let kept = fd::duplicate(one, 0)?;
            fd::place(other, one)?;
            put(kept, other)
        };
        swap().map_err(|errno| Failure::system(format!("unable to swap descriptors {one} and {other}: {errno}")))?;
    }
    become_program(words, Changes::default())
}

fn piperw(call: &Call) -> Outcome {
    let (for_reading, for_writing) = (descriptor(call, 0, "READING_FD")?, descriptor(call, 1, "WRITING_FD")?);
    let words = call.program(2)?;
    if for_reading == for_writing {
        return Err(Failure::usage("the two ends of the pipe need two descriptors"));
    }
    let make = || {
        let (reading, writing) = fd::pipe()?;
        let writing = if writing.as_raw_fd() == for_reading { elsewhere(writing)? } else { writing };
        put(reading, for_reading)?;
        put(writing, for_writing)
    };
    make().map_err(|errno| Failure::system(format!("unable to make a pipe: {errno}")))?;
    become_program(words, Changes::default())
}

fn heredoc(call: &Call) -> Outcome {
    let (number, text) = (descriptor(call, 0, "FD")?, call.operand(1, "TEXT")?);
    let words = call.program(2)?;
    let failed = |errno| Failure::system(format!("unable to feed descriptor {number}: {errno}"));
    let (reading, writing) = fd::pipe().map_err(failed)?;
    let fork = if call.has('d') { process::fork_orphan() } else { process::fork() };
    if let Fork::Child = fork.map_err(failed)? {
        drop(reading);
        feed(call, &writing, text.as_encoded_bytes());
    }
    drop(writing);
    put(reading, number).map_err(failed)?;
    become_program(words, Changes::default())
}

fn feed(call: &Call, to: &OwnedFd, mut bytes: &[u8]) -> ! {
    while !bytes.is_empty() {
        match fd::write(to.as_fd(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTERRUPTED) => {}
            Err(errno) => {
                eprintln!("{} (child): fatal: unable to write: {errno}", call.command.name);
                process::exit_now(exit::SYSTEM);
            }
        }
    }
    process::exit_now(exit::DONE)
}

fn redirfd(call: &Call) -> Outcome {
    let (name, file) = (call.operand(0, "FD")?, call.operand(1, "FILE")?);
    let words = call.program(2)?;
    let number = if call.has('f') { None } else { Some(descriptor(call, 0, "FD")?) };
    let not_blocking = call.last(&['n', 'N']) == Some('n');
    let opened = opened(call, file, not_blocking)?;
    if call.has('b') {
        let changed = fd::set_blocking(opened.as_raw_fd(), not_blocking);
        changed.map_err(|errno| Failure::system(format!("unable to change the blocking mode: {errno}")))?;
    }
    match number {
        Some(number) => {
            put(opened, number)
                .map_err(|errno| Failure::system(format!("unable to put {} under {number}: {errno}", file.display())))?;
            become_program(words, Changes::default())
        }
        None => {
            let variable = variable_name(name)?;
            let autoimport = call.last(&['E', 'e']) == Some('E');
            let number = fd::release(opened).to_string();
            become_program(&importing(autoimport, variable, words), Changes::one(variable, OsStr::new(&number)))
        }
    }
}

/// Opens the file as the options say.
fn opened(call: &Call, file: &OsStr, not_blocking: bool) -> Result<OwnedFd, Failure> {
    let how = match call.last(&['r', 'w', 'u', 'a', 'x']) {
        Some('r') => OFlag::O_RDONLY,
        Some('w') => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC,
        Some('u') => OFlag::O_RDWR,
        Some('a') => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND,
        Some('x') => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL,
        Some(_) | None => return Err(Failure::usage("one of -r, -w, -u, -a and -x is needed")),
    };
    let flags = if not_blocking { how | OFlag::O_NONBLOCK } else { how };
    let open_with = |flags| open(file, flags, Mode::from_bits_truncate(0o666));
    let result = match open_with(flags) {
        // A fifo without a reader, which we are for as long as it takes.
        Err(nix::errno::Errno::ENXIO) if how.contains(OFlag::O_WRONLY) => {
            let reader = open_with(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC);
            reader.and_then(|_reader| open_with(flags))
        }
        other => other,
    };
    result.map_err(|errno| Failure::system(format!("unable to open {}: {}", file.display(), Errno(errno as i32))))
}
