//! What svc-init keeps about a slot for the next svc-scan: enough to find the directory again.

use crate::codec::{Malformed, Reader, Writer};

/// Stands where the scan directory does for the main program, which is in none.
pub const NO_SCAN_DIR: u32 = u32::MAX;

/// Who a slot belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub name: String,
    /// Which directory it is, whatever it is called now.
    pub device: u64,
    pub inode: u64,
    /// Which of the scan directories it stands in.
    pub scan_dir: u32,
    /// When it was first launched, in milliseconds since 1970.
    pub added_ms: u64,
    /// Which kind of service its supervisor was made for, as svc-scan counts them.
    pub kind: u8,
}

impl Label {
    pub fn encode(&self) -> Vec<u8> {
        let Label { name, device, inode, scan_dir, added_ms, kind } = self;
        let writer = Writer::default().u64(*device).u64(*inode).u32(*scan_dir).u64(*added_ms).u8(*kind);
        writer.bytes(name.as_bytes()).finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Label, Malformed> {
        let mut reader = Reader::new(bytes);
        let (device, inode, scan_dir, added_ms) = (reader.u64()?, reader.u64()?, reader.u32()?, reader.u64()?);
        let kind = reader.u8()?;
        let name = reader.text()?.to_owned();
        reader.end()?;
        Ok(Label { name, device, inode, scan_dir, added_ms, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_label_fits_its_place() {
        let name = "n".repeat(svc_core::name::MAX_NAME) + "/log";
        let label = Label { name, device: u64::MAX, inode: 1, scan_dir: 2, added_ms: 3, kind: 4 };
        assert!(label.encode().len() <= crate::ledger::MAX_LABEL);
        assert_eq!(Label::decode(&label.encode()), Ok(label));
    }
}
