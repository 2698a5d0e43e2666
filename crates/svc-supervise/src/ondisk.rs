//! What s6's tools find on disk: the status, the tally of deaths, the events, and a FIFO to write commands into.
//!
//! Nothing here is needed to supervise: a service whose files cannot be made or written runs all the same. The state proper is
//! in the ledger, and these files are written from it; what a killed supervisor had no time to tell, its heir tells.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use svc_core::service::{Note, Past, Role, State, Want};
use svc_core::{Exit, Millis, Service};
use svc_proto::s6::{self, Death, Stamp, Status};
use svc_sys::at::{self, At, Open};
use svc_sys::process::PidFd;
use svc_sys::{Errno, clock, fd, say};

use crate::place::{Obstacle, Place};

const MODE: u32 = 0o644;
/// The name of the next status, and of the last.
const NEXT: &CStr = c"status.new";

/// So long the status may not know that the supervisor is to leave while the service runs on.
const LATE: Millis = Millis(100);

/// What could not be written is tried again after this long.
const AGAIN: Millis = Millis::from_secs(5);

/// The files of one service, if there are any, or what stands for them.
pub(crate) enum OnDisk {
    Files(Box<Files>),
    /// Somebody else supervises the service.
    Taken(Option<PidFd>),
    /// They could not be made, and why was said. It is tried again then.
    Missing(Millis, Box<str>),
    None,
}

pub(crate) struct Files {
    name: Box<str>,
    place: Place,
    control: Option<OwnedFd>,
    /// What the status says.
    told: Status,
    /// The file for the next status.
    next: Option<OwnedFd>,
    /// That there is a supervisor has not been told yet.
    unsaid: bool,
    /// That it leaves has been told.
    left: bool,
    /// An end of `run` that has not been told yet.
    ended: Option<End>,
    /// When to write what is not written yet: the wish to leave, which is told with the end or then, or what could not be written.
    late_at: Option<Millis>,
    /// Why something could not be written the last time, as it was said.
    failing: Option<Box<str>>,
}

#[derive(Clone, Copy)]
struct End {
    past: Past,
    at: Stamp,
    /// It stands in the tally.
    counted: bool,
}

impl OnDisk {
    /// Whether anybody has made something where the files are looked for: a supervisor, or one who listens for one.
    pub(crate) fn is_there() -> bool {
        [c"supervise", c"event"].iter().any(|name| at::read_link(At::Here, name, &mut [0; 1]) != Err(Errno::NOT_FOUND))
    }

    /// Finds or makes the files for the service in the working directory.
    /// `again`: what is in the way has been said.
    #[inline(never)]
    pub(crate) fn open(run_dir: Option<&Path>, name: &str, again: bool) -> OnDisk {
        let place = match Place::find(run_dir, name) {
            Ok(place) => place,
            Err(Obstacle::Supervised(holder)) => return OnDisk::Taken(holder),
            // Said by svc-init, once for all.
            Err(Obstacle::System(_)) if run_dir.is_none() => return OnDisk::None,
            Err(Obstacle::System(errno)) => return OnDisk::missing(run_dir, name, errno, again),
        };
        let control = match control(&place) {
            Err(errno @ Errno::NO_SPACE) => return OnDisk::missing(run_dir, name, errno, again),
            control => control.map_err(|errno| {
                say!("svc-supervise: {name}: supervise/control: {errno}: s6-svc cannot steer the service");
            }),
        };
        let now = Stamp::from_unix_nanos(clock::wall_nanos());
        let told = Status {
            changed: now,
            ready_changed: now,
            pid: 0,
            wait_status: 0,
            paused: false,
            finishing: false,
            wanted_up: false,
            ready: true,
        };
        let control = control.ok();
        OnDisk::Files(Box::new(Files {
            name: name.into(),
            place,
            control,
            told,
            next: None,
            unsaid: false,
            left: false,
            ended: None,
            late_at: None,
            failing: None,
        }))
    }

