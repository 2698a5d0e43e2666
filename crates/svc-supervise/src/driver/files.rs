//! The files of a service that s6's tools find: when they are made, what is written into them, what letters say.

use std::os::fd::AsFd;

use svc_core::graph::Wish;
use svc_core::letters::{self, DownFile};
use svc_core::service::{Command, State, Want};
use svc_core::{Millis, Program};
use svc_proto::link::FilesReport;
use svc_sys::{clock, message, say};

use super::Driver;
use crate::ondisk::OnDisk;
use crate::place::{self, Obstacle};

/// Where so many are launched at once, what runs comes before what can be looked at.
const MANY: u64 = 64;
/// So long after its start a service gets its files, or after that again; but not later than the last.
const LATER: Millis = Millis(300);
const LATEST: Millis = Millis::from_secs(1);

impl Driver {
    /// Takes the name of the service, and makes the files of s6's tools, or finds them. A main program has no service directory, and
    /// neither.
    pub(super) fn open_files(&mut self, heir: bool) {
        if matches!(self.definition.program, Program::Command(_)) || !self.programs.has_entered() {
            return;
        }
        let now = clock::now();
        let has_files = self.definition.program == Program::Directory;
        let later = has_files && !heir && self.may_make_files_later() && self.row.launches(now) >= MANY;
        self.files_at = None;
        self.files = OnDisk::None;
        if self.name.is_none() {
            // A directory with a program is one service, under whatever name somebody else knows it.
            match place::take_name((!has_files).then_some(&*self.definition.name)) {
                Ok(name) => self.name = Some(name),
                Err(Obstacle::Supervised(holder)) => {
                    self.files = OnDisk::Taken(holder);
                    return;
                }
                Err(Obstacle::System(_)) => {}
            }
        }
        if later {
            self.files_at = Some(now + LATER);
            return;
        }
        if has_files {
            self.files = OnDisk::open(self.run_dir.as_deref(), &self.definition.name, false);
        }
        if heir {
            self.files.inherit(&self.machine);
        } else {
            self.files.begin(&self.machine);
        }
    }

    /// Makes them again if somebody has taken them away: the run directory was removed, or something is mounted over it.
    #[inline(never)]
    pub(super) fn look_after_files(&mut self) {
        if self.files.are_lost() {
            // First: whoever closes a file of a lock that it holds twice gives it back.
            self.files = OnDisk::None;
            self.open_files(true);
        } else if self.files.behind().is_some() {
            self.catch_up();
        }
    }

    /// Writes what was put off, or makes the files for which there was no room.
    #[inline(never)]
    fn catch_up(&mut self) {
        if self.files.behind().is_some() && self.files.are_lost() {
            return self.look_after_files();
        }
        if let OnDisk::Missing(..) = self.files {
            self.files = OnDisk::open(self.run_dir.as_deref(), &self.definition.name, true);
            self.files.begin_late(&self.machine);
            // They may lack something else now.
            self.report_files();
        } else {
            self.files.catch_up(&self.machine);
        }
    }

    /// Tells svc-scan why they are not as they should be, or that they are again.
    #[inline(never)]
    pub(super) fn report_files(&mut self) {
        let Some(link) = &self.link else { return };
        let why = self.files.behind();
        let sent = message::try_send(link.as_fd(), &FilesReport(why.unwrap_or_default().into()).encode(), &[]);
        // It goes out with the next report of the service then.
        self.unsent |= matches!(sent, Err(errno) if errno.is_shortage());
        if sent.is_ok() {
            self.told_behind = why.is_some();
        }
    }

    /// Whether nobody can miss them at the moment of the start: nobody else supervises the directory, and the service is not
    /// one that tells when it is ready, which looks for `event/` where s6-notifyoncheck does it.
    pub(super) fn may_make_files_later(&self) -> bool {
        let starts = self.machine.want() == Want::Up || self.machine.wished() != Wish::Down;
        starts && !self.is_alone() && self.settings.notification_fd.is_none() && !OnDisk::is_there()
    }

    /// Makes the files that were put off.
    #[inline(never)]
    pub(super) fn make_late_files(&mut self) {
        if self.files_at.take().is_none() {
            return;
        }
        self.files = OnDisk::open(self.run_dir.as_deref(), &self.definition.name, false);
        if self.files.is_taken() {
            say!("svc-supervise: {}: somebody else supervises it since it was started: stop one", self.definition.name);
        }
        self.files.begin_late(&self.machine);
    }

    /// Makes them if those that start now have been started; or writes what was put off.
    pub(super) fn look_at_late_files(&mut self, now: Millis) {
        if self.files.deadline().is_some_and(|at| at <= now) {
            self.catch_up();
        }
        let Some(at) = self.files_at.filter(|&at| at <= now) else { return };
        let since = now - self.machine.since();
        if self.row.launches(now) > 0 && since < LATEST { self.files_at = Some(at + LATER) } else { self.make_late_files() }
    }

    /// Who had the directory has ended: it is ours now, and so is the service.
    fn take_over(&mut self) {
        self.files = OnDisk::None;
        if !self.machine.is_at_rest() && self.definition.program == Program::Directory {
            self.files_at = Some(clock::now());
            return self.make_late_files();
        }
        self.open_files(false);
        let command = match self.machine.want() {
            Want::Up => Command::Start,
            Want::Once => Command::Once,
            Want::Down => return,
        };
        if let State::Down { .. } = self.machine.state()
            && !self.files.is_taken()
        {
            self.command(command);
        }
    }

    /// Takes the letters that s6-svc wrote.
    pub(super) fn read_control(&mut self) {
        if self.files.is_taken() {
            return self.take_over();
        }
        let mut buffer = [0; 64];
        for &letter in self.files.read_control(&mut buffer) {
            // Others mean nothing, and are no error.
            if let Some(asked) = letters::asked(letter, self.machine.state()) {
                self.keep_down(asked.down_file);
                self.command(asked.command);
            }
        }
    }

    /// Makes or removes the file that says what holds after a reboot.
    pub(super) fn keep_down(&self, file: DownFile) {
        let result = match file {
            DownFile::Keep => Ok(()),
            DownFile::Make => std::fs::OpenOptions::new().write(true).create(true).truncate(true).open("down").map(drop),
            DownFile::Remove => std::fs::remove_file("down"),
        };
        if let Err(error) = result
            && error.kind() != std::io::ErrorKind::NotFound
        {
            say!("svc-supervise: {}: cannot change the file 'down': {error}", self.definition.name);
        }
    }
}
