//! The texts that clients and files send: any of them is read or refused, and what is written is
//! read back.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use blockhouse_model::delay::DelayLevels;
use blockhouse_model::{MessageId, PhysicalOffset, java, java_hash, names, properties};
use proptest::prelude::*;

/// Mostly what such texts are made of.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[\u{1}\u{2}a-cA-F0-9 %|@/*s.\u{e4}]{0,60}", any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_looked_at_without_harm(text in text(), name in text()) {
        let pairs: Vec<_> = properties::pairs(&text).collect();
        prop_assert!(pairs.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
        let first = pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        prop_assert_eq!(properties::find(&text, &name), first);
        let tag = properties::find(&text, properties::TAGS).map_or(0, java_hash);
        prop_assert_eq!(java::tags_code(&text), i64::from(tag));
        if let Some(levels) = DelayLevels::parse(&text) {
            prop_assert!(levels.delay(levels.clamp(i32::MAX)) == levels.delay(levels.count()));
        }
        if names::check_topic(&text).is_ok() || names::check_group(&text).is_ok() {
            prop_assert!(!text.is_empty() && text.len() <= names::STORED_TOPIC_LEN_MAX);
            prop_assert!(!text.contains(['/', '.', '\0', '@']), "it becomes a directory");
        }
    }

    #[test]
    fn delay_levels_do_not_overflow(number in "[0-9]{0,25}", unit in "[smhdx]?") {
        let levels = DelayLevels::parse(&format!("{number}{unit} 1s"));
        prop_assert!(levels.is_none_or(|levels| levels.count() == 2 || number.is_empty()));
    }

    #[test]
    fn properties_come_back(
        wanted in prop::collection::btree_map("[^\u{1}\u{2}]{1,9}", "[^\u{1}\u{2}]{1,9}", 0..8),
        removed: prop::sample::Index,
        before in "[^\u{1}\u{2}]{0,5}",
    ) {
        let mut text = before.clone();
        for (name, value) in &wanted {
            properties::push(&mut text, name, value);
        }
        let read = |text: &str| -> BTreeMap<_, _> {
            properties::pairs(text).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
        };
        prop_assert_eq!(read(&text), wanted.clone());
        let Some(name) = wanted.keys().nth(removed.index(wanted.len().max(1))) else {
            return Ok(());
        };
        properties::set(&mut text, name, "new");
        prop_assert_eq!(properties::find(&text, name), Some("new"));
        properties::remove(&mut text, name);
        prop_assert!(!properties::has(&text, name));
        let mut rest = wanted.clone();
        rest.remove(name);
        prop_assert_eq!(read(&text), rest);
    }

    #[test]
    fn message_ids_come_back(host: SocketAddr, offset: u64) {
        let id = MessageId { host: SocketAddr::new(host.ip(), host.port()), offset: PhysicalOffset(offset) };
        let text = id.to_string();
        prop_assert!(text.len() <= MessageId::TEXT_LEN_MAX);
        prop_assert_eq!(MessageId::parse(&text), Some(id));
        prop_assert_eq!(MessageId::parse(&text.to_lowercase()), Some(id));
    }

    #[test]
    fn any_text_is_a_message_id_or_none(text in prop_oneof!["[0-9A-Fa-f]{32}", "[0-9A-Fa-fx\u{e4}]{0,60}", ".{0,60}"]) {
        if let Some(id) = MessageId::parse(&text) {
            prop_assert_eq!(id.to_string(), text.to_uppercase());
        }
    }
}
