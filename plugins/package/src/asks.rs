//! What a plugin wants to call.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Most asks of one plugin.
pub const COUNT_MAX: usize = 64;
/// Longest scope of an ask.
pub const SCOPE_LEN_MAX: usize = 256;

/// An interface that the host offers; each is a grant of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Lines in the node's log.
    Log,
    /// Metrics of the plugin's own.
    Metrics,
    /// The node's clocks.
    Clock,
    /// A small store shared by the plugin's instances.
    Kv,
    /// Requests to other systems.
    Http,
    /// Messages of the plugin's own.
    Publish,
    /// Bodies of messages.
    MessageBodies,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Log,
        Self::Metrics,
        Self::Clock,
        Self::Kv,
        Self::Http,
        Self::Publish,
        Self::MessageBodies,
    ];

    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metrics => "metrics",
            Self::Clock => "clock",
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Publish => "publish",
            Self::MessageBodies => "message-bodies",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }

    /// Whether a call of it may wait for others.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Http | Self::Publish)
    }
}

/// One thing a plugin asks for: `log`, or with a scope `http:https://audit.example/v1/` or
/// `publish:audit-*`. Without a scope it asks for whatever the operator lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    capability: Capability,
    scope: Option<String>,
}

impl Ask {
    /// All of a capability.
    #[must_use]
    pub const fn all(capability: Capability) -> Self {
        Self { capability, scope: None }
    }

    /// What it asks for.
    #[must_use]
    pub const fn capability(&self) -> Capability {
        self.capability
    }

    /// The addresses or topics; `None` for all.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Whether a grant of this includes `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.capability != other.capability {
            return false;
        }
        let (Some(wide), Some(narrow)) = (self.scope(), other.scope()) else {
            return self.scope.is_none();
        };
        let rest = match self.capability {
            Capability::Http if wide.ends_with('/') => Some(wide),
            // Only a star at the end: whatever else is in a pattern is compared as text.
            Capability::Publish => wide.strip_suffix('*').filter(|rest| !rest.contains(['*', '?'])),
            _ => None,
        };
        wide == narrow || rest.is_some_and(|prefix| narrow.starts_with(prefix))
    }
}

/// An address that others are below of: `https://host[:port]/path/`. Nothing that two readers of
/// addresses could take for different things.
fn is_address(scope: &str) -> bool {
    let Some(rest) = scope.strip_prefix("https://").or_else(|| scope.strip_prefix("http://"))
    else {
        return false;
    };
    let Some((host, path)) = rest.split_once('/') else { return false };
    let of_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
    let of_path = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let plain = |part: &str| part != "." && part != "..";
    !host.is_empty()
        && host.bytes().all(of_host)
        && path.bytes().all(of_path)
        && path.split('/').all(plain)
}

fn is_topic_pattern(scope: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_%|*?".contains(&b);
    !scope.is_empty() && scope.bytes().all(fits)
}

impl FromStr for Ask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, scope) = match text.split_once(':') {
            Some((name, scope)) => (name, Some(scope)),
            None => (text, None),
        };
        let Some(capability) = Capability::of(name) else {
            let names = Capability::ALL.map(Capability::name).join(", ");
            return Err(format!("is none of {names}"));
        };
        let Some(scope) = scope else { return Ok(Self::all(capability)) };
        if scope.len() > SCOPE_LEN_MAX {
            return Err(format!("has more than {SCOPE_LEN_MAX} bytes"));
        }
        match capability {
            Capability::Http if !is_address(scope) => Err(
                "is not an address: write `http:https://host/path/`, with the `/` after the host \
                 and without user, query and escapes"
                    .to_owned(),
            ),
            Capability::Publish if !is_topic_pattern(scope) => {
                Err("is not a topic: write `publish:name`, with `*` and `?` for any".to_owned())
            }
            Capability::Http | Capability::Publish => {
                Ok(Self { capability, scope: Some(scope.to_owned()) })
            }
            _ => Err(format!("has a scope, which `{name}` has not")),
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.capability.name())?;
        self.scope.as_ref().map_or(Ok(()), |scope| write!(f, ":{scope}"))
    }
}

/// What a plugin asks for, or was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks(BTreeSet<Ask>);

impl Asks {
    /// Each of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &Ask> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this capability is among them, in whatever scope.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.0.iter().any(|ask| ask.capability == capability)
    }

    /// What of these `granted` does not cover.
    #[must_use]
    pub fn beyond(&self, granted: &Self) -> Vec<Ask> {
        let covered = |ask: &&Ask| granted.0.iter().any(|grant| grant.covers(ask));
        self.0.iter().filter(|ask| !covered(ask)).cloned().collect()
    }
}

impl FromIterator<Ask> for Asks {
    /// An ask that another one covers is left out: it asks for nothing.
    fn from_iter<I: IntoIterator<Item = Ask>>(asks: I) -> Self {
        let all: BTreeSet<Ask> = asks.into_iter().collect();
        let covered = |ask: &Ask| all.iter().any(|other| other != ask && other.covers(ask));
        Self(all.iter().filter(|ask| !covered(ask)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(texts: &[&str]) -> Asks {
        texts.iter().map(|text| text.parse::<Ask>().unwrap()).collect()
    }

    fn beyond(wanted: &[&str], granted: &[&str]) -> Vec<String> {
        asks(wanted).beyond(&asks(granted)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_not_granted_is_found() {
        assert!(beyond(&["log", "kv"], &["kv", "log", "http"]).is_empty());
        assert_eq!(beyond(&["log", "kv"], &["log"]), ["kv"]);
        assert_eq!(beyond(&["http"], &["http:https://a.example/"]), ["http"]);
        assert!(beyond(&["http:https://a.example/v1/"], &["http"]).is_empty());
        assert!(beyond(&["http:https://a.example/v1/"], &["http:https://a.example/"]).is_empty());
        let other = beyond(&["http:https://a.example/v1/"], &["http:https://a.example/v"]);
        assert_eq!(other, ["http:https://a.example/v1/"]);
        assert_eq!(beyond(&["publish:a*"], &["publish:audit-*"]), ["publish:a*"]);
        assert!(beyond(&["publish:audit-x", "publish:audit-?"], &["publish:audit-*"]).is_empty());
        assert_eq!(beyond(&["publish:audit-x"], &["publish:?udit-*"]), ["publish:audit-x"]);
        assert!(beyond(&["publish:x"], &["publish:*"]).is_empty());
    }

    #[test]
    fn an_ask_within_another_one_says_nothing() {
        let all = asks(&["publish:a-*", "publish:a-b", "http:https://a/", "http"]);
        let texts: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["http", "publish:a-*"]);
    }

    #[test]
    fn scopes_that_could_be_read_in_two_ways_are_refused() {
        for bad in [
            "",
            "exec",
            "log:x",
            "http:",
            "http:ftp://a/",
            "http:https://a",
            "http:https:///x",
            "http:https://user@a/",
            "http:https://A/",
            "http:https://a/../b",
            "http:https://a/%2e%2e/",
            "http:https://a/?q",
            "publish:",
            "publish:a b",
        ] {
            assert!(bad.parse::<Ask>().is_err(), "{bad}");
        }
        let long = format!("publish:{}", "a".repeat(257));
        assert!(long.parse::<Ask>().is_err());
    }
}
