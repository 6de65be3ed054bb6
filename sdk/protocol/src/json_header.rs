//! The JSON header: a scanner made for this one object.
//!
//! It works on the header's own bytes: texts stay where they are, escapes are undone in place
//! (they only shrink; blanks fill the gaps, so that all together stays UTF-8), and what is found is
//! kept as ranges. It does not recurse, and everything it does not know is passed over.
//!
//! As RocketMQ's reader it takes raw control characters inside texts, numbers in quotes, and
//! `null` for anything.

use bytes::Bytes;

use crate::command::{LanguageCode, RemotingCommand, SerializeType};
use crate::error::FrameError;
use crate::ext::{ExtFields, FIELDS_MAX, Pair, Span};
use crate::text_scan::{parse_i64, plain_end, unescape};

/// How deep values that are passed over may nest.
const DEPTH_MAX: u32 = 32;

/// Reads a header.
pub(crate) fn parse(mut header: Vec<u8>) -> Result<RemotingCommand, FrameError> {
    let mut scan = Scanner { bytes: &mut header, at: 0 };
    let found = scan.header()?;
    let number = |value: Option<i32>, what| value.ok_or(FrameError::BadHeader { at: 0, what });
    let text = String::from_utf8(header).map_err(|e| FrameError::BadHeader {
        at: e.utf8_error().valid_up_to(),
        what: "the text is not UTF-8",
    })?;
    Ok(RemotingCommand {
        code: number(found.code, "code is missing")?,
        language: found.language,
        version: found.version.unwrap_or(0),
        opaque: number(found.opaque, "opaque is missing")?,
        flag: found.flag.unwrap_or(0),
        serialize: SerializeType::Json,
        remark: found.remark,
        ext: ExtFields::new(text, found.pairs),
        body: Bytes::new(),
    })
}

#[derive(Default)]
struct Found {
    code: Option<i32>,
    language: LanguageCode,
    version: Option<i32>,
    opaque: Option<i32>,
    flag: Option<i32>,
    remark: Option<Span>,
    pairs: Vec<Pair>,
}

/// The header's members.
#[derive(Clone, Copy)]
enum Name {
    Code,
    ExtFields,
    Flag,
    Language,
    Opaque,
    Remark,
    Version,
    Other,
}

impl Name {
    const ALL: [(&[u8], Self); 8] = [
        (b"\"code\":", Self::Code),
        (b"\"extFields\":", Self::ExtFields),
        (b"\"flag\":", Self::Flag),
        (b"\"language\":", Self::Language),
        (b"\"opaque\":", Self::Opaque),
        (b"\"remark\":", Self::Remark),
        (b"\"version\":", Self::Version),
        (b"\"serializeTypeCurrentRPC\":", Self::Other),
    ];
}

/// What a value was.
enum Value {
    Text(Span),
    /// A number, `true` or `false`, as it was written.
    Bare(Span),
    Null,
}

