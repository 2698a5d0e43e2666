//! Capabilities of the program. Root becomes somebody else in the middle of this: what he is to have is kept over that, and given
//! up or given on after it.

use svc_core::capability;
use svc_sys::Errno;
use svc_sys::privileges::{self, Sets};

#[derive(Default)]
pub(super) struct Capabilities {
    /// What is kept of what the program, and all that it executes, can ever have.
    pub(super) bounding: Option<List>,
    /// What the program has although it is not root's.
    pub(super) ambient: Option<List>,
}

/// Names with commas between them, each of them known.
pub(super) struct List(String);

impl List {
    pub(super) fn parse(text: String) -> Result<List, String> {
        if let Some(word) = words(&text).find(|word| !capability::is_word(word)) {
            let meant = capability::nearest(word).map_or(String::new(), |meant| format!(": did you mean {meant}?"));
            return Err(format!("{word}: no such capability{meant}"));
        }
        Ok(List(text))
    }

    fn out_of(&self, all: u64) -> u64 {
        capability::chosen(words(&self.0), all).unwrap_or(0)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

impl Capabilities {
    /// Takes away, for ever, what is not to be kept. What this process has now it has until it executes something.
    pub(super) fn bound(&self) -> Result<(), String> {
        let Some(list) = &self.bounding else { return Ok(()) };
        let now = privileges::bounding();
        let kept = list.out_of(now);
        if kept & !now != 0 {
            return Err(absent("keep", kept & !now));
        }
        for number in (0..64).filter(|number| now & !kept & (1 << number) != 0) {
            privileges::drop_bounding(number).map_err(|errno| {
                let cure = if errno == Errno::NOT_PERMITTED {
                    ": only root with CAP_SETPCAP may (docker run --cap-add SETPCAP)"
                } else {
                    ""
                };
                format!("cannot take away CAP_{}: {errno}{cure}", name(number))
            })?;
        }
        Ok(())
    }

    /// Looks whether all that is to be given is there, and keeps it.
    pub(super) fn prepare(&self) -> Result<(), String> {
        let Some(list) = &self.ambient else { return Ok(()) };
        let sets = privileges::sets().map_err(failed)?;
        let wanted = list.out_of(sets.permitted);
        if wanted & !sets.permitted != 0 {
            return Err(absent("give on", wanted & !sets.permitted));
        }
        let bound = wanted & !privileges::bounding();
        if bound != 0 {
            let names = names(bound);
            return Err(format!("cannot give on {names}: bounding takes it away: name it there too"));
        }
        privileges::keep(true).map_err(failed)
    }

    /// Gives it on to whoever is executed, and nothing else.
    pub(super) fn give(&self) -> Result<(), String> {
        if self.bounding.is_none() && self.ambient.is_none() {
            return Ok(());
        }
        let sets = privileges::sets().map_err(failed)?;
        // Root's program gets all that is within bounds, whatever is given.
        let given = self.ambient.as_ref().map_or(0, |list| list.out_of(sets.permitted));
        privileges::clear_ambient().map_err(failed)?;
        if self.ambient.is_some() {
            privileges::keep(false).map_err(failed)?;
        }
        let permitted = if svc_sys::user::effective_uid() == 0 { sets.permitted } else { given };
        privileges::set(Sets { effective: permitted, permitted, inheritable: given }).map_err(failed)?;
        (0..64).filter(|number| given & (1 << number) != 0).try_for_each(privileges::raise_ambient).map_err(failed)
    }
}

fn absent(what: &str, set: u64) -> String {
    let names = names(set);
    let docker: Vec<String> = capability::names(set).map(|name| format!("--cap-add {name}")).collect();
    format!("cannot {what} {names}: svc itself does not have it here (docker run {})", docker.join(" "))
}

fn names(set: u64) -> String {
    capability::names(set).map(|name| format!("CAP_{name}")).collect::<Vec<String>>().join(", ")
}

fn name(number: u8) -> String {
    capability::NAMES.get(usize::from(number)).map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn failed(errno: Errno) -> String {
    format!("cannot set capabilities: {errno}")
}
