//! The binary as a process: what it prints, how it stops, what it refuses.

#[path = "process/clients.rs"]
mod clients;
#[path = "process/hangup.rs"]
mod hangup;
#[path = "process/manager.rs"]
mod manager;
#[path = "process/telemetry.rs"]
mod telemetry;
#[path = "process/tools.rs"]
mod tools;
#[path = "process/usage.rs"]
mod usage;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Far above what anything here takes; only a test that is going to fail waits this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// What operators are promised.
const STOP_MAX: Duration = Duration::from_secs(5);

fn blockhouse(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blockhouse"));
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> anyhow::Result<(i32, String, String)> {
    let Output { status, stdout, stderr } = blockhouse(args).output()?;
    let code = status.code().context("killed by a signal")?;
    Ok((code, String::from_utf8(stdout)?, String::from_utf8(stderr)?))
}

/// A running server; killed when dropped.
struct Server {
    pid: u32,
    lines: Receiver<String>,
    ended: Receiver<ExitStatus>,
    is_reaped: bool,
    printed: Vec<String>,
}

impl Server {
    /// Starts a server and waits for `ready`.
    fn start(args: &[&str]) -> anyhow::Result<Self> {
        Self::run(&mut blockhouse(args))
    }

    fn run(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let pid = child.id();
        let stdout = child.stdout.take().context("no stdout")?;
        let (line_out, lines) = sync_channel(100);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line_out.send(line).is_err() {
                    return;
                }
            }
        });
        let mut server =
            Self { pid, lines, ended: watch(child), is_reaped: false, printed: Vec::new() };
        loop {
            let line = server.lines.recv_timeout(PATIENCE).context("no more lines")?;
            if line == "ready" {
                return Ok(server);
            }
            server.printed.push(line);
        }
    }

    /// The address in the line of a listener.
    fn address(&self, listener: &str) -> anyhow::Result<String> {
        let mut lines = self.printed.iter().filter(|line| line.starts_with(listener));
        let line = lines.next().with_context(|| format!("no {listener} in {:?}", self.printed))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().to_owned())
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid.to_string()).status()?;
        if sent.success() { Ok(()) } else { bail!("kill failed") }
    }

    fn end(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let status = self.ended.recv_timeout(patience).context("it still runs")?;
        self.is_reaped = true;
        Ok(status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_reaped && self.ended.try_recv().is_err() {
            // Nothing more can be done about one that cannot be killed.
            drop(self.signal("KILL"));
        }
    }
}

fn watch(mut child: Child) -> Receiver<ExitStatus> {
    let (ended_out, ended) = sync_channel(1);
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _nobody_waits = ended_out.send(status);
        }
    });
    ended
}

fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_name_server_says_where_it_listens_is_ready_and_stops_cleanly() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let flags = ["namesrv", "--namesrv-listen", "0", "--ops-listen", "0", "--data", data];
    let mut server = Server::start(&flags).unwrap();
    assert!(TcpStream::connect(server.address("namesrv").unwrap()).is_ok());
    let ops = server.address("ops").unwrap();
    assert!(get(&ops, "/healthz").unwrap().starts_with("HTTP/1.1 200 "));
    assert!(get(&ops, "/readyz").unwrap().ends_with("ready\n"));
    let metrics = get(&ops, "/metrics").unwrap();
    assert!(metrics.contains("node_type=\"namesrv\""), "{metrics}");
    assert!(get(&ops, "/v1/info").unwrap().contains("\"role\": \"namesrv\""));
    server.signal("TERM").unwrap();
    assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
}

