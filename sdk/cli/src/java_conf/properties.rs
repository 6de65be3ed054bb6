//! Java's properties format.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it starts, from 1.
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: String,
    /// Whether nothing separates the key from a value.
    pub(crate) is_alone: bool,
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
        let is_separated = skip_separator(&mut chars);
        let value = unescape(&mut chars, false).trim_end().to_owned();
        let is_alone = !is_separated && value.is_empty();
        entries.push(Entry { line: number + 1, key, value, is_alone });
    }
    entries
}

/// The entries that count, and those before them with the same key, each with the line of the one that counts:
/// Java keeps the last.
pub(crate) fn in_force(entries: Vec<Entry>) -> (Vec<Entry>, Vec<(Entry, usize)>) {
    let last: HashMap<String, usize> =
        entries.iter().map(|entry| (entry.key.clone(), entry.line)).collect();
    let last = |entry: &Entry| last.get(&entry.key).copied().unwrap_or(entry.line);
    let (kept, replaced): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.line == last(entry));
    let replaced = replaced.into_iter().map(|entry| {
        let by = last(&entry);
        (entry, by)
    });
    (kept, replaced.collect())
}

/// An odd number of backslashes at the end.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Whether there is one that is more than blanks.
fn skip_separator(chars: &mut Peekable<Chars<'_>>) -> bool {
    while chars.next_if(|c| is_blank(*c)).is_some() {}
    let is_there = chars.next_if(|c| matches!(c, '=' | ':')).is_some();
    while is_there && chars.next_if(|c| is_blank(*c)).is_some() {}
    is_there
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
    use proptest::prelude::*;

    use super::super::{table, translate};
    use super::*;

    /// As Java's `store` writes it: everything unusual with an escape.
    fn escaped(text: &str) -> String {
        let escape = |c: char| match c {
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            '\r' => "\\r".to_owned(),
            c if c.is_alphanumeric() && c.is_ascii() => c.to_string(),
            c if c.is_ascii_punctuation() || c == ' ' => format!("\\{c}"),
            c => format!("\\u{:04X}", u32::from(c)),
        };
        text.chars().map(escape).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_and_translated_or_refused(
            text in prop_oneof!["[ab=:#!\\\\ \t\nu0]{0,60}", any::<String>()],
        ) {
            let entries = parse(&text);
            prop_assert!(entries.iter().all(|e| e.line <= text.lines().count()));
            prop_assert!(entries.is_sorted_by_key(|e| e.line));
            translate("broker.conf", &text).ok();
        }

        #[test]
        fn any_value_of_a_known_key_is_translated_or_refused(
            key in prop::sample::select(table::same().map(|(key, _)| key).collect::<Vec<_>>()),
            value in prop_oneof!["-?[0-9]{0,22}", "[0-9.:;a-z]{0,20}", any::<String>()],
        ) {
            translate("broker.conf", &format!("{key}={value}")).ok();
            translate("broker.conf", &format!("listenPort={value}\nbindAddress={value}")).ok();
        }

        #[test]
        fn what_java_writes_comes_back(
            written in prop::collection::vec(("[^\u{10000}-\u{10ffff}]{1,8}", "([^\u{10000}-\u{10ffff}]{0,8}[a-z])?"), 0..6),
        ) {
            let line = |(key, value): &(String, String)| format!("{}={}\n", escaped(key), escaped(value));
            let text: String = written.iter().map(line).collect();
            let read = parse(&text).into_iter().map(|e| (e.key, e.value));
            prop_assert_eq!(read.collect::<Vec<_>>(), written);
        }
    }

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
    fn a_key_alone_is_told_from_one_with_an_empty_value() {
        let entries = parse("a\nb=\nc :\nd x\ne   \nf\\\n");
        let alone: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.is_alone)).collect();
        assert_eq!(
            alone,
            [("a", true), ("b", false), ("c", false), ("d", false), ("e", true), ("f", true)]
        );
    }

    #[test]
    fn the_last_of_a_key_counts() {
        let (kept, replaced) = in_force(parse("a=1\nb=2\na=3\n\na=4\n"));
        let kept: Vec<_> = kept.iter().map(|e| (e.line, e.value.as_str())).collect();
        assert_eq!(kept, [(2, "2"), (5, "4")]);
        let replaced: Vec<_> = replaced.iter().map(|(e, by)| (e.line, *by)).collect();
        assert_eq!(replaced, [(1, 5), (3, 5)]);
    }

    #[test]
    fn broken_ends_do_no_harm() {
        assert_eq!(parse("a=b\\")[0].value, "b");
        assert_eq!(parse("a=\\u12")[0].value, "\u{12}");
        assert_eq!(parse("a=\\uzzzz")[0].value, "\u{fffd}");
    }
}