struct Scanner<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Scanner<'_> {
    #[cold]
    fn bad(&self, what: &'static str) -> FrameError {
        FrameError::BadHeader { at: self.at, what }
    }

    /// The next byte that is not white space, not yet taken.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        match self.bytes.get(self.at).copied() {
            Some(..=b' ') => self.peek_past_space(),
            other => other,
        }
    }

    #[cold]
    fn peek_past_space(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at).copied() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    #[inline]
    fn take_if(&mut self, wanted: u8) -> bool {
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, wanted: u8, what: &'static str) -> Result<(), FrameError> {
        if self.take_if(wanted) { Ok(()) } else { Err(self.bad(what)) }
    }

    fn header(&mut self) -> Result<Found, FrameError> {
        let mut found = Found { language: LanguageCode::OTHER, ..Found::default() };
        self.expect(b'{', "an object was expected")?;
        if !self.take_if(b'}') {
            loop {
                let name = self.member_name()?;
                self.member(name, &mut found)?;
                if !self.take_if(b',') {
                    break;
                }
            }
            self.expect(b'}', "a comma or the object's end was expected")?;
        }
        if self.peek().is_some() {
            return Err(self.bad("something follows the object"));
        }
        Ok(found)
    }

    /// A name of the header and the colon after it.
    fn member_name(&mut self) -> Result<Name, FrameError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        // As nearly all writers write it: without white space.
        let known = Name::ALL.iter().find(|(quoted, _)| {
            rest.get(1) == quoted.get(1) && rest.get(..quoted.len()) == Some(quoted)
        });
        if let Some((quoted, name)) = known {
            self.at += quoted.len();
            return Ok(*name);
        }
        let name = self.name()?;
        let name = name.of_bytes(self.bytes);
        let found = Name::ALL.iter().find(|(quoted, _)| {
            quoted.strip_prefix(b"\"").and_then(|q| q.strip_suffix(b"\":")) == Some(name)
        });
        Ok(found.map_or(Name::Other, |(_, name)| *name))
    }

    fn member(&mut self, name: Name, found: &mut Found) -> Result<(), FrameError> {
        match name {
            Name::Code => found.code = self.number()?,
            Name::Version => found.version = self.number()?,
            Name::Opaque => found.opaque = self.number()?,
            Name::Flag => found.flag = self.number()?,
            Name::ExtFields => self.fields(&mut found.pairs)?,
            Name::Language => found.language = self.language()?,
            Name::Remark => found.remark = self.remark()?,
            Name::Other => self.skip()?,
        }
        Ok(())
    }

    /// A name in quotes and the colon after it.
    fn name(&mut self) -> Result<Span, FrameError> {
        self.expect(b'"', "a name was expected")?;
        let name = self.text()?;
        self.expect(b':', "a colon was expected")?;
        Ok(name)
    }

    /// The rest of a text whose opening quote was taken.
    fn text(&mut self) -> Result<Span, FrameError> {
        let start = self.at;
        if let Some(end) = plain_end(self.bytes, start) {
            self.at = end + 1;
            return Ok(Span::between(start, end));
        }
        match unescape(self.bytes, start) {
            Ok(done) => {
                self.at = done.next;
                Ok(Span::between(start, done.end))
            }
            Err(what) => Err(self.bad(what)),
        }
    }

    /// A text, number, boolean or null.
    fn scalar(&mut self) -> Result<Value, FrameError> {
        if self.take_if(b'"') {
            return self.text().map(Value::Text);
        }
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
        let len = rest.iter().take_while(|b| is_word(b)).count();
        let word = rest.get(..len).unwrap_or_default();
        let value = match word {
            b"null" => Value::Null,
            b"true" | b"false" => Value::Bare(Span::between(start, start + len)),
            _ if is_number(word) => Value::Bare(Span::between(start, start + len)),
            _ => return Err(self.bad("a value was expected")),
        };
        self.at += len;
        Ok(value)
    }

    fn number(&mut self) -> Result<Option<i32>, FrameError> {
        if let Some(number) = self.plain_number() {
            return Ok(Some(number));
        }
        match self.scalar()? {
            Value::Null => Ok(None),
            Value::Text(span) | Value::Bare(span) => {
                let number =
                    parse_i64(span.of_bytes(self.bytes)).and_then(|n| i32::try_from(n).ok());
                number.map(Some).ok_or_else(|| self.bad("a 32-bit number was expected"))
            }
        }
    }

    /// A number as nearly all are: digits up to a comma or the object's end. `None` if it is
    /// anything else.
    fn plain_number(&mut self) -> Option<i32> {
        let mut number = 0_i32;
        for (count, byte) in self.bytes.get(self.at..)?.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    number = number.checked_mul(10)?.checked_add(i32::from(byte - b'0'))?;
                }
                b',' | b'}' if count > 0 => {
                    self.at += count;
                    return Some(number);
                }
                _ => return None,
            }
        }
        None
    }

    fn language(&mut self) -> Result<LanguageCode, FrameError> {
        Ok(match self.scalar()? {
            Value::Text(span) => LanguageCode::from_raw(span.of_bytes(self.bytes)),
            Value::Bare(span) => parse_i64(span.of_bytes(self.bytes))
                .and_then(|n| u8::try_from(n).ok())
                .map_or(LanguageCode::OTHER, LanguageCode),
            Value::Null => LanguageCode::OTHER,
        })
    }

    fn remark(&mut self) -> Result<Option<Span>, FrameError> {
        Ok(match self.scalar()? {
            Value::Text(span) | Value::Bare(span) => Some(span),
            Value::Null => None,
        })
    }

    fn fields(&mut self, pairs: &mut Vec<Pair>) -> Result<(), FrameError> {
        pairs.clear();
        if self.peek() != Some(b'{') {
            return match self.scalar()? {
                Value::Null => Ok(()),
                _ => Err(self.bad("extFields is not an object")),
            };
        }
        self.at += 1;
        if self.take_if(b'}') {
            return Ok(());
        }
        pairs.reserve(16);
        loop {
            if pairs.len() == FIELDS_MAX {
                return Err(self.bad("too many fields"));
            }
            if let Some(pair) = self.plain_field() {
                pairs.push(pair);
            } else {
                pairs.extend(self.field()?);
            }
            if !self.take_if(b',') {
                return self.expect(b'}', "a comma or the object's end was expected");
            }
        }
    }

    /// A field as nearly all are: two texts without escapes, and no white space. `None` if it is
    /// anything else, also if it is malformed.
    #[inline]
    fn plain_field(&mut self) -> Option<Pair> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let end = plain_end(self.bytes, start)?;
        if self.bytes.get(end..end + 3) != Some(b"\":\"") {
            return None;
        }
        let name = Span::between(start, end);
        let start = end + 3;
        let end = plain_end(self.bytes, start)?;
        self.at = end + 1;
        Some(Pair { name, value: Span::between(start, end) })
    }

    /// Any field; `None` if its value is null.
    fn field(&mut self) -> Result<Option<Pair>, FrameError> {
        let name = self.name()?;
        Ok(match self.scalar()? {
            Value::Text(value) | Value::Bare(value) => Some(Pair { name, value }),
            Value::Null => None,
        })
    }

    /// Passes over any value.
    fn skip(&mut self) -> Result<(), FrameError> {
        // Which of the open containers are objects: one bit each, the innermost lowest.
        let (mut objects, mut depth) = (0_u32, 0_u32);
        loop {
            let opened = if let Some(open @ (b'{' | b'[')) = self.peek() {
                if depth == DEPTH_MAX {
                    return Err(self.bad("values nest too deeply"));
                }
                self.at += 1;
                depth += 1;
                objects = objects << 1 | u32::from(open == b'{');
                true
            } else {
                self.scalar()?;
                false
            };
            if opened && !self.take_if(if objects & 1 == 1 { b'}' } else { b']' }) {
                if objects & 1 == 1 {
                    self.name()?;
                }
                continue;
            }
            if opened {
                objects >>= 1;
                depth -= 1;
            }
            if !self.skip_ends(&mut objects, &mut depth)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes containers until one has a further member. Whether one has.
    fn skip_ends(&mut self, objects: &mut u32, depth: &mut u32) -> Result<bool, FrameError> {
        while *depth > 0 {
            let object = *objects & 1 == 1;
            if self.take_if(b',') {
                if object {
                    self.name()?;
                }
                return Ok(true);
            }
            let end = if object { b'}' } else { b']' };
            self.expect(end, "a comma or the value's end was expected")?;
            *objects >>= 1;
            *depth -= 1;
        }
        Ok(false)
    }
}

/// JSON's numbers, roughly: what no later reader takes for a number is refused there.
fn is_number(word: &[u8]) -> bool {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits
            .iter()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
}
