//! A group's subscription to one topic.

use std::sync::Arc;

use blockhouse_model::{Topic, java_hash};

use crate::{Error, tags};

/// The language of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExpressionKind {
    /// `*` or tags joined by `||`.
    Tag,
    /// A condition over properties.
    Sql92,
    /// One that RocketMQ does not have; kept so that tools see what a client sent.
    Other(Arc<str>),
}

impl ExpressionKind {
    /// Reads the name; no name and an empty one mean tags, as in RocketMQ.
    #[must_use]
    pub fn parse(name: Option<&str>) -> Self {
        match name {
            None | Some("" | "TAG") => Self::Tag,
            Some("SQL92") => Self::Sql92,
            Some(other) => Self::Other(Arc::from(other)),
        }
    }

    /// The name as it travels.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Tag => "TAG",
            Self::Sql92 => "SQL92",
            Self::Other(name) => name,
        }
    }
}

/// What a consumer group wants of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic.
    pub topic: Topic,
    /// The expression's language.
    pub kind: ExpressionKind,
    /// The expression; `*` for everything.
    pub expression: Arc<str>,
    /// The tags of a tag expression, in its order.
    pub tags: Vec<String>,
    /// Their hashes, sorted.
    pub codes: Vec<i32>,
    /// The client's version of the subscription, its milliseconds when it last changed.
    pub sub_version: i64,
    /// RocketMQ's class filter (obsolete): everything matches.
    pub class_filter: bool,
}

/// A subscription as a heartbeat carries it: the client has split the expression itself.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionParts<'a> {
    /// The expression; nothing means `*`.
    pub expression: Option<&'a str>,
    /// The expression's language.
    pub kind: Option<&'a str>,
    /// The tags.
    pub tags: Vec<String>,
    /// Their hashes.
    pub codes: Vec<i32>,
    /// The client's version.
    pub sub_version: i64,
    /// The obsolete class filter.
    pub class_filter: bool,
}

impl Subscription {
    /// Builds a subscription from an expression, as a pull carries it. Its version is 0.
    ///
    /// # Errors
    /// Expressions that say nothing, are beyond the limits or in a language that is not evaluated.
    pub fn parse(topic: &str, expression: &str, kind: Option<&str>) -> Result<Self, Error> {
        let kind = ExpressionKind::parse(kind);
        if kind != ExpressionKind::Tag {
            return Err(Error::Unsupported(Arc::from(kind.name())));
        }
        let found = tags::parse(expression)?;
        let expression = if found.is_none() { tags::ALL } else { expression };
        let tags: Vec<String> = found.into_iter().flatten().map(str::to_owned).collect();
        Ok(Self {
            topic: Topic::trusted(topic),
            kind,
            expression: Arc::from(expression),
            codes: sorted(tags.iter().map(|tag| java_hash(tag)).collect()),
            tags,
            sub_version: 0,
            class_filter: false,
        })
    }

    /// Everything of `topic`.
    #[must_use]
    pub fn all(topic: Topic) -> Self {
        Self {
            topic,
            kind: ExpressionKind::Tag,
            expression: Arc::from(tags::ALL),
            tags: Vec::new(),
            codes: Vec::new(),
            sub_version: 0,
            class_filter: false,
        }
    }

    /// Takes a heartbeat's word for it, in any language: clients of every age compute the hashes
    /// themselves, and what they sent is what tools must show.
    ///
    /// # Errors
    /// Expressions and lists beyond the limits.
    pub fn from_parts(topic: Topic, parts: SubscriptionParts<'_>) -> Result<Self, Error> {
        let expression = parts.expression.filter(|e| !e.is_empty()).unwrap_or(tags::ALL);
        if expression.len() > tags::EXPRESSION_LEN_MAX {
            return Err(Error::TooLong(tags::EXPRESSION_LEN_MAX));
        }
        if parts.tags.len().max(parts.codes.len()) > tags::TAGS_MAX {
            return Err(Error::TooManyTags(tags::TAGS_MAX));
        }
        Ok(Self {
            topic,
            kind: ExpressionKind::parse(parts.kind),
            expression: Arc::from(expression),
            tags: parts.tags,
            codes: sorted(parts.codes),
            sub_version: parts.sub_version,
            class_filter: parts.class_filter,
        })
    }

