//! The key `sockets`: what a service listens on, and is given.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::tree::{Entry, Item, Node, Place};
use super::values::{Fault, Reader};

/// So many one service may have; they go in one packet.
pub(super) const MOST: usize = 16;
/// The first descriptor of a service that gets sockets.
const FIRST: usize = 3;
const BACKLOG: i64 = 4096;
pub(super) const FIELDS: [&str; 8] = ["listen", "name", "mode", "user", "group", "backlog", "reuse-port", "dual-stack"];

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Internet(SocketAddr),
    Path(PathBuf),
    Abstract(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    Stream,
    Datagrams,
    Packets,
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// As it is written.
    pub listen: String,
    pub address: Address,
    pub flow: Flow,
    pub name: String,
    pub mode: Option<u32>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub backlog: i32,
    pub reuse_port: bool,
    pub dual_stack: bool,
}

impl Socket {
    /// The same number for what one open socket can serve. Its name is the service's affair.
    pub fn print(&self) -> u64 {
        let Socket { listen: _, address, flow, name: _, mode, user, group, backlog, reuse_port, dual_stack } = self;
        super::fingerprint(
            format!("{address:?} {flow:?} {mode:?} {user:?} {group:?} {backlog} {reuse_port} {dual_stack}").as_bytes(),
        )
    }
}

/// The variables that tell the program of them, for `svc exec`.
pub(super) fn words(sockets: &[Socket]) -> Vec<String> {
    if sockets.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = sockets.iter().map(|socket| socket.name.as_str()).collect();
    let variables = [format!("LISTEN_FDS={}", sockets.len()), format!("LISTEN_FDNAMES={}", names.join(":"))];
    let variables = variables.into_iter().flat_map(|variable| ["--env".to_owned(), variable]);
    variables.chain(["--env-pid".to_owned(), "LISTEN_PID".to_owned()]).collect()
}

/// What is wrong with the keys together: descriptors that are asked for twice.
pub(super) fn faults(leaves: &[(String, &Entry)], ready_fd: Option<u32>, count: usize) -> Vec<Fault> {
    let last = FIRST + count;
    let collides = ready_fd.is_some_and(|fd| count > 0 && (FIRST..last).contains(&(fd as usize)));
    let entry = leaves.iter().find(|(name, _)| name == "ready.fd").filter(|_| collides);
    let message = |fd: u32| {
        format!(
            "ready.fd asks for descriptor {fd}, and so does sockets, which has {FIRST} to {}: write ready.fd = {last}",
            last - 1
        )
    };
    entry.zip(ready_fd).map(|((_, entry), fd)| vec![(entry.place, message(fd))]).unwrap_or_default()
}

