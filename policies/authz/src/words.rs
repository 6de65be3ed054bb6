//! The words of policies: subjects, types, actions.

use blockhouse_model::{Access, Action, Principal, Resource, names};

/// Longest name in a policy.
pub(crate) const NAME_LEN_MAX: usize = 255;

/// What kind of thing a rule or a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// The cluster as a whole.
    Cluster,
    /// A namespace.
    Namespace,
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
    /// A plugin.
    Plugin,
    /// The policies of a node.
    Policy,
    /// The audit log.
    Audit,
}

impl Kind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Cluster,
        Self::Namespace,
        Self::Topic,
        Self::Group,
        Self::Plugin,
        Self::Policy,
        Self::Audit,
    ];

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Namespace => "Namespace",
            Self::Topic => "Topic",
            Self::Group => "Group",
            Self::Plugin => "Plugin",
            Self::Policy => "Policy",
            Self::Audit => "Audit",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text))
    }

    /// Whether there are several of the kind, told apart by name.
    pub(crate) const fn is_named(self) -> bool {
        matches!(self, Self::Topic | Self::Group | Self::Namespace | Self::Plugin)
    }

    /// Whether requests are about things of the kind. Namespaces are in the names of others.
    pub(crate) const fn is_asked_for(self) -> bool {
        !matches!(self, Self::Namespace)
    }

    /// Whether `Get` comes with `Pub` and `Sub`.
    pub(crate) const fn implies_get(self) -> bool {
        matches!(self, Self::Topic | Self::Group | Self::Namespace)
    }
}

/// All actions, in the order of their bits.
/// The action of this name, in any case.
#[must_use]
pub fn parse_action(text: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|action| action.name().eq_ignore_ascii_case(text))
}

/// That there is no such action, and which there are.
#[must_use]
pub fn unknown_action(text: &str) -> String {
    format!("unknown action {text:?}; there are {}", Action::ALL.map(Action::name).join(", "))
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Actions(u8);

impl Actions {
    pub(crate) const ALL: Self = Self(0x7f);

    pub(crate) const fn with(self, action: Action) -> Self {
        Self(self.0 | 1 << action as u8)
    }

    pub(crate) const fn has(self, action: Action) -> bool {
        self.0 & 1 << action as u8 != 0
    }

    pub(crate) const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// `Pub|Sub`, or `All`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("All") {
            return Ok(Self::ALL);
        }
        text.split('|').map(str::trim).try_fold(Self::default(), |all, word| {
            let known = "Pub, Sub, Create, Update, Delete, Get, List, All";
            parse_action(word)
                .map(|action| all.with(action))
                .ok_or_else(|| format!("unknown action {word:?}; there are {known}"))
        })
    }

    pub(crate) fn text(self) -> String {
        let words: Vec<_> =
            Action::ALL.into_iter().filter(|&a| self.has(a)).map(Action::name).collect();
        words.join("|")
    }
}

/// Who asks, as policies call him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who<'a> {
    /// Nobody proved anything.
    Anonymous,
    /// A user, by his name.
    User(&'a str),
    /// A plugin, as `plugin:` and its binding's name.
    Plugin(&'a str),
}

impl<'a> Who<'a> {
    /// What text in a policy means.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if text == ANONYMOUS {
            return Some(Self::Anonymous);
        }
        match text.strip_prefix(USER_PREFIX) {
            Some(name) => (!name.is_empty()).then_some(Self::User(name)),
            None => (text.len() > Principal::PLUGIN_PREFIX.len()
                && text.starts_with(Principal::PLUGIN_PREFIX))
            .then_some(Self::Plugin(text)),
        }
    }

    /// What a request's principal is called.
    #[must_use]
    pub fn of(principal: &'a Principal) -> Self {
        match principal {
            Principal::Anonymous => Self::Anonymous,
            Principal::User(name) => Self::User(name),
            Principal::Plugin(name) => Self::Plugin(name),
        }
    }
}

impl std::fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => f.write_str(ANONYMOUS),
            Self::User(name) => write!(f, "{USER_PREFIX}{name}"),
            Self::Plugin(name) => f.write_str(name),
        }
    }
}

pub(crate) const ANONYMOUS: &str = "anonymous";
pub(crate) const USER_PREFIX: &str = "user:";
pub(crate) const ROLE_PREFIX: &str = "role:";
/// Everybody, in a rule.
pub(crate) const EVERYBODY: &str = "*";
/// The tenant of who has none.
pub(crate) const DEFAULT_TENANT: &str = "default";
/// All tenants, in a rule.
pub(crate) const ALL_TENANTS: &str = "*";

/// What a request wants to do, as policies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ask<'a> {
    /// What is done.
    pub action: Action,
    /// To what kind of thing.
    pub kind: Kind,
    /// Which one; empty where there is only one, and for all plugins.
    pub name: &'a str,
}

