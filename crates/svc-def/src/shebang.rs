//! The first line of a script, read as the kernel reads it (load_script in fs/binfmt_script.c). Bytes in, words out: no files.

/// What the first bytes of a file ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shebang<'a> {
    /// The file does not begin with `#!`.
    None,
    /// Nothing follows the `#!`.
    Empty,
    /// The interpreter's path does not fit into what the kernel reads.
    TooLong,
    Interpreter {
        path: &'a [u8],
        /// All the rest of the line is one argument.
        argument: &'a [u8],
    },
}

/// The kernel looks at this much of a file (BINPRM_BUF_SIZE).
pub(crate) const KERNEL_BUFFER: usize = 256;

pub(crate) fn parse(head: &[u8]) -> Shebang<'_> {
    let window = &head[..head.len().min(KERNEL_BUFFER)];
    let Some(rest) = window.strip_prefix(b"#!") else { return Shebang::None };
    let end = rest.iter().position(|&byte| byte == b'\n');
    let line = trim_blanks(&rest[..end.unwrap_or(rest.len())]);
    if line.is_empty() {
        return Shebang::Empty;
    }
    // A file that is shorter than the buffer ends in the kernel's zeroes: a line without a newline is fine then.
    let cut = end.is_none() && window.len() == KERNEL_BUFFER;
    match line.iter().position(|&byte| is_blank(byte) || byte == 0) {
        Some(0) => Shebang::Empty,
        Some(end) => Shebang::Interpreter { path: &line[..end], argument: trim_blanks(&line[end..]) },
        None if cut => Shebang::TooLong,
        None => Shebang::Interpreter { path: line, argument: b"" },
    }
}

fn trim_blanks(mut line: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = line
        && is_blank(*first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_blank(*last)
    {
        line = rest;
    }
    line
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter<'a>(path: &'a str, argument: &'a str) -> Shebang<'a> {
        Shebang::Interpreter { path: path.as_bytes(), argument: argument.as_bytes() }
    }

    #[test]
    fn the_line_is_read_as_the_kernel_reads_it() {
        assert_eq!(parse(b"#!/bin/sh\necho"), interpreter("/bin/sh", ""));
        assert_eq!(parse(b"#! \t/bin/sh -e  -u \n"), interpreter("/bin/sh", "-e  -u"));
        assert_eq!(parse(b"#!/bin/sh"), interpreter("/bin/sh", ""), "no newline at all");
        assert_eq!(parse(b"#!/bin/sh\r\n"), interpreter("/bin/sh\r", ""));
        assert_eq!(parse(b"echo"), Shebang::None);
        assert_eq!(parse(b""), Shebang::None);
        assert_eq!(parse(b"#"), Shebang::None);
        assert_eq!(parse(b"#!"), Shebang::Empty);
        assert_eq!(parse(b"#! \n/bin/sh"), Shebang::Empty);
    }

    #[test]
    fn a_path_that_the_kernel_cuts_is_noticed() {
        let long = [b"#!/".to_vec(), vec![b'x'; 300]].concat();
        assert_eq!(parse(&long), Shebang::TooLong);
        let argument = [b"#!/bin/sh ".to_vec(), vec![b'x'; 300]].concat();
        assert!(matches!(parse(&argument), Shebang::Interpreter { path: b"/bin/sh", .. }), "an argument may be cut");
    }
}
