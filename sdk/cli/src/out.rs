//! Lines for people. A reader that has gone away (`| head`) is no reason to fail.

use std::io::Write as _;

/// Writes text to stdout.
pub(crate) fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _reader_is_gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to stdout.
pub(crate) fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Writes a line to stdout; false if nobody reads any more.
pub(crate) fn try_line(line: &str) -> bool {
    writeln!(std::io::stdout().lock(), "{line}").is_ok()
}

/// Writes a line to stderr.
pub(crate) fn note(line: &str) {
    let _reader_is_gone = writeln!(std::io::stderr().lock(), "{line}");
}
