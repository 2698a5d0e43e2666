//! What few services say of how they are to be kept, as bytes of a definition.

use svc_core::policy::{Ends, Errand, Essential, Policy, Stopping};
use svc_core::restart::{AtLimit, Restart, When};
use svc_core::{Exit, Millis, Settings, Signal};

use crate::codec::{Malformed, Reader, Writer};
use crate::definition::{list, words};

pub(crate) fn write_essential(writer: Writer, essential: Option<Essential>) -> Writer {
    match essential {
        None => writer.u8(0),
        Some(Essential { code, ends }) => {
            let writer = writer.u8(match ends {
                Ends::All => 1,
                Ends::Failures => 2,
            });
            writer.option(code.map(u32::from))
        }
    }
}

pub(crate) fn read_essential(reader: &mut Reader<'_>) -> Result<Option<Essential>, Malformed> {
    let ends = match reader.u8()? {
        0 => return Ok(None),
        1 => Ends::All,
        2 => Ends::Failures,
        _ => return Err(Malformed),
    };
    Ok(Some(Essential { code: code(reader)?, ends }))
}

pub(crate) fn write(writer: Writer, settings: &Settings) -> Writer {
    let Some(policy) = &settings.policy else { return writer.flag(false) };
    let Policy { restart, success } = &**policy;
    let Restart { when, never_on, always_on, delay, factor, max_delay, jitter, reset_after, limit, window, at_limit } =
        restart;
    let writer = writer.flag(true).u8(match when {
        When::Unsaid => 0,
        When::Always => 1,
        When::OnFailure => 2,
        When::Never => 3,
    });
    let writer = exits(exits(writer, never_on), always_on);
    let writer = writer.u64(delay.0).u32(*factor).u64(max_delay.0).u32(*jitter).u64(reset_after.0);
    let writer = writer.u8(*limit).u64(window.0);
    let writer = match at_limit {
        AtLimit::Fail => writer.u8(0),
        AtLimit::StopContainer { code } => writer.u8(1).option(code.map(u32::from)),
        AtLimit::Run(words) => list(writer.u8(2), words),
    };
    match success {
        None => writer.flag(false),
        Some(success) => exits(writer.flag(true), success),
    }
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<Box<Policy>>, Malformed> {
    if !reader.flag()? {
        return Ok(None);
    }
    let restart = Restart {
        when: match reader.u8()? {
            0 => When::Unsaid,
            1 => When::Always,
            2 => When::OnFailure,
            3 => When::Never,
            _ => return Err(Malformed),
        },
        never_on: read_exits(reader)?,
        always_on: read_exits(reader)?,
        delay: Millis(reader.u64()?),
        factor: reader.u32()?,
        max_delay: Millis(reader.u64()?),
        jitter: reader.u32()?,
        reset_after: Millis(reader.u64()?),
        limit: reader.u8()?,
        window: Millis(reader.u64()?),
        at_limit: match reader.u8()? {
            0 => AtLimit::Fail,
            1 => AtLimit::StopContainer { code: code(reader)? },
            2 => AtLimit::Run(words(reader)?),
            _ => return Err(Malformed),
        },
    };
    let success = if reader.flag()? { Some(read_exits(reader)?) } else { None };
    Ok(Some(Box::new(Policy { restart, success })))
}

pub(crate) fn write_stopping(writer: Writer, stopping: Option<&Stopping>) -> Writer {
    let Some(Stopping { drain, command, steps, tree }) = stopping else { return writer.flag(false) };
    let writer = [drain, command].into_iter().fold(writer.flag(true), |writer, errand| match errand {
        None => writer.flag(false),
        Some(Errand { most, words }) => list(writer.flag(true).u64(most.0), words),
    });
    let writer = writer.flag(*tree).u32(steps.len() as u32);
    steps.iter().fold(writer, |writer, (wait, signal)| writer.u64(wait.0).u8(signal.number()))
}

pub(crate) fn read_stopping(reader: &mut Reader<'_>) -> Result<Option<Box<Stopping>>, Malformed> {
    if !reader.flag()? {
        return Ok(None);
    }
    let (drain, command, tree) = (errand(reader)?, errand(reader)?, reader.flag()?);
    let mut steps = Vec::new();
    for _ in 0..reader.u32()? {
        steps.push((Millis(reader.u64()?), Signal::new(reader.u8()?).ok_or(Malformed)?));
    }
    Ok(Some(Box::new(Stopping { drain, command, steps, tree })))
}

fn errand(reader: &mut Reader<'_>) -> Result<Option<Errand>, Malformed> {
    if !reader.flag()? {
        return Ok(None);
    }
    Ok(Some(Errand { most: Millis(reader.u64()?), words: words(reader)? }))
}

fn code(reader: &mut Reader<'_>) -> Result<Option<u8>, Malformed> {
    reader.option()?.map(|code| u8::try_from(code).map_err(|_| Malformed)).transpose()
}

fn exits(writer: Writer, exits: &[Exit]) -> Writer {
    exits.iter().fold(writer.u32(exits.len() as u32), |writer, exit| writer.u32(exit.wait_status()))
}

fn read_exits(reader: &mut Reader<'_>) -> Result<Vec<Exit>, Malformed> {
    let mut exits = Vec::new();
    for _ in 0..reader.u32()? {
        exits.push(Exit::from_wait_status(reader.u32()?));
    }
    Ok(exits)
}
