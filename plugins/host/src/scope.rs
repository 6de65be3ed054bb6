//! Which requests a binding runs for. Decided before the guest is entered.

use blockhouse_model::{Principal, RequestContext};

use crate::binding::Binding;

/// Patterns of names; none matches everything.
#[derive(Clone, Debug, Default)]
struct Globs(Box<[Box<str>]>);

impl Globs {
    fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|p| p.as_str().into()).collect())
    }

    fn matches(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| glob(pattern, name))
    }
}

/// Whether `name` is as `pattern` says: `*` stands for any bytes, `?` for one.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star took one byte more: linear, as only that one is tried.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// The scopes of a binding; all must match.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    topics: Globs,
    groups: Globs,
    codes: Box<[i32]>,
    principals: Globs,
    /// The plugin's own principal.
    own: Principal,
    /// Whether it may send messages itself.
    publishes: bool,
}

impl Scope {
    pub(crate) fn of(binding: &Binding) -> Self {
        Self {
            topics: Globs::new(&binding.topics),
            groups: Globs::new(&binding.groups),
            codes: binding.codes.clone().into(),
            principals: Globs::new(&binding.principals),
            own: Principal::plugin(&binding.name),
            publishes: !binding.grants.publish.is_empty(),
        }
    }

    /// Whether who asks and how is in scope.
    pub(crate) fn covers(&self, cx: &RequestContext) -> bool {
        self.covers_who(&cx.principal, cx.code)
    }

    /// Whether a request of this principal with this code is in scope.
    pub(crate) fn covers_who(&self, principal: &Principal, code: i32) -> bool {
        let principal = match principal {
            Principal::Anonymous => "anonymous",
            Principal::User(name) => name,
            // What it sent itself it does not meet again, and two that send would answer each
            // other without end.
            sender if self.publishes || *sender == self.own => return false,
            Principal::Plugin(name) => name,
        };
        (self.codes.is_empty() || self.codes.contains(&code)) && self.principals.matches(principal)
    }

    /// Whether what has no code and is this principal's is in scope.
    pub(crate) fn covers_principal(&self, principal: &Principal) -> bool {
        self.codes.is_empty() && self.covers_who(principal, 0)
    }

    pub(crate) fn covers_topic(&self, topic: &str) -> bool {
        self.topics.matches(topic)
    }

    pub(crate) fn covers_group(&self, group: &str) -> bool {
        self.groups.matches(group)
    }

    /// Whether it says nothing of topics.
    pub(crate) fn any_topic(&self) -> bool {
        self.topics.0.is_empty()
    }

    /// Whether it says nothing of groups.
    pub(crate) fn any_group(&self) -> bool {
        self.groups.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name) in [
            ("*", ""),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*b*c", "axxbyybzc"),
            ("a?c", "abc"),
            ("a", "a"),
        ] {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a?", "a"), ("a*b", "abc"), ("", "a"), ("?", "")] {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let name = "a".repeat(10_000);
        assert!(!glob(&"*a".repeat(30).replace("*a", "*a*b"), &name));
    }
}