    fn missing(run_dir: Option<&Path>, name: &str, errno: Errno, again: bool) -> OnDisk {
        let (dir, cure, seconds) = (run_dir.unwrap_or(Path::new(".")).display(), cure(errno), AGAIN.0 / 1000);
        let why = format!(
            "no supervise/ for s6's tools, here or in {dir}: {errno}{cure}: the service runs all the same (tried again every {seconds} s)"
        );
        if !again {
            say!("svc-supervise: {name}: {why}");
        }
        OnDisk::Missing(clock::now() + AGAIN, why.into())
    }

    /// A service that nobody has started: there is a supervisor. Where it starts at once, that is told with the start.
    pub(crate) fn begin(&mut self, machine: &Service) {
        let OnDisk::Files(files) = self else { return };
        let supervise = At::Dir(files.place.supervise.as_fd());
        let emptied = at::open(supervise, c"death_tally", Open::Replace(MODE)).map(drop);
        files.check(emptied);
        files.told = files.status(machine);
        files.unsaid = true;
        if machine.want() == Want::Down {
            files.write_and_tell(&[], false);
        } else {
            // An heir must not take the status of another time for what was told.
            let _ = at::remove(At::Dir(files.place.supervise.as_fd()), c"status");
        }
    }

    /// The service was started before its files were made: what would have been told by now is told.
    #[inline(never)]
    pub(crate) fn begin_late(&mut self, machine: &Service) {
        let OnDisk::Files(files) = self else { return };
        let supervise = At::Dir(files.place.supervise.as_fd());
        let emptied = at::open(supervise, c"death_tally", Open::Replace(MODE)).map(drop);
        files.check(emptied);
        files.unsaid = true;
        self.publish(Note::Up, machine, 0, false);
    }

    /// A supervisor was killed, and this one goes on where the files have got to.
    pub(crate) fn inherit(&mut self, machine: &Service) {
        let OnDisk::Files(files) = self else { return };
        match files.read_status() {
            Some(told) => files.told = told,
            None => {
                files.told = files.status(machine);
                files.unsaid = true;
                files.write_and_tell(&[], false);
            }
        }
        // The end that the predecessor wrote into the ledger last may be missing in the tally.
        let runs_on = machine.pid().is_some_and(|pid| pid.raw() as u64 == files.told.pid);
        if let Some(past) = machine.last().filter(|_| files.told.is_up() && !runs_on) {
            let counted = files.last_death().is_some_and(|last| last >= files.told.changed);
            files.ended = Some(End { past, at: wall_of(past.ended), counted });
        }
    }

    /// The state is written down, and then who listens is told. `listens`: its own next run may be among them, as
    /// s6-notifyoncheck is, and take the end of the last one for its own.
    #[inline(never)]
    pub(crate) fn publish(&mut self, note: Note, machine: &Service, most_deaths: usize, listens: bool) {
        let OnDisk::Files(files) = self else { return };
        match note {
            // Nothing that can be seen yet.
            Note::Starting => return,
            // What follows comes within this turn, and is told together with it: that there is a finish, or none. But finish
            // itself may read the tally (s6-permafailon does).
            Note::Exited => {
                let now = Stamp::from_unix_nanos(clock::wall_nanos());
                files.ended = machine.last().map(|past| End { past, at: now, counted: false });
                files.add_death(most_deaths);
                return;
            }
            // That it is done is told together with this.
            Note::Failed => return,
            // It is started again at once: one status is enough for both, and the letters come in their order.
            Note::Down if !listens && starts_at_once(machine) => return,
            Note::Up
            | Note::Ready
            | Note::Stopping
            | Note::Finishing
            | Note::Draining
            | Note::Down
            | Note::Armed
            | Note::Trouble
            | Note::Changed
            | Note::Killed => {}
        }
        let new = files.status(machine);
        if new == files.told && !files.unsaid {
            return;
        }
        files.add_death(most_deaths);
        let letters = s6::letters(&files.told, &new, machine.failed());
        if letters.as_bytes().is_empty() && !files.unsaid && machine.leaving() && machine.pid().is_some() {
            // Where everything ends, what follows comes in a moment, and one write does for both.
            files.late_at = files.late_at.or(Some(clock::now() + LATE));
            return;
        }
        // What comes next is that the supervisor leaves.
        files.say(new, letters.as_bytes(), machine.leaving() && machine.state() == State::Gone);
    }