    /// About how many bytes of memory it takes. Clients decide how long all of its texts are.
    #[must_use]
    pub fn weight(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| size_of::<String>() + tag.len()).sum();
        let texts = self.topic.len() + self.kind.name().len() + self.expression.len();
        size_of::<Self>() + texts + tags + self.codes.len() * size_of::<i32>()
    }

    /// Whether this broker can evaluate the expression.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it cannot.
    pub fn supported(&self) -> Result<(), Error> {
        match &self.kind {
            ExpressionKind::Tag => Ok(()),
            other => Err(Error::Unsupported(Arc::from(other.name()))),
        }
    }

    /// Whether everything matches by tag.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.class_filter || self.kind != ExpressionKind::Tag || *self.expression == *tags::ALL
    }

    /// Whether a queue entry with this tags code may be wanted. Only its lower half counts: that is
    /// the hash. Expressions that are not tags pass everything here; they need the message.
    #[must_use]
    pub fn matches_code(&self, tags_code: i64) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "RocketMQ compares `intValue`")]
        let hash = tags_code as i32;
        self.wants_all() || self.codes.binary_search(&hash).is_ok()
    }
}

fn sorted(mut codes: Vec<i32>) -> Vec<i32> {
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(expression: &str) -> Subscription {
        Subscription::parse("t", expression, None).unwrap()
    }

    #[test]
    fn tag_lists_match_their_hashes_only() {
        let sub = tags("TagA || TagB");
        assert!(sub.matches_code(i64::from(java_hash("TagA"))));
        assert!(sub.matches_code(i64::from(java_hash("TagB"))));
        assert!(!sub.matches_code(i64::from(java_hash("TagC"))));
        assert!(!sub.matches_code(0), "a message without a tag");
        assert_eq!(sub.tags, ["TagA", "TagB"]);
    }

    #[test]
    fn only_the_lower_half_of_the_code_counts() {
        let hash = java_hash("polygenelubricants");
        assert!(hash < 0);
        let sub = tags("polygenelubricants");
        assert!(sub.matches_code(i64::from(hash)), "sign-extended");
        assert!(sub.matches_code(i64::from(hash) & 0xFFFF_FFFF), "zero-extended");
    }

    #[test]
    fn stars_and_empty_expressions_match_everything() {
        for sub in [tags("*"), tags(""), Subscription::all(Topic::trusted("t"))] {
            assert!(sub.matches_code(0) && sub.matches_code(-7), "{sub:?}");
            assert_eq!(&*sub.expression, "*");
        }
        // A blank one is a list without tags: nothing matches, as in RocketMQ.
        assert!(!tags(" ").matches_code(0));
    }

    #[test]
    fn other_languages_are_refused_by_name_and_kept_from_heartbeats() {
        let error = Subscription::parse("t", "a > 1", Some("SQL92")).unwrap_err();
        assert_eq!(error, Error::Unsupported(Arc::from("SQL92")));
        assert!(error.to_string().ends_with("filter message by SQL92"));
        assert!(Subscription::parse("t", "x", Some("")).is_ok());

        let parts = SubscriptionParts {
            expression: Some("a > 1"),
            kind: Some("SQL92"),
            ..Default::default()
        };
        let sub = Subscription::from_parts(Topic::trusted("t"), parts).unwrap();
        assert_eq!(sub.kind.name(), "SQL92");
        assert!(sub.supported().is_err());
    }

    #[test]
    fn heartbeats_are_taken_at_their_word() {
        let parts = SubscriptionParts {
            expression: Some("x"),
            codes: vec![9, -3, 9],
            sub_version: 5,
            ..Default::default()
        };
        let sub = Subscription::from_parts(Topic::trusted("t"), parts).unwrap();
        assert_eq!(sub.codes, [-3, 9]);
        assert!(sub.matches_code(-3) && !sub.matches_code(i64::from(java_hash("x"))));
        let endless =
            SubscriptionParts { codes: vec![0; tags::TAGS_MAX + 1], ..Default::default() };
        assert!(Subscription::from_parts(Topic::trusted("t"), endless).is_err());
    }
}
