//! The two clocks.

use svc_core::Millis;

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for a timespec, and the clocks we ask for always exist.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now
}

fn millis(time: libc::timespec) -> u64 {
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// The monotonic clock, the same for all processes of this machine.
pub fn now() -> Millis {
    Millis(millis(read(libc::CLOCK_MONOTONIC)))
}

/// Milliseconds since 1970.
pub fn wall_ms() -> u64 {
    millis(read(libc::CLOCK_REALTIME))
}

/// How far the wall clock is ahead of the monotonic one. Rounded once, so that a moment has the same time of day whenever it is
/// asked for, as long as nobody sets the clock.
pub fn wall_ahead_ms() -> i64 {
    let nanos = |time: libc::timespec| time.tv_sec * 1_000_000_000 + time.tv_nsec;
    let (monotonic, wall) = (read(libc::CLOCK_MONOTONIC), read(libc::CLOCK_REALTIME));
    (nanos(wall) - nanos(monotonic) + 500_000).div_euclid(1_000_000)
}

/// Milliseconds since 1970 on the clock that stamps files, which lags behind the other one by up to a tick.
pub fn file_ms() -> u64 {
    millis(read(libc::CLOCK_REALTIME_COARSE))
}

/// Nanoseconds since 1970.
pub fn wall_nanos() -> u64 {
    let now = read(libc::CLOCK_REALTIME);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
