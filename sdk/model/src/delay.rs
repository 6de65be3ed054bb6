//! Delay levels: RocketMQ's `messageDelayLevel`, a list of waiting times counted from level 1.

use std::time::Duration;

/// RocketMQ's default list.
pub const DEFAULT_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// The waiting time of each level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayLevels(Vec<Duration>);

impl DelayLevels {
    /// Reads RocketMQ's form, e.g. `1s 5s 1m 2h 1d`. `None` if a word is not number and unit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let levels: Option<Vec<_>> = text.split_ascii_whitespace().map(length).collect();
        levels.filter(|l| !l.is_empty() && l.len() <= 128).map(Self)
    }

    /// How many levels there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The level that is used for the level asked for: levels past the end count as the last.
    /// 0 means no delay.
    #[must_use]
    pub fn clamp(&self, level: i32) -> u32 {
        u32::try_from(level).unwrap_or(0).min(self.count())
    }

    /// How long messages of `level` (counted from 1) wait; level 0 does not wait.
    #[must_use]
    pub fn delay(&self, level: u32) -> Duration {
        let at = usize::try_from(level).unwrap_or(usize::MAX).min(self.0.len());
        if at == 0 { Duration::ZERO } else { self.0[at - 1] }
    }
}

impl Default for DelayLevels {
    fn default() -> Self {
        Self::parse(DEFAULT_LEVELS).unwrap_or(Self(vec![Duration::from_secs(1)]))
    }
}

/// A length of time with its unit: `90s`, `15m`, `2h`, `7d`.
#[must_use]
pub fn length(word: &str) -> Option<Duration> {
    let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_list_has_18_levels_from_1s_to_2h() {
        let levels = DelayLevels::default();
        assert_eq!(levels.count(), 18);
        assert_eq!(levels.delay(1), Duration::from_secs(1));
        assert_eq!(levels.delay(18), Duration::from_secs(7_200));
        assert_eq!(levels.clamp(99), 18);
        assert_eq!(levels.clamp(-1), 0);
        assert_eq!(DelayLevels::parse("1x"), None);
        assert_eq!(DelayLevels::parse(""), None);
    }
}
