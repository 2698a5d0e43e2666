//! Bytes of a packet, written and read field by field. Reading never panics: whatever a peer sent comes back as a value or
//! as [`Malformed`].

/// The packet does not say what its tag promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed packet")
    }
}

impl std::error::Error for Malformed {}

/// Collects a packet.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins a packet with its tag.
    pub fn tagged(tag: u8) -> Writer {
        Writer(vec![tag])
    }

    pub fn u8(mut self, value: u8) -> Writer {
        self.0.push(value);
        self
    }

    pub fn u32(mut self, value: u32) -> Writer {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Writer {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn flag(self, value: bool) -> Writer {
        self.u8(u8::from(value))
    }

    pub fn words(self, words: &[u64]) -> Writer {
        words.iter().fold(self, |writer, &word| writer.u64(word))
    }

    /// Bytes behind their length.
    pub fn bytes(self, bytes: &[u8]) -> Writer {
        let mut writer = self.u32(bytes.len() as u32);
        writer.0.extend_from_slice(bytes);
        writer
    }

    /// An optional number: one more than it, or zero.
    pub fn option(self, value: Option<u32>) -> Writer {
        self.u64(value.map_or(0, |value| u64::from(value) + 1))
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a packet apart.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(packet: &'a [u8]) -> Reader<'a> {
        Reader(packet)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.take(4)?.try_into().map(u32::from_le_bytes).map_err(|_| Malformed)
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.take(8)?.try_into().map(u64::from_le_bytes).map_err(|_| Malformed)
    }

    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub fn words<const N: usize>(&mut self) -> Result<[u64; N], Malformed> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.u64()?;
        }
        Ok(words)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub fn option(&mut self) -> Result<Option<u32>, Malformed> {
        match self.u64()? {
            0 => Ok(None),
            more => u32::try_from(more - 1).map(Some).map_err(|_| Malformed),
        }
    }

    /// Says that this was all; anything behind it is as wrong as anything missing.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
