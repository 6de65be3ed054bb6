//! Who is connected to a broker, as its operators see it, and who does not let go of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{STOP_MAX, Server, blockhouse, get, run, standalone};

/// A tool that runs until it is dropped.
pub(super) struct Killed(pub(super) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended already is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn who_is_connected_is_listed_and_counted_while_it_is() {
    let data = tempfile::tempdir().unwrap();
    let server = standalone(data.path().to_str().unwrap()).unwrap();
    let (namesrv, ops) = (server.address("namesrv").unwrap(), server.address("ops").unwrap());
    let listed =
        |more: &[&str]| run(&[&["admin", "clients", "--node", &ops], more].concat()).unwrap();
    assert_eq!(listed(&[]), (0, "No client is connected.\n".to_owned(), String::new()));
    assert_eq!(run(&["produce", "T", "hello", "-n", &namesrv]).unwrap().0, 0);
    let args = ["consume", "T", "--group", "billing", "-n", &namesrv, "--follow"];
    let mut consumer = Killed(blockhouse(&args).stdout(Stdio::piped()).spawn().unwrap());
    // It has its message, so it has said who it is.
    let mut lines = BufReader::new(consumer.0.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("hello"));
    let (code, table, stderr) = listed(&[]);
    assert_eq!((code, table.lines().count()), (0, 2), "{table}{stderr}");
    assert!(table.contains("billing (pull)") || table.contains("billing (push)"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&listed(&["--json"]).1).unwrap();
    let client = &json["clients"][0];
    assert_eq!((&client["language"], &client["version"]), (&"JAVA".into(), &"V5_4_0".into()));
    assert!(client["since_ms"].as_i64() > Some(1_600_000_000_000), "{json}");
    assert_eq!((&client["produces"], &json["left_out"]), (&serde_json::json!([]), &0.into()));
    let metrics = get(&ops, "/metrics").unwrap();
    let mut series = metrics.lines().filter(|l| l.starts_with("rocketmq_consumer_connections{"));
    let line = series.next().unwrap();
    assert!(
        line.contains("consumer_group=\"billing\",language=\"java\",version=\"v5_4_0\""),
        "{line}"
    );
    assert!(line.contains("protocol_type=\"remoting\"") && line.ends_with("} 1"), "{line}");
    assert_eq!(series.next(), None);
    drop(consumer);
    // The broker sees the end of the connection a moment later.
    let is_gone = |_: &i32| get(&ops, "/v1/clients").unwrap().contains("\"clients\": []");
    assert!((0..10_000).any(|look| is_gone(&look)));
    let metrics = get(&ops, "/metrics").unwrap();
    assert!(!metrics.contains("rocketmq_consumer_connections{"), "{metrics}");
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
