//! An event is one line, whatever clients put into names that it tells.

use std::borrow::Cow;
use std::io::{self, Write};

/// Writes what it is given as one line. It is given a whole event at a time.
pub(super) struct Line<W> {
    to: W,
    /// Whether the event has colours of the formatter's own, which have escaped those of others.
    coloured: bool,
}

impl<W: Write> Line<W> {
    pub(super) const fn new(to: W, coloured: bool) -> Self {
        Self { to, coloured }
    }
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.to.write_all(one_line(&text, self.coloured).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Whether a reader or a terminal takes it for more than a character of the text.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn one_line(event: &str, coloured: bool) -> Cow<'_, str> {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    let acts = |c: char| acts(c) && !(coloured && c == '\u{1b}');
    if !text.contains(acts) {
        return Cow::Borrowed(event);
    }
    let mut line = String::with_capacity(event.len() + 16);
    for c in text.chars() {
        if acts(c) {
            // As JSON has it, for lines that are that; none of them is beyond four digits.
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line.push_str(end);
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clients_end_no_line_and_move_no_cursor() {
        let written = |text: &str, coloured| {
            let mut line = Line::new(Vec::new(), coloured);
            line.write_all(text.as_bytes()).unwrap();
            String::from_utf8(line.to).unwrap()
        };
        let name = "x\nINFO all well\r\u{1b}[2J\u{85}\u{2028}\u{202e}é";
        let safe = r"x\u000aINFO all well\u000d\u001b[2J\u0085\u2028\u202eé";
        assert_eq!(written(&format!("WARN {name}\n"), false), format!("WARN {safe}\n"));
        assert_eq!(
            written("\u{1b}[32mINFO\u{1b}[0m a\nb\n", true),
            "\u{1b}[32mINFO\u{1b}[0m a\\u000ab\n"
        );
        assert_eq!(written("INFO as it is\n", false), "INFO as it is\n");
    }
}
