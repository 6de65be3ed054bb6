//! The plugin without WASM.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here fails the test")]

use blockhouse_plugin::raw::Decision;
use blockhouse_plugin::test;

use super::*;

fn acl(config: &str) -> Acl {
    test::init(config).unwrap()
}

fn from(address: &str) -> Context {
    Context {
        peer: format!("{address}:1").parse::<std::net::SocketAddr>().unwrap().into(),
        ..test::context()
    }
}

/// 2026-11-27, a Friday, at a time of day in UTC.
fn friday(hour: u64, minute: u64) -> u64 {
    1_795_737_600_000 + (hour * 60 + minute) * 60_000
}

#[test]
fn quarantine_keeps_out_by_address_and_by_name() {
    let host = test::Host::new();
    let config =
        r#"{"quarantine":{"addresses":["10.1.0.0/16","2001:db8::/32"],"principals":["eve"]}}"#;
    let mut acl = acl(config);
    assert_eq!(acl.authorize(&test::context_of("alice"), &[]), Verdict::Continue);
    assert!(matches!(acl.authorize(&test::context_of("eve"), &[]), Verdict::Reject(_)));
    for (address, admitted) in
        [("10.1.255.1", false), ("10.2.0.1", true), ("[2001:db8:1::1]", false), ("[::1]", true)]
    {
        let verdict = acl.authorize(&from(address), &[]);
        assert_eq!(verdict == Verdict::Continue, admitted, "{address}");
    }
    assert_eq!(host.lines()[0], "quarantine who=eve");
}

