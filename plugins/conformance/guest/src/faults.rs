//! Ways to misbehave.

use std::hint::black_box;

use blockhouse_conformance::Fault;
use blockhouse_plugin::raw::{Addition, Decision, Property, PropertyEdit, Replacement};
use blockhouse_plugin::{Changes, Deliveries, Spans, log};

use crate::{admitted, words::index};

/// More than any limit of an answer.
pub(crate) const LONG: usize = 8 << 20;

/// How many lines are too many.
const MANY: u32 = 1_000_000;
/// How many calls no machine has behind it within a deadline: a million take some milliseconds.
const ENDLESS: u32 = 1_000_000_000;

/// A text that no limit allows.
pub(crate) fn long() -> String {
    "x".repeat(LONG)
}

/// Does what needs no answer.
pub(crate) fn perform(fault: Fault) {
    match fault {
        Fault::Trap => panic!("the sample was told to trap"),
        Fault::Loop => spin(),
        Fault::Grow => grow(),
        Fault::Recurse => {
            black_box(recurse(black_box(1)));
        }
        Fault::HostCalls => {
            for _ in 0..ENDLESS {
                black_box(log::enabled(log::Level::Trace));
            }
        }
        Fault::LogFlood => {
            let line = "flood ".repeat(64 * 1024 / 6);
            for _ in 0..MANY {
                log::info(&line);
            }
        }
        _ => {}
    }
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
        // Else the compiler may see a loop without an end, and what follows as unreachable.
        if turns == u64::MAX {
            return;
        }
    }
}

fn grow() {
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "the fault that is asked for")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(depth + 1) + frame[0]
}

/// Makes the answer of a before-send hook illegal.
pub(crate) fn spoil_changes(fault: Fault, changes: &mut Changes, count: usize) {
    let set = |name: &str, value: &str| {
        PropertyEdit::Set(Property { name: name.to_owned(), value: value.to_owned() })
    };
    let mut first = admitted(0);
    match fault {
        Fault::IndexBeyond => first.message = index(count),
        Fault::IndexTwice => changes.as_raw().push(admitted(0)),
        Fault::Oversized => first.body = Some(vec![b'x'; LONG]),
        Fault::IllegalName => first.properties.push(set("a\u{1}b\u{2}c", "v")),
        Fault::EmptyName => first.properties.push(set("", "v")),
        Fault::IllegalTopic => {
            first.decision = Decision::Reroute("../no legal topic\u{0}".to_owned());
        }
        Fault::TooManyEdits => {
            first.properties.extend((0..10_000).map(|n| set(&format!("name-{n}"), "v")));
        }
        _ => return,
    }
    if fault != Fault::IndexTwice {
        changes.as_raw().retain(|change| change.message != 0);
    }
    changes.as_raw().insert(0, first);
}

/// Makes the answer of a before-deliver hook illegal.
pub(crate) fn spoil_deliveries(fault: Fault, deliveries: &mut Deliveries, count: usize) {
    let answer = deliveries.as_raw();
    let body = |message, size| Replacement { message, body: vec![b'x'; size] };
    match fault {
        Fault::MaskLength => answer.keep = vec![u8::MAX; count.div_ceil(8) + 1],
        Fault::IndexBeyond => answer.bodies.push(body(index(count), 1)),
        Fault::IndexTwice => answer.bodies = vec![body(0, 1), body(0, 1)],
        Fault::Oversized => answer.bodies = vec![body(0, LONG)],
        _ => {}
    }
}

/// Makes the answer of an enrich-span hook illegal.
pub(crate) fn spoil_spans(fault: Fault, spans: &mut Spans<'_>, count: usize) {
    match fault {
        Fault::IndexBeyond => spans.add(index(count), "beyond", "v"),
        Fault::IndexTwice => {
            let addition = || Addition { span: 0, attributes: Vec::new() };
            spans.as_raw().extend([addition(), addition()]);
        }
        Fault::Oversized => spans.add(0, "long", long()),
        Fault::IllegalName => spans.add(0, "a\u{1}\nb", "v"),
        Fault::EmptyName => spans.add(0, "", "v"),
        Fault::TooManyEdits => (0..10_000).for_each(|n| spans.add(0, format!("name-{n}"), "v")),
        _ => {}
    }
}
