//! The plugin without WASM.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use blockhouse_plugin::{Principal, test};

use super::*;

fn audit(config: &str) -> Audit {
    test::init(config).unwrap()
}

fn refused() -> Event {
    Event {
        principal: Principal::User("ann".to_owned()),
        reason: "ask somebody".to_owned(),
        ..test::event(Outcome::Refused, "topic:orders-eu,group:billing")
    }
}

#[test]
fn a_decision_is_a_line_in_the_log() {
    let host = test::Host::new();
    let mut audit = audit(r#"{"log":true}"#);
    assert_eq!(audit.audit(&[refused()]), Ok(()));
    let line = r#"{"node":"broker-a","sequence":1,"time_ms":0,"kind":"send","outcome":"refused","principal":"ann","peer":"192.0.2.1:40000","connection":1,"code":310,"action":"Pub","resource":"topic:orders-eu,group:billing","decided_by":"acl","shadow":false,"reason":"ask somebody"}"#;
    assert_eq!(host.lines(), [line]);
}

#[test]
fn what_must_not_leave_is_taken_out() {
    let host = test::Host::new();
    let config = r#"{"log":true,"redact":{"principals":true,"ipv4_prefix":24,"ipv6_prefix":0,
                     "resources":["orders-*"],"reasons":true}}"#;
    audit(config).audit(&[refused()]).unwrap();
    let line = &host.lines()[0];
    for (field, value) in [
        ("principal", "***"),
        ("peer", "192.0.2.0/24"),
        ("resource", "topic:***,group:billing"),
        ("reason", "***"),
    ] {
        assert!(line.contains(&format!(r#""{field}":"{value}""#)), "{field}: {line}");
    }
    assert!(!line.contains("ann") && !line.contains("40000"), "{line}");
}

#[test]
fn patterns_take_out_what_they_match() {
    let with = |pattern: &str, resource: &str| {
        let redact: Redact =
            serde_json::from_str(&format!(r#"{{"resources":["{pattern}"]}}"#)).unwrap();
        redact.resource(resource)
    };
    assert_eq!(with("*", "topic:a"), "topic:***");
    assert_eq!(with("group:*", "topic:a,group:b"), "topic:a,group:***");
    assert_eq!(with("a*c*e", "topic:abcde"), "topic:***");
    assert_eq!(with("a*c*e", "topic:abde"), "topic:abde");
    assert_eq!(with("ab*ba", "topic:aba"), "topic:aba", "pieces do not overlap");
    assert_eq!(with("orders", "orders"), "***", "the target of a command has no kind");
    assert_eq!(with("orders", ""), "");
}

#[test]
fn addresses_keep_their_prefix() {
    let redact: Redact = serde_json::from_str(r#"{"ipv6_prefix":32}"#).unwrap();
    assert_eq!(redact.peer("[2001:db8:1::1]:9".parse().unwrap()), "2001:db8::/32");
    assert_eq!(redact.peer("192.0.2.1:9".parse().unwrap()), "192.0.2.1:9");
    let redact: Redact = serde_json::from_str(r#"{"ipv4_prefix":0}"#).unwrap();
    assert_eq!(redact.peer("192.0.2.1:9".parse().unwrap()), "0.0.0.0/0");
}

#[test]
fn only_the_outcomes_that_are_wanted_are_told() {
    let host = test::Host::new();
    let mut audit = audit(r#"{"log":true,"outcomes":["failed"]}"#);
    let failed = Event { sequence: 2, ..test::event(Outcome::Failed, "topic:orders") };
    audit.audit(&[refused(), failed]).unwrap();
    assert_eq!(host.lines().len(), 1);
    assert!(host.lines()[0].contains(r#""sequence":2"#));
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    for (config, told) in [
        ("{}", "tells nobody"),
        (r#"{"log":true,"outcomes":["no"]}"#, "none of allowed"),
        (r#"{"log":true,"redact":{"ipv4_prefix":33}}"#, "0 to 32"),
        (r#"{"log":true,"redact":{"ipv6_prefix":129}}"#, "0 to 128"),
        (r#"{"http":{"url":"ftp://x"}}"#, "no http address"),
        (r#"{"publish":{"topic":""}}"#, "is empty"),
        (r#"{"logs":true}"#, "unknown field"),
    ] {
        let found = test::init::<Audit>(config).err().unwrap();
        assert!(found.contains(told), "{config}: {found}");
    }
}

#[cfg(not(feature = "http"))]
#[test]
fn what_is_not_built_in_is_refused_and_not_passed_over() {
    let refusal = test::init::<Audit>(r#"{"http":{"url":"https://x/"}}"#).err().unwrap();
    assert!(refusal.contains("built without"), "{refusal}");
}

#[cfg(feature = "http")]
#[test]
fn a_collector_gets_lines_of_json_and_what_it_does_not_take_comes_again() {
    use blockhouse_plugin::http::Response;

    let host = test::Host::new();
    let answer = |status| Ok(Response { status, headers: Vec::new(), body: Vec::new() });
    host.answer_http(answer(503));
    host.answer_http(answer(204));
    let config =
        r#"{"log":true,"http":{"url":"https://audit.example/v1","authorization":"Bearer x"}}"#;
    let mut audit = audit(config);
    let events = [refused(), refused()];
    assert_eq!(audit.audit(&events), Err("the collector answers 503".to_owned()));
    assert_eq!(host.lines(), [""; 0], "no line for what comes again");
    assert_eq!(audit.audit(&events), Ok(()));
    let requests = host.requests();
    assert_eq!((requests.len(), host.lines().len()), (2, 2));
    let body = String::from_utf8(requests[1].body.clone()).unwrap();
    assert_eq!(body.lines().count(), 2);
    assert!(body.ends_with('\n') && body.starts_with(r#"{"node":"broker-a""#), "{body}");
    assert!(
        requests[1].headers.iter().any(|h| h.name == "authorization" && h.value == b"Bearer x")
    );
    assert!(audit.audit(&events).unwrap_err().contains("not reached"), "nothing was laid out");
}

#[cfg(feature = "publish")]
#[test]
fn a_topic_gets_a_message_for_each_decision() {
    let host = test::Host::new();
    let mut audit = audit(r#"{"publish":{"topic":"audit"}}"#);
    assert_eq!(audit.audit(&[refused(), refused()]), Ok(()));
    let published = host.published();
    assert_eq!((published.len(), published[0].topic.as_str()), (2, "audit"));
    assert!(published[0].body.starts_with(b"{\"node\""));
    host.fail_publish(Some(blockhouse_plugin::publish::Failure::NotGranted));
    assert!(audit.audit(&[refused()]).unwrap_err().contains("audit does not take it"));
}
