//! What a service manager sees of a server process, and the units that are shipped for one.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{PATIENCE, STOP_MAX, Server, blockhouse};

/// Exposure by `systemd-analyze security`, out of 100: what one of the units' restrictions is worth lies above that.
const EXPOSURE_MAX: &str = "--threshold=16";

/// What the manager was told, if it was told something by now.
fn told(manager: &UnixDatagram) -> Option<String> {
    let mut text = [0; 256];
    let len = manager.recv(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text[..len]).into_owned())
}

/// Ports that are free now.
fn free(count: usize) -> std::io::Result<Vec<String>> {
    // All at once, so that they are different ones.
    let taken: Vec<_> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    taken.iter().map(|listener| Ok(listener.local_addr()?.to_string())).collect()
}

#[test]
fn a_manager_is_told_once_that_all_ports_are_listened_on_and_once_that_it_stops() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let name = format!("blockhouse-manager-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let ports = free(3).unwrap();
    // Who waits for this is on the ports at once: it must not be earlier than they are.
    let watching = std::thread::spawn({
        let ports = ports.clone();
        move || {
            let first = told(&manager);
            let reached = ports.iter().all(|port| TcpStream::connect(port).is_ok());
            (manager, first, reached)
        }
    });
    let flags =
        ["--namesrv-listen", &ports[0], "--broker-listen", &ports[1], "--ops-listen", &ports[2]];
    // Nobody knows whether the port two below is free, too.
    let plain = ["standalone", "--data", data, "--set", "node.vip_port=false"];
    let mut command = blockhouse(&[&plain, &flags[..]].concat());
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let mut server = Server::run(&mut command).unwrap();
    let (manager, first, reached) = watching.join().unwrap();
    assert_eq!((first.as_deref(), reached), (Some("READY=1"), true));
    manager.set_nonblocking(true).unwrap();
    assert_eq!(told(&manager), None, "it is told more than once");
    manager.set_nonblocking(false).unwrap();
    server.signal("TERM").unwrap();
    assert_eq!(told(&manager).as_deref(), Some("STOPPING=1"));
    assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
    manager.set_nonblocking(true).unwrap();
    assert_eq!(told(&manager), None, "it stops twice");
}

#[test]
fn a_manager_is_told_nothing_of_a_start_that_fails_and_one_that_is_not_there_is_no_matter() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let start = |port: &str, socket: &Path| {
        let flags = ["namesrv", "--namesrv-listen", port, "--ops-listen", "off", "--data", data];
        let mut command = blockhouse(&flags);
        command.env("NOTIFY_SOCKET", socket);
        command
    };
    let failed = start(&port, &path).output().unwrap();
    assert_eq!((failed.status.code(), told(&manager)), (Some(1), None));
    for nobody in [dir.path().join("nobody"), PathBuf::from("vsock:2:1")] {
        let mut server = Server::run(&mut start("0", &nobody)).unwrap();
        server.signal("TERM").unwrap();
        assert_eq!(server.end(STOP_MAX).unwrap().code(), Some(0));
    }
}

/// `systemd-analyze`, if it is there and knows how to look at units without a manager.
fn analyze() -> Option<Command> {
    let asked = Command::new("systemd-analyze").arg("--version").output().ok()?;
    let said = String::from_utf8(asked.stdout).ok()?;
    let version: u32 = said.split_whitespace().nth(1)?.parse().ok()?;
    (version >= 250).then(|| Command::new("systemd-analyze"))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads what is shipped and writes its input")]
fn the_units_that_are_shipped_are_taken_by_systemd_and_expose_little() {
    if analyze().is_none() {
        // Not by a macro: what those write is shown of tests that fail only.
        let text = b"\n!!! SKIPPED: units of systemd: no systemd-analyze (250 or newer) here !!!\n";
        return std::io::stderr().write_all(text).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/systemd");
    for role in ["broker", "namesrv"] {
        let name = format!("blockhouse-{role}.service");
        let text = std::fs::read_to_string(units.join(&name)).unwrap();
        let installed = format!("ExecStart=/usr/local/bin/blockhouse {role} --config ");
        assert!(text.contains(&installed), "{name} runs something else");
        // Here it is elsewhere, and systemd looks whether it is there.
        let here = env!("CARGO_BIN_EXE_blockhouse");
        let unit = dir.path().join(&name);
        std::fs::write(&unit, text.replace("/usr/local/bin/blockhouse", here)).unwrap();
        let said = |words: &[&str]| {
            let mut command = analyze().unwrap();
            let output = command.args(words).arg(&unit).stdin(Stdio::null()).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8_lossy(&said).into_owned())
        };
        assert_eq!(said(&["verify", "--man=no"]), (Some(0), String::new()), "{name}");
        let (code, told) = said(&["security", "--offline=true", "--no-pager", EXPOSURE_MAX]);
        assert_eq!(code, Some(0), "{name}: {told}");
    }
}
