//! The name of an IndexFile: the time it was made, `yyyyMMddHHmmssSSS`. Only their order matters.

use blockhouse_model::Timestamp;
use blockhouse_model::date::date_of;

const MS_PER_DAY: i64 = 86_400_000;

pub(crate) fn is_name(name: &str) -> bool {
    name.len() == 17 && name.bytes().all(|b| b.is_ascii_digit())
}

/// The name of a file made at `now`, but one that sorts after `last`. RocketMQ uses local time, we
/// use UTC, so a file of a broker east of Greenwich may seem to be from the future.
pub(super) fn next(now: Timestamp, last: Option<&str>) -> String {
    let name = in_utc(now);
    match last.and_then(|last| last.parse::<u64>().ok()) {
        Some(last) if name.parse::<u64>().is_ok_and(|n| n <= last) => format!("{:017}", last + 1),
        _ => name,
    }
}

pub(crate) fn in_utc(now: Timestamp) -> String {
    let (days, ms) = (now.0.div_euclid(MS_PER_DAY), now.0.rem_euclid(MS_PER_DAY));
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{:03}", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dates_that_never_go_back() {
        assert_eq!(in_utc(Timestamp(0)), "19700101000000000");
        assert_eq!(in_utc(Timestamp(951_782_400_000)), "20000229000000000");
        assert_eq!(in_utc(Timestamp(1_795_392_000_123)), "20261123000000123");
        assert_eq!(next(Timestamp(0), Some("20261123000000999")), "20261123000001000");
        assert!(is_name("20261123000000123") && !is_name("2026112300000012x"));
    }
}