    /// Makes the file for the next status, when nobody waits for anything: where a thousand services end at once, making and
    /// removing files is what takes longest. It is always a new one: who reads slowly may still have the one that was the status
    /// before.
    pub(crate) fn prepare(&mut self) {
        let OnDisk::Files(files) = self else { return };
        if files.next.is_none() {
            let _ = at::remove(At::Dir(files.place.supervise.as_fd()), NEXT);
            // If there is no room for it now there may be when it is needed.
            files.next = files.make(NEXT).ok();
        }
    }

    /// When to write what was put off.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        match self {
            OnDisk::Files(files) => files.late_at,
            OnDisk::Missing(again_at, _) => Some(*again_at),
            OnDisk::Taken(_) | OnDisk::None => None,
        }
    }

    /// Why what was written last did not get there, if it did not.
    pub(crate) fn behind(&self) -> Option<&str> {
        match self {
            OnDisk::Files(files) => files.failing.as_deref(),
            OnDisk::Missing(_, why) => Some(why),
            OnDisk::Taken(_) | OnDisk::None => None,
        }
    }

    /// The end has not come in a moment, or there may be room by now.
    pub(crate) fn catch_up(&mut self, machine: &Service) {
        let OnDisk::Files(files) = self else { return };
        let new = files.status(machine);
        let letters = s6::letters(&files.told, &new, machine.failed());
        files.say(new, letters.as_bytes(), false);
    }

    /// The supervisor leaves in order. Files of a directory that is gone go too.
    pub(crate) fn leave(&mut self) {
        let OnDisk::Files(files) = self else { return };
        if !files.left {
            files.tell(&[], true);
        }
        if at::data(At::Here, c".").is_ok_and(|data| data.links == 0) {
            files.place.remove();
        }
    }

    /// Whether they are not where they were made.
    pub(crate) fn are_lost(&self) -> bool {
        match self {
            OnDisk::Files(files) => !files.place.is_there(files.control.as_ref()),
            OnDisk::Taken(_) | OnDisk::Missing(..) | OnDisk::None => false,
        }
    }

    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, OnDisk::Taken(_))
    }

    /// The FIFO of commands, to be waited for; or the end of who has the directory.
    pub(crate) fn control(&self) -> i32 {
        match self {
            OnDisk::Files(files) => files.control.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            OnDisk::Taken(holder) => holder.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            OnDisk::Missing(..) | OnDisk::None => -1,
        }
    }

    /// Letters that came; none when there are no more.
    pub(crate) fn read_control<'b>(&self, buffer: &'b mut [u8]) -> &'b [u8] {
        let OnDisk::Files(files) = self else { return &[] };
        let read = files.control.as_ref().map(|control| fd::read(control.as_fd(), buffer));
        match read {
            Some(Ok(length)) => &buffer[..length],
            Some(Err(_)) | None => &[],
        }
    }
}

impl Files {
    /// Writes it down, and tells it.
    fn say(&mut self, new: Status, letters: &[u8], last: bool) {
        self.told = new;
        self.ended = None;
        self.late_at = None;
        self.write_and_tell(letters, last);
    }

    /// `last`: and that the supervisor leaves.
    fn write_and_tell(&mut self, letters: &[u8], last: bool) {
        self.write_status();
        self.tell(letters, last);
    }

    /// What the status is to say.
    fn status(&self, machine: &Service) -> Status {
        let told = &self.told;
        let now = || Stamp::from_unix_nanos(clock::wall_nanos());
        let (finishing, paused, ready) = match machine.state() {
            State::Up { ready, paused, .. } => (false, paused, ready.is_some()),
            State::Finish { .. } => (true, false, false),
            State::Starting { role: Role::Finish } | State::Sweep { .. } => (false, false, false),
            // The bit of a pause says of a service that is down that it was never up.
            State::Down { .. } | State::Armed | State::Starting { role: Role::Run } | State::Gone => {
                (false, machine.last().is_none(), true)
            }
        };
        let mut new = Status {
            changed: told.changed,
            ready_changed: told.ready_changed,
            pid: machine.pid().map_or(0, |pid| pid.raw() as u64),
            wait_status: machine.last().map_or(0, |past| past.exit.wait_status() as u16),
            paused,
            finishing,
            wanted_up: machine.want() == Want::Up,
            ready,
        };
        let goes_on = new.is_up() == told.is_up() && (!new.is_up() || new.pid == told.pid);
        if !goes_on {
            new.changed = if new.is_up() { wall_of(machine.since()) } else { self.ended.map_or_else(now, |end| end.at) };
        }
        if new.ready && !(goes_on && told.ready) {
            new.ready_changed = now();
        }
        new
    }

