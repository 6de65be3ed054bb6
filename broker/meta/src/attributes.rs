//! Attributes of topics and groups: which there are, and how a request changes them.

use std::collections::BTreeMap;

use crate::Error;

/// A change of attributes: `+name` sets, `-name` removes.
pub type Changes = BTreeMap<String, String>;

/// What an attribute's value may be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    OneOf(&'static [&'static str]),
    Range(i64, i64),
}

/// An attribute that RocketMQ knows.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    name: &'static str,
    /// Whether it may be changed after the topic or group was created.
    changeable: bool,
    kind: Kind,
}

/// Which messages a topic is for.
pub const MESSAGE_TYPE: &str = "message.type";
const MESSAGE_TYPES: &[&str] =
    &["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "PRIORITY", "MIXED"];

/// Attributes of topics.
pub const OF_TOPICS: &[Attribute] = &[
    Attribute {
        name: "queue.type",
        changeable: false,
        kind: Kind::OneOf(&["BatchCQ", "SimpleCQ"]),
    },
    Attribute {
        name: "cleanup.policy",
        changeable: false,
        kind: Kind::OneOf(&["DELETE", "COMPACTION"]),
    },
    Attribute { name: MESSAGE_TYPE, changeable: true, kind: Kind::OneOf(MESSAGE_TYPES) },
    Attribute { name: "reserve.time", changeable: true, kind: Kind::Range(-1, i64::MAX) },
];

/// Attributes of groups. RocketMQ 5.4 has this one, earlier ones none.
pub const OF_GROUPS: &[Attribute] =
    &[Attribute { name: "priority.factor", changeable: true, kind: Kind::Range(0, 100) }];

/// Attributes of topics whose messages RocketMQ keeps in another way than others.
const UNSERVED: &[(&str, &str)] = &[("queue.type", "BatchCQ"), ("cleanup.policy", "COMPACTION")];

/// The attribute that makes a topic one that is not served here, if it has one.
#[must_use]
pub fn unserved(attributes: &BTreeMap<String, String>) -> Option<(&'static str, &'static str)> {
    let is_set = |(name, value): &(&str, &str)| attributes.get(*name).is_some_and(|v| v == value);
    UNSERVED.iter().copied().find(is_set)
}

impl Attribute {
    fn check(&self, value: &str) -> Result<(), String> {
        if UNSERVED.contains(&(self.name, value)) {
            return Err(format!("{}={value} is not served here", self.name));
        }
        match self.kind {
            Kind::OneOf(values) if values.contains(&value) => Ok(()),
            Kind::OneOf(values) => Err(format!("{}: value is not in set: {values:?}", self.name)),
            Kind::Range(min, max) => match value.parse::<i64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(format!("{}: value is not in range({min}, {max})", self.name)),
            },
        }
    }
}

/// Reads a request's text: `+a=1,+b=2,-c`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_changes(text: &str) -> Result<Changes, Error> {
    let mut changes = Changes::new();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let (key, value) = match word.split_once('=') {
            Some((key, _)) if !key.starts_with('+') => {
                let problem = format!("add/alter attribute format is wrong: {key}");
                return Err(Error::Attributes(problem));
            }
            Some((key, value)) => (key, value),
            None if !word.starts_with('-') => {
                let problem = format!("delete attribute format is wrong: {word}");
                return Err(Error::Attributes(problem));
            }
            None => (word, ""),
        };
        if changes.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Error::Attributes(format!("key duplication: {key}")));
        }
    }
    Ok(changes)
}

/// The attributes after `changes`, by RocketMQ's rules; `current` is `None` for something new.
///
/// # Errors
/// The rule that the change breaks.
pub fn alter(
    known: &[Attribute],
    current: Option<&BTreeMap<String, String>>,
    changes: &Changes,
) -> Result<BTreeMap<String, String>, Error> {
    let mut after = current.cloned().unwrap_or_default();
    for (key, value) in changes {
        alter_one(known, current, &mut after, (key, value)).map_err(Error::Attributes)?;
    }
    // `+` sorts before `-`, so a name with both was set first.
    let twice = |key: &&String| {
        key.strip_prefix('-').is_some_and(|name| changes.contains_key(&format!("+{name}")))
    };
    match changes.keys().find(twice) {
        Some(key) => Err(Error::Attributes(format!("alter duplication key. key: {key}"))),
        None => Ok(after),
    }
}

