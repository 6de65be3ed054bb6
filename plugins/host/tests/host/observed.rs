//! What the sample only observes: as native code and as a plugin it is told the same, in the same words.

use std::collections::HashSet;
use std::sync::{Arc, Once};

use blockhouse_conformance::{Native, Rules};
use blockhouse_hook::{
    Ack, AdminCommand, Appended, BrokerRegistration, ConnectionInfo, Credentials, Delivery,
    HookChain, Lifecycle, Outbound, Pull, RouteEntry,
};
use blockhouse_model::{Access, Action, MessageId, PhysicalOffset, QueueId, QueueOffset, Resource};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::rig::{Sample, Shelf, request, sent};

/// A log that takes everything, and keeps nothing: the host keeps what a plugin writes, where somebody
/// listens to its log at all.
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// From now on the host keeps what plugins write.
pub(super) fn listen() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
}

/// What both were told of `happen`, in order. What a plugin is told of itself (its start, its end) is
/// no hook's, and each of its instances is told of the process.
fn both(rules: &str, happen: impl Fn(&HookChain)) -> Vec<String> {
    listen();
    let native = Arc::new(Native::new(Rules::parse(rules).unwrap()));
    let auditor = Shelf::new().auditor;
    happen(&HookChain::new(&[Arc::clone(&native) as _]).audited(&auditor));
    let sample = Sample::new(rules);
    happen(&sample.chain);
    // What is queued comes before the end.
    sample.host.close();
    let lines = sample.host.lines("sample", 0, 1_000).unwrap();
    let mut told: Vec<String> = lines.into_iter().map(|line| line.text).collect();
    told.retain(|line| !line.starts_with("init ") && line != "drained");
    let is_queued =
        |line: &String| ["appended ", "acked ", "audit "].iter().any(|q| line.starts_with(q));
    let mut expected = native.told();
    if !expected.iter().any(|line| line == "stopping") {
        told.retain(|line| line != "stopping");
    }
    // An instance that is made late is told late.
    let mut of_process = HashSet::new();
    told.retain(|line| {
        !["started", "stopping"].contains(&line.as_str()) || of_process.insert(line.clone())
    });
    // Queues go beside each other: only what comes out of one is in order.
    for lines in [&mut told, &mut expected] {
        lines.sort_by_key(|line| {
            is_queued(line).then(|| line.split(' ').next().unwrap_or_default().to_owned())
        });
    }
    assert_eq!(told, expected, "{rules}");
    told
}

const TELL: &str = r#"{"tell": true}"#;

fn connection(id: u64, peer: &str) -> ConnectionInfo {
    let (peer, local) = (peer.parse().unwrap(), "127.0.0.1:9876".parse().unwrap());
    ConnectionInfo { id, peer, local, secure: false }
}

#[test]
fn a_connection_that_was_closed() {
    let peers = ["10.1.2.3:9", "[2001:db8::1]:10911", "[::ffff:10.1.2.4]:11"];
    let told = both(TELL, |chain| {
        for (id, peer) in (1..).zip(peers) {
            chain.connection_closed(&connection(id, peer));
        }
    });
    let closed: Vec<_> = told.iter().filter(|line| line.starts_with("closed ")).collect();
    assert_eq!(closed, ["closed 10.1.2.3:9", "closed [2001:db8::1]:10911", "closed 10.1.2.4:11"]);
}

#[test]
fn messages_that_were_stored() {
    let told = both(TELL, |chain| {
        let place = |topic, offset: u64, body_len| Appended {
            topic,
            queue: QueueId(3),
            queue_offset: QueueOffset(offset),
            id: MessageId {
                host: ([10, 1, 2, 3], 10_911).into(),
                offset: PhysicalOffset(offset << 10),
            },
            body_len,
            properties: "TAGS\u{1}red\u{2}",
        };
        // A plugin has a call for each topic.
        let run = [place("orders", 5, 4), place("orders", 6, 0), place("others", 0, 1 << 20)];
        chain.after_append(&request(Some("ann")), &run);
        chain.after_append(&request(None), &run[..1]);
    });
    let first = ["appended orders/3/5 4", "appended orders/3/6 0", "appended others/3/0 1048576"];
    assert_eq!(told[..3], first);
    assert_eq!(told[3..], ["appended orders/3/5 4"]);
}

#[test]
fn progress() {
    let told = both(TELL, |chain| {
        for (group, queue, offset) in [("g", 1, 9), ("h", 0, 0), ("g", 7, 1 << 40)] {
            let ack =
                Ack { group, topic: "orders", queue: QueueId(queue), offset: QueueOffset(offset) };
            chain.ack(&request(None), &ack);
        }
    });
    assert_eq!(
        told,
        ["acked g orders/1/9", "acked h orders/0/0", "acked g orders/7/1099511627776"]
    );
}