#[test]
fn quarantine_keeps_out_clients_by_what_they_call_themselves() {
    let host = test::Host::new();
    let mut acl = acl(r#"{"quarantine":{"clients":["10.1.2.3@*","*@batch-?"]}}"#);
    assert!(acl.wants().client_id);
    let of = |id: Option<&str>| Context { client_id: id.map(str::to_owned), ..test::context() };
    for (id, admitted) in [
        (Some("10.1.2.3@4711"), false),
        (Some("10.9.9.9@batch-7"), false),
        (Some("10.1.2.30@4711"), true),
        (Some("10.9.9.9@batch-77"), true),
        // Who has not said it is not known by it.
        (None, true),
    ] {
        let verdict = acl.authorize(&of(id), &[]);
        assert_eq!(verdict == Verdict::Continue, admitted, "{id:?}");
        let command = Command { name: "DELETE_TOPIC_IN_BROKER".to_owned(), target: "t".to_owned() };
        let verdict = acl.admin_command(&of(id), &command);
        assert_eq!(verdict == Verdict::Continue, admitted, "{id:?}");
    }
    assert_eq!(host.lines()[0], "quarantine who=10.1.2.3@4711");
    // The host is not asked for ids where nobody looks at them.
    assert!(!self::acl(r#"{"quarantine":{"principals":["eve"]}}"#).wants().client_id);
}

#[test]
fn patterns_take_any_bytes_or_one() {
    let glob = |text: &str| Glob::try_from(text.to_owned()).unwrap();
    for (pattern, name) in [
        ("*", ""),
        ("a*", "abc"),
        ("*c", "abc"),
        ("a*b*c", "axxbyybzc"),
        ("a?c", "abc"),
        ("**", "a"),
    ] {
        assert!(glob(pattern).matches(name), "{pattern} {name}");
    }
    for (pattern, name) in [("a", "ab"), ("a?", "a"), ("a*b", "abc"), ("?", ""), ("A", "a")] {
        assert!(!glob(pattern).matches(name), "{pattern} {name}");
    }
    assert!(!glob(&"*a*b".repeat(30)).matches(&"a".repeat(10_000)), "and takes no time");
}

#[test]
fn a_quarantined_address_is_not_even_read() {
    let mut acl = acl(r#"{"quarantine":{"addresses":["192.0.2.1"]}}"#);
    let context = test::context();
    let mut connection =
        ConnectionInfo { id: 1, peer: context.peer, local: context.peer, secure: false };
    assert!(matches!(acl.opened(&connection), Verdict::Reject(_)));
    connection.peer = from("192.0.2.2").peer;
    assert_eq!(acl.opened(&connection), Verdict::Continue);
}

#[test]
fn hours_go_by_the_hosts_clock() {
    let host = test::Host::new();
    let mut acl =
        acl(r#"{"hours":{"from":"08:00","to":"18:00","days":["fri"],"utc_offset_minutes":60}}"#);
    for (now, inside) in [
        (friday(6, 59), false),
        (friday(7, 0), true),
        (friday(16, 59), true),
        (friday(17, 0), false),
        (friday(24 + 8, 0), false),
    ] {
        host.set_time_ms(now);
        let command = Command { name: "DELETE_TOPIC_IN_BROKER".to_owned(), target: "t".to_owned() };
        let verdict = acl.admin_command(&test::context(), &command);
        assert_eq!(verdict == Verdict::Continue, inside, "{now}");
    }
}

#[test]
fn hours_over_midnight_belong_to_the_day_they_begin_on() {
    let host = test::Host::new();
    let mut acl = acl(r#"{"hours":{"from":"22:00","to":"02:00","days":["fri"]}}"#);
    for (now, inside) in [
        (friday(1, 0), false),
        (friday(22, 0), true),
        (friday(25, 59), true),
        (friday(26, 0), false),
        (friday(24 + 22, 0), false),
    ] {
        host.set_time_ms(now);
        let verdict = acl.authorize(&test::context(), &[]);
        assert_eq!(verdict == Verdict::Continue, inside, "{now}");
    }
}

#[test]
fn what_is_over_the_rate_is_refused_until_the_next_second() {
    let host = test::Host::new();
    let mut acl = acl(r#"{"rate":{"messages_per_second":5}}"#);
    let three = (0..3).fold(test::Batch::of("t"), |batch, _| batch.message(&[], b""));
    let alice = test::context_of("alice");
    assert!(three.send(&mut acl, &alice).is_empty());
    let changes = three.send(&mut acl, &alice);
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.message, 2);
    assert!(matches!(&change.decision, Decision::Reject(why) if why.code == Some(FLOW_CONTROL)));
    assert_eq!(three.send(&mut acl, &alice).len(), 3);
    assert!(three.send(&mut acl, &test::context_of("bob")).is_empty());
    host.advance_ms(1000);
    assert!(three.send(&mut acl, &alice).is_empty());
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let host = test::Host::new();
    host.set_kv_full(true);
    let mut acl = acl(r#"{"rate":{"messages_per_second":5}}"#);
    let one = test::Batch::of("t").message(&[], b"");
    assert_eq!(one.send(&mut acl, &test::context()).len(), 1);
    let told = host.lines_at(log::Level::Error);
    assert_eq!(told, ["messages cannot be counted: The plugin has no room left."]);
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    for (config, told) in [
        (r#"{"quarantine":{"addresses":["10.1.0.1/16"]}}"#, "behind the prefix"),
        (r#"{"quarantine":{"addresses":["10.1.0.0/33"]}}"#, "0 to 32 bits"),
        (r#"{"quarantine":{"addresses":["10.1.0.0/"]}}"#, "0 to 32 bits"),
        (r#"{"quarantine":{"addresses":["host"]}}"#, "no internet address"),
        (r#"{"quarantine":{"clients":[""]}}"#, "match nobody"),
        (r#"{"hours":{"from":"24:00","to":"01:00"}}"#, "06:30"),
        (r#"{"rate":{"messages_per_second":0}}"#, "quarantine"),
        (r#"{"rates":{}}"#, "unknown field"),
    ] {
        let found = test::init::<Acl>(config).err().unwrap();
        assert!(found.contains(told), "{config}: {found}");
    }
}
