//! The options of the audit log.

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tamper-evident log of decisions and changes, in `blockhouse/audit` of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Keep the log.
    pub enabled: bool,
    /// What clients may do while the log cannot be written: `permit` sends and pulls go on, and a
    /// record says afterwards what is missing; `reject` they are refused. Admin commands are refused
    /// either way.
    pub on_failure: OnFailure,
    /// Answer wrong credentials only when their record is on disk, as everything of the control plane
    /// is. Strangers can then keep the disk syncing.
    pub sync_logins: bool,
    /// Size at which a file ends and the next one begins, in bytes.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub segment_bytes: u64,
    /// Most files; the oldest go, but for what `retention_days_min` keeps.
    #[schemars(range(min = 2, max = 100_000))]
    pub retention_segments: usize,
    /// Files whose last record is older than this many days go; 0 keeps them for as long as
    /// `retention_segments` lets them be.
    #[schemars(range(max = 36_500))]
    pub retention_days: u32,
    /// Files whose last record is younger than this many days stay, however many there are.
    #[schemars(range(max = 36_500))]
    pub retention_days_min: u32,
}

/// What becomes of the data path while the log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It goes on.
    #[default]
    Permit,
    /// It is refused.
    Reject,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            on_failure: OnFailure::Permit,
            sync_logins: false,
            segment_bytes: 64 << 20,
            retention_segments: 128,
            retention_days: 365,
            retention_days_min: 7,
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The first option that is out of its bounds.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("segment_bytes", &self.segment_bytes, &(1 << 16..=1 << 30))?;
        OptionError::check_range("retention_segments", &self.retention_segments, &(2..=100_000))?;
        OptionError::check_range("retention_days", &self.retention_days, &(0..=36_500))?;
        OptionError::check_range("retention_days_min", &self.retention_days_min, &(0..=36_500))?;
        if self.retention_days != 0 && self.retention_days < self.retention_days_min {
            let rule = "must be at least retention_days_min, or 0";
            return Err(OptionError::new("retention_days", rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_at_fault_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong = Config { segment_bytes: 10, ..Config::default() };
        assert_eq!(wrong.validate().unwrap_err().option, "segment_bytes");
        let wrong = Config { retention_days: 3, ..Config::default() };
        assert_eq!(wrong.validate().unwrap_err().option, "retention_days");
        let never = Config { retention_days: 0, ..Config::default() };
        assert_eq!(never.validate(), Ok(()));
    }
}
