//! What one client of the holder may do, and does.

use std::rc::Rc;

use nix::errno::Errno::{self as Number, EAGAIN, EBUSY, EMSGSIZE, ENFILE, ENOENT, EPERM};
use svc_core::Millis;
use svc_sys::regex::Regex;
use svc_sys::{Errno, clock};

use super::store::{self, Held, Store};
use crate::sockets::local::PROTOCOL;
use crate::sockets::wire::{Incoming, Message, Outgoing};

/// What the rules let a client do.
#[derive(Default)]
pub struct Rights {
    pub get_dump: bool,
    pub set_dump: bool,
    pub list: bool,
    /// Which names it may store and delete; none without one.
    pub store: Option<Regex>,
    /// Which names it may retrieve; none without one.
    pub retrieve: Option<Regex>,
}

impl Rights {
    /// Reads them from the variables of a rule.
    pub fn of<'a>(variables: impl Iterator<Item = &'a [u8]>) -> Result<Rights, String> {
        let mut rights = Rights::default();
        for variable in variables {
            let Some(end) = variable.iter().position(|&byte| byte == b'=') else { continue };
            let (name, value) = (&variable[..end], &variable[end + 1..]);
            let regex =
                || Regex::new(value).map_err(|error| format!("{}: {error}", String::from_utf8_lossy(name))).map(Some);
            match name {
                b"S6_FDHOLDER_GETDUMP" => rights.get_dump = true,
                b"S6_FDHOLDER_SETDUMP" => rights.set_dump = true,
                b"S6_FDHOLDER_LIST" => rights.list = true,
                b"S6_FDHOLDER_STORE_REGEX" => rights.store = regex()?,
                b"S6_FDHOLDER_RETRIEVE_REGEX" => rights.retrieve = regex()?,
                _ => {}
            }
        }
        Ok(rights)
    }

    fn may_store(&self, name: &[u8]) -> bool {
        self.store.as_ref().is_some_and(|regex| regex.is_match(name))
    }

    fn may_retrieve(&self, name: &[u8]) -> bool {
        self.retrieve.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

/// A client that is connected.
pub struct Session {
    pub incoming: Incoming,
    pub outgoing: Outgoing,
    /// When the client must have taken its answer, or said what it wants.
    pub deadline: Option<Millis>,
    rights: Rights,
    /// How many descriptors of a dump are still to come.
    dumping: usize,
    patience: Option<Millis>,
}

impl Session {
    pub fn new(rights: Rights, patience: Option<Millis>) -> Session {
        let deadline = patience.map(|patience| clock::now() + patience);
        Session { incoming: Incoming::default(), outgoing: Outgoing::default(), deadline, rights, dumping: 0, patience }
    }

    /// Does what a message asks for. An error: it makes no sense, and the client is to go.
    pub fn obey(&mut self, store: &mut Store, most: usize, message: Message) -> Result<(), Errno> {
        let text = message.text.as_slice();
        let (&kind, rest) = text.split_first().ok_or(PROTOCOL)?;
        let data = message.fds;
        if (kind == b'.') != (self.dumping > 0) || (!b"S.".contains(&kind) && !data.is_empty()) {
            return Err(PROTOCOL);
        }
        match kind {
            b'S' => {
                let ((until, name, []), Ok([fd])) = (store::unpack(rest).ok_or(PROTOCOL)?, <[_; 1]>::try_from(data)) else {
                    return Err(PROTOCOL);
                };
                let answer = match store.get(name) {
                    _ if !self.rights.may_store(name) => Err(EPERM),
                    _ if store.len() >= most => Err(ENFILE),
                    Some(_) => Err(EBUSY),
                    None => Ok(()),
                };
                if answer.is_ok() {
                    store.put(Held { name: name.to_vec(), fd: Rc::new(fd), until });
                }
                self.answer(answer)
            }
            b'D' => {
                let (name, []) = store::unpack_name(rest).ok_or(PROTOCOL)? else { return Err(PROTOCOL) };
                let answer =
                    if self.rights.may_store(name) { store.remove(name).map(drop).ok_or(ENOENT) } else { Err(EPERM) };
                self.answer(answer)
            }
            b'R' => {
                let (&delete, rest) = rest.split_first().ok_or(PROTOCOL)?;
                let (name, []) = store::unpack_name(rest).ok_or(PROTOCOL)? else { return Err(PROTOCOL) };
                self.retrieve(store, name, delete != 0)
            }
            b'L' if rest.is_empty() && self.rights.list => {
                let names = store.all().flat_map(|held| [held.name.as_slice(), &[0]].concat());
                let text: Vec<u8> = [0].into_iter().chain(number(store.len())).chain(names).collect();
                self.put(&text, Vec::new())
            }
            b'?' if rest.is_empty() && self.rights.get_dump => self.dump(store),
            b'!' if rest.len() == 4 && self.rights.set_dump => {
                let count = rest.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
                if count > most || count + store.len() > most {
                    return self.answer(Err(ENFILE));
                }
                self.dumping = count;
                let text: Vec<u8> = [0].into_iter().chain(number(store::messages_for(count))).collect();
                self.put(&text, Vec::new())
            }
            b'L' | b'?' if rest.is_empty() => self.answer(Err(EPERM)),
            b'!' if rest.len() == 4 => self.answer(Err(EPERM)),
            b'.' => self.take_dump(store, most, rest, data),
            _ => Err(PROTOCOL),
        }
    }

    fn retrieve(&mut self, store: &mut Store, name: &[u8], delete: bool) -> Result<(), Errno> {
        if !self.rights.may_retrieve(name) || delete && !self.rights.may_store(name) {
            return self.answer(Err(EPERM));
        }
        let Some(held) = store.get(name) else { return self.answer(Err(ENOENT)) };
        let fd = Rc::clone(&held.fd);
        if delete {
            store.remove(name);
        }
        self.put(&[0], vec![fd])
    }

    /// How many messages follow and how many descriptors, then these.
    fn dump(&mut self, store: &Store) -> Result<(), Errno> {
        let all: Vec<Held> = store.all().cloned().collect();
        let Some(parts) = store::parts(&all) else { return self.answer(Err(EMSGSIZE)) };
        let text: Vec<u8> = [0].into_iter().chain(number(parts.len())).chain(number(all.len())).collect();
        self.put(&text, Vec::new())?;
        for part in parts {
            let text: Vec<u8> = part.iter().flat_map(Held::pack).collect();
            self.put(&text, part.iter().map(|held| Rc::clone(&held.fd)).collect())?;
        }
        Ok(())
    }

    fn take_dump(
        &mut self,
        store: &mut Store,
        most: usize,
        mut rest: &[u8],
        fds: Vec<std::os::fd::OwnedFd>,
    ) -> Result<(), Errno> {
        if fds.is_empty() || fds.len() > self.dumping {
            return Err(PROTOCOL);
        }
        if store.len() + fds.len() > most {
            return self.answer(Err(ENFILE));
        }
        let count = fds.len();
        let mut new = Vec::new();
        for fd in fds {
            let (until, name, after) = store::unpack(rest).ok_or(PROTOCOL)?;
            new.push(Held { name: name.to_vec(), fd: Rc::new(fd), until });
            rest = after;
        }
        if !rest.is_empty() {
            return Err(PROTOCOL);
        }
        new.into_iter().for_each(|held| store.put(held));
        self.dumping -= count;
        self.answer(if self.dumping > 0 { Err(EAGAIN) } else { Ok(()) })
    }

    fn answer(&mut self, answer: Result<(), Number>) -> Result<(), Errno> {
        let byte = answer.map_or_else(|number| number as i32 as u8, |()| 0);
        self.put(&[byte], Vec::new())
    }

    fn put(&mut self, text: &[u8], fds: Vec<Rc<std::os::fd::OwnedFd>>) -> Result<(), Errno> {
        self.deadline = self.deadline.or_else(|| self.patience.map(|patience| clock::now() + patience));
        self.outgoing.put(text, fds)
    }
}

/// Four bytes, big end first: the holder never has more descriptors than fit.
fn number(count: usize) -> [u8; 4] {
    (count as u32).to_be_bytes()
}
