//! Many seeds, on all processors; the first one that breaks a promise is told with its whole story.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How one seed went.
pub struct Outcome {
    /// Which promise was broken, and how.
    pub result: Result<(), String>,
    /// What happened, line by line, if it was asked for.
    pub story: Vec<String>,
}

/// Plays all seeds below `count`; the flag given to `play` asks for the story.
///
/// With SVC_SEED=n: that one, with its story. With SVC_FIRST=n: as many from that one on. With SVC_SURVEY=1: all of them, and at
/// the end each broken promise with its first seed.
pub fn play_all(count: u64, play: impl Fn(u64, bool) -> Outcome + Sync) {
    if let Some(seed) = number("SVC_SEED") {
        let Outcome { result, story } = play(seed, true);
        println!("{}", story.join("\n"));
        if let Err(broken) = result {
            panic!("seed {seed}: {broken}");
        }
        return;
    }
    let survey = std::env::var_os("SVC_SURVEY").is_some();
    let first = number("SVC_FIRST").unwrap_or(0);
    let next = AtomicU64::new(first);
    let end = AtomicU64::new(first + count);
    // Of each broken promise, whatever the numbers in it: how often, and the first seed.
    let found: Mutex<BTreeMap<String, (u64, u64)>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Err(broken) = play(seed, false).result {
                        let kind = broken.replace(|character: char| character.is_ascii_digit(), "");
                        let mut found = found.lock().expect("nobody panics with it");
                        let entry = found.entry(kind).or_insert((0, seed));
                        *entry = (entry.0 + 1, entry.1.min(seed));
                        if !survey {
                            end.fetch_min(seed, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("nobody panics with it");
    if survey {
        for (broken, (times, seed)) in &found {
            println!("{times:>6} times, first in seed {seed}: {broken}");
        }
    }
    if let Some(&bad) = found.values().map(|(_, seed)| seed).min() {
        let Outcome { result, story } = play(bad, true);
        let broken = result.expect_err("the same seed goes the same way");
        panic!("{}\nseed {bad}: {broken}\n(SVC_SEED={bad} plays it again)", story.join("\n"));
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}
