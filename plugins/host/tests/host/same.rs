//! One suite for two kinds of hook: the sample as native code and as a plugin decide the same.

use std::sync::Arc;

use blockhouse_conformance::{Native, Rules};
use blockhouse_hook::{
    Ack, AdminCommand, BrokerRegistration, ConnectionInfo, Credentials, Delivery, HookChain,
    Outbound, Pull, RouteEntry,
};
use blockhouse_model::{Access, Action, QueueId, QueueOffset, Resource};

use super::beside::span;
use super::rig::{Sample, Shelf, request, sent};

/// Has `ask` asked of both; what it shows must be the same, and is given.
fn both(rules: &str, ask: impl Fn(&HookChain) -> String) -> String {
    let native = Native::new(Rules::parse(rules).unwrap());
    let native = ask(&HookChain::new(&[Arc::new(native) as _]));
    let plugin = ask(&Sample::new(rules).chain);
    assert_eq!(native, plugin, "{rules}");
    plugin
}

#[test]
fn connections() {
    let opened = |chain: &HookChain| {
        let of = |peer: &str| ConnectionInfo {
            id: 1,
            peer: peer.parse().unwrap(),
            local: "127.0.0.1:9876".parse().unwrap(),
            secure: false,
        };
        let told = ["10.1.2.3:9", "[2001:db8::1]:9", "10.1.2.4:9"]
            .map(|peer| format!("{:?}", chain.connection_opened(&of(peer))));
        chain.connection_closed(&of("10.1.2.3:9"));
        told.join("\n")
    };
    let told = both(r#"{"refuse_peers": ["10.1.2.3", "2001:db8::1"]}"#, opened);
    assert_eq!(told.matches("Reject(").count(), 2, "{told}");
}

#[test]
fn identities() {
    let asked = |chain: &HookChain| {
        let of = |access_key, signature| Credentials {
            access_key,
            signature,
            signed_fields: b"fields",
            body: b"the body",
        };
        [("ann", "right"), ("ann", "wrong"), ("bob", "the body"), ("eve", "right")]
            .map(|(key, sign)| format!("{:?}", chain.authenticate(&request(None), &of(key, sign))))
            .join("\n")
    };
    let told = both(r#"{"signatures": {"ann": "right", "bob": "body"}}"#, asked);
    assert_eq!(told.matches("User").count(), 2, "{told}");
    assert_eq!(told.matches("Err").count(), 1, "{told}");
}

#[test]
fn authorization() {
    let asked = |chain: &HookChain| {
        let of = |user, resource| {
            let accesses = [Access { action: Action::Pub, resource }];
            format!("{:?}", chain.authorize(&request(user), &accesses))
        };
        let asked = [
            of(Some("eve"), Resource::Cluster),
            of(None, Resource::Group("g")),
            of(Some("ann"), Resource::Topic("orders")),
            of(Some("ann"), Resource::Topic("others")),
        ];
        asked.join("\n")
    };
    let rules =
        r#"{"deny_principals": ["eve", "anonymous"], "deny_accesses": ["pub topic:orders"]}"#;
    assert_eq!(both(rules, asked).matches("Reject(").count(), 3);
}

#[test]
fn messages_before_they_are_stored() {
    let rules = r#"{
        "reject_body": "poison", "reject_code": 13, "drop_body": "spam",
        "reroute": {"elsewhere": "other"}, "replace": {"secret": "***"},
        "set_property": {"KEYS": "k"}, "delete_property": ["TAGS"], "bodies": "BODIES"
    }"#;
    let asked = |chain: &HookChain| {
        let bodies = ["plain", "poison", "spam", "go elsewhere", "a secret", ""];
        format!("{:#?}", sent(chain, &bodies))
    };
    for bodies in ["flat", "lent"] {
        let told = both(&rules.replace("BODIES", bodies), asked);
        for word in ["Reject", "13", "Drop", "Reroute", "KEYS"] {
            assert!(told.contains(word), "{bodies}: {word}: {told}");
        }
        assert!(!told.contains("TAGS"), "{told}");
    }
}

#[test]
fn a_burst_is_asked_in_several_calls() {
    let bodies: Vec<String> = (0..100).map(|n| format!("{n} {}", "x".repeat(n))).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let asked = |chain: &HookChain| format!("{:?}", sent(chain, &bodies));
    both(r#"{"reject_body": "7", "batch_max": 9}"#, asked);
    both(r#"{"replace": {"x": "yy"}}"#, asked);
}

#[test]
fn pulls() {
    let asked = |chain: &HookChain| {
        let of = |group| Pull {
            group,
            topic: "orders",
            queue: QueueId(3),
            offset: QueueOffset(5),
            messages_max: 32,
        };
        ["blocked", "free"].map(|g| format!("{:?}", chain.pull(&request(None), &of(g)))).join("\n")
    };
    assert_eq!(both(r#"{"deny_pull_groups": ["blocked"]}"#, asked).matches("Reject(").count(), 1);
}

#[test]
fn messages_before_they_are_delivered() {
    let asked = |chain: &HookChain| {
        let delivery = Delivery { group: "g", topic: "orders", queue: QueueId(0) };
        let bodies: Vec<String> = (0..70).map(|n| format!("{n} card 1234")).collect();
        let mut messages: Vec<Outbound<'_>> = bodies
            .iter()
            .zip(0_u64..)
            .map(|(body, n)| Outbound {
                queue_offset: QueueOffset(n),
                properties: if n % 3 == 0 { "TAGS\u{1}hidden\u{2}" } else { "" },
                stored_body: body.as_bytes(),
                body: None,
                keep: true,
            })
            .collect();
        let verdict = chain.before_deliver(&request(None), &delivery, &mut messages);
        let out = messages.iter().map(|m| format!("{} {:?}", m.keep, m.body)).collect::<Vec<_>>();
        // The body of what is not delivered does not matter.
        let out = out.iter().filter(|line| line.starts_with("true")).cloned().collect::<Vec<_>>();
        format!("{verdict:?}\n{}", out.join("\n"))
    };
    for bodies in ["flat", "lent"] {
        let rules = format!(r#"{{"mask": "1234", "hide_tag": "hidden", "bodies": "{bodies}"}}"#);
        assert_eq!(both(&rules, asked).matches("****").count(), 46);
    }
}

#[test]
fn administration() {
    let asked = |chain: &HookChain| {
        let of = |name| AdminCommand { name, target: "orders" };
        ["DELETE_TOPIC_IN_BROKER", "GET_BROKER_CONFIG"]
            .map(|name| format!("{:?}", chain.admin_command(&request(None), &of(name))))
            .join("\n")
    };
    let told = both(r#"{"deny_commands": ["DELETE_TOPIC_IN_BROKER"]}"#, asked);
    assert_eq!(told.matches("Reject(").count(), 1);
}

#[test]
fn registrations_and_routes() {
    let asked = |chain: &HookChain| {
        let of = |broker| BrokerRegistration {
            cluster: "c",
            broker,
            broker_id: 0,
            address: "127.0.0.1:10911",
            topics: 3,
        };
        let mut told = ["stray", "good"]
            .map(|broker| format!("{:?}", chain.broker_registration(&request(None), &of(broker))))
            .join("\n");
        for topic in ["orders", "gone"] {
            let entry = |broker: &str| RouteEntry {
                broker: broker.to_owned(),
                read_queues: 8,
                write_queues: 4,
            };
            let mut route = ["a", "b", "c"].map(entry).to_vec();
            let verdict = chain.route_query(&request(None), topic, &mut route);
            told += &format!("\n{verdict:?} {route:?}");
        }
        told
    };
    let rules =
        r#"{"deny_brokers": ["stray"], "keep_brokers": ["c", "a"], "deny_routes": ["gone"]}"#;
    let told = both(rules, asked);
    assert_eq!(told.matches("Reject(").count(), 2, "{told}");
}

#[test]
fn spans() {
    let asked = |chain: &HookChain| {
        let mut spans: Vec<_> =
            (0..70).map(|n| span(&format!("A\u{1}{n}\u{2}B\u{1}b\u{2}"))).collect();
        chain.enrich_span(&mut spans);
        let told = spans.iter().map(|span| format!("{:?} {}", span.attributes(), span.dropped()));
        told.collect::<Vec<_>>().join("\n")
    };
    let rules = r#"{"span_attributes": {"a": "A", "b": "B", "c": "C", "topic": "A"}}"#;
    let told = both(rules, asked);
    assert_eq!(told.matches("name: \"b\"").count(), 70, "{told}");
}

#[test]
fn decisions_that_are_told() {
    // Both tell in the same words: the native sample keeps them, the plugin logs them.
    let rules = r#"{"tell": true}"#;
    let native = Arc::new(Native::new(Rules::parse(rules).unwrap()));
    let auditor = Shelf::new().auditor;
    let chain = HookChain::new(&[Arc::clone(&native) as _]).audited(&auditor);
    let command = AdminCommand { name: "DELETE_TOPIC_IN_BROKER", target: "orders" };
    drop(chain.admin_command(&request(Some("ann")), &command));
    let told = ["audit 1 AdminCommand Allowed user:ann DELETE_TOPIC_IN_BROKER orders"];
    assert_eq!(native.told(), told);
    let sample = Sample::new(rules);
    drop(sample.chain.admin_command(&request(Some("ann")), &command));
    sample.host.close();
    let audited = sample.hook("audit-sink");
    assert_eq!((audited.calls, audited.messages, audited.failures.len()), (1, 1, 0));
}

#[test]
fn what_is_told_from_the_queue_arrives_before_the_stop() {
    let sample = Sample::new(r#"{"tell": true}"#);
    let ack = Ack { group: "g", topic: "orders", queue: QueueId(1), offset: QueueOffset(9) };
    sample.chain.ack(&request(None), &ack);
    sample.host.close();
    let status = sample.host.status();
    let acked = status[0].hooks.iter().find(|hook| hook.hook.name() == "ack").unwrap();
    assert_eq!((acked.calls, acked.failures.len(), acked.lost), (1, 0, 0));
}
