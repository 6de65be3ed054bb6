//! An event is one line, whatever clients put into names that it tells.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::Format;
use super::site::{Extra, take_extra};

/// Writes what it is given as one line. It is given a whole event at a time.
pub(super) struct Line<W> {
    to: W,
    /// Whether the event has colours of the formatter's own, which have escaped those of others.
    coloured: bool,
    format: Format,
}

impl<W: Write> Line<W> {
    pub(super) const fn new(to: W, format: Format, coloured: bool) -> Self {
        Self { to, coloured, format }
    }
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = one_line(&text, self.coloured);
        self.to.write_all(extended(line, take_extra(), self.format).as_bytes())?;
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

/// The line with what it gets at its end.
fn extended(line: Cow<'_, str>, extra: Extra, format: Format) -> Cow<'_, str> {
    let is_json = format == Format::Json;
    let end = if is_json { "}\n" } else { "\n" };
    let Some(text) = line.strip_suffix(end).filter(|_| extra != Extra::default()) else {
        return line;
    };
    let Extra { suppressed, trace_id } = extra;
    let mut longer = text.to_owned();
    // Writing to a string does not fail.
    let _written = match (suppressed, is_json) {
        (0, _) => Ok(()),
        (_, true) => write!(longer, ",\"suppressed\":{suppressed}"),
        (_, false) => write!(longer, " suppressed={suppressed}"),
    };
    let _written = match (trace_id, is_json) {
        (0, _) => Ok(()),
        (_, true) => write!(longer, ",\"trace_id\":\"{trace_id:032x}\""),
        (_, false) => write!(longer, " trace_id={trace_id:032x}"),
    };
    longer.push_str(end);
    Cow::Owned(longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clients_end_no_line_and_move_no_cursor() {
        let written = |text: &str, coloured| {
            let mut line = Line::new(Vec::new(), Format::Plain, coloured);
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

    #[test]
    fn a_line_gets_its_trace_and_how_many_were_not_written() {
        let both = Extra { suppressed: 12, trace_id: 0xab };
        let told = |line: &str, extra, format| extended(line.into(), extra, format).into_owned();
        let trace = "000000000000000000000000000000ab";
        assert_eq!(
            told("INFO a\n", both, Format::Plain),
            format!("INFO a suppressed=12 trace_id={trace}\n")
        );
        assert_eq!(
            told("{\"a\":1}\n", both, Format::Json),
            format!("{{\"a\":1,\"suppressed\":12,\"trace_id\":\"{trace}\"}}\n")
        );
        let one = Extra { suppressed: 1, trace_id: 0 };
        assert_eq!(told("INFO a\n", one, Format::Plain), "INFO a suppressed=1\n");
        assert_eq!(told("INFO a\n", Extra::default(), Format::Plain), "INFO a\n");
        assert_eq!(told("{\"a\":1}\n", Extra::default(), Format::Json), "{\"a\":1}\n");
    }
}
