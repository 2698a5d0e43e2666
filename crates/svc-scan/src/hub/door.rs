//! The socket at which clients ask, when somebody has taken it away: the run directory is anybody's who may write there.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use svc_proto::link::{ToInit, ToSupervisor};
use svc_sys::{Errno, message, say};
use tokio::sync::mpsc;

use super::Hub;
use crate::listener::{self, Door};

/// None where nothing can be written, and nothing be taken away.
#[derive(Default)]
pub(super) struct Doorway(Option<(Door, mpsc::UnboundedSender<tokio::net::UnixListener>)>);

impl Hub {
    /// From now on clients come by this socket, and by those that replace it.
    pub(super) fn open_door(
        &mut self,
        listener: UnixListener,
    ) -> Result<(tokio::net::UnixListener, mpsc::UnboundedReceiver<tokio::net::UnixListener>), Errno> {
        let (replace, others) = mpsc::unbounded_channel();
        if let Some(run_dir) = self.config.run_dir.clone() {
            self.directories.guard(&run_dir);
            self.door = Doorway(Some((Door::new(&run_dir, &listener), replace)));
            if self.is_heir {
                // Nobody has watched meanwhile.
                self.look_at_door(false);
            }
        }
        Ok((listener::into_tokio(listener)?, others))
    }

    /// svc-init keeps it for the next svc-scan.
    pub(super) fn keep(&mut self, listener: &UnixListener) -> Result<(), Errno> {
        let copy = listener.try_clone()?;
        self.init.send(ToInit::KeepListener.encode(), Some(copy.into()));
        Ok(())
    }

    fn replace_door(&mut self, listener: UnixListener) -> Result<(), Errno> {
        self.keep(&listener)?;
        if let Doorway(Some((_, replace))) = &self.door {
            // Nobody listens any more where svc ends.
            let _ = replace.send(listener::into_tokio(listener)?);
        }
        Ok(())
    }

    /// Whether clients still find the socket: if not, it is made again. `files`: supervisors look after theirs in any case.
    pub(super) fn look_at_door(&mut self, files: bool) {
        let (Some(run_dir), Doorway(Some((door, _)))) = (&self.config.run_dir, &mut self.door) else { return };
        let made = door.restore();
        let files = files || made.is_some();
        self.directories.guard(run_dir);
        if made.is_some() {
            self.directories.taken.may_be_lost();
        }
        if let Some(Err(errno)) = made.map(|listener| self.replace_door(listener)) {
            say!("svc-scan: cannot take clients at the new control socket: {errno}: tell svc to rescan (SIGHUP)");
        }
        for link in self.members.values().filter_map(|member| member.link.as_ref()).filter(|_| files) {
            // A full socket is that of a supervisor that was stopped; the next rescan reaches it.
            let _ = message::try_send(link.as_fd(), &ToSupervisor::Files.encode(), &[]);
        }
    }
}
