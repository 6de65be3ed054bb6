//! Dates of the Gregorian calendar as days since 1970-01-01. Years are taken to begin in March, so
//! that the odd day is their last.

/// Days from the year 0 to 1970.
const SHIFT: i64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const CYCLE: i64 = 146_097;

/// The day of a year, a month (1 to 12) and a day (1 to 31).
#[must_use]
pub const fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    cycle * CYCLE + year * 365 + year / 4 - year / 100 + of_year - SHIFT
}

/// Year, month (1 to 12) and day (1 to 31) of a day.
#[must_use]
pub const fn date_of(day: i64) -> (i64, i64, i64) {
    let (cycle, of_cycle) = ((day + SHIFT).div_euclid(CYCLE), (day + SHIFT).rem_euclid(CYCLE));
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_the_same() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date_of(day), date);
            assert_eq!(day_of(date.0, date.1, date.2), day);
        }
        assert!((-1_000_000..1_000_000).step_by(7).all(|day| {
            let (year, month, of_month) = date_of(day);
            day_of(year, month, of_month) == day
        }));
    }
}
