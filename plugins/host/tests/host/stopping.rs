//! What instances are told when the process stops, and how long that may take.

use std::time::Duration;

use super::rig::{Shelf, binding, component};

/// Instances of the plugin.
const MANY: u32 = 8;

/// The lines of a plugin that has these rules and many instances, once its host is closed.
fn last_words(rules: &str, before: impl FnOnce(&Shelf)) -> Vec<String> {
    let shelf = Shelf::new();
    let mut bound = binding(&shelf.put(&component("conformance")), rules);
    bound.instances = MANY;
    let host = shelf.start(vec![bound]).unwrap().unwrap();
    // The keeper makes all but the first, and a spare.
    while host.status()[0].instances <= MANY.into() {
        std::thread::yield_now();
    }
    before(&shelf);
    host.close();
    host.lines("sample", 0, 99).unwrap().into_iter().map(|line| line.text).collect()
}

fn count(lines: &[String], what: &str) -> u32 {
    lines.iter().map(|line| u32::from(line.contains(what))).sum()
}

#[test]
fn a_plugin_that_does_not_come_to_an_end_is_waited_for_once() {
    for at in ["process-changed", "drain"] {
        let lines = last_words(&format!(r#"{{"faults": {{"{at}": "loop"}}}}"#), |_| {});
        assert_eq!(count(&lines, "stopping: "), 1, "{at}: {lines:?}");
    }
}

/// Says so each time that an instance is told.
const TOLD: &str = r#"{"faults": {"drain": "trap"}}"#;

#[test]
fn one_that_traps_costs_no_time_and_each_instance_is_told() {
    let lines = last_words(TOLD, |_| {});
    assert!(count(&lines, "stopping: ") >= MANY, "{lines:?}");
}

#[test]
fn nobody_is_told_any_more_when_the_time_is_over() {
    // A second is over before all are told.
    let lines = last_words(TOLD, |shelf| shelf.clock.slow(Duration::from_millis(200)));
    let told = count(&lines, "stopping: ");
    assert!((1..MANY).contains(&told), "{told} of {MANY} were told: {lines:?}");
}
