//! A plugin's view of batches, answers and the host, without WASM.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::net::SocketAddr;

use blockhouse_plugin::raw::{Decision, PropertyEdit};
use blockhouse_plugin::{
    Address, AfterAppend, Appended, BeforeDeliver, BeforeSend, BodyMode, Changes, Context,
    Deliveries, Delivery, Drafts, EnrichSpan, NoConfig, Node, Outbound, Plugin, Principal,
    Properties, Rejection, Spans, Verdict, clock, http, kv, log, metrics, publish, test,
};

/// Sends by what the tag says; delivers by what the body says.
struct Sample;

impl Plugin for Sample {
    type Config = NoConfig;

    fn init(node: &Node, _config: NoConfig) -> Result<Self, String> {
        log::write(log::Level::Info, "ready", &[("node", &node.name)]);
        Ok(Self)
    }
}

impl BeforeSend for Sample {
    fn before_send(&mut self, _cx: &Context, drafts: &Drafts<'_>, changes: &mut Changes) {
        for draft in drafts.iter() {
            match draft.tag() {
                Some("refuse") => changes.reject(draft.index(), Rejection::new("no")),
                Some("drop") => changes.drop_message(draft.index()),
                Some("move") => changes.reroute(draft.index(), "other"),
                Some("edit") => {
                    changes.set_property(draft.index(), "A", "1");
                    changes.set_body(draft.index(), draft.body_part(1, 2));
                    changes.delete_property(draft.index(), "B");
                }
                _ => {}
            }
        }
    }
}

impl BeforeDeliver for Sample {
    fn before_deliver(
        &mut self,
        _cx: &Context,
        _delivery: &Delivery,
        messages: &Outbound<'_>,
        deliveries: &mut Deliveries,
    ) {
        for message in messages.iter() {
            match &*message.body() {
                b"hide" => deliveries.hide(message.index()),
                b"mask" => {
                    deliveries.set_body(message.index(), "*");
                    deliveries.set_body(message.index(), "****");
                }
                _ => {}
            }
        }
    }
}

impl AfterAppend for Sample {
    fn after_append(&mut self, _cx: &Context, messages: &Appended<'_>) {
        for message in messages.iter() {
            let (place, tag) = (message.queue_offset, message.tag().unwrap_or("none"));
            log::info(&format!("{} {place} {tag} {}", messages.topic(), message.body_size()));
        }
    }
}

impl EnrichSpan for Sample {
    fn enrich_span(&mut self, spans: &mut Spans<'_>) {
        for (index, span, message) in spans.iter() {
            spans.add(index, "about", span.name.clone());
            spans.add(index, "body", String::from_utf8_lossy(&message.body()));
        }
    }
}

blockhouse_plugin::export!(Sample: before_send, before_deliver, after_append, enrich_span);

fn sample() -> Sample {
    test::init("{}").unwrap()
}

#[test]
fn each_message_of_a_batch_gets_its_own_change() {
    let batch = ["keep", "refuse", "drop", "move", "edit"]
        .iter()
        .fold(test::Batch::of("orders"), |batch, tag| {
            batch.message(&[("K", "v"), ("TAGS", tag)], b"body")
        });
    for bodies in [BodyMode::Flat, BodyMode::Lent] {
        let mut batch = batch.clone();
        batch.bodies = bodies;
        let changes = batch.send(&mut sample(), &test::context());
        let [refused, dropped, moved, edited] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(refused.decision, Decision::Reject(Rejection::new("no")));
        assert_eq!((dropped.message, &dropped.decision), (2, &Decision::Drop));
        assert_eq!(moved.decision, Decision::Reroute("other".to_owned()));
        assert_eq!((edited.message, edited.body.as_deref()), (4, Some(&b"od"[..])));
        let [PropertyEdit::Set(set), PropertyEdit::Delete(name)] = edited.properties.as_slice()
        else {
            panic!("{edited:?}")
        };
        assert_eq!((&*set.name, &*set.value, &**name), ("A", "1", "B"));
    }
}

#[test]
fn without_bodies_sizes_are_known_and_nothing_is_read() {
    let mut batch = test::Batch::of("orders").message(&[("TAGS", "edit")], b"body");
    batch.bodies = BodyMode::None;
    let changes = batch.send(&mut sample(), &test::context());
    assert_eq!(changes[0].body.as_deref(), Some(&b""[..]));
}