fn alter_one(
    known: &[Attribute],
    current: Option<&BTreeMap<String, String>>,
    after: &mut BTreeMap<String, String>,
    (key, value): (&str, &str),
) -> Result<(), String> {
    let (set, name) = match (key.strip_prefix('+'), key.strip_prefix('-')) {
        (Some(name), _) => (true, name),
        (None, Some(_)) if current.is_none() => {
            return Err(format!(
                "only add attribute is supported while creating topic. key: {key}"
            ));
        }
        (None, Some(name)) => (false, name),
        (None, None) => return Err(format!("wrong format key: {key}")),
    };
    let attribute = known
        .iter()
        .find(|attribute| attribute.name == name)
        .ok_or_else(|| format!("unsupported key: {name}"))?;
    if current.is_some() && !attribute.changeable {
        return Err(format!("attempt to update an unchangeable attribute. key: {name}"));
    }
    if set {
        attribute.check(value)?;
        after.insert(name.to_owned(), value.to_owned());
        Ok(())
    } else {
        let found = after.remove(name).map(drop);
        found.ok_or_else(|| format!("attempt to delete a nonexistent key: {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alter_topic(current: Option<&str>, changes: &str) -> Result<String, String> {
        let current = current.map(|text| {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>()
        });
        let changes = parse_changes(changes).map_err(|e| e.to_string())?;
        let after = alter(OF_TOPICS, current.as_ref(), &changes).map_err(|e| e.to_string())?;
        Ok(after.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn attributes_are_set_changed_and_removed() {
        assert_eq!(alter_topic(None, "+message.type=FIFO").unwrap(), "message.type=FIFO");
        let after = alter_topic(Some("message.type=FIFO"), "+message.type=DELAY,+reserve.time=9");
        assert_eq!(after.unwrap(), "message.type=DELAY,reserve.time=9");
        assert_eq!(alter_topic(Some("message.type=FIFO"), "-message.type").unwrap(), "");
        assert_eq!(alter_topic(Some("queue.type=BatchCQ"), "").unwrap(), "queue.type=BatchCQ");
    }

    #[test]
    fn topics_that_are_kept_in_another_way_are_known() {
        let of = |name: &str, value: &str| unserved(&[(name.to_owned(), value.to_owned())].into());
        assert_eq!(of("queue.type", "BatchCQ"), Some(("queue.type", "BatchCQ")));
        assert_eq!(of("cleanup.policy", "COMPACTION"), Some(("cleanup.policy", "COMPACTION")));
        assert_eq!(of("queue.type", "SimpleCQ"), None);
        assert_eq!(of("message.type", "FIFO"), None);
    }

    #[test]
    fn each_broken_rule_is_named() {
        for (current, changes, problem) in [
            (None, "message.type=FIFO", "add/alter attribute format is wrong"),
            (None, "message.type", "delete attribute format is wrong"),
            (None, "-message.type", "only add attribute"),
            (None, "+nonsense=1", "unsupported key: nonsense"),
            (None, "+queue.type=BatchCQ", "queue.type=BatchCQ is not served here"),
            (None, "+cleanup.policy=COMPACTION", "is not served here"),
            (None, "+message.type=ODD", "message.type: value is not in set"),
            (None, "+reserve.time=-2", "reserve.time: value is not in range"),
            (None, "+reserve.time=x", "reserve.time: value is not in range"),
            (None, "+reserve.time=1,+reserve.time=2", "key duplication"),
            (Some("a=b"), "-message.type", "attempt to delete a nonexistent key"),
            (Some("message.type=FIFO"), "+message.type=FIFO,-message.type", "duplication key"),
            (Some("a=b"), "+queue.type=BatchCQ", "attempt to update an unchangeable attribute"),
        ] {
            let error = alter_topic(current, changes).unwrap_err();
            assert!(error.contains(problem), "{changes}: {error}");
        }
    }
}
