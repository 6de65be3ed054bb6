//! What a process can no longer do once it is in the sandbox. A sandbox cannot be left, so that
//! each test is a process of its own.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "what the operating system refuses is what is tested"
)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests; a failure is a failed test"
)]

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use blockhouse_service::sandbox::{self, Config, Entered, Mode, Needs};

/// Names a directory to a test that runs as a process of its own.
const DIR: &str = "BLOCKHOUSE_TEST_SANDBOX_DIR";

/// Runs an ignored test of this file as a process, with a directory of its own.
#[track_caller]
fn run(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
    assert!(told.contains("1 passed"), "{told}");
    // What a test prints is dropped if it passes; what it could not test has to be seen.
    let untested = told.lines().filter(|line| line.starts_with("!!! SKIPPED"));
    let untested: String = untested.flat_map(|line| [line, "\n"]).collect();
    std::io::stderr().write_all(untested.as_bytes()).unwrap();
}

fn dir() -> PathBuf {
    PathBuf::from(std::env::var_os(DIR).unwrap())
}

/// Enters with `inside` of the directory writable; what the kernel took on.
fn enter(ports: &[u16]) -> Entered {
    enter_as(ports, true)
}

fn enter_as(ports: &[u16], executes: bool) -> Entered {
    fs::create_dir(dir().join("inside")).unwrap();
    let writable = vec![dir().join("inside")];
    let needs = Needs { writable, executes, ports: Some(ports.to_vec()) };
    let entered = sandbox::enter(&Config::default(), &needs).unwrap();
    if entered != (Entered { files: true, ports: true, calls: true }) {
        println!("\n!!! SKIPPED: part of the sandbox: this kernel limits only {entered:?} !!!");
    }
    entered
}

#[test]
fn files_outside_are_read_only() {
    run("child_files");
}

#[test]
#[ignore = "run by files_outside_are_read_only"]
fn child_files() {
    fs::write(dir().join("outside"), "here before").unwrap();
    if !enter(&[]).files {
        return;
    }
    let inside = dir().join("inside/a/b");
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join("c"), "x").unwrap();
    fs::rename(inside.join("c"), dir().join("inside/d")).unwrap();
    fs::remove_file(dir().join("inside/d")).unwrap();
    let denied =
        |what: std::io::Result<()>| what.unwrap_err().kind() == ErrorKind::PermissionDenied;
    let outside = dir().join("outside");
    assert!(denied(fs::write(&outside, "changed")));
    assert!(denied(fs::remove_file(&outside)));
    assert!(denied(fs::write(dir().join("new"), "x")));
    assert!(denied(fs::create_dir(dir().join("new"))));
    assert!(denied(std::os::unix::fs::symlink(&outside, dir().join("link"))));
    assert_eq!(fs::read_to_string(&outside).unwrap(), "here before");
    fs::write("/dev/null", "x").unwrap();
}

#[test]
fn nothing_but_the_program_itself_is_executed() {
    run("child_programs");
}

#[test]
#[ignore = "run by nothing_but_the_program_itself_is_executed"]
fn child_programs() {
    let foreign = ["/bin/true", "/bin/sh"].iter().find(|path| Path::new(path).exists()).unwrap();
    Command::new(foreign).arg("-c").status().unwrap();
    let copy = dir().join("copy");
    fs::copy(foreign, &copy).unwrap();
    if !enter(&[]).files {
        return;
    }
    for path in [Path::new(foreign), &copy] {
        let error = Command::new(path).status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{}", path.display());
    }
    // What it writes itself is not executed either.
    let written = dir().join("inside/program");
    fs::copy(foreign, &written).unwrap();
    assert_eq!(Command::new(&written).status().unwrap_err().kind(), ErrorKind::PermissionDenied);
    let own = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    assert!(own.status.success(), "{own:?}");
}

#[test]
fn who_compiles_no_plugins_executes_nothing_not_even_itself_or_a_loader() {
    run("child_executes_nothing");
}

#[test]
#[ignore = "run by who_compiles_no_plugins_executes_nothing_not_even_itself_or_a_loader"]
fn child_executes_nothing() {
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loader = loaders.iter().map(Path::new).find(|path| path.exists());
    let own = std::env::current_exe().unwrap();
    let by_loader = |loader: &Path| Command::new(loader).arg(&own).arg("--list").output();
    assert!(loader.is_none_or(|loader| by_loader(loader).unwrap().status.success()));
    if !enter_as(&[], false).calls {
        return;
    }
    let refused = |tried: std::io::Result<std::process::Output>| {
        assert_eq!(tried.unwrap_err().raw_os_error(), Some(libc::EPERM));
    };
    refused(Command::new(&own).arg("--list").output());
    loader.into_iter().for_each(|loader| refused(by_loader(loader)));
}

#[test]
fn only_the_named_ports_are_listened_on() {
    run("child_ports");
}

#[test]
#[ignore = "run by only_the_named_ports_are_listened_on"]
fn child_ports() {
    // Both are held at once, so that they are two.
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [ours, other] = held.each_ref().map(|listener| listener.local_addr().unwrap());
    drop(held);
    if !enter(&[ours.port()]).ports {
        return;
    }
    TcpListener::bind(ours).unwrap();
    for address in [other.to_string(), "127.0.0.1:0".to_owned()] {
        let error = TcpListener::bind(&address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{address}");
    }
}

#[test]
fn what_servers_never_do_is_refused_on_all_threads() {
    run("child_calls");
}

#[test]
#[ignore = "run by what_servers_never_do_is_refused_on_all_threads"]
fn child_calls() {
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let earlier = std::thread::spawn(move || {
        asked.recv().unwrap();
        std::os::unix::fs::chroot("/").map_err(|e| e.raw_os_error())
    });
    if !enter(&[]).calls {
        return;
    }
    ask.send(()).unwrap();
    assert_eq!(earlier.join().unwrap(), Err(Some(libc::EPERM)));
    let traced = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    assert!(traced.status.success(), "an ordinary child works");
}

#[test]
fn it_can_be_left_out() {
    let off = Config { mode: Mode::Off, ..Config::default() };
    let needs = Needs { writable: vec!["/no/such/directory".into()], ..Needs::default() };
    assert_eq!(sandbox::enter(&off, &needs).unwrap(), Entered::default());
    fs::write(tempfile::tempdir().unwrap().path().join("anywhere"), "x").unwrap();
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let needs = Needs { writable: vec!["/no/such/directory".into()], ..Needs::default() };
    let error = sandbox::enter(&Config::default(), &needs).unwrap_err().to_string();
    assert!(error.contains("/no/such/directory") && error.contains("sandbox.mode"), "{error}");
    let relative = Config { writable: vec!["here".into()], ..Config::default() };
    assert!(relative.validate().unwrap_err().to_string().contains("here"));
}