impl<'a> Ask<'a> {
    /// A retry topic belongs to its group, whatever group a request names beside it.
    #[must_use]
    pub fn of(access: &Access<'a>) -> Self {
        let action = access.action;
        match access.resource {
            Resource::Cluster => Self { action, kind: Kind::Cluster, name: "" },
            Resource::Policy => Self { action, kind: Kind::Policy, name: "" },
            Resource::Plugin(name) => Self { action, kind: Kind::Plugin, name },
            Resource::Audit => Self { action, kind: Kind::Audit, name: "" },
            Resource::Group(name) => Self { action, kind: Kind::Group, name },
            Resource::Topic(topic) => match topic.strip_prefix(names::RETRY_PREFIX) {
                Some(name) => {
                    let action = if action == Action::Pub { Action::Sub } else { action };
                    Self { action, kind: Kind::Group, name }
                }
                None => Self { action, kind: Kind::Topic, name: topic },
            },
        }
    }

    /// From `TYPE:NAME`, for tools and tests.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(action: Action, resource: &'a str) -> Result<Self, String> {
        let (kind, name) = resource.split_once(':').unwrap_or((resource, ""));
        let kind = Kind::parse(kind).ok_or_else(|| unknown_kind(kind))?;
        match (kind, kind.is_named()) {
            (Kind::Namespace, _) => {
                Err("nobody asks for a namespace, but for what is in it: Topic:NAMESPACE%NAME or \
                     Group:NAMESPACE%NAME"
                    .to_owned())
            }
            (Kind::Plugin, _) if name.is_empty() || name == "*" => {
                Ok(Self { action, kind, name: "" })
            }
            (_, false) if name.is_empty() || name == "*" => Ok(Self { action, kind, name: "" }),
            (_, false) => Err(format!("{} has no names: write {0}:*", kind.name())),
            (_, true) if name.is_empty() => Err(format!("which {}?", kind.name())),
            (Kind::Topic, true) => {
                Ok(Self::of(&Access { action, resource: Resource::Topic(name) }))
            }
            (_, true) => Ok(Self { action, kind, name }),
        }
    }

    /// As casbin is asked, and as people read it.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}:{}", self.kind.name(), self.name)
    }
}

/// The namespace that a topic or a group is in; none of a name without one.
pub(crate) fn namespace_of(kind: Kind, name: &[u8]) -> Option<&[u8]> {
    let name = match kind {
        Kind::Topic => name.strip_prefix(names::DLQ_PREFIX.as_bytes()).unwrap_or(name),
        Kind::Group => name,
        _ => return None,
    };
    let end = name.iter().position(|byte| *byte == b'%').filter(|end| *end > 0)?;
    name.get(..end)
}

pub(crate) fn unknown_kind(text: &str) -> String {
    let known: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
    format!("unknown type {text:?}; there are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_topic_is_its_group() {
        let ask = |action, topic| Ask::of(&Access { action, resource: Resource::Topic(topic) });
        let group = |action| Ask { action, kind: Kind::Group, name: "g" };
        assert_eq!(ask(Action::Pub, "%RETRY%g"), group(Action::Sub));
        assert_eq!(ask(Action::Get, "%RETRY%g"), group(Action::Get));
        assert_eq!(ask(Action::Pub, "%DLQ%g").kind, Kind::Topic);
    }

    #[test]
    fn a_namespace_is_what_stands_before_the_first_percent() {
        let of = |kind, name: &'static str| {
            namespace_of(kind, name.as_bytes()).map(|ns| str::from_utf8(ns).unwrap())
        };
        for name in ["ns%t", "ns%", "%DLQ%ns%g", "ns%a%b"] {
            assert_eq!(of(Kind::Topic, name), Some("ns"), "{name}");
        }
        for name in ["", "ns", "%", "%ns%t", "%DLQ%g", "%DLQ%%g", "%SYS%x"] {
            assert_eq!(of(Kind::Topic, name), None, "{name}");
        }
        assert_eq!((of(Kind::Group, "ns%g"), of(Kind::Group, "%DLQ%ns%g")), (Some("ns"), None));
        assert_eq!((of(Kind::Plugin, "ns%g"), of(Kind::Namespace, "ns%g")), (None, None));
    }

    #[test]
    fn all_plugins_are_asked_for_without_a_name() {
        let plugin = |text| Ask::parse(Action::Get, text).map(|ask| (ask.kind, ask.name));
        for text in ["Plugin", "plugin:", "Plugin:*"] {
            assert_eq!(plugin(text), Ok((Kind::Plugin, "")), "{text}");
        }
        assert_eq!(plugin("Plugin:a"), Ok((Kind::Plugin, "a")));
        assert!(plugin("Namespace:ns").unwrap_err().contains("Topic:NAMESPACE%NAME"));
    }

    #[test]
    fn who_is_written_as_it_is_read() {
        for text in ["anonymous", "user:a b", "plugin:p"] {
            assert_eq!(Who::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "user:", "plugin:", "role:a", "*", "alice"] {
            assert_eq!(Who::parse(text), None, "{text}");
        }
        // A user who is called like a plugin is a user.
        let user = Principal::User("plugin:p".into());
        assert_eq!(Who::of(&user).to_string(), "user:plugin:p");
    }

    #[test]
    fn actions_are_read_in_any_case() {
        let two = Actions::parse("pub | SUB").unwrap();
        assert_eq!((two.text().as_str(), two.has(Action::Get)), ("Pub|Sub", false));
        assert_eq!(Actions::parse("all").unwrap(), Actions::ALL);
        assert!(Actions::parse("Pub|").unwrap_err().contains("unknown action \"\""));
        assert!(Actions::parse("Any").is_err());
    }
}
