//! Cycles and levels.

use alloc::vec;
use alloc::vec::Vec;

use super::build::Graph;
use super::definition::Id;

/// More cycles than this are not told at once.
const MOST: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the path from the root to here.
    Open,
    Done,
}

/// Cycles, each as the path along which everybody waits for the next one. At least one of each knot.
pub(super) fn cycles(graph: &Graph) -> Vec<Vec<Id>> {
    let mut marks = vec![Mark::New; graph.entries.len()];
    let mut found = Vec::new();
    // The path, and how many edges of each node on it have been followed.
    let mut path: Vec<(Id, usize)> = Vec::new();
    for root in graph.ids().filter(|id| !graph.is_retired(*id)) {
        if marks[root.at()] == Mark::New {
            marks[root.at()] = Mark::Open;
            path.push((root, 0));
        }
        while let Some((id, followed)) = path.last_mut() {
            let Some(edge) = graph.edges(*id).get(*followed) else {
                marks[id.at()] = Mark::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[edge.to.at()] {
                Mark::New => {
                    marks[edge.to.at()] = Mark::Open;
                    path.push((edge.to, 0));
                }
                Mark::Open => {
                    if found.len() == MOST {
                        return found;
                    }
                    found.push(path.iter().map(|(id, _)| *id).skip_while(|id| *id != edge.to).collect());
                }
                Mark::Done => {}
            }
        }
    }
    found
}

impl Graph {
    /// The nodes by level: each waits only for nodes of earlier levels, and for one of the level before.
    pub fn levels(&self) -> Vec<Vec<Id>> {
        let mut missing: Vec<usize> = self.entries.iter().map(|entry| entry.edges.len()).collect();
        let mut levels = Vec::new();
        let mut level: Vec<Id> = self.living().into_iter().filter(|id| missing[id.at()] == 0).collect();
        while !level.is_empty() {
            let mut next = Vec::new();
            for &id in &level {
                for back in self.backs(id).iter().filter(|back| !self.is_retired(back.from)) {
                    missing[back.from.at()] -= 1;
                    if missing[back.from.at()] == 0 {
                        next.push(back.from);
                    }
                }
            }
            next.sort_unstable();
            levels.push(core::mem::replace(&mut level, next));
        }
        levels
    }
}
