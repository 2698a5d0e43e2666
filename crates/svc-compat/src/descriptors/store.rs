//! The descriptors that are held, each under a name and until a time.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use svc_core::Millis;
use svc_proto::s6::Stamp;
use svc_sys::clock;

/// The longest name, in bytes.
pub const LONGEST_NAME: usize = 255;

/// The most descriptors that the kernel takes in one message.
const MOST_IN_ONE: usize = 253;

/// By the protocol, a dump of so many goes in one message more.
const PER_MESSAGE: usize = 255;

/// Seconds that are never over.
const FOR_EVER: u64 = 1 << 61;

/// A descriptor that is held.
#[derive(Debug, Clone)]
pub struct Held {
    pub name: Vec<u8>,
    pub fd: Rc<OwnedFd>,
    pub until: Stamp,
}

/// The time now, as s6 writes it.
pub fn now() -> Stamp {
    Stamp::from_unix_nanos(clock::wall_ms() * 1_000_000)
}

/// The time after so many milliseconds; without a number, a time that never comes.
pub fn after(limit: Option<Millis>) -> Stamp {
    match limit {
        Some(limit) => Stamp::from_unix_nanos((clock::wall_ms() + limit.0) * 1_000_000),
        None => {
            let now = now();
            Stamp { label: now.label + FOR_EVER, ..now }
        }
    }
}

/// Whether this time ever comes.
pub fn comes(time: Stamp) -> bool {
    time.label < now().label.saturating_add(FOR_EVER / 2)
}

impl Held {
    /// As it stands in messages: the time (12 bytes), the length of the name, the name, a NUL byte.
    pub fn pack(&self) -> Vec<u8> {
        [&self.until.to_bytes()[..], &packed_name(&self.name)].concat()
    }
}

/// The length of a name, the name, a NUL byte. Names are never longer than [`LONGEST_NAME`].
pub fn packed_name(name: &[u8]) -> Vec<u8> {
    [&[name.len() as u8][..], name, &[0]].concat()
}

/// Takes a packed time and name from the front.
pub fn unpack(bytes: &[u8]) -> Option<(Stamp, &[u8], &[u8])> {
    let (time, rest) = bytes.split_first_chunk::<12>()?;
    let (name, rest) = unpack_name(rest)?;
    Some((Stamp::from_bytes(*time), name, rest))
}

/// Takes a packed name from the front.
pub fn unpack_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    match rest.split_first()? {
        (0, rest) if !name.is_empty() && !name.contains(&0) => Some((name, rest)),
        _ => None,
    }
}

/// How many messages a dump of so many takes.
pub fn messages_for(count: usize) -> usize {
    count.div_ceil(PER_MESSAGE)
}

/// The parts in which a dump goes, as even as can be: the protocol says how many there are, and would have some be larger than the
/// kernel takes. None if there is no way.
pub fn parts(held: &[Held]) -> Option<Vec<&[Held]>> {
    let count = messages_for(held.len());
    let size = held.len().div_ceil(count.max(1)).max(1);
    (size <= MOST_IN_ONE).then(|| held.chunks(size).collect())
}

/// All that is held, by name.
#[derive(Default)]
pub struct Store {
    held: BTreeMap<Vec<u8>, Held>,
}

impl Store {
    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn get(&self, name: &[u8]) -> Option<&Held> {
        self.held.get(name)
    }

    /// Holds it, in place of another one of that name.
    pub fn put(&mut self, held: Held) {
        self.held.insert(held.name.clone(), held);
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<Held> {
        self.held.remove(name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// Closes what has been held for long enough, and says in how many milliseconds something else will.
    pub fn expire(&mut self) -> Option<Millis> {
        let now = now();
        self.held.retain(|_, held| held.until > now);
        let next = self.held.values().map(|held| held.until).filter(|time| comes(*time)).min()?;
        Some(Millis(next.nanos_since(now) / 1_000_000 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_packed_and_unpacked() {
        let packed = packed_name(b"unix:/run/x");
        assert_eq!(unpack_name(&packed), Some((&b"unix:/run/x"[..], &[][..])));
        for wrong in [&b""[..], b"\x01", b"\x01a", b"\x01ab", b"\x02a\0", b"\0\0", b"\x03a\0b\0"] {
            assert_eq!(unpack_name(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_dump_is_divided_as_the_protocol_says_and_the_kernel_takes_it() {
        let fd = Rc::new(svc_sys::fd::event().expect("a descriptor"));
        for (count, messages) in
            [(0, Some(0)), (1, Some(1)), (253, Some(1)), (254, None), (255, None), (256, Some(2)), (1000, Some(4))]
        {
            let held = vec![Held { name: b"x".to_vec(), fd: Rc::clone(&fd), until: now() }; count];
            assert_eq!(parts(&held).map(|parts| parts.len()), messages, "{count}");
            assert!(messages.is_none_or(|messages| messages == messages_for(count)), "{count}");
        }
    }
}
