//! Hours of service.

use std::fmt::{self, Display};

const DAY_MINUTES: u64 = 24 * 60;

/// From when to when, on which days.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hours {
    from: Time,
    /// The first minute that is outside; before `from` it is one of the next day.
    to: Time,
    /// The days on which the hours begin; all if there are none.
    #[serde(default)]
    days: Vec<Day>,
    /// Minutes east of UTC. There are no summer times.
    #[serde(default)]
    utc_offset_minutes: i16,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// From Thursday on: 1970-01-01 was one.
const DAYS: [Day; 7] = [Day::Thu, Day::Fri, Day::Sat, Day::Sun, Day::Mon, Day::Tue, Day::Wed];

/// A time of day in minutes: `06:30`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "String")]
struct Time(u64);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(Self(hour * 60 + minute))
        };
        parse().ok_or_else(|| format!("{text}: write times as 06:30"))
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} to {}", self.from, self.to)
    }
}

impl Hours {
    /// Whether `now_ms` is within them.
    pub(crate) fn has(&self, now_ms: u64) -> bool {
        let minutes = (now_ms / 60_000).saturating_add_signed(i64::from(self.utc_offset_minutes));
        let (day, time) = (minutes / DAY_MINUTES, Time(minutes % DAY_MINUTES));
        if self.from < self.to {
            return self.from <= time && time < self.to && self.begins(day);
        }
        // Over midnight: after it the hours are those of the day before.
        if time >= self.from {
            return self.begins(day);
        }
        time < self.to && day.checked_sub(1).is_some_and(|before| self.begins(before))
    }

    fn begins(&self, day: u64) -> bool {
        let of_week = DAYS.iter().cycle().nth((day % 7) as usize);
        self.days.is_empty() || of_week.is_some_and(|day| self.days.contains(day))
    }
}
