//! Messages of guests into topics that the operator lists.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::{names, properties};
use blockhouse_package::{Asks, Capability};

use super::under_way::UnderWay;
use crate::contract::imported::publish::{Failure, Host, Property};
use crate::scope::glob;
use crate::state::State;

/// Properties of one message.
const PROPERTIES_MAX: usize = 64;
/// Bytes of what a plugin is told of a refusal.
const WORDS_MAX: usize = 256;

/// A message of a plugin's.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The plugin's binding.
    pub binding: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The property text.
    pub properties: &'a str,
}

/// Why a message is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// It is too large.
    TooLarge,
    /// In words.
    Refused(String),
}

/// Stores what plugins send. Called from threads that may wait, and from some of a runtime.
pub trait Publisher: Send + Sync {
    /// Stores a message and waits until it is stored, `timeout` at most.
    ///
    /// # Errors
    /// It is not stored, or not known to be.
    fn publish(&self, message: &Outgoing<'_>, timeout: Duration) -> Result<(), PublishError>;
}

/// Which topics a plugin may send to, and how.
pub(crate) struct Publish {
    granted: Vec<String>,
    /// What the manifest asks for; `None` where that is whatever is granted.
    asked: Option<Vec<String>>,
    publisher: Arc<dyn Publisher>,
    under_way: UnderWay,
}

impl Publish {
    pub(crate) fn new(
        granted: &[String],
        asks: Option<&Asks>,
        publisher: Arc<dyn Publisher>,
    ) -> Self {
        Self {
            granted: granted.to_vec(),
            asked: asked(asks, Capability::Publish),
            publisher,
            under_way: UnderWay::default(),
        }
    }

    fn covers(&self, topic: &str) -> bool {
        let matches = |patterns: &[String]| patterns.iter().any(|p| is_meant(p, topic));
        matches(&self.granted) && self.asked.as_deref().is_none_or(matches)
    }

    fn send(&self, message: &Outgoing<'_>, left: Duration) -> Result<(), Failure> {
        if !self.covers(message.topic) || names::check_topic(message.topic).is_err() {
            return Err(Failure::NotGranted);
        }
        let _place = self.under_way.enter().ok_or(Failure::OverLimit)?;
        self.publisher.publish(message, left).map_err(|error| match error {
            PublishError::TooLarge => Failure::OverLimit,
            PublishError::Refused(mut words) => {
                words.truncate(words.floor_char_boundary(WORDS_MAX));
                Failure::Refused(words)
            }
        })
    }
}

/// The scopes that the manifest asks for; `None` if it asks for all, or is not there.
pub(super) fn asked(asks: Option<&Asks>, capability: Capability) -> Option<Vec<String>> {
    let of_it = asks?.iter().filter(|ask| ask.capability() == capability);
    of_it.map(|ask| ask.scope().map(str::to_owned)).collect()
}

/// Whether `pattern` means `topic`. Retry and dead-letter topics are the broker's: a star at the
/// beginning does not mean them.
fn is_meant(pattern: &str, topic: &str) -> bool {
    (pattern.starts_with('%') || !topic.starts_with('%')) && glob(pattern, topic)
}

/// The property text of what a guest lists.
fn text(listed: &[Property]) -> Result<String, Failure> {
    let plain = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    if listed.len() > PROPERTIES_MAX {
        return Err(Failure::OverLimit);
    }
    let mut text = String::new();
    for Property { name, value } in listed {
        if !plain(name) || !plain(value) {
            let words = "a property's name or value is empty or has control bytes";
            return Err(Failure::Refused(words.to_owned()));
        }
        properties::push(&mut text, name, value);
        if text.len() > properties::LEN_MAX {
            return Err(Failure::OverLimit);
        }
    }
    Ok(text)
}

impl Host for State {
    fn send(
        &mut self,
        topic: String,
        body: Vec<u8>,
        properties: Vec<Property>,
    ) -> Result<(), Failure> {
        let Some(publish) = &self.shared.publish else { return Err(Failure::NotGranted) };
        let properties = text(&properties)?;
        let (binding, topic) = (&*self.shared.name, &*topic);
        let message = Outgoing { binding, topic, body: &body, properties: &properties };
        publish.send(&message, self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Publisher for Nowhere {
        fn publish(&self, _: &Outgoing<'_>, _: Duration) -> Result<(), PublishError> {
            Err(PublishError::Refused("no".repeat(1_000)))
        }
    }

    fn publish(granted: &[&str], asks: &[&str]) -> Publish {
        let granted: Vec<_> = granted.iter().map(|topic| (*topic).to_owned()).collect();
        let asks: Asks =
            asks.iter().map(|ask| ask.parse::<blockhouse_package::Ask>().unwrap()).collect();
        Publish::new(&granted, Some(&asks), Arc::new(Nowhere))
    }

    #[test]
    fn a_topic_is_both_asked_for_and_granted() {
        let both = publish(&["audit-*", "x"], &["publish:audit-eu*", "log"]);
        assert!(both.covers("audit-eu-1"));
        assert!(!both.covers("audit-us"), "granted only");
        assert!(!both.covers("x"), "granted only");
        assert!(!publish(&["audit-eu"], &["publish:audit-*"]).covers("audit-us"), "asked for only");
        assert!(publish(&["x"], &["publish"]).covers("x"), "asked for without a scope");
        assert!(!publish(&["x"], &["log"]).covers("x"), "not asked for");
        let unsaid = Publish::new(&["x".to_owned()], None, Arc::new(Nowhere));
        assert!(unsaid.covers("x") && !unsaid.covers("y"), "there is no manifest");
    }

    #[test]
    fn a_star_does_not_mean_the_topics_of_the_broker() {
        let all = publish(&["*"], &["publish"]);
        assert!(all.covers("orders"));
        assert!(!all.covers("%RETRY%g") && !all.covers("%DLQ%g"));
        assert!(publish(&["%DLQ%*"], &["publish"]).covers("%DLQ%g"));
        let refused = |topic| {
            let message = Outgoing { binding: "b", topic, body: b"x", properties: "" };
            all.send(&message, Duration::ZERO).unwrap_err()
        };
        assert!(matches!(refused("no topic"), Failure::NotGranted));
        assert!(matches!(refused(""), Failure::NotGranted));
        let Failure::Refused(words) = refused("orders") else { panic!("not asked") };
        assert_eq!(words.len(), WORDS_MAX);
    }

    #[test]
    fn properties_are_bounded_and_plain() {
        let one = |name: &str, value: &str| {
            text(&[Property { name: name.to_owned(), value: value.to_owned() }])
        };
        assert_eq!(one("K", "v").unwrap(), "K\u{1}v\u{2}");
        for (name, value) in [("", "v"), ("K", ""), ("K\u{1}", "v"), ("K", "v\u{2}X\u{1}y")] {
            assert!(matches!(one(name, value), Err(Failure::Refused(_))), "{name:?} {value:?}");
        }
        let long = one("K", &"v".repeat(properties::LEN_MAX));
        assert!(matches!(long, Err(Failure::OverLimit)));
        let many = vec![Property { name: "K".to_owned(), value: "v".to_owned() }; 65];
        assert!(matches!(text(&many), Err(Failure::OverLimit)));
    }
}