/// Sends one remoting request and returns the whole answer as text.
fn ask(address: &str, code: i32, fields: &str, body: &str) -> anyhow::Result<String> {
    let header = format!(
        "{{\"code\":{code},\"language\":\"JAVA\",\"version\":475,\"opaque\":1,\"flag\":0,\
         \"serializeTypeCurrentRPC\":\"JSON\",\"extFields\":{{{fields}}}}}"
    );
    let length = |len: usize| u32::try_from(len).map(u32::to_be_bytes);
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&length(4 + header.len() + body.len())?)?;
    stream.write_all(&length(header.len())?)?;
    stream.write_all(header.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut prefix = [0_u8; 4];
    stream.read_exact(&mut prefix)?;
    let mut answer = vec![0_u8; usize::try_from(u32::from_be_bytes(prefix))?];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn standalone(data: &str) -> anyhow::Result<Server> {
    standalone_with(data, &[])
}

fn standalone_with(data: &str, more: &[&str]) -> anyhow::Result<Server> {
    let listen = ["--namesrv-listen", "0", "--broker-listen", "0", "--ops-listen", "0"];
    let server = Server::start(&[&["standalone", "--data", data], &listen[..], more].concat())?;
    let ops = server.address("ops")?;
    // Ready comes with the name server's answer to the first report, soon after the line.
    for _ in 0..10_000 {
        if get(&ops, "/readyz")?.ends_with("ready\n") {
            return Ok(server);
        }
    }
    bail!("not ready: {}", get(&ops, "/readyz")?)
}

#[test]
fn a_message_outlives_a_clean_restart_and_the_data_has_one_owner() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let mut server = standalone(data).unwrap();
    let broker = server.address("broker").unwrap();
    let send = "\"a\":\"g\",\"b\":\"T\",\"c\":\"TBW102\",\"d\":\"4\",\"e\":\"0\",\"f\":\"0\",\
                \"g\":\"1\",\"h\":\"0\",\"i\":\"\",\"j\":\"0\",\"k\":\"false\",\"m\":\"false\"";
    let answer = ask(&broker, 310, send, "hello").unwrap();
    assert!(answer.contains("\"code\":0") && answer.contains("\"queueOffset\":\"0\""), "{answer}");
    assert!(ask(&broker, 26, "", "").unwrap().contains("brokerName=broker-a"));
    let metrics = get(&server.address("ops").unwrap(), "/metrics").unwrap();
    let counted = "blockhouse_requests_total{request_code=\"send_message_v2\",\
                   response_code=\"success\"";
    assert!(metrics.contains(counted), "{metrics}");

    let namesrv = server.address("namesrv").unwrap();
    let listen = ["--broker-listen", "0", "--ops-listen", "off"];
    let second = [&["broker", "--data", data, "--namesrv", &namesrv], &listen[..]].concat();
    let (code, _, stderr) = run(&second).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("is in use by another process"), "{stderr}");
    assert!(stderr.contains("no flight recorder: another process works on "), "{stderr}");

    server.signal("TERM").unwrap();
    assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
    let mut server = standalone(data).unwrap();
    let broker = server.address("broker").unwrap();
    let max = ask(&broker, 30, "\"topic\":\"T\",\"queueId\":\"0\"", "").unwrap();
    assert!(max.contains("\"offset\":\"1\""), "{max}");
    server.signal("INT").unwrap();
    assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_a_sentence_and_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let flags = ["namesrv", "--namesrv-listen", &address, "--ops-listen", "off", "--data", data];
    let (code, stdout, stderr) = run(&flags).unwrap();
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&address) && stderr.contains("--namesrv-listen"), "{stderr}");
}

