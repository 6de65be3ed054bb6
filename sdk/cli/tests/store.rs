//! `blockhouse admin store` on directories that a store wrote.
#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use blockhouse_disk::{Disk, RealDisk, whole};
use blockhouse_model::{ManualClock, QueueId, SysFlag, Timestamp};
use blockhouse_record::Draft;
use blockhouse_store::{Config, NoListener, Parts, Settled, Store};
use serde_json::Value;

fn open(dir: &Path) -> Store {
    let config = Config {
        dir: dir.to_owned(),
        segment_size: 16 << 10,
        queue_file_entries: 100,
        index_slots: 50,
        index_entries: 200,
        max_message_size: 8 << 10,
        write_buffer_size: 256 << 10,
        ..Config::default()
    };
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
    let listener = Arc::new(NoListener);
    Store::open(config, Parts { disk: Arc::new(RealDisk), clock, listener }).unwrap()
}

fn send(store: &Store, n: u32) {
    let body = format!("body-{n}");
    let properties = format!("UNIQ_KEY\u{1}u{n}\u{2}KEYS\u{1}k{n}\u{2}TAGS\u{1}a\u{2}");
    let draft = Draft {
        topic: "orders",
        queue: QueueId(n % 2),
        flag: 0,
        sys_flag: SysFlag(0),
        born_timestamp: Timestamp(1_700_000_000_000),
        born_host: "127.0.0.1:50000".parse().unwrap(),
        store_host: "127.0.0.1:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_offset: 0,
        body: body.as_bytes(),
        properties: &properties,
        wait: true,
    };
    let ticket = store.append(&[draft], &mut Vec::new()).unwrap();
    assert_eq!(ticket.wait(), Settled::PutOk);
}

/// A directory with 200 messages, after a clean stop, with topics and progress.
fn stopped() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (0..200).for_each(|n| send(&store, n));
    store.close().unwrap();
    put(
        dir.path(),
        "config/topics.json",
        r#"{"topicConfigTable":{"orders":{"topicName":"orders"}}}"#,
    );
    put(dir.path(), "config/consumerOffset.json", r#"{"offsetTable":{"orders@g":{0:100,1:7}}}"#);
    dir
}

fn put(dir: &Path, name: &str, text: &str) {
    whole::replace(&RealDisk, &dir.join(name), text.as_bytes()).unwrap();
}

fn scribble(dir: &Path, name: &str, at: u64, bytes: &[u8]) {
    RealDisk.open(&dir.join(name)).unwrap().write_at(bytes, at).unwrap();
}

fn admin(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_blockhouse"))
        .args(["admin", "store"])
        .args(args)
        .arg("--data")
        .arg(dir)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(dir: &Path, args: &[&str]) -> (i32, Value) {
    let (code, out, _) = admin(dir, &[args, &["--json"]].concat());
    (code, serde_json::from_str(&out).unwrap())
}

/// Every file with its bytes.
fn image(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in RealDisk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            all.extend(image(&path));
        } else {
            all.insert(path.clone(), whole::read(&RealDisk, &path).unwrap().unwrap());
        }
    }
    all
}

const LOG: &str = "commitlog/00000000000000000000";

