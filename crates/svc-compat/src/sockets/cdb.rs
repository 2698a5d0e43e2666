//! The cdb format: keys and values in a file that is written once. 256 tables find a key by its hash; all numbers have 4 bytes,
//! little end first.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::Path;

const TABLES: usize = 256;

/// The places and sizes of the tables stand at the begin.
const HEADER: usize = TABLES * 8;

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33) ^ u32::from(byte))
}

/// A key and its value.
pub type Record<'a> = (&'a [u8], &'a [u8]);

/// A file that was read.
pub struct Cdb {
    data: Vec<u8>,
}

impl Cdb {
    pub fn open(path: &Path) -> Result<Cdb, Error> {
        let data = fs::read(path)?;
        if data.len() < HEADER {
            return Err(damaged());
        }
        Ok(Cdb { data })
    }

    fn bytes(&self, at: usize, length: usize) -> Result<&[u8], Error> {
        at.checked_add(length).and_then(|end| self.data.get(at..end)).ok_or_else(damaged)
    }

    fn number(&self, at: usize) -> Result<usize, Error> {
        let bytes = self.bytes(at, 4)?.first_chunk::<4>().ok_or_else(damaged)?;
        Ok(u32::from_le_bytes(*bytes) as usize)
    }

    /// The key and value of the record at this place, and where the next one begins.
    fn record(&self, at: usize) -> Result<(&[u8], &[u8], usize), Error> {
        let (key, value) = (self.number(at)?, self.number(at + 4)?);
        let end = at + 8 + key + value;
        Ok((self.bytes(at + 8, key)?, self.bytes(at + 8 + key, value)?, end))
    }

    /// The value of a key.
    pub fn find(&self, key: &[u8]) -> Result<Option<&[u8]>, Error> {
        let hash = hash(key) as usize;
        let entry = hash % TABLES * 8;
        let (table, size) = (self.number(entry)?, self.number(entry + 4)?);
        for step in 0..size {
            let slot = table + ((hash >> 8) + step) % size * 8;
            let place = self.number(slot + 4)?;
            if place == 0 {
                return Ok(None);
            }
            if self.number(slot)? == hash {
                let (found, value, _) = self.record(place)?;
                if found == key {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    /// All records, in the order in which they were written.
    pub fn records(&self) -> Result<Vec<Record<'_>>, Error> {
        let mut end = self.data.len();
        for table in 0..TABLES {
            end = end.min(self.number(table * 8)?);
        }
        // The tables stand behind the records, and those behind the header.
        if end < HEADER {
            return Err(damaged());
        }
        let (mut at, mut records) = (HEADER, Vec::new());
        while at < end {
            let (key, value, next) = self.record(at)?;
            records.push((key, value));
            at = next;
        }
        Ok(records)
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::InvalidData, "not a cdb file, or a damaged one")
}

/// The content of a file with these records.
pub fn make(records: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<u8>, Error> {
    let number = |value: usize| u32::try_from(value).map(u32::to_le_bytes).map_err(|_| Error::other("more than 4 GiB"));
    let mut data = vec![0; HEADER];
    let mut tables: Vec<Vec<(u32, usize)>> = vec![Vec::new(); TABLES];
    for (key, value) in records {
        let hash = hash(key);
        tables[hash as usize % TABLES].push((hash, data.len()));
        for part in [&number(key.len())?[..], &number(value.len())?, key, value] {
            data.extend_from_slice(part);
        }
    }
    for (index, table) in tables.iter().enumerate() {
        // Twice the room, so that a search ends soon.
        let mut slots = vec![(0, 0); table.len() * 2];
        for &(hash, place) in table {
            let begin = (hash >> 8) as usize % slots.len();
            let free = (0..slots.len()).map(|step| (begin + step) % slots.len()).find(|&slot| slots[slot].1 == 0);
            slots[free.ok_or_else(damaged)?] = (hash, place);
        }
        let header = [number(data.len())?, number(slots.len())?].concat();
        data[index * 8..index * 8 + 8].copy_from_slice(&header);
        for (hash, place) in slots {
            data.extend_from_slice(&hash.to_le_bytes());
            data.extend_from_slice(&number(place)?);
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_is_found() {
        let records: Vec<(Vec<u8>, Vec<u8>)> =
            (0..1000).map(|number| (format!("uid/{number}").into_bytes(), vec![number as u8; number % 50])).collect();
        let cdb = Cdb { data: make(&records).expect("small") };
        for (key, value) in &records {
            assert_eq!(cdb.find(key).expect("whole"), Some(value.as_slice()));
        }
        assert_eq!(cdb.find(b"uid/1000").expect("whole"), None);
        let all: Vec<(Vec<u8>, Vec<u8>)> =
            cdb.records().expect("whole").into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(all, records);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic() {
        let records = vec![(b"uid/0".to_vec(), b"D".to_vec()), (b"gid/0".to_vec(), b"D".to_vec())];
        let whole = make(&records).expect("small");
        for length in 0..whole.len() {
            if length >= HEADER {
                let cdb = Cdb { data: whole[..length].to_vec() };
                assert!(cdb.records().is_err() || cdb.find(b"uid/0").is_err() || cdb.find(b"gid/0").is_err(), "{length}");
            }
        }
        for at in 0..HEADER {
            let mut data = whole.clone();
            data[at] = 0xff;
            let cdb = Cdb { data };
            let _ = (cdb.records(), cdb.find(b"uid/0"), cdb.find(b"gid/0"));
        }
    }
}