/// The value: a list of texts and tables.
pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Result<Vec<Socket>, Vec<Fault>> {
    let Item::List(items) = &node.item else { return Err(vec![reader.fault(node, "a list")]) };
    if items.len() > MOST {
        return Err(vec![(node.place, format!("{} has {} entries, and {MOST} is the most", reader.name, items.len()))]);
    }
    let (mut sockets, mut faults): (Vec<Socket>, Vec<Fault>) = (Vec::new(), Vec::new());
    for item in items {
        match one(reader, item) {
            Ok(socket) => match sockets.iter().find(|other| other.address == socket.address && other.flow == socket.flow) {
                Some(_) => faults.push((item.place, format!("{} has {} twice", reader.name, socket.listen))),
                None => sockets.push(socket),
            },
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(sockets) } else { Err(faults) }
}

fn one(reader: &Reader<'_>, node: &Node) -> Result<Socket, Vec<Fault>> {
    let Item::Table(entries) = &node.item else {
        let listen = reader.text(node).map_err(|fault| vec![fault])?;
        return socket(reader, node.place, listen).map_err(|fault| vec![fault]);
    };
    let mut faults = Vec::new();
    let Some(entry) = entries.iter().find(|entry| entry.key == "listen") else {
        return Err(vec![(node.place, format!("{} has an entry without listen: write {}", reader.name, reader.example))]);
    };
    let listen = reader.text(&entry.node).and_then(|listen| socket(reader, entry.node.place, listen));
    let mut made = listen.map_err(|fault| vec![fault])?;
    for entry in entries {
        let name = format!("{}: {}", reader.name, entry.key);
        let inner = Reader { name: &name, ..*reader };
        let node = &entry.node;
        let read = match entry.key.as_str() {
            "listen" => Ok(()),
            "name" => inner.text(node).and_then(|text| {
                let good =
                    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
                if !good {
                    return Err((node.place, format!("{name} must be a word without a colon")));
                }
                made.name = text;
                Ok(())
            }),
            "mode" => inner.text(node).and_then(|text| match u32::from_str_radix(&text, 8) {
                Ok(mode) if mode <= 0o777 => {
                    made.mode = Some(mode);
                    Ok(())
                }
                Ok(_) | Err(_) => Err((node.place, format!("{name} must be octal digits in quotes, such as \"0660\""))),
            }),
            "user" => inner.who(node).map(|user| made.user = Some(user)),
            "group" => inner.who(node).map(|group| made.group = Some(group)),
            "backlog" => inner.number(node, 1, 65535).map(|number| made.backlog = number as i32),
            "reuse-port" => inner.flag(node).map(|flag| made.reuse_port = flag),
            "dual-stack" => inner.flag(node).map(|flag| made.dual_stack = flag),
            other => Err((entry.place, super::values::unknown(&format!("{} has", reader.name), other, &FIELDS))),
        };
        faults.extend(read.err());
        let is_file = matches!(made.address, Address::Path(_));
        let misplaced = match entry.key.as_str() {
            "mode" | "user" | "group" if !is_file => Some("a socket in the file system"),
            "reuse-port" if !matches!(made.address, Address::Internet(_)) => Some("TCP and UDP"),
            "dual-stack" if !matches!(made.address, Address::Internet(SocketAddr::V6(_))) => Some("an address of IPv6"),
            _ => None,
        };
        faults.extend(misplaced.map(|what| (entry.place, format!("{name} means something for {what} only: remove it"))));
    }
    if faults.is_empty() { Ok(made) } else { Err(faults) }
}

fn socket(reader: &Reader<'_>, place: Place, listen: String) -> Result<Socket, Fault> {
    let (address, flow) = parse(&listen).map_err(|what| (place, format!("{}: {what}", reader.name)))?;
    // A port alone is that of every address there is.
    let is_port = listen.trim_start_matches("tcp://").trim_start_matches("udp://").parse::<u16>().is_ok();
    Ok(Socket {
        name: "listen".into(),
        listen,
        address,
        flow,
        mode: None,
        user: None,
        group: None,
        backlog: BACKLOG as i32,
        reuse_port: false,
        dual_stack: is_port,
    })
}

/// `80`, `0.0.0.0:80`, `[::]:80`, `udp://0.0.0.0:53`, `/run/web.sock`, `@name`, `unix-datagram:///dev/log`.
fn parse(text: &str) -> Result<(Address, Flow), String> {
    let shown = super::quoted(text.as_bytes());
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let is_unix = rest.starts_with(['/', '@']);
    let flow = match scheme {
        "" => Flow::Stream,
        "tcp" if !is_unix => Flow::Stream,
        "udp" if !is_unix => Flow::Datagrams,
        "unix" if is_unix => Flow::Stream,
        "unix-datagram" if is_unix => Flow::Datagrams,
        "unix-packets" if is_unix => Flow::Packets,
        _ => {
            return Err(format!(
                "{shown} is no address: there are ADDRESS:PORT, tcp://, udp://, /PATH, @NAME, unix://, unix-datagram://, \
                 unix-packets://"
            ));
        }
    };
    if let Some(name) = rest.strip_prefix('@') {
        return if name.is_empty() || name.len() > 107 {
            Err(format!("{shown} needs a name of at most 107 bytes behind the @"))
        } else {
            Ok((Address::Abstract(name.into()), flow))
        };
    }
    if rest.starts_with('/') {
        return if rest.len() > 107 {
            Err(format!("{shown} has {} bytes, and 107 is the most the kernel takes: use a shorter path", rest.len()))
        } else {
            Ok((Address::Path(rest.into()), flow))
        };
    }
    let parsed = match rest.parse::<u16>() {
        Ok(port) => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        Err(_) => rest.parse().ok(),
    };
    match parsed {
        Some(address) if address.port() > 0 => Ok((Address::Internet(address), flow)),
        Some(_) => Err(format!("{shown} has no port: ports are 1 to 65535")),
        None => Err(format!(
            "{shown} is no address: write numbers, such as 0.0.0.0:80 or [::]:80, or a path such as /run/web.sock"
        )),
    }
}