#[test]
fn a_whole_store_is_told_and_not_changed() {
    let dir = stopped();
    let dir = dir.path();
    let before = image(dir);
    let (code, out, _) = admin(dir, &["check"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.ends_with("Nothing is wrong.\n"), "{out}");
    let (code, out, _) = admin(dir, &["stat"]);
    assert_eq!(code, 0);
    assert!(out.contains("200 normal") && out.contains("orders"), "{out}");
    let (code, seen) = json(dir, &["stat"]);
    assert_eq!((code, &seen["log"]["records"]), (0, &Value::from(200)));
    assert_eq!(seen["queues"][1]["max"], 100);
    let (code, out, _) = admin(dir, &["repair"]);
    assert_eq!((code, out.as_str()), (0, "Nothing is wrong, and there is nothing to do.\n"));
    assert_eq!(image(dir), before);
}

#[test]
fn records_are_printed_as_lines_and_as_json() {
    let dir = stopped();
    let dir = dir.path();
    let (code, out, _) = admin(dir, &["dump", "--key", "k7", "--body"]);
    assert_eq!((code, out.lines().count()), (0, 1));
    assert!(out.contains(" orders/1@3 ") && out.ends_with("body-7\n"), "{out}");
    let (code, out, _) = admin(dir, &["dump", "--queue", "1", "--limit", "3", "--json"]);
    let lines: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((code, lines.len()), (0, 3));
    assert_eq!((&lines[2]["offset"], &lines[2]["msgId"]), (&2.into(), &"u5".into()));
    assert_eq!(lines[2].get("body"), None);
    let from = lines[2]["position"].to_string();
    let (_, out, _) = admin(dir, &["dump", "--from", &from, "--limit", "1", "--json", "--body"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["body"], "body-5");
}

#[test]
fn what_cannot_be_looked_at_is_code_2() {
    let dir = stopped();
    let store = open(dir.path());
    for args in [&["check"][..], &["stat"], &["dump"], &["repair"], &["repair", "--yes"]] {
        let (code, out, err) = admin(dir.path(), args);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("stop it first"), "{err}");
    }
    drop(store);
    let (code, _, err) = admin(&dir.path().join("none"), &["check"]);
    assert!(code == 2 && err.contains("is no data directory"), "{err}");
    let (code, _, err) = admin(dir.path(), &["check", "--delay-levels", "soon"]);
    assert!(code == 2 && err.contains("--delay-levels"), "{err}");
    assert_eq!(admin(dir.path(), &["check", "--segment-size", "7"]).0, 2);
}

#[test]
fn damage_inside_the_log_needs_leave_to_be_skipped() {
    let dir = stopped();
    let dir = dir.path();
    let at = json(dir, &["dump", "--key", "k9"]).1["position"].as_u64().unwrap();
    scribble(dir, LOG, at + 90, b"!");
    let before = image(dir);
    let (code, found) = json(dir, &["check"]);
    assert_eq!((code, &found["lost"][0]["offset"]), (1, &Value::from(4)));
    assert_eq!(found["findings"][0]["kind"], "damaged-range");
    let (code, out, err) = admin(dir, &["repair", "--yes"]);
    assert_eq!(code, 1, "{out}");
    assert!(err.contains("Nothing was changed") && err.contains("--skip-damaged"), "{err}");
    let (code, out, _) = admin(dir, &["repair", "--skip-damaged"]);
    assert_eq!(code, 1);
    assert!(out.contains("placeholders") && out.contains("add --yes"), "{out}");
    let mut after = image(dir);
    // The lock of `--yes` is a file of its own.
    after.retain(|path, _| before.contains_key(path));
    assert_eq!(after, before);
    let (code, out, err) = admin(dir, &["repair", "--skip-damaged", "--yes"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.ends_with("Nothing is wrong.\n"), "{out}");
    let store = open(dir);
    assert_eq!(store.stats().replayed, 0);
    let end = |queue| store.max_offset("orders", QueueId(queue)).0;
    assert_eq!((end(0), end(1)), (100, 100));
    for n in 0..200 {
        let found = store.query("orders", &format!("k{n}"), 9, Timestamp(0), Timestamp(i64::MAX));
        assert_eq!(found.records.len(), usize::from(n != 9), "k{n}");
    }
}

#[test]
fn queues_index_and_offsets_are_mended_and_the_old_files_kept() {
    let dir = stopped();
    let dir = dir.path();
    scribble(dir, "consumequeue/orders/0/00000000000000000000", 100, &[0; 20]);
    let index = RealDisk.list(&dir.join("index")).unwrap().remove(0).name;
    scribble(dir, &format!("index/{index}"), 40, &[9; 8]);
    put(dir, "config/consumerOffset.json", r#"{"offsetTable":{"orders@g":{0:900,1:7}}}"#);
    let (code, out, _) = admin(dir, &["check"]);
    assert_eq!(code, 1);
    for problem in ["queue-entry", "index-file", "wants offset 900, the queue ends at 100"] {
        assert!(out.contains(problem), "{problem}: {out}");
    }
    let (code, done) = json(dir, &["repair", "--yes"]);
    assert_eq!((code, &done["after"]["damage"], &done["clamped"]), (0, &0.into(), &1.into()));
    let saved = Path::new(done["saved"].as_str().unwrap()).to_owned();
    let old = whole::read(&RealDisk, &saved.join("config/consumerOffset.json")).unwrap().unwrap();
    assert!(String::from_utf8(old).unwrap().contains("900"));
    assert!(RealDisk.exists(&saved.join("consumequeue/orders/0/00000000000000000000")));
    assert!(RealDisk.exists(&saved.join(format!("index/{index}"))));
    let bytes = whole::read(&RealDisk, &dir.join("config/consumerOffset.json")).unwrap().unwrap();
    assert!(String::from_utf8(bytes).unwrap().contains("0:100"));
    assert_eq!(admin(dir, &["check"]).0, 0);
}

#[test]
fn metadata_that_cannot_be_read_is_told() {
    let dir = stopped();
    put(dir.path(), "config/topics.json", "{\"topicConf");
    let (code, out, _) = admin(dir.path(), &["check"]);
    assert_eq!(code, 1);
    assert!(out.contains("config/topics.json"), "{out}");
}
