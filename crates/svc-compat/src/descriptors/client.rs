//! A client's end of a connection to the holder.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use svc_core::Millis;
use svc_proto::s6::Stamp;
use svc_sys::{Errno, clock, fd};

use super::store::{self, Held, LONGEST_NAME};
use crate::command::{Call, Failure};
use crate::sockets::local::{self, PROTOCOL};
use crate::sockets::wire::{self, Incoming};

pub struct Connection {
    from: OwnedFd,
    to: OwnedFd,
    incoming: Incoming,
    deadline: Option<Millis>,
}

/// A name, if it can be one.
pub fn name(word: &OsStr) -> Result<&[u8], Failure> {
    let name = word.as_bytes();
    let fits = (1..=LONGEST_NAME).contains(&name.len());
    fits.then_some(name).ok_or_else(|| Failure::usage(format!("an id has 1 to {LONGEST_NAME} bytes, not {}", name.len())))
}

/// The time limit that an option sets; 0 is none.
pub fn limit(call: &Call, letter: char) -> Result<Option<Millis>, Failure> {
    Ok(call.number(letter)?.filter(|limit| *limit > 0).map(Millis))
}

impl Connection {
    /// Connects to the holder whose socket is the first operand; for the commands whose names end with a c, it is there already, at
    /// descriptors 6 and 7. Returns the other operands too.
    pub fn open(call: &Call) -> Result<(Connection, &[std::ffi::OsString]), Failure> {
        let limit = limit(call, 't')?;
        // None of these commands can do without an operand of its table: said before somebody is connected to.
        if let Some(missing) = call.command.operands.split_whitespace().nth(call.operands.len()) {
            return Err(Failure::usage(format!("{} is missing", missing.trim_end_matches('.'))));
        }
        if call.command.name.ends_with('c') {
            return Ok((Connection::inherited([6, 7], limit)?, &call.operands));
        }
        let path = call.operand(0, "the socket of the holder")?;
        Ok((Connection::to(path, limit)?, &call.operands[1..]))
    }

    pub fn to(path: &OsStr, limit: Option<Millis>) -> Result<Connection, Failure> {
        let deadline = limit.map(|limit| clock::now() + limit);
        let failed = |errno| Failure::system(format!("unable to connect to the holder at {}: {errno}", path.display()));
        let socket = local::connect_to(path, None, deadline).map_err(failed)?;
        let other = fd::duplicate(socket.as_raw_fd(), 3).map_err(failed)?;
        Ok(Connection { from: socket, to: other, incoming: Incoming::default(), deadline })
    }

    pub fn inherited(numbers: [RawFd; 2], limit: Option<Millis>) -> Result<Connection, Failure> {
        let [Some(from), Some(to)] = numbers.map(fd::adopt) else {
            return Err(Failure::usage(format!("descriptors {} and {} must be a connection", numbers[0], numbers[1])));
        };
        [&from, &to].iter().for_each(|fd| fd::set_close_on_exec(fd.as_raw_fd(), true));
        let deadline = limit.map(|limit| clock::now() + limit);
        Ok(Connection { from, to, incoming: Incoming::default(), deadline })
    }

    fn send(&mut self, text: &[u8], fds: Vec<Rc<OwnedFd>>) -> Result<(), Errno> {
        wire::send(self.to.as_raw_fd(), text, fds, self.deadline)
    }

    /// The next message.
    fn receive(&mut self) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
        let message = wire::receive(self.from.as_raw_fd(), &mut self.incoming, self.deadline)?;
        Ok((message.text, message.fds))
    }

    /// Sends a message, and gives what stands behind the byte that says whether it was obeyed.
    fn ask(&mut self, text: &[u8], fds: Vec<Rc<OwnedFd>>) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
        self.send(text, fds)?;
        let (mut text, fds) = self.receive()?;
        match text.first() {
            Some(0) => Ok((text.split_off(1), fds)),
            Some(&number) => Err(Errno(i32::from(number))),
            None => Err(PROTOCOL),
        }
    }

    pub fn store(&mut self, fd: OwnedFd, name: &[u8], until: Stamp) -> Result<(), Errno> {
        let held = Held { name: name.to_vec(), fd: Rc::new(fd), until };
        self.ask(&[b"S", held.pack().as_slice()].concat(), vec![held.fd]).map(drop)
    }

    pub fn delete(&mut self, name: &[u8]) -> Result<(), Errno> {
        self.ask(&[b"D", store::packed_name(name).as_slice()].concat(), Vec::new()).map(drop)
    }

    pub fn retrieve(&mut self, name: &[u8], delete: bool) -> Result<OwnedFd, Errno> {
        let text = [&[b'R', u8::from(delete)], store::packed_name(name).as_slice()].concat();
        let (_, mut fds) = self.ask(&text, Vec::new())?;
        fds.pop().ok_or(PROTOCOL)
    }

    pub fn list(&mut self) -> Result<Vec<Vec<u8>>, Errno> {
        let (text, _) = self.ask(b"L", Vec::new())?;
        let (count, names) = number(&text).ok_or(PROTOCOL)?;
        let names: Vec<Vec<u8>> =
            names.split_inclusive(|&byte| byte == 0).map(|name| name[..name.len() - 1].to_vec()).collect();
        if names.len() == count { Ok(names) } else { Err(PROTOCOL) }
    }

    pub fn get_dump(&mut self) -> Result<Vec<Held>, Errno> {
        let (text, _) = self.ask(b"?", Vec::new())?;
        let (messages, rest) = number(&text).ok_or(PROTOCOL)?;
        let (count, _) = number(rest).ok_or(PROTOCOL)?;
        let mut dump = Vec::new();
        for _ in 0..messages {
            let (text, fds) = self.receive()?;
            let mut rest = text.as_slice();
            for fd in fds {
                let (until, name, after) = store::unpack(rest).ok_or(PROTOCOL)?;
                dump.push(Held { name: name.to_vec(), fd: Rc::new(fd), until });
                rest = after;
            }
        }
        if dump.len() == count { Ok(dump) } else { Err(PROTOCOL) }
    }

    pub fn set_dump(&mut self, dump: &[Held]) -> Result<(), Errno> {
        if dump.is_empty() {
            return Ok(());
        }
        let parts = store::parts(dump).ok_or(Errno(nix::Error::EMSGSIZE as i32))?;
        self.ask(&[b"!", &(dump.len() as u32).to_be_bytes()[..]].concat(), Vec::new())?;
        let last = parts.len() - 1;
        for (index, part) in parts.into_iter().enumerate() {
            let text: Vec<u8> = b".".iter().copied().chain(part.iter().flat_map(Held::pack)).collect();
            match self.ask(&text, part.iter().map(|held| Rc::clone(&held.fd)).collect()) {
                Ok(_) if index == last => {}
                // More is wanted, and there is more.
                Err(Errno::AGAIN) if index < last => {}
                Ok(_) | Err(Errno::AGAIN) => return Err(PROTOCOL),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Takes a number of four bytes from the front.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number) as usize, rest))
}
