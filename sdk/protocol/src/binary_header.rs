//! RocketMQ's binary header: code i16, language u8, version i16, opaque i32, flag i32, remark with
//! i32 length, fields with i32 length of all; each field a name with i16 and a value with i32
//! length.

use bytes::Bytes;

use crate::command::{LanguageCode, RemotingCommand, SerializeType};
use crate::error::FrameError;
use crate::ext::{ExtFields, FIELDS_MAX, Pair, Span};

/// Reads numbers and texts; the texts are collected.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    texts: String,
}

impl Cursor<'_> {
    #[cold]
    fn bad(&self, what: &'static str) -> FrameError {
        FrameError::BadHeader { at: self.at, what }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (taken, _) = rest.split_first_chunk::<N>().ok_or_else(|| self.bad("ends early"))?;
        self.at += N;
        Ok(*taken)
    }

    /// A text of `len` bytes that must end at `end` or before.
    fn text(&mut self, len: i64, end: usize) -> Result<Span, FrameError> {
        let len = usize::try_from(len).map_err(|_| self.bad("a length is negative"))?;
        let stop = self.at.saturating_add(len);
        if stop > end {
            return Err(self.bad("a text is longer than the header"));
        }
        let bytes = self.bytes.get(self.at..stop).ok_or_else(|| self.bad("ends early"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.bad("a text is not UTF-8"))?;
        let start = self.texts.len();
        self.texts.push_str(text);
        self.at = stop;
        Ok(Span::between(start, self.texts.len()))
    }
}

/// Reads a header.
pub(crate) fn parse(header: &[u8]) -> Result<RemotingCommand, FrameError> {
    let texts = String::with_capacity(header.len());
    let mut cursor = Cursor { bytes: header, at: 0, texts };
    let code = i32::from(i16::from_be_bytes(cursor.take()?));
    let [language] = cursor.take()?;
    let version = i32::from(i16::from_be_bytes(cursor.take()?));
    let opaque = i32::from_be_bytes(cursor.take()?);
    let flag = i32::from_be_bytes(cursor.take()?);
    let remark_len = i32::from_be_bytes(cursor.take()?);
    let remark = cursor.text(remark_len.into(), header.len())?;
    let pairs = parse_fields(&mut cursor)?;
    Ok(RemotingCommand {
        code,
        language: LanguageCode(language),
        version,
        opaque,
        flag,
        serialize: SerializeType::RocketMq,
        remark: (!remark.is_empty()).then_some(remark),
        ext: ExtFields::new(cursor.texts, pairs),
        body: Bytes::new(),
    })
}

fn parse_fields(cursor: &mut Cursor<'_>) -> Result<Vec<Pair>, FrameError> {
    let len = i32::from_be_bytes(cursor.take()?);
    let len = usize::try_from(len).map_err(|_| cursor.bad("a length is negative"))?;
    let end = cursor.at.saturating_add(len);
    if end > cursor.bytes.len() {
        return Err(cursor.bad("the fields are longer than the header"));
    }
    let mut pairs = Vec::with_capacity(if len > 0 { 16 } else { 0 });
    while cursor.at < end {
        let name_len = i16::from_be_bytes(cursor.take()?);
        let name = cursor.text(name_len.into(), end)?;
        let value_len = i32::from_be_bytes(cursor.take()?);
        let value = cursor.text(value_len.into(), end)?;
        // RocketMQ reads a text of no bytes as null, and null as absent.
        if name.is_empty() || value.is_empty() {
            continue;
        }
        if pairs.len() == FIELDS_MAX {
            return Err(cursor.bad("too many fields"));
        }
        pairs.push(Pair { name, value });
    }
    Ok(pairs)
}
