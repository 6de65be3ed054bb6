//! The plugin without WASM.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here fails the test")]

use blockhouse_plugin::test;

use super::*;

fn filter(config: &str) -> Filter {
    test::init(config).unwrap()
}

/// The body as it is delivered, `None` if it is not.
fn deliver(config: &str, properties: &[(&str, &str)], body: &str) -> Option<String> {
    let batch = test::Batch::of("t").message(properties, body.as_bytes());
    let answer = batch.deliver(&mut filter(config), &test::context());
    if answer.keep.first().is_some_and(|bits| bits & 1 == 0) {
        return None;
    }
    let body = answer.bodies.first().map_or(body.as_bytes(), |other| &other.body);
    Some(String::from_utf8(body.to_vec()).unwrap())
}

fn mask(paths: &str, body: &str) -> Option<String> {
    deliver(&format!(r#"{{"mask":[{paths}]}}"#), &[], body)
}

#[test]
fn only_the_masked_values_differ_from_the_stored_body() {
    let body = "{ \"id\": 12345678901234567890.10, \"card\":\"4111111111111111\",\n \"z\":1,\"a\":{\"card\":true}}";
    let masked = body.replace("\"4111111111111111\"", "\"***\"");
    assert_eq!(mask(r#"{"path":"$.card"}"#, body).unwrap(), masked);
}

#[test]
fn paths_reach_into_lists_and_names_with_spaces() {
    let body = r#"{"items":[{"iban":"a","n":1},{"iban":null},7],"a name":{"b":[1,2]}}"#;
    let found = mask(r#"{"path":"$.items[*].iban"},{"path":"$['a name'].b[1]"}"#, body).unwrap();
    assert_eq!(
        found,
        r#"{"items":[{"iban":"***","n":1},{"iban":"***"},7],"a name":{"b":[1,"***"]}}"#
    );
    assert_eq!(mask(r#"{"path":"$[*]"}"#, r#"[1,{"x":2}]"#).unwrap(), r#"["***","***"]"#);
    assert_eq!(mask(r#"{"path":"$.none"}"#, body).unwrap(), body);
}

#[test]
fn a_name_that_is_there_twice_hides_nothing() {
    let found = mask(r#"{"path":"$.pin"}"#, r#"{"pin":1,"pin":2,"p\u0069n":3}"#).unwrap();
    assert_eq!(found, r#"{"pin":"***","pin":"***","p\u0069n":"***"}"#);
}

#[test]
fn of_masks_within_masks_the_outer_one_wins() {
    for order in [r#"{"path":"$.a"},{"path":"$.a.b"}"#, r#"{"path":"$.a.b"},{"path":"$.a"}"#] {
        assert_eq!(mask(order, r#"{"a":{"b":1},"c":2}"#).unwrap(), r#"{"a":"***","c":2}"#);
    }
}

#[test]
fn never_more_than_a_half_of_a_value_stays() {
    for (value, kept) in
        [("\"4111111111111234\"", "\"***1234\""), ("\"1234\"", "\"***34\""), ("1234", "\"***\"")]
    {
        let found = mask(r#"{"path":"$.c","keep_last":4}"#, &format!(r#"{{"c":{value}}}"#));
        assert_eq!(found.unwrap(), format!(r#"{{"c":{kept}}}"#));
    }
    let found = mask(r#"{"path":"$.c","keep_last":2}"#, r#"{"c":"äöü\"é"}"#).unwrap();
    assert_eq!(found, r#"{"c":"***\"é"}"#);
}

#[test]
fn a_body_that_cannot_be_read_is_not_delivered_when_something_is_to_be_masked() {
    for body in ["\u{0}binary", "{\"card\":\"4111", "", "{} {}"] {
        assert_eq!(mask(r#"{"path":"$.card"}"#, body), None, "{body}");
        let config = r#"{"mask":[{"path":"$.card"}],"deliver_unreadable":true}"#;
        assert_eq!(deliver(config, &[], body).as_deref(), Some(body));
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(mask(r#"{"path":"$[0][0]"}"#, &deep).is_none_or(|body| body == r#"[["***"]]"#));
}

#[test]
fn messages_are_left_out_by_header_and_by_field() {
    let config = r#"{"hide":[{"header":"TAGS","one_of":["debug","trace"]},{"path":"$.test","one_of":[true]}]}"#;
    assert!(deliver(config, &[("TAGS", "debug")], "{}").is_none());
    assert!(deliver(config, &[("TAGS", "order")], "{}").is_some());
    assert!(deliver(config, &[], r#"{"test":true}"#).is_none());
    assert!(deliver(config, &[], r#"{"test":"true"}"#).is_some());
    assert!(deliver(config, &[], "no JSON").is_some());
}

#[test]
fn only_what_matches_is_delivered() {
    let config = r#"{"only":[{"path":"$.amount","at_least":10,"at_most":20},{"header":"vip","exists":true}]}"#;
    for (amount, kept) in [("9.99", false), ("10", true), ("\"20\"", true), ("20.1", false)] {
        let body = format!(r#"{{"amount":{amount}}}"#);
        assert_eq!(deliver(config, &[], &body).is_some(), kept, "{amount}");
    }
    assert!(deliver(config, &[("vip", "1")], "{}").is_some());
    assert!(deliver(config, &[], "{}").is_none());
    let without = r#"{"only":[{"header":"legacy","exists":false}]}"#;
    assert!(deliver(without, &[], "").is_some());
    assert!(deliver(without, &[("legacy", "1")], "").is_none());
}

#[test]
fn bodies_are_asked_for_only_if_a_rule_reads_them() {
    let wants = |config| filter(config).wants().before_deliver_bodies;
    assert_eq!(wants(r#"{"hide":[{"header":"a","exists":true}]}"#), BodyMode::None);
    assert_eq!(wants(r#"{"hide":[{"path":"$.a","exists":true}]}"#), BodyMode::Flat);
    assert_eq!(wants(r#"{"mask":[{"path":"$.a"}]}"#), BodyMode::Flat);
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    for (config, told) in [
        (r#"{"mask":[{"path":"card"}]}"#, "write paths as"),
        (r#"{"mask":[{"path":"$"}]}"#, "write paths as"),
        (r#"{"mask":[{"path":"$.a[x]"}]}"#, "write paths as"),
        (r#"{"mask":[{"path":"$..a"}]}"#, "write paths as"),
        (r#"{"hide":[{"header":"a"}]}"#, "needs one of"),
        (r#"{"hide":[{"exists":true}]}"#, "either `header` or `path`"),
        (r#"{"only":[{"header":"a","path":"$.a","exists":true}]}"#, "either `header` or `path`"),
        (r#"{"masks":[]}"#, "unknown field"),
    ] {
        let found = test::init::<Filter>(config).err().unwrap();
        assert!(found.contains(told), "{config}: {found}");
    }
}
