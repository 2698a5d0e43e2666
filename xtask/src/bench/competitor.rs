//! Who is measured: how each is given its services, started, asked and stopped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use svc_core::Signal;

use super::{Programs, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Competitor {
    Ours,
    S6,
    Runit,
    Supervisor,
}

use Competitor::{Ours, Runit, S6, Supervisor};

pub(crate) const ALL: [Competitor; 4] = [Ours, S6, Runit, Supervisor];

/// The folder of one tree.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
}

impl Place {
    pub(crate) fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    fn config(&self) -> PathBuf {
        self.root.join("supervisord.conf")
    }
}

impl Competitor {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ours => "ours",
            S6 => "s6",
            Runit => "runit",
            Supervisor => "supervisor",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Competitor> {
        ALL.into_iter().find(|competitor| competitor.name() == name).ok_or_else(|| format!("{name}: no such competitor"))
    }

    /// What must be in PATH.
    fn program(self) -> &'static str {
        match self {
            Ours => "",
            S6 => "s6-svscan",
            Runit => "runsvdir",
            Supervisor => "supervisord",
        }
    }

    /// The Debian packages it consists of.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Ours => &[],
            S6 => &["s6", "libs6-2.11", "libskarnet2.13", "libexecline2.9"],
            Runit => &["runit"],
            Supervisor => &["supervisor"],
        }
    }

    pub(crate) fn is_installed(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self == Ours || std::env::split_paths(&path).any(|dir| dir.join(self.program()).exists())
    }

    /// Writes what stands beside the service directories.
    pub(crate) fn configure(self, place: &Place, names: &[String]) -> std::io::Result<()> {
        if self != Supervisor {
            return Ok(());
        }
        let root = place.root.display();
        let mut text = format!(
            "[supervisord]\nnodaemon=true\nminfds=20000\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={root}/pid\n\
             [unix_http_server]\nfile={root}/socket\n[supervisorctl]\nserverurl=unix://{root}/socket\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        );
        for name in names {
            text += &format!(
                "[program:{name}]\ncommand={root}/services/{name}/run\ndirectory={root}/services/{name}\nautorestart=true\n\
                 stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\nredirect_stderr=true\n"
            );
        }
        fs::write(place.config(), text)
    }

    /// Gives a service a logger that brings its lines to our standard output; `false` if it has none that can.
    pub(crate) fn add_logger(self, service: &Path) -> std::io::Result<bool> {
        match self {
            // svc-log and supervisord read who has no logger; svlogd writes into directories only.
            Ours | Supervisor => Ok(true),
            Runit => Ok(false),
            S6 => {
                let run = service.join("log/run");
                fs::create_dir(service.join("log"))?;
                fs::write(&run, "#!/bin/sh\nexec s6-log 1\n")?;
                fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
                Ok(true)
            }
        }
    }

    /// The command that starts it.
    pub(crate) fn start(self, place: &Place, programs: &Programs, services: usize) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Ours => {
                command = Command::new(&programs.svc);
                command.arg("svc-scan").arg(place.services()).env("SVC_RUN_DIR", place.root.join("run"));
            }
            S6 => {
                // Its own limit is 1000, which leaves no room for a logger.
                command.args(["-c", &(services + 100).to_string()]).arg(place.services());
            }
            Runit => {
                command.arg(place.services());
            }
            Supervisor => {
                command.arg("--nodaemon").arg("--configuration").arg(place.config());
            }
        }
        command
    }

    /// What makes it stop its services and end.
    pub(crate) fn stop_signal(self) -> Signal {
        match self {
            // SIGTERM would end runsvdir alone, and leave everything else running.
            Runit => Signal::HUP,
            Ours | S6 | Supervisor => Signal::TERM,
        }
    }

    /// The command that shows the status of all services.
    pub(crate) fn status(self, place: &Place, programs: &Programs, names: &[String]) -> Command {
        let paths = names.iter().map(|name| place.services().join(name));
        match self {
            Ours => {
                let mut command = Command::new(&programs.svc);
                command.args(["svc-ctl", "status"]).env("SVC_RUN_DIR", place.root.join("run"));
                command
            }
            S6 => {
                let mut command = Command::new("sh");
                command.args(["-c", "for service; do s6-svstat \"$service\"; done", "sh"]).args(paths);
                command
            }
            Runit => {
                let mut command = Command::new("sv");
                command.arg("status").args(paths);
                command
            }
            Supervisor => {
                let mut command = Command::new("supervisorctl");
                command.arg("--configuration").arg(place.config()).arg("status");
                command
            }
        }
    }

    /// Whether a process of this name supervises one service.
    pub(crate) fn is_supervisor(self, name: &str) -> bool {
        match self {
            Ours => name == "svc-supervise",
            S6 => name == "s6-supervise",
            Runit => name == "runsv",
            // One process for all.
            Supervisor => false,
        }
    }
}
