//! What a broker records as traces, changed while it runs.

use serde_json::{Value, json};

use super::{run, standalone, standalone_with};

#[test]
fn sampling_is_changed_for_a_while_and_set_back() {
    let data = tempfile::tempdir().unwrap();
    // Nobody takes the spans, which changes nothing here.
    let more = [
        "--set",
        "telemetry.traces.endpoint=http://127.0.0.1:1",
        "--set",
        "telemetry.traces.head_ratio=0.25",
    ];
    let server = standalone_with(data.path().to_str().unwrap(), &more).unwrap();
    let ops = server.address("ops").unwrap();
    let ask =
        |more: &[&str]| run(&[&["admin", "telemetry", "--node", &ops], more].concat()).unwrap();
    let shown = |more: &[&str]| -> Value {
        let (code, json, stderr) = ask(&[more, &["--json"]].concat());
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&json).unwrap()
    };
    let configured = json!({ "head_ratio": 0.25, "slow_ms": 500, "errors": true });
    let as_configured =
        json!({ "now": configured, "configured": configured, "seconds_left": null });
    assert_eq!(shown(&[]), as_configured);

    let tuned = shown(&["--head-ratio", "1", "--errors", "false", "--minutes", "10"]);
    assert_eq!(tuned["now"], json!({ "head_ratio": 1.0, "slow_ms": 500, "errors": false }));
    assert_eq!(tuned["configured"], configured);
    let left = tuned["seconds_left"].as_u64().unwrap();
    assert!((1..=600).contains(&left), "{left}");
    let (code, table, _) = ask(&[]);
    assert_eq!((code, table.lines().count()), (0, 3), "{table}");
    assert!(table.contains("configured"), "{table}");

    for wrong in [
        &["--head-ratio", "2", "--minutes", "10"][..],
        &["--head-ratio", "1"],
        &["--minutes", "10"],
        &["--errors", "true", "--minutes", "1441"],
        &["--reset", "--minutes", "1"],
    ] {
        let (code, _, stderr) = ask(wrong);
        assert!(code != 0 && !stderr.is_empty(), "{wrong:?}");
    }
    assert_eq!(shown(&[])["now"], tuned["now"], "what is wrong changes nothing");
    assert_eq!(shown(&["--reset"]), as_configured);
}

#[test]
fn a_node_without_traces_says_so() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let ops = server.address("ops").unwrap();
    let (code, _, stderr) = run(&["admin", "telemetry", "--node", &ops]).unwrap();
    assert!(code != 0 && stderr.contains("telemetry.traces.endpoint"), "{stderr}");
}
