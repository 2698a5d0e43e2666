//! Chance that can be played again.

use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

/// Numbers that look random. Their seed is printed, and SVC_TEST_SEED repeats it.
pub struct Chance(u64);

impl Default for Chance {
    fn default() -> Chance {
        Chance::new()
    }
}

impl Chance {
    pub fn new() -> Chance {
        Chance::of(0)
    }

    /// Others for each number, where several play at a time.
    pub fn of(player: u64) -> Chance {
        static SEED: OnceLock<u64> = OnceLock::new();
        let seed = *SEED.get_or_init(|| {
            let fresh = || UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64;
            std::env::var("SVC_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(fresh)
        });
        println!("SVC_TEST_SEED={seed}");
        Chance::seeded(seed.wrapping_add(player))
    }

    /// The same at each run.
    pub fn seeded(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // xorshift64*: tests need no better.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}
