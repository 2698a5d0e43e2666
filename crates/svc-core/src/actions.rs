//! What a machine wants done, in order, without a heap: at most `MOST` actions come out of a step.

/// The actions of one step.
#[derive(Debug)]
pub struct List<A, const MOST: usize> {
    list: [Option<A>; MOST],
    length: usize,
}

impl<A, const MOST: usize> Default for List<A, MOST> {
    fn default() -> List<A, MOST> {
        List { list: [const { None }; MOST], length: 0 }
    }
}

impl<A, const MOST: usize> List<A, MOST> {
    pub(crate) fn push(&mut self, action: A) {
        // One too many would be a bug of the machine, which its simulation sees as a missing action; nothing here may panic.
        if let Some(place) = self.list.get_mut(self.length) {
            *place = Some(action);
            self.length += 1;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &A> {
        self.list.iter().flatten()
    }

    /// Takes them out, first first.
    pub fn drain(&mut self) -> impl Iterator<Item = A> + use<A, MOST> {
        core::mem::take(self).list.into_iter().flatten()
    }
}