    fn read_status(&self) -> Option<Status> {
        let file = at::open(At::Dir(self.place.supervise.as_fd()), c"status", Open::Read).ok()?;
        let mut bytes = [0; Status::BYTES + 1];
        let length = fd::read(file.as_fd(), &mut bytes).ok()?;
        Status::from_bytes(&bytes[..length])
    }

    #[inline(never)]
    fn write_status(&mut self) {
        let made = self.next.take().map_or_else(|| self.make(NEXT), Ok);
        let written = made.and_then(|file| self.replace(c"status", NEXT, file, &self.told.to_bytes()));
        if written.is_ok() {
            self.failing = None;
        }
        self.check(written);
    }

    /// Makes a file that is to come in the place of another.
    fn make(&self, new: &CStr) -> Result<OwnedFd, Errno> {
        let supervise = At::Dir(self.place.supervise.as_fd());
        match at::open(supervise, new, Open::New(MODE)) {
            // Somebody was killed here. Who reads the old file may have it open under this name.
            Err(Errno::EXISTS) => {
                at::remove(supervise, new)?;
                at::open(supervise, new, Open::New(MODE))
            }
            opened => opened,
        }
    }

    /// Puts a file in the place of another, whole or not at all.
    ///
    /// The two change their names, and the old one has that of the new one then: to a rename over it ext4 answers with a write to
    /// the disk.
    fn replace(&self, name: &CStr, new: &CStr, file: OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
        if fd::write(file.as_fd(), bytes)? != bytes.len() {
            return Err(Errno::NO_SPACE);
        }
        let supervise = At::Dir(self.place.supervise.as_fd());
        // If there was none, or the file system does not know of this.
        at::exchange(supervise, new, name).or_else(|_| at::rename(supervise, new, name))
    }

    /// When the last death of the tally was.
    fn last_death(&self) -> Option<Stamp> {
        let deaths = self.read_tally().ok()?;
        let last = deaths.last_chunk::<{ Death::BYTES }>()?;
        last.first_chunk::<12>().copied().map(Stamp::from_bytes)
    }

