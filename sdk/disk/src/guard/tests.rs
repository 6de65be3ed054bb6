//! Pages are lost by cutting the file behind the map's back: that needs no broken disk.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use crate::{Disk, DiskFile, FileMap, RealDisk};

const LEN: usize = 64 << 10;
/// Says to the tests that end their process that it is theirs.
const CHILD: &str = "BLOCKHOUSE_DISK_TEST_CHILD";

fn filled(path: &Path, byte: u8) -> (Arc<dyn DiskFile>, FileMap) {
    let file = RealDisk.create(path).unwrap();
    file.write_at(&[byte; LEN], 0).unwrap();
    let map = file.map(LEN as u64).unwrap();
    (file, map)
}

fn cut(path: &Path, len: u64) {
    RealDisk.open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn lost_pages_are_errors_and_come_back_with_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (lost, other) = (dir.path().join("lost"), dir.path().join("other"));
    let ((file, map), (_, whole)) = (filled(&lost, 7), filled(&other, 8));
    let (lent, of_other) = (map.slice(0..LEN).unwrap(), whole.slice(0..LEN).unwrap());
    let mut out = vec![0; LEN];
    lent.copy_to(0, &mut out).unwrap();
    assert_eq!(out, [7; LEN]);
    cut(&lost, 8192);
    for (at, len) in [(0, LEN), (8192, 1), (8185, 8), (8000, 200), (LEN - 3, 3), (60_000, 100)] {
        let failed = lent.copy_to(at, &mut out[..len]).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(libc::EIO), "{at} {len}");
    }
    // What is before it is there, and so is everything else.
    out.fill(0);
    lent.copy_to(0, &mut out[..8192]).unwrap();
    assert_eq!(out[..8192], [7; 8192]);
    of_other.copy_to(0, &mut out).unwrap();
    assert_eq!(out, [8; LEN]);
    file.write_at(&[9; LEN], 0).unwrap();
    lent.copy_to(0, &mut out).unwrap();
    assert_eq!(out, [9; LEN]);
}

#[test]
fn every_length_is_copied_whole_and_nothing_past_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = RealDisk.create(&dir.path().join("f")).unwrap();
    let bytes: Vec<u8> = (0..251).cycle().take(LEN).collect();
    file.write_at(&bytes, 0).unwrap();
    let mut lent = file.map(LEN as u64).unwrap().slice(0..LEN).unwrap();
    for len in (0..70).chain([1024, 4095, 4096, 4097]) {
        for at in [0, 1, 4090] {
            let mut out = vec![0xEE; len + 1];
            lent.copy_to(at, &mut out[..len]).unwrap();
            assert_eq!(out[..len], bytes[at..at + len]);
            assert_eq!(out[len], 0xEE, "behind {len} bytes");
        }
    }
    assert!(lent.copy_to(LEN - 1, &mut [0; 2]).is_err());
    assert!(lent.copy_to(usize::MAX, &mut [0; 2]).is_err());
    lent.truncate(10);
    assert_eq!((lent.len(), lent.is_empty()), (10, false));
    assert!(lent.copy_to(9, &mut [0; 2]).is_err());
}

#[test]
fn sending_a_lost_page_is_an_error_of_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let (_file, map) = filled(&path, 7);
    let lent = map.slice(0..8192).unwrap();
    let mut out = [0; 8192];
    lent.copy_to(0, &mut out).unwrap();
    cut(&path, 0);
    let (mut here, _there) = UnixStream::pair().unwrap();
    // A copy that failed does not put anything in the page's place.
    lent.copy_to(0, &mut out).unwrap_err();
    let failed = here.write_all(&lent.to_send()).unwrap_err();
    assert_eq!(failed.raw_os_error(), Some(libc::EFAULT));
}

#[test]
fn many_threads_lose_pages_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let (_file, map) = filled(&path, 7);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let lent = map.slice(0..LEN).unwrap();
                let mut out = vec![0; LEN];
                while lent.copy_to(0, &mut out).is_ok() {
                    assert_eq!(out, [7; LEN]);
                }
                for page in 0..LEN / 4096 {
                    lent.copy_to(page * 4096, &mut out[..8]).unwrap_err();
                }
            });
        }
        cut(&path, 0);
    });
}

/// Runs one of the ignored tests below in a process of its own.
fn alone(test: &str) -> ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", "--test-threads=1"]).arg(format!("guard::tests::{test}"));
    child.env(CHILD, "1").output().unwrap().status
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Looks at a lost page without asking.
fn look() -> u8 {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let (_file, map) = filled(&path, 7);
    cut(&path, 0);
    let lent = map.slice(0..LEN).unwrap();
    lent.copy_to(0, &mut [0]).unwrap_err();
    lent.to_send()[5_000]
}

fn set(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: zeros are a valid value of the type.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    (action.sa_sigaction, action.sa_flags) = (handler, flags);
    // SAFETY: `action` outlives the call and names a function that fits its flags.
    let set = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

extern "C" fn leave(signal: libc::c_int) {
    // SAFETY: it ends the process and touches no memory.
    unsafe { libc::_exit(40 + signal) }
}

extern "C" fn leave_knowing(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid description.
    let info = unsafe { &*info };
    // SAFETY: for this signal it has an address.
    let address = unsafe { info.si_addr() };
    // SAFETY: it ends the process and touches no memory.
    unsafe { libc::_exit(if address.is_null() { 1 } else { 60 + signal }) }
}

#[test]
fn other_faults_are_what_they_were() {
    for (test, code) in [("asked_before", 40 + libc::SIGBUS), ("knows_before", 60 + libc::SIGBUS)] {
        assert_eq!(alone(test).code(), Some(code), "{test}");
    }
    for test in ["with_the_handler_of_std", "with_none", "ignored", "sent"] {
        assert_eq!(alone(test).signal(), Some(libc::SIGBUS), "{test}");
    }
}

#[test]
#[ignore = "ends its process: other_faults_are_what_they_were runs it in one of its own"]
fn asked_before() {
    if is_child() {
        set(leave as extern "C" fn(_) as libc::sighandler_t, 0);
        look();
    }
}

#[test]
#[ignore = "ends its process: other_faults_are_what_they_were runs it in one of its own"]
fn knows_before() {
    if is_child() {
        set(leave_knowing as extern "C" fn(_, _, _) as libc::sighandler_t, libc::SA_SIGINFO);
        look();
    }
}

#[test]
#[ignore = "ends its process: other_faults_are_what_they_were runs it in one of its own"]
fn with_the_handler_of_std() {
    if is_child() {
        look();
    }
}

#[test]
#[ignore = "ends its process: other_faults_are_what_they_were runs it in one of its own"]
fn with_none() {
    if is_child() {
        set(libc::SIG_DFL, 0);
        look();
    }
}

#[test]
#[ignore = "ends its process: other_faults_are_what_they_were runs it in one of its own"]
fn ignored() {
    if is_child() {
        set(libc::SIG_IGN, 0);
        look();
    }
}

#[test]
#[ignore = "ends its process: other_faults_are_what_they_were runs it in one of its own"]
fn sent() {
    if is_child() {
        set(libc::SIG_DFL, 0);
        super::install().unwrap();
        // SAFETY: no memory is passed.
        unsafe { libc::raise(libc::SIGBUS) };
    }
}
