//! Packets between our own processes: one packet is one message, so there is no framing and no partial read.
//!
//! Tags are for ever: add, never reuse. A packet that does not decode is refused by whoever got it, with a line in the log,
//! and changes nothing.

use svc_core::init::Order;
use svc_core::service::{Note, Recall};
use svc_core::snapshot::{WORDS, Words};
use svc_core::{Command, Millis, Output, Signal};

use crate::codec::{Malformed, Reader, Writer};
use crate::definition::{output_from, output_number, wish_from, wish_number};

/// The longest packet. Far below what a Unix socket takes by default (net.core.wmem_default, 208 KiB).
pub const MAX_PACKET: usize = 64 * 1024;

/// To a supervisor, from svc-scan; the last one from svc-init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSupervisor {
    Command(Command),
    /// Its definition has changed on disk: the settings hold at once, the program from its next start on.
    Define(Vec<u8>),
    /// Say your status: svc-scan has just been started and knows nothing.
    Query,
    /// These came to svc-init when the main process of a forking daemon ended: they are of this service.
    Orphans(Vec<u32>),
    /// svc-init has reaped something that an earlier supervisor of this service had started: look into the ledger.
    Look,
    /// The files of s6's tools may have been taken away.
    Files,
}

/// From a supervisor to svc-scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What happened just before that.
    pub before: Option<Note>,
    /// What happened; none in the answer to a query.
    pub note: Option<Note>,
    /// How many commands this supervisor has heard from svc-scan: a report from before a command says nothing of it.
    pub heard: u32,
    pub words: Words,
}

/// From a supervisor to svc-scan: what keeps the files that s6's tools read from being as they should, with its place and its cure;
/// empty when nothing does any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesReport(pub Vec<u8>);

/// From svc-scan to svc-init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToInit {
    /// Fork a supervisor for this slot. Pipes of the slot that exist are used again.
    Launch {
        slot: u32,
        output: Output,
        /// Standard input is the pipe of this slot.
        stdin_of: Option<u32>,
        /// Standard output is the pipe of this slot, and not one of its own: two that write to one logger.
        stdout_of: Option<u32>,
        /// It is to be down from the beginning, whatever an earlier supervisor was told.
        stopped: bool,
        label: Vec<u8>,
        definition: Vec<u8>,
    },
    /// Nothing of this slot is needed any more: close its descriptors.
    Retire { slot: u32 },
    /// The service listens on these sockets, which come as descriptors: keep them in place of those before. Each has a number that
    /// says what it was opened for.
    Sockets { slot: u32, prints: Vec<u64> },
    /// Keep this descriptor for the next svc-scan: the socket that listens for clients.
    KeepListener,
    /// `named`: by a client, and not by what has happened.
    Shutdown { code: u8, named: bool, force: bool },
    /// What SIGTERM means, or SIGQUIT: s6-svscanctl has said so.
    Stop { quick: bool },
    /// What SIGABRT means.
    Abort,
}

/// From svc-init to svc-scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToScan {
    /// A slot is in use; its link comes as a descriptor. `supervisor` is zero when none lives.
    Slot {
        slot: u32,
        supervisor: i32,
        label: Vec<u8>,
    },
    /// What the service of a slot listens on, as descriptors.
    Sockets {
        slot: u32,
        prints: Vec<u64>,
    },
    /// The socket that an earlier svc-scan left, as a descriptor.
    Listener,
    /// You know everything now that is left of an earlier svc-scan.
    Begin {
        init_pid: i32,
        /// When svc began.
        began: Millis,
    },
    /// A supervisor ended: whatever it ran goes on as a child of svc-init.
    Died {
        slot: u32,
    },
    LaunchFailed {
        slot: u32,
        errno: i32,
    },
    Order(Order),
}

/// From svc-init to svc-log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToLog {
    /// Read these two descriptors: standard output and standard error of the service (or standard error alone, when its
    /// output goes to its own logger).
    Add { slot: u32, name: String },
    /// It is gone for good.
    Remove { slot: u32 },
    /// Read to the end, and leave.
    Finish,
}

