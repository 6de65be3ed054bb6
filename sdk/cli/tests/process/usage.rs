//! What tools say to who uses them wrongly: once, what was expected, and with exit code 2.

use std::net::TcpListener;

use super::{STOP_MAX, run, standalone, standalone_with, write};

const RULE: &str = "p, user:shop, *, Topic:orders, Pub, -, allow\n";

/// The exit code and what stands on stderr; nothing may stand on stdout.
fn refused(args: &[&str]) -> anyhow::Result<(i32, String)> {
    let (code, stdout, stderr) = run(args)?;
    assert_eq!(stdout, "", "{args:?}: {stderr}");
    Ok((code, stderr))
}

#[test]
fn files_that_are_not_there_are_wrong_use_and_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    write(&dir.path().join("a.csv"), RULE);
    let set = ["--action", "Pub", "--resource", "Topic:t"];
    let cases: &[(&[&str], &str)] = &[
        (&["plugin", "add", "/nofile", "--data", data], "there is no file /nofile"),
        (&["plugin", "deploy", "/nofile"], "there is no file /nofile"),
        (&["plugin", "inspect", "/nofile"], "there is no file /nofile"),
        (&["plugin", "sign", "/nofile", "--key", "/nokey"], "there is no file /nofile"),
        (&["plugin", "verify", "/nofile", "--trust", data], "there is no file /nofile"),
        (&["plugin", "diff", "/nofile", "/nofile"], "there is no file /nofile"),
        (&["plugin", "save", "/nofile", "-o", "x.tar"], "there is no file /nofile"),
        (&["plugin", "load", "/nofile", "--data", data], "there is no file or directory /nofile"),
        (&["plugin", "test", "/nofile"], "there is no file /nofile"),
        (&["plugin", "bench", "/nofile"], "there is no file /nofile"),
        (&["policy", "check", "/nodir"], "there is no directory /nodir"),
        (&["policy", "test", "/nodir"], "there is no directory /nodir"),
        (&["policy", "diff", "/nodir", "/nodir"], "there is no directory /nodir"),
        (&["policy", "apply", "/nodir"], "there is no directory /nodir"),
        (
            &[&["policy", "who-can", "--policies", "/nodir"], &set[..]].concat(),
            "there is no directory /nodir",
        ),
        (
            &[&["policy", "who-can", "--policies", data, "--acls", "/nofile"], &set[..]].concat(),
            "there is no file /nofile",
        ),
        (
            &["policy", "simulate", "--policies", data, "--recorded", "/nofile"],
            "there is no file /nofile",
        ),
        (&["audit", "verify", "/nodir"], "there is no directory /nodir"),
        (&["audit", "verify", data, "--checkpoint", "/nofile"], "there is no file /nofile"),
        (&["flight", "dump", "/nofile"], "there is no file or directory /nofile"),
        (&["admin", "topics", "--tls-ca", "/nofile"], "there is no file /nofile"),
        (&["admin", "users", "import", "/nofile", "--dry-run"], "there is no file /nofile"),
        (
            &["admin", "users", "create", "u", "--secret-file", "/nofile"],
            "there is no file /nofile",
        ),
        (
            &["admin", "topics", "--access-key", "u", "--secret-key-file", "/nofile"],
            "there is no file /nofile",
        ),
        (&["plugin", "keygen", "k", "--dir", "/nodir"], "there is no directory /nodir"),
    ];
    for (args, told) in cases {
        assert_eq!(refused(args).unwrap(), (2, format!("blockhouse: {told}\n")), "{args:?}");
    }
}

#[test]
fn files_of_another_kind_are_wrong_use() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let file = dir.path().join("x.wasm");
    write(&file, "x");
    let file = file.to_str().unwrap();
    let layout =
        "is no layout, which is NAME.tar or a directory; `blockhouse plugin add` takes a component";
    let none =
        "has no records: it is no file of the flight recorder, nor a data directory with one";
    for (args, told) in [
        (&["plugin", "load", file, "--data", data][..], format!("{file} {layout}")),
        (&["flight", "dump", data], format!("{data} {none}")),
        (&["flight", "sum", file], format!("{file} {none}")),
    ] {
        assert_eq!(refused(args).unwrap(), (2, format!("blockhouse: {told}\n")), "{args:?}");
    }
}

#[test]
fn names_that_nothing_can_have_are_wrong_use() {
    for (args, told) in [
        (
            &["admin", "topic", "create", "a b"][..],
            "the specified topic contains illegal characters",
        ),
        (&["admin", "group", "create", "a b"], "the specified group contains illegal characters"),
        (&["admin", "group", "create", ""], "the specified group is blank"),
        (&["produce", "a b", "hello"], "the specified topic contains illegal characters"),
        (&["produce", "t", "hello", "--group", "a b"], "the specified group contains illegal"),
        (&["consume", "a b"], "the specified topic contains illegal characters"),
        (&["consume", "t", "--group", "a b"], "the specified group contains illegal characters"),
        (&["admin", "message", "id", "foo"], "foo is not an offset message id (32 or 56 "),
    ] {
        // No name server is asked.
        let (code, stderr) = refused(&[args, &["-n", "127.0.0.1:1"]].concat()).unwrap();
        assert!(code == 2 && stderr.starts_with(&format!("blockhouse: {told}")), "{code} {stderr}");
    }
}

