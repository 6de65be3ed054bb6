//! Cutting a stream of bytes into frames.
//!
//! A frame is: length i32 (of all that follows), header mark i32 (high byte: serialize type, low
//! 24 bits: header length), header, body.

use bytes::{Buf as _, BytesMut};

use crate::command::{RemotingCommand, SerializeType};
use crate::error::FrameError;
use crate::{binary_header, json_header};

/// RocketMQ's default for the longest frame (`com.rocketmq.remoting.frameMaxLength`), counted with
/// its length field.
pub const FRAME_LEN_MAX: usize = 16 * 1024 * 1024;

/// Longest header: its length has 24 bits.
pub const HEADER_LEN_MAX: usize = (1 << 24) - 1;

const PREFIX: usize = 8;

/// What the first bytes of a frame announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Announced {
    frame: usize,
    header: usize,
    serialize: SerializeType,
}

/// Reads what is there of the announcement. `None`: more bytes are needed to know.
fn announced(buf: &[u8], frame_len_max: usize) -> Result<Option<Announced>, FrameError> {
    let Some((len, rest)) = buf.split_first_chunk::<4>() else { return Ok(None) };
    let len = i32::from_be_bytes(*len);
    let Ok(frame) = usize::try_from(len) else { return Err(FrameError::NegativeLength(len)) };
    if frame.saturating_add(4) > frame_len_max {
        return Err(FrameError::TooLong { len: frame.saturating_add(4), max: frame_len_max });
    }
    if frame < 4 {
        return Err(FrameError::HeaderLongerThanFrame { header: 0, frame });
    }
    let Some((mark, _)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let [kind, a, b, c] = *mark;
    let serialize = SerializeType::from_id(kind).ok_or(FrameError::UnknownSerializeType(kind))?;
    let header = u32::from_be_bytes([0, a, b, c]) as usize;
    if header > frame - 4 {
        return Err(FrameError::HeaderLongerThanFrame { header, frame });
    }
    Ok(Some(Announced { frame, header, serialize }))
}

/// How many bytes at least are missing until the first frame in `buf` is complete; 0 if it is, or
/// if it is malformed. For reserving read space.
#[must_use]
pub fn missing(buf: &[u8], frame_len_max: usize) -> usize {
    match announced(buf, frame_len_max) {
        Ok(Some(head)) => (head.frame + 4).saturating_sub(buf.len()),
        Ok(None) => PREFIX.saturating_sub(buf.len()),
        Err(_) => 0,
    }
}

/// Takes one complete frame off `buf`; `None` if none is complete. The body is a slice of `buf`'s
/// memory. The header is copied: it is small, and its text then lives on without that memory.
///
/// A malformed announcement is refused as soon as its 8 bytes are there.
///
/// # Errors
/// The frame cannot be read; the connection is to be closed.
pub fn split(
    buf: &mut BytesMut,
    frame_len_max: usize,
) -> Result<Option<RemotingCommand>, FrameError> {
    let Some(head) = announced(buf, frame_len_max)? else { return Ok(None) };
    if buf.len() < head.frame + 4 {
        return Ok(None);
    }
    let (start, end) = (PREFIX, PREFIX + head.header);
    let header = buf.get(start..end).unwrap_or_default();
    let mut command = match head.serialize {
        SerializeType::Json => json_header::parse(header.to_vec())?,
        SerializeType::RocketMq => binary_header::parse(header)?,
    };
    buf.advance(end);
    let body_len = head.frame - 4 - head.header;
    if body_len > 0 {
        command.body = buf.split_to(body_len).freeze();
    }
    Ok(Some(command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{self, RequestHead};

    fn split_one(mut buf: BytesMut) -> RemotingCommand {
        let command = split(&mut buf, FRAME_LEN_MAX).unwrap().unwrap();
        assert!(buf.is_empty());
        command
    }

    #[test]
    fn a_request_comes_back_as_it_was_written_in_both_encodings() {
        for serialize in [SerializeType::Json, SerializeType::RocketMq] {
            let mut out = BytesMut::new();
            let head = RequestHead { serialize, one_way: true, ..RequestHead::new(310, -7) };
            let ext = |ext: &mut encode::ExtWriter<'_>| {
                ext.text("b", "topic");
                ext.text("i", "KEYS\u{1}k\u{2}TAGS\u{1}a\"\\\n\u{1f}é😀\u{2}");
                ext.number("g", i64::MIN);
                ext.boolean("m", true);
                ext.pair("odd \"name\"", "");
            };
            encode::request(&mut out, &head, ext, b"body");
            let command = split_one(out);
            assert_eq!((command.code, command.opaque, command.flag), (310, -7, 2));
            assert_eq!(command.serialize, serialize);
            assert_eq!(&command.body[..], b"body");
            let mut wanted = vec![
                ("b", "topic"),
                ("i", "KEYS\u{1}k\u{2}TAGS\u{1}a\"\\\n\u{1f}é😀\u{2}"),
                ("g", "-9223372036854775808"),
                ("m", "true"),
            ];
            if serialize == SerializeType::Json {
                wanted.push(("odd \"name\"", ""));
            }
            assert_eq!(command.ext.iter().collect::<Vec<_>>(), wanted);
            assert_eq!(command.remark(), None);
        }
    }
}
