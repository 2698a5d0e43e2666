//! A [`Definition`] as bytes, for the way from svc-scan through svc-init to its supervisor.

use svc_core::definition::{Forking, Language, OnDemand, Script};
use svc_core::graph::Wish;
use svc_core::{Definition, Millis, Output, Program, Settings, Signal};

use crate::checks;
use crate::codec::{Malformed, Reader, Writer};
use crate::policy;

/// Grows when a field is added; a supervisor refuses what it does not know.
const VERSION: u8 = 7;

pub fn encode(definition: &Definition) -> Vec<u8> {
    let Definition { name, dir, program, output, down, essential, managed, settings } = definition;
    let writer = Writer::tagged(VERSION).bytes(name.as_bytes()).bytes(dir);
    let writer = match program {
        Program::Directory => writer.u8(0),
        Program::Command(words) => list(writer.u8(1), words),
        Program::Oneshot { up, down } => [up, down].into_iter().fold(writer.u8(2), |writer, script| match script {
            None => writer.u8(0),
            Some(Script::File { path, language }) => writer.u8(1).bytes(path).flag(*language == Language::Execline),
            Some(Script::Chain(words)) => list(writer.u8(2), words),
        }),
        Program::Chain(words) => list(writer.u8(3), words),
    };
    let writer = writer.u8(output_number(*output)).flag(*down);
    let writer = policy::write_essential(writer, *essential).u8(managed.map_or(0, wish_number));
    let Settings {
        notification_fd,
        lock_fd,
        timeout_finish,
        timeout_kill,
        kill_group,
        max_death_tally,
        down_signal,
        reload_signal,
        new_pid_namespace,
        keep_descendants,
        essential: ends_all,
        forking,
        on_demand,
        policy: _,
        stopping,
        checks: looked_at,
    } = settings;
    let writer = writer
        .option(*notification_fd)
        .option(*lock_fd)
        .u64(timeout_finish.0)
        .u64(timeout_kill.0)
        .flag(*kill_group)
        .u32(u32::from(*max_death_tally))
        .u8(down_signal.number())
        .u8(reload_signal.number())
        .flag(*new_pid_namespace)
        .flag(*keep_descendants)
        .flag(*ends_all);
    let writer = match forking {
        None => writer.u8(0),
        Some(Forking { pid_file: None }) => writer.u8(1),
        Some(Forking { pid_file: Some(path) }) => writer.u8(2).bytes(path),
    };
    let writer = match on_demand {
        None => writer.u8(0),
        Some(OnDemand { idle_stop }) => writer.u8(1).u64(idle_stop.0),
    };
    let writer = policy::write(writer, settings);
    let writer = policy::write_stopping(writer, stopping.as_deref());
    checks::encode(writer, looked_at.as_deref()).finish()
}

pub fn decode(bytes: &[u8]) -> Result<Definition, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return Err(Malformed);
    }
    let name = reader.text()?.to_owned();
    let dir = reader.bytes()?.to_owned();
    let program = match reader.u8()? {
        0 => Program::Directory,
        1 => Program::Command(words(&mut reader)?),
        2 => Program::Oneshot { up: script(&mut reader)?, down: script(&mut reader)? },
        3 => Program::Chain(words(&mut reader)?),
        _ => return Err(Malformed),
    };
    let output = output_from(reader.u8()?)?;
    let down = reader.flag()?;
    let essential = policy::read_essential(&mut reader)?;
    let managed = match reader.u8()? {
        0 => None,
        number => Some(wish_from(number)?),
    };
    let settings = Settings {
        notification_fd: reader.option()?,
        lock_fd: reader.option()?,
        timeout_finish: Millis(reader.u64()?),
        timeout_kill: Millis(reader.u64()?),
        kill_group: reader.flag()?,
        max_death_tally: u16::try_from(reader.u32()?).map_err(|_| Malformed)?,
        down_signal: Signal::new(reader.u8()?).ok_or(Malformed)?,
        reload_signal: Signal::new(reader.u8()?).ok_or(Malformed)?,
        new_pid_namespace: reader.flag()?,
        keep_descendants: reader.flag()?,
        essential: reader.flag()?,
        forking: match reader.u8()? {
            0 => None,
            1 => Some(Forking { pid_file: None }),
            2 => Some(Forking { pid_file: Some(reader.bytes()?.to_owned()) }),
            _ => return Err(Malformed),
        },
        on_demand: if reader.flag()? { Some(OnDemand { idle_stop: Millis(reader.u64()?) }) } else { None },
        policy: policy::read(&mut reader)?,
        stopping: policy::read_stopping(&mut reader)?,
        checks: checks::decode(&mut reader)?.map(Box::new),
    };
    reader.end()?;
    Ok(Definition { name, dir, program, output, down, essential, managed, settings })
}