#[test]
fn the_process() {
    let told = both(TELL, |chain| {
        chain.lifecycle(Lifecycle::Started);
        chain.lifecycle(Lifecycle::Stopping);
    });
    assert_eq!(told, ["started", "stopping"]);
}

const DECIDES: &str = r#"{
    "tell": true, "refuse_peers": ["10.9.9.9"], "signatures": {"ann": "right"},
    "deny_accesses": ["pub topic:secret"], "reject_body": "poison", "drop_body": "spam",
    "reroute": {"elsewhere": "other"}, "replace": {"card": "****"}, "deny_pull_groups": ["blocked"],
    "mask": "1234", "hide_tag": "hidden", "deny_commands": ["DELETE_TOPIC_IN_BROKER"],
    "deny_brokers": ["stray"], "keep_brokers": ["c", "a"], "deny_routes": ["gone"]
}"#;

/// Something of each kind that is told.
fn decide(chain: &HookChain) {
    let cx = request(Some("ann"));
    drop(chain.connection_opened(&connection(7, "10.1.2.3:9")));
    drop(chain.connection_opened(&connection(8, "10.9.9.9:9")));
    for signature in ["right", "wrong"] {
        let (signed_fields, body): (&[u8], &[u8]) = (b"f", b"");
        let credentials = Credentials { access_key: "ann", signature, signed_fields, body };
        drop(chain.authenticate(&request(None), &credentials));
    }
    for topic in ["secret", "orders"] {
        let access = Access { action: Action::Pub, resource: Resource::Topic(topic) };
        drop(chain.authorize(&cx, &[access]));
    }
    sent(chain, &["plain", "poison", "spam", "go elsewhere", "a card"]);
    for group in ["blocked", "free"] {
        let (queue, offset) = (QueueId(0), QueueOffset(0));
        let pull = Pull { group, topic: "orders", queue, offset, messages_max: 32 };
        drop(chain.pull(&cx, &pull));
    }
    let message = |properties, stored_body: &'static [u8]| Outbound {
        queue_offset: QueueOffset(0),
        properties,
        stored_body,
        body: None,
        keep: true,
    };
    let mut found =
        [message("TAGS\u{1}hidden\u{2}", b"x"), message("", b"1234"), message("", b"y")];
    let delivery = Delivery { group: "g", topic: "orders", queue: QueueId(0) };
    drop(chain.before_deliver(&cx, &delivery, &mut found));
    for name in ["DELETE_TOPIC_IN_BROKER", "GET_BROKER_CONFIG"] {
        drop(chain.admin_command(&request(None), &AdminCommand { name, target: "orders" }));
    }
    for broker in ["stray", "good"] {
        let (cluster, address) = ("c", "127.0.0.1:10911");
        let told = BrokerRegistration { cluster, broker, broker_id: 0, address, topics: 3 };
        drop(chain.broker_registration(&request(None), &told));
    }
    for topic in ["orders", "gone"] {
        let entry = |b: &str| RouteEntry { broker: b.to_owned(), read_queues: 8, write_queues: 4 };
        drop(chain.route_query(&request(None), topic, &mut ["a", "b", "c"].map(entry).to_vec()));
    }
    chain.connection_closed(&connection(7, "10.1.2.3:9"));
}

#[test]
fn decisions() {
    let told = both(DECIDES, decide);
    let told: Vec<&String> = told.iter().filter(|line| line.starts_with("audit ")).collect();
    for of_kind in [
        " Connection Allowed ",
        " Connection Refused ",
        " Authentication Allowed ",
        " Authentication Refused ",
        " Authorization Refused user:ann ",
        " Send Refused ",
        " Send Dropped ",
        " Send Rerouted ",
        " Send Edited ",
        " Delivery Refused ",
        " Delivery Dropped ",
        " Delivery Edited ",
        " AdminCommand Allowed anonymous GET_BROKER_CONFIG",
        " AdminCommand Refused ",
        " BrokerRegistration Allowed ",
        " BrokerRegistration Refused ",
        " RouteQuery Edited ",
        " RouteQuery Refused ",
    ] {
        assert!(told.iter().any(|line| line.contains(of_kind)), "{of_kind}: {told:#?}");
    }
    let numbered = (1..).zip(&told).all(|(n, line)| line.starts_with(&format!("audit {n} ")));
    assert!(numbered, "{told:#?}");
}
