//! Times as people read and write them: UTC.

use blockhouse_model::date::{date_of, day_of};
use blockhouse_model::delay::length;

const DAY: i64 = 86_400;
/// What [`since`] takes.
pub(crate) const TIMES: &str = "give how long ago (90s, 15m, 2h, 7d), a UTC time (2026-01-31T08:00:00) or milliseconds since 1970";

/// Milliseconds since 1970 as UTC time; `-` for none.
pub(crate) fn time(ms: i64) -> String {
    if ms <= 0 {
        return "-".to_owned();
    }
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (year, month, day) = date_of(seconds / DAY);
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Milliseconds, or a UTC time to the second.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms).filter(|ms| *ms >= 0);
    }
    let (date, clock) = text.strip_suffix('Z').unwrap_or(text).split_once(['T', ' '])?;
    let three = |text: &str, separator: char| -> Option<[i64; 3]> {
        let mut parts = text.split(separator).map(|p| p.parse::<i64>().ok());
        let all = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(all)
    };
    let ([year, month, day], [hour, minute, second]) = (three(date, '-')?, three(clock, ':')?);
    let fits = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    let of_day = hour * 3_600 + minute * 60 + second;
    fits.then(|| (day_of(year, month, day) * DAY + of_day) * 1_000)
}

/// The time that a text says: as [`parse_time`] has it, or so long before `now`.
pub(crate) fn since(text: &str, now: i64) -> Option<i64> {
    if let Some(at) = parse_time(text) {
        return Some(at);
    }
    now.checked_sub(i64::try_from(length(text)?.as_millis()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_dates_or_milliseconds() {
        assert_eq!(since("1500", 9), Some(1_500));
        assert_eq!(since("1970-01-01T00:00:02Z", 9), Some(2_000));
        for (text, age) in [("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400)] {
            assert_eq!(since(text, 1_000_000_000), Some(1_000_000_000 - age * 1_000));
        }
        for text in ["", "h", "2w", "-2h", "yesterday", "99999999999999999999d", "2 h", "1é"] {
            assert_eq!(since(text, 0), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_and_read() {
        assert_eq!(time(0), "-");
        assert_eq!(time(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(time(1_795_465_151_870), "2026-11-23T20:19:11.870Z");
        assert_eq!(parse_time("2026-11-23T20:19:11Z"), Some(1_795_465_151_000));
        assert_eq!(parse_time("1970-01-01 00:00:01"), Some(1_000));
        assert_eq!(parse_time("17"), Some(17));
        for bad in ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01", "-5", "2026-01-01T24:00:00"]
        {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
