//! What is wrong with a configured value, and the checks that sections share.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// An option whose value fits its type but breaks a rule.
///
/// The text continues the option's name: "`transport.idle_ms` must be at least 1". Value and place
/// are added by whoever read the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} {rule}")]
pub struct OptionError {
    /// The option's path below the section that was checked.
    pub option: String,
    /// What its value must be.
    pub rule: String,
}

impl OptionError {
    /// The option `option` breaks `rule`.
    #[must_use]
    pub fn new(option: &str, rule: impl Into<String>) -> Self {
        Self { option: option.to_owned(), rule: rule.into() }
    }

    /// The same, seen from the section around `section`.
    #[must_use]
    pub fn within(self, section: &str) -> Self {
        Self { option: format!("{section}.{}", self.option), ..self }
    }

    /// Refuses values outside of `range`.
    ///
    /// # Errors
    /// The option, and the range.
    pub fn check_range<T: PartialOrd + Display>(
        option: &str,
        value: &T,
        range: &RangeInclusive<T>,
    ) -> Result<(), Self> {
        if range.contains(value) {
            return Ok(());
        }
        Err(Self::new(option, format!("must be from {} to {}", range.start(), range.end())))
    }

    /// Refuses values below `least`.
    ///
    /// # Errors
    /// The option, and the least.
    pub fn check_least<T: PartialOrd + Display>(
        option: &str,
        value: &T,
        least: &T,
    ) -> Result<(), Self> {
        if value >= least {
            return Ok(());
        }
        Err(Self::new(option, format!("must be at least {least}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_is_refused_with_the_bounds() {
        let text = |checked: Result<(), OptionError>| {
            checked.map_err(|e| e.within("outer").to_string()).err().unwrap_or_default()
        };
        assert_eq!(text(OptionError::check_range("a", &1, &(1..=3))), "");
        assert_eq!(text(OptionError::check_range("a", &3, &(1..=3))), "");
        assert_eq!(
            text(OptionError::check_range("a", &0, &(1..=3))),
            "outer.a must be from 1 to 3"
        );
        assert_eq!(
            text(OptionError::check_range("a", &4, &(1..=3))),
            "outer.a must be from 1 to 3"
        );
        assert_eq!(text(OptionError::check_least("b", &5, &5)), "");
        assert_eq!(text(OptionError::check_least("b", &4, &5)), "outer.b must be at least 5");
    }
}