    fn read_tally(&self) -> Result<Vec<u8>, Errno> {
        let file = at::open(At::Dir(self.place.supervise.as_fd()), c"death_tally", Open::Read)?;
        let mut bytes = vec![0; at::data_of(file.as_fd())?.size as usize];
        let mut length = 0;
        while length < bytes.len() {
            match fd::read(file.as_fd(), &mut bytes[length..])? {
                0 => break,
                more => length += more,
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Puts the end that is to be told into the tally.
    fn add_death(&mut self, most: usize) {
        let Some(End { past, at, counted: false }) = self.ended.filter(|_| most > 0) else { return };
        self.ended = Some(End { past, at, counted: true });
        let signal = match past.exit {
            Exit::Code(_) => 0,
            Exit::Signal(signal) => signal.number(),
        };
        let added = self.append_death(Death { at, code: past.exit.shell_code(), signal }, most);
        self.check(added);
    }

    /// A tally that is not full grows by one write; a full one is written anew, without its oldest.
    #[inline(never)]
    fn append_death(&self, death: Death, most: usize) -> Result<(), Errno> {
        let file = at::open(At::Dir(self.place.supervise.as_fd()), c"death_tally", Open::Append(MODE))?;
        let size = at::data_of(file.as_fd())?.size as usize;
        let whole = size.is_multiple_of(Death::BYTES);
        if !whole {
            // Written by nobody who knows how.
            at::truncate(file.as_fd(), 0)?;
        }
        if !whole || size / Death::BYTES < most {
            let written = fd::write(file.as_fd(), &death.to_bytes())?;
            return if written == Death::BYTES { Ok(()) } else { Err(Errno::NO_SPACE) };
        }
        let mut bytes = self.read_tally()?;
        let surplus = bytes.len() / Death::BYTES - (most - 1).min(bytes.len() / Death::BYTES);
        bytes.drain(..surplus * Death::BYTES);
        bytes.extend_from_slice(&death.to_bytes());
        let new = c"death_tally.new";
        self.replace(c"death_tally", new, self.make(new)?, &bytes)?;
        // Gone already where it was not an exchange.
        let _ = at::remove(At::Dir(self.place.supervise.as_fd()), new);
        Ok(())
    }

    /// Tells everybody who listens. The first letter of all is that there is a supervisor, the last that it leaves.
    fn tell(&mut self, letters: &[u8], last: bool) {
        self.left |= last;
        let mut all = [0; 8];
        let first = std::mem::take(&mut self.unsaid).then_some(b's');
        let letters = first.into_iter().chain(letters.iter().copied()).chain(last.then_some(b'x'));
        let length = all.iter_mut().zip(letters).map(|(place, letter)| *place = letter).count();
        if length > 0 {
            self.notify(&all[..length]);
        }
    }

    /// Writes letters into the FIFO of everybody who listens. Nobody is waited for, and who is gone is forgotten.
    #[inline(never)]
    fn notify(&self, letters: &[u8]) {
        let event = At::Dir(self.place.event.as_fd());
        let listed = at::list(self.place.event.as_fd(), |name| {
            if !s6::is_listener(name.to_bytes()) {
                return;
            }
            let written = at::open(event, name, Open::FifoWrite).and_then(|fifo| fd::write(fifo.as_fd(), letters));
            if let Err(Errno::NO_READER | Errno::BROKEN_PIPE) = written {
                let _ = at::remove(event, name);
            }
        });
        // Removed under our feet: then nobody listens.
        let _ = listed;
    }

    /// Says once that something cannot be written, and sees to it that it is tried again.
    #[inline(never)]
    fn check(&mut self, written: Result<(), Errno>) {
        let Err(errno) = written else { return };
        self.late_at = Some(clock::now() + AGAIN);
        if self.failing.is_some() {
            return;
        }
        let (name, path, cure, seconds) = (&self.name, self.place.path(), cure(errno), AGAIN.0 / 1000);
        let why = format!(
            "cannot write into {path}: {errno}{cure}: s6's tools see what was before (tried again every {seconds} s)"
        );
        say!("svc-supervise: {name}: {why}");
        self.failing = Some(why.into());
    }
}

fn cure(errno: Errno) -> &'static str {
    if errno == Errno::NO_SPACE { ": free some of its file system (df, and df -i for its inodes)" } else { "" }
}

/// Whether the next start comes within this turn.
fn starts_at_once(machine: &Service) -> bool {
    match machine.state() {
        State::Down { .. } => machine.deadline().is_some_and(|at| at <= clock::now()),
        State::Armed
        | State::Starting { .. }
        | State::Up { .. }
        | State::Finish { .. }
        | State::Sweep { .. }
        | State::Gone => false,
    }
}

/// Makes the FIFO of commands, and opens both its ends.
fn control(place: &Place) -> Result<OwnedFd, Errno> {
    let supervise = At::Dir(place.supervise.as_fd());
    match at::make_fifo(supervise, c"control", 0o600) {
        Ok(()) => at::open(supervise, c"control", Open::FifoBoth),
        Err(Errno::EXISTS) => {
            let control = at::open(supervise, c"control", Open::FifoBoth)?;
            if at::data_of(control.as_fd())?.is_fifo { Ok(control) } else { Err(Errno::EXISTS) }
        }
        Err(errno) => Err(errno),
    }
}

/// The time of day at a moment of the monotonic clock; exact for what happens just now.
fn wall_of(at: Millis) -> Stamp {
    let ago = clock::now() - at;
    let ago = if ago < Millis(2) { 0 } else { ago.0 * 1_000_000 };
    Stamp::from_unix_nanos(clock::wall_nanos().saturating_sub(ago))
}