impl ToSupervisor {
    pub fn encode(&self) -> Vec<u8> {
        let (number, signal) = match self {
            ToSupervisor::Command(command) => match command {
                Command::Start => (0, 0),
                Command::Stop => (1, 0),
                Command::Once => (2, 0),
                Command::Restart => (3, 0),
                Command::Reload => (4, 0),
                Command::Kill(signal) => (5, signal.number()),
                Command::Pause => (6, 0),
                Command::Continue => (7, 0),
                Command::Drain => (8, 0),
                Command::Terminate => (9, 0),
                Command::Force => (10, 0),
                Command::Abandon => (11, 0),
                Command::Interrupt => (12, 0),
                Command::Undo => (13, 0),
                Command::Wish(wish) => (14, wish_number(*wish)),
                Command::AtMostOnce => (15, 0),
                Command::DownSignal => (16, 0),
                Command::KillGroup(signal) => (17, signal.number()),
                Command::Arm => (18, 0),
                Command::Hurry => (19, 0),
                Command::Recall(recall) => (20, recall_number(*recall)),
            },
            ToSupervisor::Query => (64, 0),
            ToSupervisor::Look => (65, 0),
            ToSupervisor::Files => (68, 0),
            ToSupervisor::Orphans(pids) => {
                let writer = Writer::tagged(67).u32(pids.len() as u32);
                return pids.iter().fold(writer, |writer, &pid| writer.u32(pid)).finish();
            }
            ToSupervisor::Define(definition) => return Writer::tagged(66).bytes(definition).finish(),
        };
        Writer::tagged(number).u8(signal).finish()
    }

    pub fn decode(packet: &[u8]) -> Result<ToSupervisor, Malformed> {
        let mut reader = Reader::new(packet);
        let tag = reader.u8()?;
        if tag == 66 {
            let definition = reader.bytes()?.to_owned();
            reader.end()?;
            return Ok(ToSupervisor::Define(definition));
        }
        if tag == 67 {
            let mut pids = Vec::new();
            for _ in 0..reader.u32()? {
                pids.push(reader.u32()?);
            }
            reader.end()?;
            return Ok(ToSupervisor::Orphans(pids));
        }
        let signal = reader.u8()?;
        reader.end()?;
        let command = match tag {
            0 => Command::Start,
            1 => Command::Stop,
            2 => Command::Once,
            3 => Command::Restart,
            4 => Command::Reload,
            5 => Command::Kill(Signal::new(signal).ok_or(Malformed)?),
            6 => Command::Pause,
            7 => Command::Continue,
            8 => Command::Drain,
            9 => Command::Terminate,
            10 => Command::Force,
            11 => Command::Abandon,
            12 => Command::Interrupt,
            13 => Command::Undo,
            14 => Command::Wish(wish_from(signal)?),
            15 => Command::AtMostOnce,
            16 => Command::DownSignal,
            17 => Command::KillGroup(Signal::new(signal).ok_or(Malformed)?),
            18 => Command::Arm,
            19 => Command::Hurry,
            20 => Command::Recall(recall_from(signal)?),
            64 => return Ok(ToSupervisor::Query),
            65 => return Ok(ToSupervisor::Look),
            68 => return Ok(ToSupervisor::Files),
            _ => return Err(Malformed),
        };
        Ok(ToSupervisor::Command(command))
    }
}

fn recall_number(recall: Recall) -> u8 {
    match recall {
        Recall::No => 0,
        Recall::Order => 1,
        Recall::Late => 2,
    }
}

fn recall_from(number: u8) -> Result<Recall, Malformed> {
    match number {
        0 => Ok(Recall::No),
        1 => Ok(Recall::Order),
        2 => Ok(Recall::Late),
        _ => Err(Malformed),
    }
}

/// All notes, by their number on the wire.
const NOTES: [Note; 13] = [
    Note::Starting,
    Note::Up,
    Note::Ready,
    Note::Stopping,
    Note::Exited,
    Note::Finishing,
    Note::Draining,
    Note::Down,
    Note::Failed,
    Note::Trouble,
    Note::Changed,
    Note::Killed,
    Note::Armed,
];

/// Bytes of a [`Report`]: two tags, a count, and the words.
pub const REPORT_BYTES: usize = 6 + 8 * WORDS;

impl Report {
    /// Written without a heap: a supervisor sends one for each change of state.
    pub fn encode(&self) -> [u8; REPORT_BYTES] {
        let mut packet = [0; REPORT_BYTES];
        for (place, note) in packet.iter_mut().zip([self.note, self.before]) {
            let number = note.and_then(|note| NOTES.iter().position(|&known| known == note));
            *place = number.map_or(0, |number| number as u8 + 1);
        }
        packet[2..6].copy_from_slice(&self.heard.to_le_bytes());
        for (bytes, word) in packet[6..].chunks_exact_mut(8).zip(&self.words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        packet
    }

    pub fn decode(packet: &[u8]) -> Result<Report, Malformed> {
        let mut reader = Reader::new(packet);
        let note = |number: u8| match number {
            0 => Ok(None),
            number => NOTES.get(usize::from(number) - 1).copied().map(Some).ok_or(Malformed),
        };
        let (note, before) = (note(reader.u8()?)?, note(reader.u8()?)?);
        let heard = reader.u32()?;
        let words = reader.words::<WORDS>()?;
        reader.end()?;
        Ok(Report { before, note, heard, words })
    }
}

impl FilesReport {
    /// The first byte of one: neither a [`Report`] nor a [`crate::checks::HealthReport`] begins with it.
    const TAG: u8 = 254;