#[test]
fn what_is_wanted_is_said_with_all_that_there_is() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("a.csv"), RULE);
    let (data, text) = (dir.path().to_str().unwrap(), dir.path().join("a.csv"));
    let set = ["--policies", data, "--resource", "Topic:t", "--action", "Send"];
    let known = "unknown action \"Send\"; there are Pub, Sub, Create, Update, Delete, Get, List\n";
    for (args, told) in [
        (&["flight", "dump"][..], "<DIR|--node <URL>>"),
        (&["flight", "sum"], "<DIR|--node <URL>>"),
        (&["policy", "simulate", "--policies", data], "<--audit <DIR|FILE>|--recorded <FILE>>"),
        (&[&["policy", "explain", "--principal", "user:u"], &set[..]].concat(), known),
        (&[&["policy", "who-can"], &set[..]].concat(), known),
        (&["admin", "log", "bogus"], "must be one of error, warn, info, debug, trace, off, "),
        (&["admin", "topics", "--tls-ca", text.to_str().unwrap()], "there is no certificate in it"),
    ] {
        let (code, stderr) = refused(args).unwrap();
        assert!(code == 2 && stderr.contains(told), "{args:?}: {code} {stderr}");
    }
}

#[test]
fn addresses_without_a_port_are_refused_with_what_is_expected() {
    for args in [
        &["admin", "topics", "-n", "127.0.0.1"][..],
        &["produce", "t", "hello", "-n", "127.0.0.1"],
        &["consume", "t", "-n", "10.0.0.5:9876;127.0.0.1"],
        &["doctor", "-n", "127.0.0.1"],
        &["bench", "produce", "-n", "127.0.0.1"],
        &["bench", "compare", "--a", "127.0.0.1,pid=1", "--b", "10.0.0.5:9876"],
        &["plugin", "test", "--record", "t", "-n", "127.0.0.1"],
        &["policy", "import", "--from", "127.0.0.1"],
        &["admin", "users", "list", "--node", "127.0.0.1"],
        &["admin", "topic", "create", "t", "--broker", "127.0.0.1"],
        &["admin", "config", "show", "127.0.0.1"],
    ] {
        let (code, stderr) = refused(args).unwrap();
        assert_eq!(code, 2, "{args:?}: {stderr}");
        let told = "127.0.0.1 has no port: write 127.0.0.1:9876 for a name server, ";
        assert_eq!(stderr.matches(told).count(), 1, "{args:?}: {stderr}");
        assert!(!stderr.contains("invalid socket address"), "{args:?}: {stderr}");
    }
    let (code, stderr) = refused(&["policy", "import", "--from", "/nofile"]).unwrap();
    assert!(code == 2 && stderr.contains("\"/nofile\" is no address: write HOST:PORT"), "{stderr}");
    let (code, stderr) = refused(&["top", "--once", "--node", "127.0.0.1"]).unwrap();
    assert!(code == 2 && stderr.contains("127.0.0.1: write the node's"), "{stderr}");
}

#[test]
fn why_a_server_cannot_be_reached_is_said_once() {
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let (code, stderr) = refused(&["policy", "import", "--from", &gone.to_string()]).unwrap();
    assert_eq!(code, 1, "{stderr}");
    let first = stderr.lines().next().unwrap_or_default();
    let cause = first.rsplit(": ").next().unwrap_or_default();
    assert_eq!(first.matches(cause).count(), 1, "{stderr}");
    assert_eq!(first.matches("cannot connect").count(), 1, "{stderr}");
    assert!(!stderr.contains("The name server gave this address"), "{stderr}");
}

#[test]
fn tools_for_files_take_no_options_of_servers() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    for option in [
        &["-n", "10.0.0.5:9876"][..],
        &["--timeout-ms", "1"],
        &["--tls"],
        &["--tls-ca", "/nofile"],
        &["--access-key", "me"],
    ] {
        let check = ["admin", "store", "check", "--data", data];
        let (code, stderr) = refused(&[&check[..], option].concat()).unwrap();
        let told = "blockhouse: `admin store` looks at files and asks no server: leave out ";
        assert!(code == 2 && stderr.starts_with(told), "{option:?}: {stderr}");
    }
    for what in ["log", "telemetry", "refusals", "clients"] {
        let (code, stderr) = refused(&["admin", what, "-n", "10.0.0.5:9876"]).unwrap();
        assert!(code == 2 && stderr.contains("with --node"), "{what}: {stderr}");
    }
}

