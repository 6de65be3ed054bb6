//! What tools say where there is nothing to be had: that, and not that all is well.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;

use super::clients::Killed;
use super::{PATIENCE, blockhouse, run, standalone, standalone_with};

/// The same as `run` of what may not come to an end.
fn run_that_ends(args: &[&str]) -> anyhow::Result<(i32, String, String)> {
    let mut command = blockhouse(args);
    let mut tool = Killed(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let mut stderr = tool.0.stderr.take().context("no stderr")?;
    let (said, all) = sync_channel(1);
    std::thread::spawn(move || {
        let mut text = String::new();
        // Nobody listens if that took too long.
        drop(stderr.read_to_string(&mut text).map(|_| said.send(text)));
    });
    let stderr = all.recv_timeout(PATIENCE).context("it does not end")?;
    let mut stdout = String::new();
    tool.0.stdout.take().context("no stdout")?.read_to_string(&mut stdout)?;
    let code = tool.0.wait()?.code().context("killed by a signal")?;
    Ok((code, stdout, stderr))
}

#[test]
fn who_may_not_consume_is_told_and_does_not_wait_for_ever() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let on = |args: &[&str]| run(&[args, &["-n", &namesrv]].concat()).unwrap();
    assert_eq!(on(&["produce", "hello", "one"]).0, 0);
    assert_eq!(on(&["admin", "group", "create", "shut", "--disabled"]).0, 0);
    for (group, more, name) in [
        ("g", &["--tag", "||"][..], "SUBSCRIPTION_PARSE_FAILED"),
        ("g", &["--tag", "||", "--follow"], "SUBSCRIPTION_PARSE_FAILED"),
        ("shut", &[], "NO_PERMISSION"),
    ] {
        let consume = ["consume", "hello", "--group", group, "-n", &namesrv];
        let (code, stdout, stderr) = run_that_ends(&[&consume[..], more].concat()).unwrap();
        assert_eq!((code, &*stdout), (1, ""), "{stderr}");
        let begin = format!("blockhouse: cannot consume hello as group {group}: ");
        assert!(stderr.starts_with(&begin) && stderr.contains(name), "{stderr}");
    }
    // Nothing of it stays: the group goes on with what is right.
    let (code, stdout, stderr) = on(&["consume", "hello", "--group", "g"]);
    assert!(code == 0 && stdout.contains("one"), "{stdout}{stderr}");
}

#[test]
fn who_waits_for_a_topic_stops_cleanly() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let mut command = blockhouse(&["consume", "none", "--follow", "-n", &namesrv]);
    let mut tool = Killed(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut told = String::new();
    BufReader::new(tool.0.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "Topic none does not exist yet; waiting for it.\n");
    let kill = Command::new("kill").args(["-INT", &tool.0.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(tool.0.wait().unwrap().code(), Some(0));
}

#[test]
fn filters_take_only_what_a_record_can_be() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    for (args, hint) in [
        (["audit", "query", data, "--outcome", "foo"], "[possible values: allowed, refused, "),
        (["audit", "export", data, "--kind", "foo"], "admin_command, broker_registration, "),
        (
            ["flight", "dump", data, "--code", "nope"],
            "there is no code of that name; give a number",
        ),
        (["flight", "dump", data, "--answer", "busy"], "such as system_busy"),
    ] {
        let (code, stdout, stderr) = run(&args).unwrap();
        assert_eq!((code, &*stdout), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(hint), "{args:?}: {stderr}");
    }
    // What the log says of itself is a kind, too.
    let (code, _, stderr) = run(&["audit", "query", data, "--kind", "audit"]).unwrap();
    assert!(code == 2 && stderr.contains("there is no audit log in"), "{stderr}");
}

#[test]
fn the_last_records_of_no_audit_log_are_none() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let said = |what: &str| run(&["audit", what, data]).unwrap();
    let (code, stdout, stderr) = said("tail");
    assert_eq!((code, &*stdout), (2, ""), "{stderr}");
    let hint = "a node keeps one with audit.enabled = true";
    assert_eq!(stderr, format!("blockhouse: there is no audit log in {data}: {hint}\n"));
    assert_eq!(said("query"), (code, stdout, stderr));
}

#[test]
fn a_topic_is_created_with_1_to_65536_queues() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let create = |queues: &str| {
        run(&["admin", "-n", &namesrv, "topic", "create", "t", "--queues", queues]).unwrap()
    };
    for queues in ["0", "65537"] {
        let (code, _, stderr) = create(queues);
        assert!(code == 2 && stderr.contains("is not in 1..=65536"), "{code} {stderr}");
    }
    for queues in ["1", "65536"] {
        let (code, stdout, stderr) = create(queues);
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.starts_with(&format!("Topic t has {queues} queues on ")), "{stdout}");
    }
}

#[test]
fn a_group_that_no_broker_knows_is_said_to_be_unknown() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let admin = |args: &[&str]| run(&[&["admin", "-n", &namesrv], args].concat()).unwrap();
    for what in ["progress", "clients"] {
        let (code, stdout, stderr) = admin(&[what, "nosuch"]);
        assert_eq!((code, &*stdout), (1, ""), "{what}: {stderr}");
        assert!(stderr.starts_with("blockhouse: there is no group nosuch; "), "{stderr}");
    }
    assert_eq!(admin(&["group", "create", "idle"]).0, 0);
    let nothing = "The group has committed nothing.\n".to_owned();
    assert_eq!(admin(&["progress", "idle"]), (0, nothing, String::new()));
    let nobody = "No client of this group is connected.\n".to_owned();
    assert_eq!(admin(&["clients", "idle"]), (0, nobody, String::new()));
}

#[test]
fn looks_into_the_audit_log_that_alerts_and_findings_name_can_be_run() {
    let findings = include_str!("../../src/doctor/table.rs");
    let rules = include_str!("../../../../dashboards/prometheus/security.rules.yml");
    let board = include_str!("../../../../dashboards/grafana/security-audit.json");
    for source in [findings, rules, board] {
        let mut commands = source.split("blockhouse audit query ").skip(1).peekable();
        assert!(commands.peek().is_some());
        for command in commands {
            let command = command.split(['`', '.', '"']).next().unwrap();
            let words: Vec<_> = command.split_whitespace().collect();
            let (_, _, stderr) = run(&[&["audit", "query"], &words[..]].concat()).unwrap();
            assert_eq!(stderr, "blockhouse: there is no directory DIR\n", "{words:?}");
        }
    }
}

#[test]
fn a_load_of_which_nothing_went_through_has_failed() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let server = standalone_with(data, &["--set", "broker.max_message_size=16"]).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let load = ["--connections", "1", "--in-flight", "1", "--warmup", "0", "--duration", "0.2"];
    let bench = |size: &str| {
        let what = ["bench", "produce", "--namesrv", &namesrv, "--size", size];
        run(&[&what[..], &load[..]].concat()).unwrap()
    };
    let (code, report, stderr) = bench("17");
    assert_eq!(code, 1, "{report}{stderr}");
    assert!(report.contains("refused"), "{report}");
    assert!(stderr.starts_with("blockhouse: no message went through: "), "{stderr}");
    assert_eq!(bench("16").0, 0);
}