pub fn wish_number(wish: Wish) -> u8 {
    match wish {
        Wish::Down => 1,
        Wish::Dependency => 2,
        Wish::Explicit => 3,
    }
}

pub fn wish_from(number: u8) -> Result<Wish, Malformed> {
    match number {
        1 => Ok(Wish::Down),
        2 => Ok(Wish::Dependency),
        3 => Ok(Wish::Explicit),
        _ => Err(Malformed),
    }
}

fn script(reader: &mut Reader<'_>) -> Result<Option<Script>, Malformed> {
    Ok(match reader.u8()? {
        0 => None,
        1 => {
            let path = reader.bytes()?.to_owned();
            let language = if reader.flag()? { Language::Execline } else { Language::FirstLine };
            Some(Script::File { path, language })
        }
        2 => Some(Script::Chain(words(reader)?)),
        _ => return Err(Malformed),
    })
}

pub(crate) fn list(writer: Writer, words: &[Vec<u8>]) -> Writer {
    words.iter().fold(writer.u32(words.len() as u32), |writer, word| writer.bytes(word))
}

pub(crate) fn words(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut words = Vec::new();
    for _ in 0..reader.u32()? {
        words.push(reader.bytes()?.to_owned());
    }
    Ok(words)
}

pub fn output_number(output: Output) -> u8 {
    match output {
        Output::Keeper => 0,
        Output::Logger => 1,
        Output::Inherit => 2,
        Output::Starter => 3,
    }
}

pub fn output_from(number: u8) -> Result<Output, Malformed> {
    match number {
        0 => Ok(Output::Keeper),
        1 => Ok(Output::Logger),
        2 => Ok(Output::Inherit),
        3 => Ok(Output::Starter),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_core::Exit;
    use svc_core::policy::{Ends, Errand, Essential, Policy, Stopping};
    use svc_core::restart::{AtLimit, Restart, When};

    #[test]
    fn a_definition_survives_the_round_trip_and_nothing_shorter_decodes() {
        let definition = Definition {
            name: "web/log".into(),
            dir: b"/etc/s6/w\xffeb".to_vec(),
            program: Program::Command(vec![b"sleep".to_vec(), b"1".to_vec()]),
            output: Output::Inherit,
            down: true,
            essential: Some(Essential { code: Some(7), ends: Ends::Failures }),
            managed: Some(Wish::Dependency),
            settings: Settings {
                notification_fd: Some(u32::MAX),
                lock_fd: Some(0),
                timeout_finish: Millis(1),
                max_death_tally: 4096,
                down_signal: Signal::INT,
                keep_descendants: true,
                essential: true,
                forking: Some(Forking { pid_file: Some(b"/run/x.pid".to_vec()) }),
                on_demand: Some(OnDemand { idle_stop: Millis(u64::MAX) }),
                checks: Some(Box::new(checks::tests::some())),
                stopping: Some(Box::new(Stopping {
                    drain: Some(Errand { most: Millis(9), words: Vec::new() }),
                    command: Some(Errand { most: Millis(8), words: vec![b"--".to_vec(), b"true".to_vec()] }),
                    steps: vec![(Millis(7), Signal::QUIT), (Millis(1), Signal::KILL)],
                    tree: true,
                })),
                ..Settings::default()
            },
        };
        let script = |language| Some(Script::File { path: b"/etc/up".to_vec(), language });
        let chain = vec![b"--env".to_vec(), b"A=b".to_vec(), b"--".to_vec(), b"true".to_vec()];
        let others = [
            Program::Oneshot { up: script(Language::Execline), down: None },
            Program::Oneshot { up: None, down: script(Language::FirstLine) },
            Program::Oneshot { up: Some(Script::Chain(chain.clone())), down: None },
            Program::Chain(chain),
        ];
        let mut others = others.map(|program| Definition { program, managed: None, ..definition.clone() });
        let at_limits = [
            AtLimit::Fail,
            AtLimit::StopContainer { code: Some(3) },
            AtLimit::Run(vec![b"--".to_vec(), b"true".to_vec()]),
            AtLimit::StopContainer { code: None },
        ];
        for (other, at_limit) in others.iter_mut().zip(at_limits) {
            let restart = Restart {
                when: When::OnFailure,
                never_on: vec![Exit::Code(3), Exit::Signal(Signal::TERM)],
                factor: 1500,
                limit: 16,
                at_limit,
                ..Restart::default()
            };
            other.settings.policy = Some(Box::new(Policy { restart, success: Some(vec![Exit::Code(0)]) }));
        }
        for definition in others.into_iter().chain([definition]) {
            let bytes = encode(&definition);
            assert_eq!(decode(&bytes), Ok(definition));
            for length in 0..bytes.len() {
                assert_eq!(decode(&bytes[..length]), Err(Malformed), "cut at {length}");
            }
        }
    }
}