#[test]
fn changes_come_in_order_and_once_per_message_however_they_are_made() {
    let mut changes = Changes::default();
    changes.set_property(3, "A", "1");
    changes.drop_message(1);
    changes.set_property(2, "A", "2");
    changes.set_property(3, "B", "3");
    changes.drop_message(0);
    let raw = changes.as_raw();
    assert_eq!(raw.iter().map(|change| change.message).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(raw[3].properties.len(), 2);
}

#[test]
fn a_mask_has_a_bit_for_each_message_and_none_if_all_stay() {
    let all = test::Batch::of("t").message(&[], b"a").message(&[], b"mask");
    let answer = all.deliver(&mut sample(), &test::context());
    assert!(answer.keep.is_empty());
    assert_eq!((answer.bodies.len(), &answer.bodies[0].body[..]), (1, &b"****"[..]));
    let nine = (0..9).fold(test::Batch::of("t"), |batch, n| {
        batch.message(&[], if n == 8 { b"hide" } else { b"keep" })
    });
    let answer = nine.deliver(&mut sample(), &test::context());
    assert_eq!((answer.keep.len(), answer.keep[0], answer.keep[1] & 1), (2, u8::MAX, 0));
}

#[test]
fn what_is_observed_and_told_is_there_to_be_looked_at() {
    let host = test::Host::new();
    let mut sample = sample();
    let batch = test::Batch::of("t").message(&[("TAGS", "a")], b"12").message(&[], b"345");
    batch.append(&mut sample, &test::context());
    assert_eq!(host.lines(), ["ready node=broker-a", "t 0 a 2", "t 1 none 3"]);
    assert!(host.lines_at(log::Level::Error).is_empty());
}

#[test]
fn spans_get_their_additions_once_per_span() {
    let mut second = test::span("send");
    second.body_size = 2;
    let spans = [test::span("pull"), second];
    let added = test::enrich(&mut sample(), &spans, &[b"", b"hi"]);
    assert_eq!((added[1].span, added[1].attributes.len()), (1, 2));
    assert_eq!(added[1].attributes[1].value, "hi");
}

#[test]
fn properties_are_read_as_other_readers_of_rocketmq_do() {
    let text = b"A\x011\x02\x01no name\x02no value\x01\x02alone\x02A\x012\x02bad\x01\xff\x02B\x013";
    let pairs: Vec<_> = Properties::of(text).collect();
    assert_eq!(pairs, [("A", "1"), ("A", "2"), ("B", "3")]);
    assert_eq!(Properties::of(b"").next(), None);
}

#[test]
fn addresses_come_back_as_they_went() {
    for text in ["192.0.2.7:10911", "[2001:db8::7]:1", "0.0.0.0:0"] {
        let socket: SocketAddr = text.parse().unwrap();
        assert_eq!(Address::from(socket).socket(), socket);
    }
    let mapped: SocketAddr = "[::ffff:192.0.2.7]:5".parse().unwrap();
    assert_eq!(Address::from(mapped).ip().to_string(), "192.0.2.7");
}

#[test]
fn a_configuration_that_is_not_the_plugins_is_an_error_and_no_trap() {
    assert!(test::init::<Sample>(r#"{"x":1}"#).err().unwrap().contains("unknown field `x`"));
    assert!(test::init::<Sample>("{").is_err());
}

#[test]
fn principals_and_verdicts_read_well() {
    let user = test::context_of("eve").principal;
    assert_eq!((user.user(), user.to_string()), (Some("eve"), "user:eve".to_owned()));
    assert_eq!(Principal::Anonymous.to_string(), "anonymous");
    assert_eq!(Verdict::from(Ok(())), Verdict::Continue);
    assert_eq!(Verdict::from(Err(Rejection::new("no"))), Verdict::reject("no"));
}

#[test]
fn values_end_by_the_clock_and_counts_are_not_prolonged() {
    let host = test::Host::new();
    kv::set("a", b"x", 100).unwrap();
    kv::set("forever", b"y", 0).unwrap();
    assert_eq!(kv::add("n", 2, 100), Ok(2));
    host.advance_ms(60);
    assert_eq!(kv::add("n", 2, 100), Ok(4));
    host.advance_ms(40);
    assert_eq!((kv::get("a"), kv::get("n")), (None, None));
    assert_eq!(kv::get("forever").as_deref(), Some(&b"y"[..]));
    assert_eq!(kv::add("forever", 1, 0), Err(kv::Refusal::NotANumber));
    kv::delete("forever");
    assert_eq!(kv::get("forever"), None);
    host.set_kv_full(true);
    assert_eq!(kv::set("b", b"", 0), Err(kv::Refusal::Full));
    assert_eq!((clock::now_ms(), clock::monotonic_ns()), (100, 100_000_000));
}

#[test]
fn metrics_keep_what_they_were_given() {
    let host = test::Host::new();
    let counter = metrics::Counter::register("seen", "Seen.").unwrap();
    counter.add(1);
    counter.add(2);
    assert_eq!(host.metric("seen").unwrap(), [1.0, 2.0]);
    assert!(metrics::Gauge::register("seen", "Another kind.").is_err());
    assert!(metrics::Histogram::register("Not legal", "").is_err());
    assert_eq!(host.metric("none"), None);
}

#[test]
fn the_network_says_what_the_test_laid_out() {
    let host = test::Host::new();
    let request = http::Request {
        method: "POST".to_owned(),
        url: "https://audit.example/v1".to_owned(),
        headers: Vec::new(),
        body: b"{}".to_vec(),
        timeout_ms: 100,
    };
    let answer = http::Response { status: 204, headers: Vec::new(), body: Vec::new() };
    host.answer_http(Ok(answer.clone()));
    assert_eq!(http::send(&request), Ok(answer));
    assert_eq!(http::send(&request), Err(http::Failure::NotGranted));
    assert_eq!(host.requests(), [request.clone(), request]);
    publish::send("audit", b"x", &[("K", "v")]).unwrap();
    host.fail_publish(Some(publish::Failure::OverLimit));
    assert_eq!(publish::send("audit", b"y", &[]), Err(publish::Failure::OverLimit));
    let published = host.published();
    assert_eq!((published.len(), &*published[0].topic), (1, "audit"));
}
