//! The file in which scripts leave the exit code that svc is to have, as s6-overlay has it: one number in decimal.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use svc_sys::say;

/// More digits than a code has.
const MOST: usize = 16;

/// What stands there; none if that is no code.
pub(crate) fn read(file: &Path) -> Option<u8> {
    let mut bytes = [0; MOST];
    let length = File::open(file).and_then(|mut file| file.read(&mut bytes)).ok()?;
    let text = bytes.get(..length)?.trim_ascii();
    let code = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u32>().ok());
    if code.is_none() {
        say!("svc-init: {}: is no exit code: write a number from 0 to 255 there", file.display());
    }
    // As the kernel does with what is too large for it.
    code.map(|code| code as u8)
}

/// Writes it there. A place that takes nothing is no reason to fail.
pub(crate) fn write(file: &Path, code: u8) {
    if let Err(error) = File::create(file).and_then(|mut file| writeln!(file, "{code}")) {
        say!("svc-init: {}: {error}: the exit code {code} is not written there", file.display());
    }
}
