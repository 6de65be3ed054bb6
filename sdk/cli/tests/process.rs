//! The binary as a process: what it prints, how it stops, what it refuses.

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
        let mut child = blockhouse(args).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
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
    let listen = ["--namesrv-listen", "0", "--broker-listen", "0", "--ops-listen", "0"];
    let server = Server::start(&[&["standalone", "--data", data], &listen[..]].concat())?;
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

    let second = ["broker", "--data", data, "--broker-listen", "0", "--ops-listen", "off"];
    let (code, _, stderr) = run(&second).unwrap();
    assert_eq!(code, 1, "{stderr}");

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
    let cases: [(&[&str], &str); 6] = [
        (
            &["broker", "--set", "store.flsh=sync"],
            "blockhouse: there is no option `store.flsh` (--set store.flsh); did you mean \
             `store.flush`?\n",
        ),
        (
            &["namesrv", "--namesrv-listen", "0.0.0.0:9876"],
            "blockhouse: --namesrv-listen 0.0.0.0:9876 is not a loopback address, and there is no \
             encryption or authentication yet: listen on 127.0.0.1, or add --insecure if the \
             network is trusted\n",
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
            &["broker", "--config", "/nonexistent/b.toml"],
            "blockhouse: cannot read /nonexistent/b.toml: No such file or directory (os error 2)\n",
        ),
        (&["broker", "--log", "a=b=c"], "blockhouse: `log.level` is not a level or filter: "),
    ];
    for (args, sentence) in cases {
        let (code, stdout, stderr) = run(args).unwrap();
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.starts_with(sentence), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert_eq!(run(&["no-such-command"]).unwrap().0, 2);
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

/// Sends requests whose answers nobody reads until no more are taken.
fn stall(address: &str) -> anyhow::Result<TcpStream> {
    let header = br#"{"code":26,"flag":0,"language":"JAVA","opaque":1,"version":401}"#;
    let mut frame = Vec::new();
    frame.extend_from_slice(&u32::try_from(header.len() + 4)?.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(header.len())?.to_be_bytes());
    frame.extend_from_slice(header);
    let frames = frame.repeat(1_000);
    let mut stream = TcpStream::connect(address)?;
    stream.set_write_timeout(Some(Duration::from_millis(300)))?;
    while stream.write_all(&frames).is_ok() {}
    Ok(stream)
}

#[test]
fn clients_that_do_not_read_their_answers_do_not_keep_a_stop_from_being_clean() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let flags = ["--namesrv-listen", "0", "--broker-listen", "0", "--ops-listen", "off"];
    let mut server =
        Server::start(&[&["standalone", "--data", data], &flags[..]].concat()).unwrap();
    let listeners: Vec<_> = server.printed.iter().filter_map(|l| l.rsplit(' ').next()).collect();
    let _stalled: Vec<_> = listeners.iter().map(|address| stall(address).unwrap()).collect();
    server.signal("TERM").unwrap();
    assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
    assert!(!dir.path().join("abort").exists(), "the store was closed");
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
