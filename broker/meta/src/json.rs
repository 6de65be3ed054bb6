//! JSON as Java brokers write it (fastjson): integer keys without quotes, tabs, sorted fields.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Reads fastjson's text: standard JSON, and integer keys that may lack their quotes.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn parse(text: &[u8]) -> Result<Map<String, Value>, String> {
    let text = quote_keys(text);
    match serde_json::from_slice(&text).map_err(|e| e.to_string())? {
        Value::Object(map) => Ok(map),
        other => Err(format!("an object was expected, not {}", kind(&other))),
    }
}

/// Takes the object under `name` out; an absent one is empty.
///
/// # Errors
/// Something else is there.
pub(crate) fn take_object(
    map: &mut Map<String, Value>,
    name: &str,
) -> Result<Map<String, Value>, String> {
    match map.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(other) => Err(format!("{name}: an object was expected, not {}", kind(&other))),
    }
}

/// Takes the integer under `name` out, which may be written as text.
///
/// # Errors
/// Something else is there.
pub(crate) fn take_int(map: &mut Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    let number = match map.remove(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    number.map(Some).ok_or_else(|| format!("{name}: an integer was expected"))
}

/// Takes the switch under `name` out.
///
/// # Errors
/// Something else is there.
pub(crate) fn take_bool(map: &mut Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match map.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(_) => Err(format!("{name}: true or false was expected")),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Puts quotes around integer keys that lack them: digits between `{` or `,` and `:`.
fn quote_keys(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    let mut key_may_follow = false;
    while let Some(&byte) = text.get(at) {
        if byte == b'"' {
            at = string_end(text, at);
            key_may_follow = false;
            continue;
        }
        if key_may_follow && (byte.is_ascii_digit() || byte == b'-') {
            let end = number_end(text, at);
            let digits = end - at > usize::from(byte == b'-');
            if digits && text[end..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':') {
                out.extend_from_slice(&text[copied..at]);
                out.push(b'"');
                out.extend_from_slice(&text[at..end]);
                out.push(b'"');
                copied = end;
            }
            at = end;
            key_may_follow = false;
            continue;
        }
        if !byte.is_ascii_whitespace() {
            key_may_follow = matches!(byte, b'{' | b',');
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

fn number_end(text: &[u8], start: usize) -> usize {
    let digits = text[start + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
    start + 1 + digits
}

/// The place after the string that starts at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    text.len()
}

/// Writes fastjson's text, pretty as in files or compact as on the wire.
pub(crate) struct Writer {
    out: String,
    pretty: bool,
    depth: usize,
    first: bool,
}

impl Writer {
    pub(crate) const fn new(pretty: bool) -> Self {
        Self { out: String::new(), pretty, depth: 0, first: true }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// Begins an object.
    pub(crate) fn open(&mut self) {
        self.begin('{');
    }

    /// Ends an object.
    pub(crate) fn close(&mut self) {
        // fastjson leaves an indented empty line in an empty object.
        if self.first {
            self.line();
        }
        self.end('}');
    }

    /// A member's name; its value must follow.
    pub(crate) fn key(&mut self, name: &str) {
        self.separate();
        self.text(name);
        self.out.push(':');
    }

    /// A member's name that is an integer in Java.
    pub(crate) fn int_key(&mut self, name: u32) {
        self.separate();
        let _infallible = write!(self.out, "{name}:");
    }

    pub(crate) fn int(&mut self, value: i64) {
        let _infallible = write!(self.out, "{value}");
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Object(map) => {
                self.open();
                for (name, value) in map {
                    self.key(name);
                    self.value(value);
                }
                self.close();
            }
            Value::Array(values) if values.is_empty() => self.out.push_str("[]"),
            Value::Array(values) => {
                self.begin('[');
                for value in values {
                    self.separate();
                    self.value(value);
                }
                self.end(']');
            }
            other => {
                let _infallible = write!(self.out, "{other}");
            }
        }
    }

    fn text(&mut self, text: &str) {
        let _infallible = write!(self.out, "{}", Value::from(text));
    }

    fn begin(&mut self, bracket: char) {
        self.out.push(bracket);
        self.depth += 1;
        self.first = true;
    }

    fn end(&mut self, bracket: char) {
        self.depth -= 1;
        self.line();
        self.out.push(bracket);
        self.first = false;
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        self.line();
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n('\t', self.depth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_keys_are_read_with_and_without_quotes() {
        let text =
            br#"{ "offsetTable" : {"a@b":{0:321, 1 :7,"2":9}, "c@{1:2}":{} },"l":[1,2 , 3], -1:0}"#;
        let map = parse(text).unwrap();
        let same =
            br#"{"offsetTable":{"a@b":{"0":321,"1":7,"2":9},"c@{1:2}":{}},"l":[1,2,3],"-1":0}"#;
        assert_eq!(map, parse(same).unwrap());
        assert_eq!(map["offsetTable"]["a@b"]["1"], 7);
    }

    #[test]
    fn escaped_quotes_do_not_end_a_string() {
        let map = parse(br#"{"a\"{1:2}":{3:4}}"#).unwrap();
        assert_eq!(map["a\"{1:2}"]["3"], 4);
    }

    #[test]
    fn damaged_text_is_an_error() {
        for text in [&b""[..], b"{", b"[1]", b"{1", b"{1:", b"{\"a", b"{\"a\\", b"null", b"{-:1}"] {
            assert!(parse(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
        let deep = "[".repeat(100_000);
        assert!(parse(format!("{{\"a\":{deep}").as_bytes()).is_err());
    }

    #[test]
    fn the_form_is_that_of_fastjson() {
        let mut w = Writer::new(true);
        w.open();
        w.key("a");
        w.value(&serde_json::json!({ "x": {}, "list": ["1", true], "none": [] }));
        w.int_key(3);
        w.int(-4);
        w.close();
        let expected = "{\n\t\"a\":{\n\t\t\"list\":[\n\t\t\t\"1\",\n\t\t\ttrue\n\t\t],\n\t\t\"none\":[],\n\t\t\"x\":{\n\t\t\t\n\t\t}\n\t},\n\t3:-4\n}";
        assert_eq!(w.finish(), expected);
        let mut w = Writer::new(false);
        w.value(&serde_json::json!({ "x": {}, "y": "\n" }));
        assert_eq!(w.finish(), "{\"x\":{},\"y\":\"\\n\"}");
    }
}
