//! What is looked at while a service runs, and what is found, as bytes.

use svc_core::Millis;
use svc_core::guard::MemoryLimit;
use svc_core::health::{Checks, Health, Probe, Remedy, Senders, WORDS};

use crate::codec::{Malformed, Reader, Writer};
use crate::definition::{list, words};

pub(crate) fn encode(writer: Writer, checks: Option<&Checks>) -> Writer {
    let Some(Checks { notify, says_ready, watchdog, health, memory }) = checks else { return writer.flag(false) };
    let senders = match notify {
        None => 0,
        Some(Senders::Main) => 1,
        Some(Senders::All) => 2,
    };
    let writer = writer.flag(true).u8(senders).flag(*says_ready).u64(watchdog.0);
    let writer = match memory {
        None => writer.flag(false),
        Some(MemoryLimit { bytes, interval, remedy }) => {
            writer.flag(true).u64(*bytes).u64(interval.0).u8(number_of(*remedy))
        }
    };
    let Some(probe) = health else { return writer.flag(false) };
    let Probe { words, interval, timeout, start_period, failures, successes, remedy } = &**probe;
    list(writer.flag(true), words)
        .u64(interval.0)
        .u64(timeout.0)
        .u64(start_period.0)
        .u32(u32::from(*failures))
        .u32(u32::from(*successes))
        .u8(number_of(*remedy))
}

fn number_of(remedy: Remedy) -> u8 {
    match remedy {
        Remedy::Report => 0,
        Remedy::Restart => 1,
        Remedy::Reload => 2,
        Remedy::StopContainer => 3,
    }
}

fn remedy(number: u8) -> Result<Remedy, Malformed> {
    match number {
        0 => Ok(Remedy::Report),
        1 => Ok(Remedy::Restart),
        2 => Ok(Remedy::Reload),
        3 => Ok(Remedy::StopContainer),
        _ => Err(Malformed),
    }
}

pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Option<Checks>, Malformed> {
    if !reader.flag()? {
        return Ok(None);
    }
    let notify = match reader.u8()? {
        0 => None,
        1 => Some(Senders::Main),
        2 => Some(Senders::All),
        _ => return Err(Malformed),
    };
    let (says_ready, watchdog) = (reader.flag()?, Millis(reader.u64()?));
    let memory = match reader.flag()? {
        false => None,
        true => {
            let (bytes, interval) = (reader.u64()?, Millis(reader.u64()?));
            Some(MemoryLimit { bytes, interval, remedy: remedy(reader.u8()?)? })
        }
    };
    let health = if reader.flag()? { Some(Box::new(probe(reader)?)) } else { None };
    Ok(Some(Checks { notify, says_ready, watchdog, health, memory }))
}

fn probe(reader: &mut Reader<'_>) -> Result<Probe, Malformed> {
    let short = |number: u32| u16::try_from(number).map_err(|_| Malformed);
    Ok(Probe {
        words: words(reader)?,
        interval: Millis(reader.u64()?),
        timeout: Millis(reader.u64()?),
        start_period: Millis(reader.u64()?),
        failures: short(reader.u32()?)?,
        successes: short(reader.u32()?)?,
        remedy: remedy(reader.u8()?)?,
    })
}

/// The first byte of a [`HealthReport`]: no [`crate::link::Report`] begins with it.
const TAG: u8 = 255;

/// From a supervisor to svc-scan, where the service has checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    pub health: Health,
    /// What the service says of itself, and what the last look said.
    pub status: Vec<u8>,
    pub said: Vec<u8>,
    /// Its start may take until then, it said.
    pub extended: Millis,
}

impl HealthReport {
    /// Whether a packet is one.
    pub fn is(packet: &[u8]) -> bool {
        packet.first() == Some(&TAG)
    }

    pub fn encode(&self) -> Vec<u8> {
        let HealthReport { health, status, said, extended } = self;
        Writer::tagged(TAG).words(&health.to_words()).bytes(status).bytes(said).u64(extended.0).finish()
    }

    pub fn decode(packet: &[u8]) -> Result<HealthReport, Malformed> {
        let mut reader = Reader::new(packet);
        if reader.u8()? != TAG {
            return Err(Malformed);
        }
        let health = Health::from_words(&reader.words::<WORDS>()?).ok_or(Malformed)?;
        let (status, said) = (reader.bytes()?.to_owned(), reader.bytes()?.to_owned());
        let extended = Millis(reader.u64()?);
        reader.end()?;
        Ok(HealthReport { health, status, said, extended })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Checks with something in every place.
    pub(crate) fn some() -> Checks {
        let probe = Probe {
            words: vec![b"--probe".to_vec(), b"tcp".to_vec()],
            interval: Millis(1),
            timeout: Millis(2),
            start_period: Millis(3),
            failures: 4,
            successes: u16::MAX,
            remedy: Remedy::StopContainer,
        };
        let memory = Some(MemoryLimit { bytes: 6, interval: Millis(7), remedy: Remedy::Restart });
        Checks { notify: Some(Senders::All), says_ready: true, watchdog: Millis(5), health: Some(Box::new(probe)), memory }
    }

    #[test]
    fn checks_survive_the_round_trip() {
        let bare = Checks { notify: Some(Senders::Main), health: None, memory: None, ..some() };
        for checks in [None, Some(some()), Some(bare), Some(Checks::default())] {
            let bytes = encode(Writer::tagged(9), checks.as_ref()).finish();
            let mut reader = Reader::new(&bytes[1..]);
            assert_eq!(decode(&mut reader), Ok(checks));
            assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn a_report_survives_the_round_trip_and_nothing_else_decodes() {
        let report = HealthReport {
            health: Health::new(Millis(7)),
            status: b"at work".to_vec(),
            said: b"\xff".to_vec(),
            extended: Millis(9),
        };
        let bytes = report.encode();
        assert!(HealthReport::is(&bytes));
        assert_eq!(HealthReport::decode(&bytes), Ok(report));
        for length in 0..bytes.len() {
            assert_eq!(HealthReport::decode(&bytes[..length]), Err(Malformed), "cut at {length}");
        }
        assert_eq!(HealthReport::decode(&[&bytes[..], &[0]].concat()), Err(Malformed));
    }
}