    /// Whether a packet is one.
    pub fn is(packet: &[u8]) -> bool {
        packet.first() == Some(&Self::TAG)
    }

    pub fn encode(&self) -> Vec<u8> {
        Writer::tagged(Self::TAG).bytes(&self.0).finish()
    }

    pub fn decode(packet: &[u8]) -> Result<FilesReport, Malformed> {
        let mut reader = Reader::new(packet);
        if reader.u8()? != Self::TAG {
            return Err(Malformed);
        }
        let text = reader.bytes()?.to_owned();
        reader.end()?;
        Ok(FilesReport(text))
    }
}

impl ToInit {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToInit::Launch { slot, output, stdin_of, stdout_of, stopped, label, definition } => Writer::tagged(0)
                .u32(*slot)
                .u8(output_number(*output))
                .option(*stdin_of)
                .option(*stdout_of)
                .flag(*stopped)
                .bytes(label)
                .bytes(definition)
                .finish(),
            ToInit::Retire { slot } => Writer::tagged(1).u32(*slot).finish(),
            ToInit::KeepListener => Writer::tagged(2).finish(),
            ToInit::Shutdown { code, named, force } => Writer::tagged(3).u8(*code).flag(*force).flag(*named).finish(),
            ToInit::Stop { quick } => Writer::tagged(4).flag(*quick).finish(),
            ToInit::Abort => Writer::tagged(5).finish(),
            ToInit::Sockets { slot, prints } => Writer::tagged(6).u32(*slot).u32(prints.len() as u32).words(prints).finish(),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<ToInit, Malformed> {
        let mut reader = Reader::new(packet);
        let message = match reader.u8()? {
            0 => ToInit::Launch {
                slot: reader.u32()?,
                output: output_from(reader.u8()?)?,
                stdin_of: reader.option()?,
                stdout_of: reader.option()?,
                stopped: reader.flag()?,
                label: reader.bytes()?.to_owned(),
                definition: reader.bytes()?.to_owned(),
            },
            1 => ToInit::Retire { slot: reader.u32()? },
            2 => ToInit::KeepListener,
            3 => ToInit::Shutdown { code: reader.u8()?, force: reader.flag()?, named: reader.flag()? },
            4 => ToInit::Stop { quick: reader.flag()? },
            5 => ToInit::Abort,
            6 => ToInit::Sockets { slot: reader.u32()?, prints: numbers(&mut reader)? },
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(message)
    }
}

impl ToScan {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToScan::Slot { slot, supervisor, label } => {
                Writer::tagged(0).u32(*slot).u32(*supervisor as u32).bytes(label).finish()
            }
            ToScan::Listener => Writer::tagged(1).finish(),
            ToScan::Begin { init_pid, began } => Writer::tagged(2).u32(*init_pid as u32).u64(began.0).finish(),
            ToScan::Died { slot } => Writer::tagged(3).u32(*slot).finish(),
            ToScan::LaunchFailed { slot, errno } => Writer::tagged(4).u32(*slot).u32(*errno as u32).finish(),
            ToScan::Sockets { slot, prints } => Writer::tagged(7).u32(*slot).u32(prints.len() as u32).words(prints).finish(),
            ToScan::Order(Order::Rescan) => Writer::tagged(5).finish(),
            ToScan::Order(Order::Shutdown { left, force, quick }) => {
                Writer::tagged(6).u64(left.0).flag(*force).flag(*quick).finish()
            }
        }
    }

