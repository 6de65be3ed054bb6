//! Lines for people. A reader that has gone away (`| head`) is no reason to fail.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

use blockhouse_service::log::acts;

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

/// Foreign text as it may be printed. A terminal acts on control characters and the like, so there they are
/// escaped; files and pipes get the text as it is.
pub(crate) fn foreign(text: &str) -> Cow<'_, str> {
    if std::io::stdout().is_terminal() { escaped(text) } else { Cow::Borrowed(text) }
}

/// Foreign text where a line is one thing, also in files and pipes.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(escaped("caf\u{e9} \\ \u{6d88}\u{606f}"), "caf\u{e9} \\ \u{6d88}\u{606f}");
        assert_eq!(escaped("a\u{1b}[31m\0\r\n\t\u{9b}b"), "a\\u{1b}[31m\\u{0}\\r\\n\\t\\u{9b}b");
        assert_eq!(escaped("a\u{202e}b\u{2028}c"), "a\\u{202e}b\\u{2028}c");
    }
}
