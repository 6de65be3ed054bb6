//! SIGHUP, which by itself would end a process.

use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;

use super::{PATIENCE, STOP_MAX, Server, get, standalone};

#[test]
fn a_hangup_never_ends_a_node_without_a_terminal() {
    let data = tempfile::tempdir().unwrap();
    let mut server = standalone(data.path().to_str().unwrap()).unwrap();
    for _ in 0..3 {
        server.signal("HUP").unwrap();
    }
    // Signals are handled in no order: an answer after them shows that they had no effect.
    assert!(get(&server.address("ops").unwrap(), "/readyz").unwrap().ends_with("ready\n"));
    server.signal("TERM").unwrap();
    assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
}

#[test]
fn a_node_stops_cleanly_when_its_terminal_is_gone() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("!!! SKIPPED: no terminal without `script` (package bsdutils) !!!");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let path = data.path().to_str().unwrap();
    let node = format!(
        "{} standalone --data {path} --namesrv-listen 0 --broker-listen 0 --ops-listen 0",
        env!("CARGO_BIN_EXE_blockhouse")
    );
    // The node has the pipe's end, too: it is closed when the node has ended.
    let mut terminal = Command::new("sh");
    terminal.args(["-c", "exec script -qec \"$0\" /dev/null 3>&1", &node]);
    let server = Server::run(&mut terminal).unwrap();
    assert!(data.path().join("abort").exists());
    // As if its window was closed.
    server.signal("KILL").unwrap();
    let end = loop {
        if let Err(end) = server.lines.recv_timeout(PATIENCE) {
            break end;
        }
    };
    assert_eq!(end, RecvTimeoutError::Disconnected, "it still runs");
    assert!(!data.path().join("abort").exists(), "it did not stop cleanly");
}