    pub fn decode(packet: &[u8]) -> Result<ToScan, Malformed> {
        let mut reader = Reader::new(packet);
        let message = match reader.u8()? {
            0 => ToScan::Slot { slot: reader.u32()?, supervisor: reader.u32()? as i32, label: reader.bytes()?.to_owned() },
            1 => ToScan::Listener,
            2 => ToScan::Begin { init_pid: reader.u32()? as i32, began: Millis(reader.u64()?) },
            3 => ToScan::Died { slot: reader.u32()? },
            4 => ToScan::LaunchFailed { slot: reader.u32()?, errno: reader.u32()? as i32 },
            5 => ToScan::Order(Order::Rescan),
            7 => ToScan::Sockets { slot: reader.u32()?, prints: numbers(&mut reader)? },
            6 => {
                ToScan::Order(Order::Shutdown { left: Millis(reader.u64()?), force: reader.flag()?, quick: reader.flag()? })
            }
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(message)
    }
}

fn numbers(reader: &mut Reader<'_>) -> Result<Vec<u64>, Malformed> {
    let count = reader.u32()?;
    (0..count).map(|_| reader.u64()).collect()
}

impl ToLog {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToLog::Add { slot, name } => Writer::tagged(0).u32(*slot).bytes(name.as_bytes()).finish(),
            ToLog::Remove { slot } => Writer::tagged(1).u32(*slot).finish(),
            ToLog::Finish => Writer::tagged(2).finish(),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<ToLog, Malformed> {
        let mut reader = Reader::new(packet);
        let message = match reader.u8()? {
            0 => ToLog::Add { slot: reader.u32()?, name: reader.text()?.to_owned() },
            1 => ToLog::Remove { slot: reader.u32()? },
            2 => ToLog::Finish,
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_survives_the_round_trip_and_nothing_shorter_or_longer_decodes() {
        fn check<T: PartialEq + std::fmt::Debug>(value: T, bytes: &[u8], decode: fn(&[u8]) -> Result<T, Malformed>) {
            assert_eq!(decode(bytes).as_ref(), Ok(&value));
            for length in 0..bytes.len() {
                assert_eq!(decode(&bytes[..length]), Err(Malformed), "{value:?} cut at {length}");
            }
            assert_eq!(decode(&[bytes, &[0]].concat()), Err(Malformed), "{value:?} with a byte more");
        }
        let commands = [
            Command::Start,
            Command::Stop,
            Command::Once,
            Command::Restart,
            Command::Reload,
            Command::Kill(Signal::USR1),
            Command::Pause,
            Command::Continue,
            Command::Drain,
            Command::Terminate,
            Command::Force,
            Command::Abandon,
            Command::Interrupt,
            Command::Undo,
            Command::Wish(svc_core::graph::Wish::Explicit),
            Command::AtMostOnce,
            Command::DownSignal,
            Command::KillGroup(Signal::KILL),
            Command::Arm,
            Command::Hurry,
            Command::Recall(Recall::Late),
        ];
        let others = [
            ToSupervisor::Query,
            ToSupervisor::Look,
            ToSupervisor::Files,
            ToSupervisor::Define(vec![1, 2]),
            ToSupervisor::Orphans(vec![7, 8]),
        ];
        for message in commands.map(ToSupervisor::Command).into_iter().chain(others) {
            check(message.clone(), &message.encode(), ToSupervisor::decode);
        }
        for note in NOTES.map(Some).into_iter().chain([None]) {
            let report = Report { before: note, note: Some(Note::Down), heard: 3, words: [7; WORDS] };
            check(report.clone(), &report.encode(), Report::decode);
            assert!(!FilesReport::is(&report.encode()));
            let report = Report { before: None, note, heard: 3, words: [7; WORDS] };
            check(report.clone(), &report.encode(), Report::decode);
        }
        for text in ["", "cannot write into supervise/"] {
            let report = FilesReport(text.into());
            assert!(FilesReport::is(&report.encode()) && !crate::checks::HealthReport::is(&report.encode()));
            check(report.clone(), &report.encode(), FilesReport::decode);
        }
        let label = b"label".to_vec();
        for message in [
            ToInit::Launch {
                slot: 9,
                output: Output::Logger,
                stdin_of: Some(0),
                stdout_of: Some(7),
                stopped: true,
                label: label.clone(),
                definition: vec![1; 9],
            },
            ToInit::Retire { slot: 9 },
            ToInit::KeepListener,
            ToInit::Shutdown { code: 7, named: false, force: true },
            ToInit::Stop { quick: true },
            ToInit::Abort,
            ToInit::Sockets { slot: 9, prints: vec![1, u64::MAX] },
        ] {
            check(message.clone(), &message.encode(), ToInit::decode);
        }
        for message in [
            ToScan::Slot { slot: 9, supervisor: -1, label },
            ToScan::Listener,
            ToScan::Sockets { slot: 9, prints: vec![1, u64::MAX] },
            ToScan::Begin { init_pid: 1, began: Millis(5) },
            ToScan::Died { slot: 1 },
            ToScan::LaunchFailed { slot: 1, errno: 11 },
            ToScan::Order(Order::Rescan),
            ToScan::Order(Order::Shutdown { left: Millis(8000), force: false, quick: true }),
        ] {
            check(message.clone(), &message.encode(), ToScan::decode);
        }
        for message in [ToLog::Add { slot: 3, name: "web".into() }, ToLog::Remove { slot: 3 }, ToLog::Finish] {
            check(message.clone(), &message.encode(), ToLog::decode);
        }
    }
}
