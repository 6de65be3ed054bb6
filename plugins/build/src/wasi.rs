//! WASI for modules whose runtime cannot start without it: functions that answer what is true of a
//! plugin. There are no arguments, no environment, no files, no sockets and no random numbers;
//! what is printed is lost, and to exit is to trap. The component imports no WASI.
//!
//! Time is the one thing that cannot be refused, since Go's scheduler ends the program without it:
//! the monotonic clock moves a microsecond at each reading, and the other one stands at its
//! beginning, 1970, so that nobody takes it for the time. The real ones are the grant `clock`.

use std::fmt::Write as _;

use crate::Error;

/// The module of the imports.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// Error numbers of WASI.
const BAD_FILE: u8 = 8;
const NOT_THERE: u8 = 52;

/// Functions that only answer, with their parameters: `i` of 32 bits, `I` of 64.
const REFUSED: [(&str, &str, u8); 39] = [
    ("clock_res_get", "ii", NOT_THERE),
    ("fd_advise", "iIIi", BAD_FILE),
    ("fd_allocate", "iII", BAD_FILE),
    ("fd_close", "i", BAD_FILE),
    ("fd_datasync", "i", BAD_FILE),
    ("fd_fdstat_get", "ii", BAD_FILE),
    ("fd_fdstat_set_flags", "ii", BAD_FILE),
    ("fd_fdstat_set_rights", "iII", BAD_FILE),
    ("fd_filestat_get", "ii", BAD_FILE),
    ("fd_filestat_set_size", "iI", BAD_FILE),
    ("fd_filestat_set_times", "iIIi", BAD_FILE),
    ("fd_pread", "iiiIi", BAD_FILE),
    ("fd_prestat_dir_name", "iii", BAD_FILE),
    ("fd_prestat_get", "ii", BAD_FILE),
    ("fd_pwrite", "iiiIi", BAD_FILE),
    ("fd_read", "iiii", BAD_FILE),
    ("fd_readdir", "iiiIi", BAD_FILE),
    ("fd_renumber", "ii", BAD_FILE),
    ("fd_seek", "iIii", BAD_FILE),
    ("fd_sync", "i", BAD_FILE),
    ("fd_tell", "ii", BAD_FILE),
    ("path_create_directory", "iii", BAD_FILE),
    ("path_filestat_get", "iiiii", BAD_FILE),
    ("path_filestat_set_times", "iiiiIIi", BAD_FILE),
    ("path_link", "iiiiiii", BAD_FILE),
    ("path_open", "iiiiiIIii", BAD_FILE),
    ("path_readlink", "iiiiii", BAD_FILE),
    ("path_remove_directory", "iii", BAD_FILE),
    ("path_rename", "iiiiii", BAD_FILE),
    ("path_symlink", "iiiii", BAD_FILE),
    ("path_unlink_file", "iii", BAD_FILE),
    ("poll_oneoff", "iiii", NOT_THERE),
    ("proc_raise", "i", NOT_THERE),
    ("random_get", "ii", NOT_THERE),
    ("sock_accept", "iii", NOT_THERE),
    ("sock_recv", "iiiiii", NOT_THERE),
    ("sock_send", "iiiii", NOT_THERE),
    ("sock_shutdown", "ii", NOT_THERE),
    // Nothing else runs.
    ("sched_yield", "", 0),
];

/// Functions that do something.
const OTHERS: &str = r#"
  (func (export "proc_exit") (param i32) unreachable)
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "args_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0))
    (i32.store (local.get 1) (i32.const 0))
    (i32.const 0))
  (func (export "environ_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0))
    (i32.store (local.get 1) (i32.const 0))
    (i32.const 0))
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
    (if (i32.eqz (local.get $clock))
      (then (i64.store (local.get $to) (i64.const 0)))
      (else
        (global.set $readings (i64.add (global.get $readings) (i64.const 1000)))
        (i64.store (local.get $to) (global.get $readings))))
    (i32.const 0))
  (func (export "fd_write") (param $file i32) (param $parts i32) (param $count i32) (param $to i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $parts))))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $to) (local.get $sum))
    (i32.const 0))
"#;

/// The functions as a module that `wit-component` puts in place of the imports.
pub(crate) fn adapter() -> Result<Vec<u8>, Error> {
    let mut text = String::from("(module (import \"env\" \"memory\" (memory 0))\n");
    text.push_str("(global $readings (mut i64) (i64.const 0))\n");
    for (name, parameters, answer) in REFUSED {
        let types: String =
            parameters.chars().map(|kind| if kind == 'I' { " i64" } else { " i32" }).collect();
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "(func (export \"{name}\") (param{types}) (result i32) (i32.const {answer}))"
        );
    }
    text.push_str(OTHERS);
    text.push(')');
    wat::parse_str(&text).map_err(|e| Error::Wasm(e.to_string()))
}