#[test]
fn wrong_configuration_is_one_sentence_and_code_2() {
    let cases: [(&[&str], &str); 11] = [
        (
            &["broker", "--set", "store.flsh=sync"],
            "blockhouse: there is no option `store.flsh` (--set store.flsh); did you mean \
             `store.flush`?\n",
        ),
        (
            &["namesrv", "--namesrv-listen", "0.0.0.0:9876"],
            "blockhouse: --namesrv-listen 0.0.0.0:9876 is not a loopback address, and \
             clients may talk in plaintext: set tls.mode to enforcing (docs/tls.md), or listen on \
             127.0.0.1, or add --insecure if the network is trusted\n",
        ),
        (
            &["standalone", "--broker-listen", "0.0.0.0:10911", "--insecure"],
            "blockhouse: --broker-listen 0.0.0.0:10911 listens everywhere, so clients cannot be \
             told where: add --advertise IP with the address they can reach\n",
        ),
        (
            &["broker", "--advertise", "here"],
            "blockhouse: `node.advertise` cannot be \"here\" (--advertise): invalid IP address \
             syntax\n",
        ),
        (
            &["standalone", "--broker-listen", "here:1"],
            "blockhouse: `node.broker_listen` cannot be \"here:1\" (--broker-listen): it must be \
             IP:PORT\n",
        ),
        (
            &["broker", "--config", "/nonexistent/b.toml"],
            "blockhouse: cannot read /nonexistent/b.toml: No such file or directory (os error 2)\n",
        ),
        (
            &["standalone", "--log", "bogus"],
            "blockhouse: `log.level` must be one of error, warn, info, debug, trace, off, or a \
             filter by crate such as `info,blockhouse_store=debug`, not \"bogus\" (--log)\n",
        ),
        (
            &["broker", "--namesrv", "bad:x"],
            "blockhouse: `node.namesrv` must be a list of HOST:PORT, not [\"bad:x\"] (--namesrv)\n",
        ),
        (
            &["standalone", "--set", "store.disk_max_used_percent=500"],
            "blockhouse: `store.disk_max_used_percent` must be a whole number from 1 to 100, not `500` \
             (--set store.disk_max_used_percent)\n",
        ),
        (
            &["broker"],
            "blockhouse: the broker has no name server to report to, so that no client would find \
             it: give --namesrv HOST:PORT (broker.conf: namesrvAddr), or run `blockhouse \
             standalone`\n",
        ),
        (
            &["namesrv", "--namesrv-listen", "off"],
            "blockhouse: `namesrv.listen` must be IP:PORT, not \"off\" (--namesrv-listen)\n",
        ),
    ];
    for (args, sentence) in cases {
        let (code, stdout, stderr) = run(args).unwrap();
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.starts_with(sentence), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert_eq!(run(&["no-such-command"]).unwrap().0, 2);
}

/// Asserts that servers and `config show` refuse `args` in the same words, and that nothing was
/// made in the data directory.
fn assert_refused(args: &[&str], option: &str) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let data_args = ["--data", data.to_str().context("not text")?];
    let judge = |command: &[&str]| run(&[command, &data_args[..], args].concat());
    let (code, stdout, stderr) = judge(&["standalone"])?;
    assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
    assert!(stderr.starts_with(&format!("blockhouse: {option} ")), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(!data.exists(), "{args:?} made {}", data.display());
    assert_eq!(judge(&["config", "show"])?, (2, String::new(), stderr));
    Ok(())
}

#[test]
fn values_out_of_bounds_are_refused_before_anything_is_touched() {
    for set in [
        "store.write_buffer_size=1",
        "store.segment_size=0",
        "store.delete_when=99",
        "store.disk_clean_percent=0",
        "broker.message_delay_level=bogus",
        "broker.permission=99",
        "broker.default_topic_queues=0",
        "node.name=",
        "node.name=a/b",
        "node.cluster=../x",
        "node.broker_id=3",
        "node.data=",
        "node.advertise=0.0.0.0",
        "node.namesrv=bad",
        "transport.frame_len_max=0",
        "transport.in_flight_bytes=0",
        "transport.connections_max=0",
        "transport.deferred_max=0",
        "namesrv.limits.deferred_max=0",
        "namesrv.service.scan_interval_ms=0",
        "registrar.answer_timeout_ms=0",
        "ops.connections_max=0",
        "log.level=bogus",
    ] {
        let option = set.split('=').next().unwrap();
        assert_refused(&["--set", set], &format!("`{option}`")).unwrap();
    }
    let open = "--broker-listen 10.0.0.5:10911";
    assert_refused(&open.split(' ').collect::<Vec<_>>(), open).unwrap();
}

#[test]
fn broker_conf_is_judged_in_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("k.conf");
    for (line, option) in [
        ("listenPort=70000", "`listenPort`"),
        ("storePathCommitLog=/a,/b", "`storePathCommitLog`"),
        ("deleteWhen=99", "`deleteWhen`"),
        ("brokerPermission=99", "`brokerPermission`"),
        ("maxMessageSize=lots", "`maxMessageSize`"),
        ("bindAddress=0.0.0.0\nlistenPort=1", "bindAddress"),
    ] {
        write(&conf, line);
        assert_refused(&["--java-conf", conf.to_str().unwrap()], option).unwrap();
    }
    write(&conf, "brokerName=b\n");
    let show = ["config", "show", "--java-conf", conf.to_str().unwrap()];
    assert_eq!(run(&show).unwrap().0, 0);
    let (code, _, stderr) = run(&[&show[..], &["--role", "broker"]].concat()).unwrap();
    assert!(code == 2 && stderr.contains("namesrvAddr"), "{stderr}");
}

