//! Names of plugins and keys.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Longest name.
pub const LEN_MAX: usize = 64;

/// A name that is safe in paths, metrics and logs: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > LEN_MAX || !text.bytes().all(fits) {
            // The beginning is enough to find it by.
            return Err(Error::Name(text.chars().take(LEN_MAX).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "orders-acl", "0", &"x".repeat(64)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["", "A", "a_b", "a.b", "../a", "a/b", "ä", "a b", "a\n", &"x".repeat(65)] {
            let error = bad.parse::<Name>().unwrap_err().to_string();
            assert!(error.contains("is not a name"), "{error}");
        }
    }
}
