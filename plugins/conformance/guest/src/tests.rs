//! The plugin without WASM. What it decides is tested with the rules; here is what it adds.

use blockhouse_plugin::raw::PropertyEdit;
use blockhouse_plugin::{Authorize as _, test};

use super::*;

fn sample(rules: &str) -> Sample {
    test::init(rules).unwrap()
}

#[test]
fn a_batch_gets_one_change_for_each_message_that_a_rule_names() {
    let mut sample = sample(r#"{"reject_body":"poison","reject_code":13,"replace":{"old":"new"}}"#);
    let batch = test::Batch::of("orders")
        .message(&[], b"fine")
        .message(&[], b"poison")
        .message(&[], b"the old one");
    let changes = batch.send(&mut sample, &test::context());
    let [refused, replaced] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(refused.message, 1);
    assert!(matches!(&refused.decision, Decision::Reject(why) if why.code == Some(13)));
    assert_eq!((replaced.message, &replaced.decision), (2, &Decision::Admit));
    assert_eq!(replaced.body.as_deref(), Some(&b"the new one"[..]));
}

#[test]
fn lent_bodies_are_read_like_flat_ones() {
    let mut sample = sample(r#"{"mask":"secret","hide_tag":"noise","bodies":"lent"}"#);
    let mut batch = test::Batch::of("orders")
        .message(&[("TAGS", "noise")], b"x")
        .message(&[("TAGS", "a")], b"my secret");
    batch.bodies = BodyMode::Lent;
    let lent = batch.deliver(&mut sample, &test::context());
    assert_eq!(lent.keep[0] & 0b11, 0b10);
    assert_eq!(lent.bodies[0].body, b"my ******");
    batch.bodies = BodyMode::Flat;
    assert_eq!(batch.deliver(&mut sample, &test::context()), lent);
}

#[test]
fn properties_are_set_and_taken_out() {
    let mut sample = sample(r#"{"set_property":{"A":"1"},"delete_property":["B","C"]}"#);
    let batch = test::Batch::of("orders").message(&[("B", "2")], b"");
    let changes = batch.send(&mut sample, &test::context());
    let [PropertyEdit::Set(set), PropertyEdit::Delete(name)] = changes[0].properties.as_slice()
    else {
        panic!("{changes:?}")
    };
    assert_eq!((set.name.as_str(), set.value.as_str(), name.as_str()), ("A", "1", "B"));
}

#[test]
#[should_panic(expected = "the sample was told to trap")]
fn a_trap_comes_at_the_call_it_was_asked_for() {
    let mut sample = sample(r#"{"faults":{"authorize":"trap"},"fault_after":1}"#);
    assert_eq!(sample.authorize(&test::context(), &[]), Verdict::Continue);
    sample.authorize(&test::context(), &[]);
}

#[test]
fn init_can_be_told_to_fail() {
    let failed = test::init::<Sample>(r#"{"faults":{"init":"error"}}"#);
    assert_eq!(failed.err().unwrap(), "the sample was told to fail");
}

#[test]
fn what_is_observed_is_told() {
    let host = test::Host::new();
    let mut sample = sample(r#"{"tell":true}"#);
    test::Batch::of("orders").message(&[], b"four").append(&mut sample, &test::context());
    assert_eq!(host.lines(), ["init broker-a test", "appended orders/0/0 4"]);
}

#[test]
fn the_host_is_asked() {
    let host = test::Host::new();
    host.set_time_ms(1000);
    let mut sample = sample(r#"{"ask_host":true}"#);
    sample.authorize(&test::context(), &[]);
    sample.authorize(&test::context(), &[]);
    assert_eq!(host.metric("conformance_calls").unwrap(), [1.0, 1.0]);
    let last = format!("{:?}", Some(b"authorize"));
    let said = format!("asked calls=Ok(2) set=Ok(()) last={last} gone=yes steady=yes now_ms=1000");
    assert_eq!(host.lines()[1], said);
}