#[test]
fn what_a_server_does_not_use_is_no_flag_of_it() {
    for (args, flag) in [
        (["namesrv", "--broker-listen", "0"], "--broker-listen"),
        (["namesrv", "--java-conf", "b.conf"], "--java-conf"),
        (["broker", "--namesrv-listen", "0"], "--namesrv-listen"),
    ] {
        let (code, _, stderr) = run(&args).unwrap();
        assert!(code == 2 && stderr.contains(flag), "{stderr}");
        assert!(!run(&[args[0], "--help"]).unwrap().1.contains(flag));
    }
}

#[test]
fn what_is_configured_can_be_shown_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("broker.conf");
    write(&conf, "brokerName=b\nflushDiskType=SYNC_FLUSH\nhaListenPort=1\nbrokerIP1=10.0.0.5\n");
    let conf = conf.to_str().unwrap();
    let flags = ["config", "show", "--java-conf", conf, "--set", "node.name=c"];
    let (code, table, notes) = run(&flags).unwrap();
    assert_eq!(code, 0);
    let line = |path: &str| -> Vec<String> {
        let line = table.lines().find(|l| l.split(' ').next() == Some(path)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(line("node.name"), ["node.name", "c", "--set", "node.name"]);
    assert_eq!(line("store.flush"), ["store.flush", "sync", &format!("{conf}:2")]);
    assert_eq!(line("node.cluster"), ["node.cluster", "DefaultCluster", "default"]);
    assert_eq!(notes.lines().count(), 1, "{notes}");
    assert!(notes.starts_with(&format!("{conf}:3: haListenPort is not honoured: ")), "{notes}");

    let (_, toml, _) = run(&["config", "show", "--java-conf", conf, "--toml"]).unwrap();
    let file = dir.path().join("b.toml");
    write(&file, &toml);
    let (code, again, _) =
        run(&["config", "show", "--config", file.to_str().unwrap(), "--json"]).unwrap();
    assert_eq!(code, 0);
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["store.flush"]["value"], "sync");
    assert_eq!(again["node.advertise"]["value"], "10.0.0.5");

    let (_, toml, _) = run(&["config", "show", "--ops-listen", "off", "--toml"]).unwrap();
    write(&file, &toml);
    let show = ["config", "show", "--config", file.to_str().unwrap(), "--json"];
    let again: serde_json::Value = serde_json::from_str(&run(&show).unwrap().1).unwrap();
    assert_eq!(again["ops.listen"]["value"], serde_json::Value::Null, "{toml}");
}

