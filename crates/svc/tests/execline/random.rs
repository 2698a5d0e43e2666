//! The same random scripts under Debian's execline and under ours.
//!
//! SVC_SEED=n plays one of them, SVC_SCRIPTS=n so many instead of the usual ones.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::grammar::Author;
use super::pair::{debian, difference};

/// Scripts of a normal run.
const SCRIPTS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not '{text}'")))
}

#[test]
fn random_scripts_go_the_same_way() {
    if !debian() {
        return;
    }
    if let Some(seed) = number("SVC_SEED") {
        let script = Author::script(seed);
        println!("{script}");
        assert_eq!(difference(&script), None);
        return;
    }
    let count = number("SVC_SCRIPTS").unwrap_or(SCRIPTS);
    let next = AtomicU64::new(0);
    let wrong: Mutex<Vec<(u64, String)>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    if let Some(text) = difference(&Author::script(seed)) {
                        wrong.lock().expect("nobody panics with it").push((seed, text));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("nobody panics with it");
    wrong.sort();
    let seeds: Vec<u64> = wrong.iter().map(|(seed, _)| *seed).collect();
    let shown: Vec<String> =
        wrong.iter().take(5).map(|(seed, text)| format!("seed {seed} (SVC_SEED={seed}):\n{text}")).collect();
    assert!(wrong.is_empty(), "{} of {count} differ: {seeds:?}\n{}", wrong.len(), shown.join("\n\n"));
}
