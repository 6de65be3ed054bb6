//! Java's properties format.

use std::iter::Peekable;
use std::str::Chars;

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it starts, from 1.
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Reads the entries in order. The format has no errors: a line without a separator is a key with
/// an empty value.
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let mut logical = first.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while goes_on(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let mut chars = logical.chars().peekable();
        let key = unescape(&mut chars, true);
        skip_separator(&mut chars);
        let value = unescape(&mut chars, false).trim_end().to_owned();
        entries.push(Entry { line: number + 1, key, value });
    }
    entries
}

/// An odd number of backslashes at the end.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn skip_separator(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| is_blank(*c)).is_some() {}
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        while chars.next_if(|c| is_blank(*c)).is_some() {}
    }
}

fn unescape(chars: &mut Peekable<Chars<'_>>, is_key: bool) -> String {
    let mut out = String::new();
    let ends = |c: char| is_key && (is_blank(c) || matches!(c, '=' | ':'));
    while let Some(c) = chars.next_if(|c| !ends(*c)) {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_comments_continuations_and_escapes() {
        let text =
            "# no\n ! no\n\na=1\nb : two words  \nc three\nd=x\\\n   y\ne\nf=C:\\\\dir\\u0041";
        let entries = parse(text);
        let read: Vec<_> =
            entries.iter().map(|e| (e.line, e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(
            read,
            [
                (4, "a", "1"),
                (5, "b", "two words"),
                (6, "c", "three"),
                (7, "d", "xy"),
                (9, "e", ""),
                (10, "f", "C:\\dirA"),
            ]
        );
    }

    #[test]
    fn broken_ends_do_no_harm() {
        assert_eq!(parse("a=b\\")[0].value, "b");
        assert_eq!(parse("a=\\u12")[0].value, "\u{12}");
        assert_eq!(parse("a=\\uzzzz")[0].value, "\u{fffd}");
    }
}