#[test]
fn a_start_and_what_is_shown_say_which_options_have_no_effect() {
    let told = "tls.client_auth is set, but TLS is off (tls.mode = disabled)";
    let set = ["--set", "tls.client_auth=require"];
    let (code, _, notes) = run(&[&["config", "show"][..], &set].concat()).unwrap();
    assert_eq!((code, notes.trim_end()), (0, told));
    // No directory can be made there, so that it ends by itself.
    let start = ["standalone", "--data", "/dev/null/data", "--ops-listen", "off"];
    let (code, _, log) = run(&[&start[..], &set].concat()).unwrap();
    assert_ne!(code, 0);
    assert!(log.lines().any(|line| line.contains(" WARN ") && line.ends_with(told)), "{log}");
}

#[expect(clippy::disallowed_methods, reason = "a test writes its input")]
fn write(path: &std::path::Path, text: &str) {
    assert!(std::fs::write(path, text).is_ok(), "{}", path.display());
}

#[test]
fn help_has_examples_and_completions_are_scripts() {
    let (code, help, _) = run(&["broker", "--help"]).unwrap();
    assert_eq!(code, 0);
    assert!(help.contains("Examples:") && help.contains("--java-conf"), "{help}");
    let (code, script, _) = run(&["completions", "bash"]).unwrap();
    assert!(code == 0 && script.contains("standalone"));
}

#[test]
fn whoever_sent_to_a_new_topic_finds_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let flags = ["--namesrv-listen", "0", "--broker-listen", "0", "--ops-listen", "off"];
    let server = Server::start(&[&["standalone", "--data", data], &flags[..]].concat()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    for n in 0..5 {
        let topic = format!("new{n}");
        let (code, _, said) = run(&["produce", &topic, "hello", "-n", &namesrv]).unwrap();
        assert_eq!(code, 0, "{said}");
        let group = format!("group{n}");
        let consume = ["consume", &topic, "--group", &group, "-n", &namesrv];
        let (code, got, said) = run(&consume).unwrap();
        assert_eq!((code, got.contains("hello")), (0, true), "{topic}: {got} {said}");
    }
}

#[test]
fn arguments_that_a_tool_refuses_are_code_2_without_a_cluster() {
    let cases: [(&[&str], &str); 5] = [
        (&["produce", "T", "--key", "k 1", "x"], "--key `k 1` is no key"),
        (&["produce", "T", "--property", "colour", "x"], "--property colour is not NAME=VALUE"),
        (&["admin", "message", "key", "T", "k 1"], "`k 1` is no key"),
        (&["admin", "config", "set", "b", "flushDiskType"], "flushDiskType is not KEY=VALUE"),
        (&["bench", "consume", "--rate", "5000"], "--rate is for sending"),
    ];
    for (args, start) in cases {
        let (code, stdout, stderr) = run(args).unwrap();
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.starts_with(&format!("blockhouse: {start}")), "{args:?}: {stderr}");
    }
}

#[test]
fn admin_says_what_was_done_and_not_more() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let admin = |args: &[&str]| run(&[&["admin", "--namesrv", &namesrv], args].concat()).unwrap();

    for kind in ["topic", "group"] {
        let (code, stdout, stderr) = admin(&[kind, "delete", "nosuch"]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains(&format!("there is no {kind} nosuch")), "{stderr}");
        assert_eq!(admin(&[kind, "create", "there"]).0, 0);
        let (code, stdout, _) = admin(&[kind, "delete", "there"]);
        assert!(code == 0 && stdout.ends_with("there deleted from broker-a.\n"), "{stdout}");
        assert_eq!(admin(&[kind, "delete", "there"]).0, 1);
    }

    let (code, _, stderr) = admin(&["config", "set", "broker-a", "flushDiskType=SYNC_FLUSH"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("does not change while it runs"), "{stderr}");
    assert!(!stderr.contains("topic route"), "{stderr}");

    assert_eq!(admin(&["group", "create", "idle"]).0, 0);
    let clients = admin(&["clients", "idle", "--json"]).1;
    let clients: serde_json::Value = serde_json::from_str(&clients).unwrap();
    for (field, empty) in [
        ("consumers", serde_json::json!([])),
        ("producers", serde_json::json!([])),
        ("subscriptions", serde_json::json!({})),
    ] {
        assert_eq!(clients[field], empty, "{clients}");
    }
}

