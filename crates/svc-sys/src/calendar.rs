//! Seconds as people write them.

use crate::errno::Errno;

/// A second in somebody's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub year: i64,
    /// From 1.
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// So many seconds since 1970, by the clocks of this place: as TZ or /etc/localtime says.
pub fn local(seconds: i64) -> Result<Moment, Errno> {
    convert(seconds, |time, place| {
        // SAFETY: `time` and `place` are valid for the call. Programs that call this have one thread: nobody changes TZ.
        unsafe { libc::localtime_r(time, place) }
    })
}

/// The same by universal time.
pub fn universal(seconds: i64) -> Result<Moment, Errno> {
    convert(seconds, |time, place| {
        // SAFETY: `time` and `place` are valid for the call.
        unsafe { libc::gmtime_r(time, place) }
    })
}

fn convert(seconds: i64, call: fn(*const i64, *mut libc::tm) -> *mut libc::tm) -> Result<Moment, Errno> {
    // SAFETY: all zero is a valid tm.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    if call(&seconds, &mut tm).is_null() {
        return Err(Errno::last());
    }
    let small = |number: libc::c_int| u8::try_from(number).unwrap_or(0);
    Ok(Moment {
        year: i64::from(tm.tm_year) + 1900,
        month: small(tm.tm_mon) + 1,
        day: small(tm.tm_mday),
        hour: small(tm.tm_hour),
        minute: small(tm.tm_min),
        second: small(tm.tm_sec),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_2001() {
        let moment = Moment { year: 2001, month: 9, day: 9, hour: 1, minute: 46, second: 40 };
        assert_eq!(universal(1_000_000_000), Ok(moment));
        assert_eq!(universal(0).map(|moment| (moment.year, moment.month, moment.day)), Ok((1970, 1, 1)));
        assert!(local(1_000_000_000).is_ok());
        assert!(universal(i64::MAX).is_err(), "no calendar goes that far");
    }
}
