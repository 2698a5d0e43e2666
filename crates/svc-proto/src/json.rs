//! How JSON is written.

use std::io;

use serde::Serialize;

/// A value as one line of JSON.
pub fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut pieces = Pieces { text: Vec::new(), buffer: [0; ROOM], filled: 0 };
    // What cannot be written, such as a map without texts as keys, is no type of ours.
    let written = serde_json::to_writer(&mut pieces, value);
    debug_assert!(written.is_ok(), "{written:?}");
    pieces.put(b"\n");
    pieces.flush();
    pieces.text
}

const ROOM: usize = 1024;

/// The text of JSON comes in more than a hundred pieces a service, of a few bytes each. To copy one of unknown length with musl's
/// memcpy costs as much as a hundred bytes: so they are copied as words of known lengths.
struct Pieces {
    text: Vec<u8>,
    buffer: [u8; ROOM],
    filled: usize,
}

impl Pieces {
    fn put(&mut self, mut piece: &[u8]) {
        if piece.len() > ROOM - self.filled {
            self.flush();
        }
        let Some(mut place) = self.buffer.get_mut(self.filled..).filter(|place| place.len() >= piece.len()) else {
            self.text.extend_from_slice(piece);
            return;
        };
        self.filled += piece.len();
        while copy::<16>(&mut piece, &mut place) {}
        copy::<8>(&mut piece, &mut place);
        copy::<4>(&mut piece, &mut place);
        copy::<2>(&mut piece, &mut place);
        copy::<1>(&mut piece, &mut place);
    }

    fn flush(&mut self) {
        self.text.extend_from_slice(&self.buffer[..self.filled]);
        self.filled = 0;
    }
}

/// Copies as many bytes, if there are as many, and leaves what is behind them.
#[inline(always)]
fn copy<const LENGTH: usize>(piece: &mut &[u8], place: &mut &mut [u8]) -> bool {
    let Some((from, rest)) = piece.split_first_chunk::<LENGTH>() else { return false };
    let Some((to, behind)) = std::mem::take(place).split_first_chunk_mut::<LENGTH>() else { return false };
    *to = *from;
    (*piece, *place) = (rest, behind);
    true
}

impl io::Write for Pieces {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.put(piece);
        Ok(piece.len())
    }

    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        self.put(piece);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_serde_json_writes_whatever_the_length_of_its_pieces() {
        for length in (0..70).chain(ROOM - 40..ROOM + 40).chain([3 * ROOM, 100_000]) {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let value = serde_json::json!({ "name": text, "list": [1, null, "é\n", 1.5, text] });
            let mut whole = serde_json::to_vec(&value).expect("it is plain");
            whole.push(b'\n');
            assert_eq!(line(&value), whole, "{length} bytes");
        }
    }

    #[test]
    fn many_pieces_come_one_behind_the_other() {
        let many: Vec<String> = (0..5000).map(|number| "x".repeat(number % 37)).collect();
        assert_eq!(line(&many), [serde_json::to_vec(&many).expect("texts"), b"\n".to_vec()].concat());
    }
}