#[test]
fn lines_of_any_bytes_are_messages() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let mut command = blockhouse(&["produce", "T", "--namesrv", &namesrv]);
    let mut produce = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    produce.stdin.take().unwrap().write_all(b"one\n\xff\xfe\nlast").unwrap();
    let Output { status, stdout, .. } = produce.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stdout).unwrap().lines().count()), (Some(0), 3));
    let consume = ["consume", "T", "--namesrv", &namesrv, "--json", "--follow", "--count", "3"];
    let (code, printed, stderr) = run(&consume).unwrap();
    assert!(code == 0 && printed.contains("\"bodyHex\":\"FFFE\""), "{printed}{stderr}");
}

#[test]
fn topics_that_cannot_be_saved_are_told_until_they_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let server = standalone(dir.path().to_str().unwrap()).unwrap();
    let ops = server.address("ops").unwrap();
    let namesrv = server.address("namesrv").unwrap();
    let create =
        |topic| run(&["admin", "--namesrv", &namesrv, "topic", "create", topic]).unwrap().0;
    let metric = |value| {
        let line = |line: &str| {
            line.starts_with("blockhouse_metadata_unsaved{")
                && line.contains("file=\"topics\"")
                && line.ends_with(value)
        };
        get(&ops, "/metrics").unwrap().lines().any(line)
    };
    assert_eq!(create("saved"), 0);
    assert!(metric(" 0"));
    let in_the_way = dir.path().join("config/topics.json.tmp");
    std::fs::create_dir(&in_the_way).unwrap();
    assert_eq!(create("kept-in-memory"), 1);
    let health = get(&ops, "/healthz").unwrap();
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    let line =
        |line: &str| line.starts_with("metadata: cannot write ") && line.contains("topics.json:");
    assert!(health.lines().any(line), "{health}");
    assert!(metric(" 1"));
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(create("saved-again"), 0);
    assert!(!get(&ops, "/healthz").unwrap().contains("metadata:"));
    assert!(metric(" 0"));
}

#[test]
fn the_doctor_finds_a_healthy_node_healthy_and_says_who_does_not_answer() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let [namesrv, ops] = ["namesrv", "ops"].map(|listener| server.address(listener).unwrap());
    let look = |servers: &str, more: &[&str]| {
        run(&[&["doctor", "-n", servers, "--node", &ops], more].concat()).unwrap()
    };
    let (code, stdout, stderr) = look(&namesrv, &["--all"]);
    // How full this machine's disk is, is its own matter.
    assert!(code == 0 || stdout.contains("FAILURE  disk-use"), "{stdout}{stderr}");
    for check in ["name-server-answers", "broker-answers", "ops-listener", "store-fault", "busy"] {
        assert!(stdout.contains(check), "{check} is missing: {stdout}");
    }
    let (code, stdout, _) = look(&format!("{namesrv};127.0.0.1:1"), &["--json"]);
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let findings = told["findings"].as_array().unwrap();
    let first = &findings[0];
    let named = ["check", "where", "state"].map(|key| first[key].as_str().unwrap());
    assert_eq!((code, named), (1, ["name-server-answers", "127.0.0.1:1", "failure"]));
    assert_eq!(told["failures"], findings.iter().filter(|f| f["state"] == "failure").count());
    let (code, stdout, _) = run(&["doctor", "-n", &namesrv, "--node", "127.0.0.1:1"]).unwrap();
    assert_eq!(code, 1);
    assert!(stdout.contains("/healthz: Connection refused"), "{stdout}");
}
