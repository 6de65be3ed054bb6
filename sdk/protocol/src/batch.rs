//! The body of a batch send (320): messages back to back, each with total size i32, magic i32,
//! crc i32, flag i32, body with i32 length, properties with i16 length.

use bytes::{Buf as _, BufMut as _, BytesMut};

use crate::error::BodyError;

/// Bytes of a message beside its body and properties.
const FIXED: usize = 22;

/// A message of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    /// The user's own number.
    pub flag: i32,
    /// The message's body.
    pub body: &'a [u8],
    /// Its properties.
    pub properties: &'a str,
}

/// The messages of a batch. Ends after the first error.
#[derive(Clone, Debug)]
pub struct BatchMessages<'a> {
    rest: &'a [u8],
}

/// Takes a batch's body apart.
#[must_use]
pub const fn messages(body: &[u8]) -> BatchMessages<'_> {
    BatchMessages { rest: body }
}

impl<'a> Iterator for BatchMessages<'a> {
    type Item = Result<BatchMessage<'a>, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = take(&mut self.rest);
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<BatchMessage<'a>, BodyError> {
    let total = rest.try_get_i32().map_err(|_| BodyError::Truncated("a message's size"))?;
    let out_of_range = |what, value: i32| BodyError::OutOfRange { what, value: i64::from(value) };
    let len = usize::try_from(total)
        .ok()
        .and_then(|total| total.checked_sub(4))
        .ok_or_else(|| out_of_range("a message's size", total))?;
    let mut message = part(rest, len, "a message")?;
    let truncated = |_| BodyError::Truncated("a message's fixed part");
    let _magic = message.try_get_i32().map_err(truncated)?;
    let _crc = message.try_get_i32().map_err(truncated)?;
    let flag = message.try_get_i32().map_err(truncated)?;
    let body_len = message.try_get_i32().map_err(truncated)?;
    let body = part(&mut message, length(body_len, "a message's body")?, "a message's body")?;
    let properties_len = i32::from(message.try_get_i16().map_err(truncated)?);
    let properties_len = length(properties_len, "a message's properties")?;
    let properties = part(&mut message, properties_len, "a message's properties")?;
    if !message.is_empty() {
        return Err(BodyError::Malformed("a message's size"));
    }
    let properties = std::str::from_utf8(properties)
        .map_err(|_| BodyError::Malformed("a message's properties"))?;
    Ok(BatchMessage { flag, body, properties })
}

fn length(len: i32, what: &'static str) -> Result<usize, BodyError> {
    usize::try_from(len).map_err(|_| BodyError::OutOfRange { what, value: i64::from(len) })
}

fn part<'a>(from: &mut &'a [u8], len: usize, what: &'static str) -> Result<&'a [u8], BodyError> {
    let (part, rest) = from.split_at_checked(len).ok_or(BodyError::Truncated(what))?;
    *from = rest;
    Ok(part)
}

/// Appends a message to a batch's body.
///
/// # Errors
/// The properties are longer than their 16-bit length field, or the body than its 31 bits.
pub fn push(out: &mut BytesMut, flag: i32, body: &[u8], properties: &str) -> Result<(), BodyError> {
    let out_of_range = |what, len: usize| BodyError::OutOfRange {
        what,
        value: i64::try_from(len).unwrap_or(i64::MAX),
    };
    let properties_len = i16::try_from(properties.len())
        .map_err(|_| out_of_range("a message's properties", properties.len()))?;
    let total = FIXED.saturating_add(body.len()).saturating_add(properties.len());
    let (Ok(total), Ok(body_len)) = (i32::try_from(total), i32::try_from(body.len())) else {
        return Err(out_of_range("a message's size", total));
    };
    out.put_i32(total);
    // Magic and checksum, which RocketMQ leaves 0.
    out.put_i64(0);
    out.put_i32(flag);
    out.put_i32(body_len);
    out.put_slice(body);
    out.put_i16(properties_len);
    out.put_slice(properties.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Vec<u8> {
        let mut out = BytesMut::new();
        push(&mut out, 7, b"one", "TAGS\u{1}a\u{2}").unwrap();
        push(&mut out, 0, b"", "").unwrap();
        out.to_vec()
    }

    #[test]
    fn messages_come_back() {
        let batch = batch();
        let all: Vec<_> = messages(&batch).map(Result::unwrap).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].flag, all[0].body), (7, &b"one"[..]));
        assert_eq!(all[0].properties, "TAGS\u{1}a\u{2}");
        assert_eq!(all[1], BatchMessage::default());
        assert!(push(&mut BytesMut::new(), 0, b"", &"x".repeat(32_768)).is_err());
    }

    #[test]
    fn a_damaged_batch_ends_with_an_error() {
        let whole = batch();
        for len in 1..whole.len() {
            let results: Vec<_> = messages(&whole[..len]).collect();
            assert_eq!(results.iter().filter(|r| r.is_err()).count(), usize::from(len != 32));
        }
        for (at, value) in [(0, 0x80), (3, 0), (3, 21), (3, 34), (16, 0xFF), (23, 0x80), (24, 200)]
        {
            let mut bytes = whole.clone();
            bytes[at] = value;
            assert!(messages(&bytes).any(|m| m.is_err()), "{at}");
        }
    }
}
