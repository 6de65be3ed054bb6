//! Which records are meant.

use std::time::Duration;

use blockhouse_audit::Record;
use blockhouse_model::Clock as _;
use blockhouse_service::SystemClock;

use crate::utc::parse_time;
use crate::wrong_use;

/// What a record must be to be printed.
#[derive(Debug, clap::Args)]
pub(super) struct Select {
    /// From then on: so long ago (`90s`, `15m`, `2h`, `7d`), a UTC time (`2026-01-31T08:00:00`), or
    /// milliseconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until then, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this principal
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// With this outcome: allowed, refused, dropped, rerouted, edited, failed
    #[arg(long)]
    outcome: Option<String>,
    /// Of this kind, such as authorization, `admin_command`, plugin
    #[arg(long)]
    kind: Option<String>,
    /// On something whose name has this in it
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
}

/// The same with times.
pub(super) struct Chosen<'a> {
    select: &'a Select,
    since: i64,
    until: i64,
}

impl Select {
    pub(super) fn chosen(&self) -> anyhow::Result<Chosen<'_>> {
        let now = SystemClock::new().now().0;
        let time = |option: &str, text: &Option<String>, otherwise| {
            match text {
            None => Ok(otherwise),
            Some(text) => time(text, now).ok_or_else(|| {
                wrong_use(format!(
                    "{option} {text}: give how long ago (90s, 15m, 2h, 7d), a UTC time (2026-01-31T08:00:00) or milliseconds since 1970"
                ))
            }),
        }
        };
        let since = time("--since", &self.since, i64::MIN)?;
        let until = time("--until", &self.until, i64::MAX)?;
        Ok(Chosen { select: self, since, until })
    }
}

/// The time that a text says; durations are before `now`.
fn time(text: &str, now: i64) -> Option<i64> {
    if let Some(at) = parse_time(text) {
        return Some(at);
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let ago = Duration::from_secs(number.checked_mul(seconds)?);
    now.checked_sub(i64::try_from(ago.as_millis()).ok()?)
}

impl Chosen<'_> {
    pub(super) fn takes(&self, record: &Record) -> bool {
        let Select { principal, outcome, kind, resource, .. } = self.select;
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        (self.since..=self.until).contains(&record.time)
            && is(principal, record.principal())
            && is(outcome, &record.unmapped.outcome)
            && is(kind, &record.unmapped.kind)
            && resource.as_ref().is_none_or(|part| record.resource().contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_dates_or_milliseconds() {
        assert_eq!(time("1500", 9), Some(1_500));
        assert_eq!(time("1970-01-01T00:00:02Z", 9), Some(2_000));
        for (text, age) in [("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400)] {
            assert_eq!(time(text, 1_000_000_000), Some(1_000_000_000 - age * 1_000));
        }
        for text in ["", "h", "2w", "-2h", "yesterday", "99999999999999999999d", "2 h", "1é"] {
            assert_eq!(time(text, 0), None, "{text}");
        }
    }
}