#[test]
fn a_node_without_authentication_is_said_to_have_no_users() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let (namesrv, broker) = (server.address("namesrv").unwrap(), server.address("broker").unwrap());
    for node in [&namesrv, &broker] {
        let list = ["admin", "users", "list", "--node", node, "-n", &namesrv];
        let (code, stderr) = refused(&list).unwrap();
        assert_eq!(code, 1, "{stderr}");
        let told = format!(
            "blockhouse: {node} has no users, since authentication is off there: set authn.enabled = true, "
        );
        assert!(stderr.starts_with(&told), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "no other advice: {stderr}");
    }
}

#[test]
fn own_groups_and_topics_are_shown_if_asked_for() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let listed = |args: &[&str]| {
        let (code, stdout, stderr) = run(&[&["admin", "-n", &namesrv], args].concat()).unwrap();
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    assert_eq!(listed(&["groups"]), "No groups (--system shows RocketMQ's own).\n");
    assert_eq!(listed(&["groups", "--json"]), "{}\n");
    listed(&["group", "create", "mine"]);
    listed(&["topic", "create", "orders"]);
    let own = |groups: &str| groups.contains("TOOLS_CONSUMER") && groups.contains("CID_RMQ_SYS_");
    let (some, all) = (listed(&["groups"]), listed(&["groups", "--system"]));
    assert!(some.contains("mine") && !some.contains("CONSUMER"), "{some}");
    assert!(all.contains("mine") && own(&all), "{all}");
    assert_eq!(listed(&["groups", "--all"]), all);
    let (some, all) = (listed(&["topics"]), listed(&["topics", "--system"]));
    assert!(some.contains("orders") && !some.contains("TBW102"), "{some}");
    assert!(all.contains("orders") && all.contains("TBW102"), "{all}");
    assert_eq!(listed(&["topics", "--all"]), all);
}

#[test]
fn policies_without_tests_are_not_tested() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("a.csv"), RULE);
    let (code, stderr) = refused(&["policy", "test", dir.path().to_str().unwrap()]).unwrap();
    let tests = dir.path().join("tests");
    let told = format!("blockhouse: there is nothing to test: {} has no *.toml ", tests.display());
    assert!(code == 2 && stderr.starts_with(&told), "{code} {stderr}");
}

#[test]
fn what_explain_needs_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("node.toml");
    write(&config, "[plugins]\nenabled = true\n");
    let explain = ["plugin", "explain", "--config", config.to_str().unwrap()];
    let (code, stderr) = refused(&explain).unwrap();
    assert_eq!(code, 2);
    assert!(
        stderr.contains("`send` and `pull` depends on the topic: give --topic NAME"),
        "{stderr}"
    );
    assert!(stderr.contains("(register, admin, connect)"), "{stderr}");
    let (code, stdout, stderr) = run(&[&explain[..], &["--action", "connect"]].concat()).unwrap();
    assert!(code == 0 && stdout.starts_with("no plugin runs for anonymous"), "{stdout}{stderr}");
}

#[test]
fn data_that_is_a_file_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    write(&file, "x");
    let data = file.to_str().unwrap();
    let told = format!("{data} is a file, and a directory is wanted");
    for command in [&["standalone"][..], &["namesrv"], &["config", "show"]] {
        let (code, stderr) = refused(&[command, &["--data", data]].concat()).unwrap();
        assert_eq!((code, &*stderr), (2, &*format!("blockhouse: --data {told}\n")), "{command:?}");
    }
    for args in [
        &["plugin", "add", "x.wasm", "--data", data][..],
        &["plugin", "load", "x.tar", "--data", data],
        &["admin", "store", "check", "--data", data],
        &["admin", "store", "stat", "--data", data],
        &["audit", "query", data],
        &["policy", "check", data],
    ] {
        let (code, stderr) = refused(args).unwrap();
        assert!(
            code == 2 && stderr.starts_with(&format!("blockhouse: {told}")),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn a_log_is_told_as_json_where_that_was_said() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().to_str().unwrap();
    let mut server = standalone_with(dir, &["--set", "audit.enabled=true"]).unwrap();
    server.signal("TERM").unwrap();
    assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
    let (code, text, stderr) = run(&["audit", "checkpoint", dir]).unwrap();
    assert_eq!(code, 0, "{stderr}");
    let (code, told, stderr) = run(&["audit", "checkpoint", dir, "--json"]).unwrap();
    assert_eq!(code, 0, "{stderr}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["checkpoint"], text);
    assert_eq!(told["origin"], text.lines().next().unwrap());
    assert!(told["records"].as_u64().is_some_and(|count| count > 0), "{told}");
    assert_eq!(told["root"], text.lines().nth(2).unwrap());
    let csv = ["audit", "export", dir, "--format", "csv"];
    let (code, stderr) = refused(&[&csv[..], &["--json"]].concat()).unwrap();
    assert!(code == 2 && stderr.contains("contradict each other"), "{stderr}");
    assert_eq!(run(&csv).unwrap().0, 0);
    let (code, stdout, _) = run(&["audit", "export", dir, "--json"]).unwrap();
    assert!(code == 0 && stdout.starts_with('{'), "{stdout}");
}
