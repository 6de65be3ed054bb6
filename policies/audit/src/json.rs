//! JSON as records have it: one line, and nothing in it that a terminal or a log viewer acts on.

use std::io::Write as _;

/// Writes the fields of an object one after the other.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Object<'a> {
    /// Begins an object.
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_first: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    /// Names are ours, and need no escapes.
    fn name(&mut self, name: &str) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        text(self.out, value);
    }

    /// As [`Self::text`], nothing for an empty one.
    pub(crate) fn some(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    pub(crate) fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        // Memory takes everything.
        let _always = write!(self.out, "{value}");
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut inner = Object::begin(self.out);
        fill(&mut inner);
        inner.end();
    }

    /// A list of one object.
    pub(crate) fn list(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        self.out.push(b'[');
        let mut inner = Object::begin(self.out);
        fill(&mut inner);
        inner.end();
        self.out.push(b']');
    }

    /// JSON that is ready.
    pub(crate) fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
    }
}

/// Whether a character is written as it is.
fn is_plain(c: char) -> bool {
    !matches!(c, '"' | '\\' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
        && !c.is_control()
}

/// A text in quotes. Control characters and those that change the direction of text are escaped.
fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let is_simple = |b: &u8| (0x20..0x7f).contains(b) && *b != b'"' && *b != b'\\';
    if text.as_bytes().iter().all(is_simple) {
        out.extend_from_slice(text.as_bytes());
    } else {
        let mut buf = [0; 4];
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                c if is_plain(c) => out.extend_from_slice(c.encode_utf8(&mut buf).as_bytes()),
                c => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _always = write!(out, "\\u{unit:04x}");
                    }
                }
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_one_harmless_line_that_reads_back(value in any::<String>()) {
            let mut out = Vec::new();
            text(&mut out, &value);
            prop_assert!(std::str::from_utf8(&out).unwrap().chars().all(|c| !c.is_control()));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
        }
    }

    #[test]
    fn what_viewers_act_on_is_escaped() {
        let mut out = Vec::new();
        text(&mut out, "a\n\u{1b}[31m\u{9b}\u{202e}\u{2028}\"\\\u{7f}é");
        let expected = r#""a\u000a\u001b[31m\u009b\u202e\u2028\"\\\u007fé""#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
