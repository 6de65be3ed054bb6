//! What instances are told when the process serves requests, and how long that may take.

use blockhouse_host::{Binding, Host};

use super::deploy::{deploy, put};
use super::observed::listen;
use super::rig::{Shelf, binding, component, version};

/// Instances of a plugin.
const MANY: u32 = 8;
/// Plugins that do not come to an end: with 100 ms each, more than a second has room for.
const DEAF: usize = 16;
/// Those that a second has room for, and the one that it ends in.
const HEARD_MAX: usize = 11;

const LOOPS: &str = r#"{"faults": {"process-changed": "loop"}}"#;

fn lines(host: &Host, name: &str) -> Vec<String> {
    let lines = host.lines(name, 0, 99).unwrap();
    lines.into_iter().map(|line| line.text).collect()
}

/// How often it was waited for when it was told of the start.
fn waited(host: &Host, name: &str) -> usize {
    lines(host, name).iter().filter(|line| line.starts_with("started: ")).count()
}

fn live(host: &Host, name: &str) -> u64 {
    host.status().iter().find(|status| status.name == name).unwrap().instances
}

/// Bindings of plugins that do not come to an end, in front of one that says what it is told.
fn crowd(shelf: &Shelf) -> Vec<Binding> {
    listen();
    let digest = shelf.put(&version("1.0.0"));
    let deaf = (0..DEAF).map(|n| (format!("deaf-{n:02}"), LOOPS));
    let all = deaf.chain([("last".to_owned(), r#"{"tell": true}"#)]);
    let bound = all.map(|(name, rules)| Binding { name, ..binding(&digest, rules) });
    (0..).zip(bound).map(|(order, bound)| Binding { order, ..bound }).collect()
}

/// How many of them were waited for. The last one, which nobody had time for, has instances that know.
fn heard(host: &Host) -> usize {
    while !lines(host, "last").iter().any(|line| line == "started") {
        std::thread::yield_now();
    }
    (0..DEAF).map(|n| waited(host, &format!("deaf-{n:02}"))).sum()
}

#[test]
fn a_plugin_that_does_not_come_to_an_end_is_waited_for_once() {
    let shelf = Shelf::new();
    let mut bound = binding(&shelf.put(&component("conformance")), LOOPS);
    bound.instances = MANY;
    let host = shelf.start(vec![bound]).unwrap().unwrap();
    // The keeper makes all but the first, and a spare.
    while live(&host, "sample") <= MANY.into() {
        std::thread::yield_now();
    }
    host.process_started();
    assert_eq!(waited(&host, "sample"), 1, "{:?}", lines(&host, "sample"));
    host.close();
}

#[test]
fn all_together_have_a_second_at_the_start() {
    let shelf = Shelf::new();
    let host = shelf.start(crowd(&shelf)).unwrap().unwrap();
    host.process_started();
    assert!((1..=HEARD_MAX).contains(&heard(&host)), "{}", heard(&host));
    host.close();
}

#[test]
fn all_together_have_a_second_in_a_deploy() {
    let shelf = Shelf::new();
    let host = shelf.start(Vec::new()).unwrap().unwrap();
    host.process_started();
    let deploys = crowd(&shelf).into_iter().map(|bound| deploy(&bound.name.clone(), bound));
    assert_eq!(put(&host, deploys.collect()), Ok(1));
    assert!((1..=HEARD_MAX).contains(&heard(&host)), "{}", heard(&host));
    host.close();
}
