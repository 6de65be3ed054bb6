//! Any expression is read or refused; what was read matches the tags that it names and says.

use blockhouse_filter::{Subscription, SubscriptionParts, tags};
use blockhouse_model::{Topic, java_hash};
use proptest::prelude::*;

/// Mostly what expressions are made of.
fn expression() -> impl Strategy<Value = String> {
    prop_oneof!["[ab*|\t \u{a0}\u{e4}]{0,40}", any::<String>(), "a{0,20}(\\|\\|b{0,3}){0,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_expression_is_read_or_refused(text in expression(), kind in prop::option::of(".{0,6}")) {
        let Ok(subscription) = Subscription::parse("t", &text, kind.as_deref()) else {
            return Ok(());
        };
        prop_assert!(subscription.supported().is_ok());
        prop_assert!(subscription.codes.is_sorted());
        for tag in &subscription.tags {
            prop_assert!(!tag.is_empty() && !tag.contains("||"));
            prop_assert!(subscription.matches_code(i64::from(java_hash(tag))));
        }
        prop_assert_eq!(subscription.wants_all(), text.is_empty() || text == tags::ALL);
        // What was read says the same when it is read again.
        let again = Subscription::parse("t", &subscription.expression, None).unwrap();
        prop_assert_eq!(again, subscription);
    }

    #[test]
    fn tags_that_were_joined_are_found(
        wanted in prop::collection::hash_set("[a-zA-Z0-9_\u{e4}]{1,8}", 1..10),
        other in "[a-zA-Z0-9_]{9}",
        space in " {0,2}",
    ) {
        let all: Vec<_> = wanted.iter().map(String::as_str).collect();
        let text = all.join(&format!("{space}||{space}"));
        let parsed = tags::parse(&text).unwrap();
        prop_assert_eq!(parsed, Some(all));
        let subscription = Subscription::parse("t", &text, Some("TAG")).unwrap();
        let hash = java_hash(&other);
        let collides = wanted.iter().any(|tag| java_hash(tag) == hash);
        prop_assert_eq!(subscription.matches_code(i64::from(hash)), collides);
    }

    #[test]
    fn any_parts_of_a_heartbeat_are_taken_or_refused(
        text in prop::option::of(expression()),
        kind in prop::option::of(".{0,6}"),
        tags in prop::collection::vec(any::<String>(), 0..5),
        codes in prop::collection::vec(any::<i32>(), 0..5),
        code: i64,
    ) {
        let parts = SubscriptionParts {
            expression: text.as_deref(),
            kind: kind.as_deref(),
            tags,
            codes: codes.clone(),
            sub_version: code,
            class_filter: false,
        };
        let subscription = Subscription::from_parts(Topic::trusted("t"), parts).unwrap();
        prop_assert!(codes.iter().all(|code| subscription.matches_code(i64::from(*code))));
        // Expressions that are not tags pass everything here.
        prop_assert!(subscription.supported().is_ok() || subscription.matches_code(code));
    }
}
