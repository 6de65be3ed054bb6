//! The name of an IndexFile: the time it was made, `yyyyMMddHHmmssSSS`. Only their order matters.

use blockhouse_model::Timestamp;

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
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{:03}", ms % 1_000)
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted in 400-year cycles from 0000-03-01, so that leap days come last.
    let shifted = days + 719_468;
    let cycle = shifted.div_euclid(146_097);
    let day_of_cycle = shifted.rem_euclid(146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
        - day_of_cycle / 146_096)
        / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    (year, month, day)
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
