//! Bodies and headers as types: nothing panics, and what is read is written and read as the same.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests; a failure is a failed test"
)]

#[path = "../fuzz/typed.rs"]
mod typed;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use blockhouse_protocol::{ExtFields, fastjson, frame};
use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// The fields and the body of a frame.
type Parts = (Vec<(String, String)>, Bytes);

static CAPTURED: LazyLock<Vec<Parts>> = LazyLock::new(captured);

/// The captured frames.
fn captured() -> Vec<Parts> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "bin") {
            continue;
        }
        #[expect(clippy::disallowed_methods, reason = "reads what is committed beside it")]
        let mut bytes = BytesMut::from(&std::fs::read(&path).unwrap()[..]);
        if let Ok(Some(command)) = frame::split(&mut bytes, frame::FRAME_LEN_MAX) {
            let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            all.push((command.ext.iter().map(own).collect(), command.body));
        }
    }
    assert!(all.len() > 200, "{} frames", all.len());
    all
}

/// The member names of all captured bodies.
fn collect_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                names.insert(name.clone());
                collect_names(inner, names);
            }
        }
        Value::Array(all) => all.iter().for_each(|inner| collect_names(inner, names)),
        _ => {}
    }
}

fn member_names() -> Vec<String> {
    let mut names = BTreeSet::new();
    for (_, body) in &*CAPTURED {
        if let Ok(value) = fastjson::read::<Value>(body) {
            collect_names(&value, &mut names);
        }
    }
    names.into_iter().filter(|name| name.len() < 40).collect()
}

/// JSON of the right names and the wrong values.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Z_]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = proptest::sample::select(member_names());
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name.clone(), inner.clone(), 0..12).prop_map(Value::from_iter),
            btree_map("[0-9]{1,10}|[a-z@]{0,5}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

#[test]
fn captured_frames_are_read_as_every_type() {
    for (fields, body) in &*CAPTURED {
        typed::bodies(body);
        typed::headers(&fields.iter().map(|(n, v)| (n, v)).collect());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        typed::bodies(&bytes);
    }

    #[test]
    fn any_json_is_read_or_refused(value in json()) {
        typed::bodies(&fastjson::write(&value));
        typed::bodies(&fastjson::write_strict(&value));
    }

    #[test]
    fn damaged_bodies_are_read_or_refused(
        which: Index,
        damage in vec((any::<Index>(), any::<u8>()), 1..6),
        cut: Index,
    ) {
        let mut body = which.get(&CAPTURED).1.to_vec();
        if body.is_empty() {
            return Ok(());
        }
        for (at, value) in damage {
            let at = at.index(body.len());
            body[at] = value;
        }
        typed::bodies(&body);
        typed::bodies(&body[..cut.index(body.len())]);
    }

    #[test]
    fn changed_fields_are_read_or_refused(
        which: Index,
        changes in vec((any::<Index>(), "-?[0-9]{0,20}|true|false|.{0,10}"), 1..4),
    ) {
        let mut fields = which.get(&CAPTURED).0.clone();
        for (at, value) in changes {
            if !fields.is_empty() {
                let at = at.index(fields.len());
                fields[at].1 = value;
            }
        }
        typed::headers(&fields.iter().map(|(n, v)| (n, v)).collect::<ExtFields>());
    }
}
