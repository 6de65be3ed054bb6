//! Instances that are not well.

use std::time::Duration;

use blockhouse_hook::Decision;

use super::rig::{Shelf, binding, component, sent};

#[test]
fn an_instance_that_is_not_well_is_replaced_and_counted() {
    for fault in ["error", "trap", "loop"] {
        let shelf = Shelf::new();
        // The first question comes with `init`.
        let rules = format!(r#"{{"faults": {{"health": "{fault}"}}, "fault_after": 1}}"#);
        let bound = binding(&shelf.put(&component("conformance")), &rules);
        let host = shelf.start(vec![bound]).unwrap().unwrap();
        shelf.clock.advance(Duration::from_secs(10));
        // The keeper may be asking at this moment.
        while host.status()[0].unhealthy == 0 {
            host.look();
            std::thread::yield_now();
        }
        assert_eq!(host.status()[0].unhealthy, 1, "{fault}: once in ten seconds");
        let lines = host.lines("sample", 0, 99).unwrap();
        assert!(lines.iter().any(|line| line.text.starts_with("health: ")), "{lines:?}");
        assert_eq!(sent(&shelf.hooks.load(), &["x"])[0].0, Decision::Admit, "{fault}");
        while host.status()[0].instances < 2 {
            std::thread::yield_now();
        }
        host.close();
    }
}

#[test]
fn who_is_well_is_left_alone() {
    let shelf = Shelf::new();
    let bound = binding(&shelf.put(&component("conformance")), "{}");
    let host = shelf.start(vec![bound]).unwrap().unwrap();
    for _ in 0..5 {
        shelf.clock.advance(Duration::from_secs(10));
        host.look();
    }
    let status = host.status();
    assert_eq!((status[0].unhealthy, status[0].loaded), (0, true));
    assert!(host.lines("sample", 0, 99).unwrap().is_empty(), "nothing is said of it");
    host.close();
}
