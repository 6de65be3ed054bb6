//! The least that can be read from a response: code, opaque, and where header and body are.
//!
//! The generator must cost much less than the servers it measures, so this is no decoder: it
//! looks for the two numbers where the last response had them.

use anyhow::{Context as _, bail, ensure};

/// Fixed bytes of a frame in front of its header.
const PREFIX: usize = 8;
/// Responses longer than this are taken for garbage.
const FRAME_MAX: usize = 64 * 1024 * 1024;

/// A response in the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) code: i32,
    pub(crate) opaque: i32,
    /// A request of the server, not a response.
    pub(crate) is_request: bool,
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Response<'_> {
    /// The value of an ext field that is a number. JSON headers only.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let quoted = format!("\"{name}\":\"");
        let at = find(self.header, quoted.as_bytes(), 0)? + quoted.len();
        let digits = self.header[at..].iter().take_while(|b| b.is_ascii_digit());
        Some(digits.fold(0, |n: u64, b| n.wrapping_mul(10) + u64::from(b - b'0')))
    }

    /// The remark of a refusal, for people.
    pub(crate) fn remark(&self) -> Option<String> {
        let at = find(self.header, b"\"remark\":\"", 0)? + 10;
        let text = self.header[at..].split(|b| *b == b'"').next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// Finds responses in a read buffer; remembers where the numbers were.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    opaque_hint: usize,
}

impl Scanner {
    /// The first frame in `buffer` and its length, or `None` if it is not complete.
    pub(crate) fn next<'a>(
        &mut self,
        buffer: &'a [u8],
    ) -> anyhow::Result<Option<(Response<'a>, usize)>> {
        let Some((prefix, _)) = buffer.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [t0, t1, t2, t3, kind, h1, h2, h3] = *prefix;
        let total = usize::try_from(u32::from_be_bytes([t0, t1, t2, t3]))? + 4;
        let header_len = usize::try_from(u32::from_be_bytes([0, h1, h2, h3]))?;
        ensure!(total <= FRAME_MAX && PREFIX + header_len <= total, "the server sent no frame");
        if buffer.len() < total {
            return Ok(None);
        }
        let (header, body) = buffer[PREFIX..total].split_at(header_len);
        let (code, opaque, flag) = match kind {
            0 => self.json(header).context("the server sent a header without code or opaque")?,
            1 => binary(header).context("the server sent a short binary header")?,
            other => bail!("the server sent serialisation type {other}"),
        };
        let is_request = flag & 1 == 0;
        Ok(Some((Response { code, opaque, is_request, header, body }, total)))
    }

    fn json(&mut self, header: &[u8]) -> Option<(i32, i32, i32)> {
        let code = number_after(header, b"\"code\":", 0)?.0;
        let from = self.opaque_hint.saturating_sub(24);
        let (opaque, at) = number_after(header, b"\"opaque\":", from)
            .or_else(|| number_after(header, b"\"opaque\":", 0))?;
        self.opaque_hint = at;
        // RocketMQ writes flag just before language and opaque; anything else is looked for.
        let flag = number_after(header, b"\"flag\":", at.saturating_sub(40))
            .or_else(|| number_after(header, b"\"flag\":", 0))?;
        Some((code, opaque, flag.0))
    }
}

fn binary(header: &[u8]) -> Option<(i32, i32, i32)> {
    let (fixed, _) = header.split_first_chunk::<13>()?;
    let [c0, c1, _, _, _, o0, o1, o2, o3, f0, f1, f2, f3] = *fixed;
    let opaque = i32::from_be_bytes([o0, o1, o2, o3]);
    let flag = i32::from_be_bytes([f0, f1, f2, f3]);
    Some((i32::from(i16::from_be_bytes([c0, c1])), opaque, flag))
}

fn find(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let hay = text.get(from..)?;
    let first = *needle.first()?;
    let mut at = 0;
    while let Some(next) = hay[at..].iter().position(|b| *b == first) {
        at += next;
        if hay[at..].starts_with(needle) {
            return Some(from + at);
        }
        at += 1;
    }
    None
}

/// The integer after `key`, and where the key is.
fn number_after(text: &[u8], key: &[u8], from: usize) -> Option<(i32, usize)> {
    let at = find(text, key, from)?;
    let mut value: i64 = 0;
    let mut negative = false;
    for b in text[at + key.len()..].iter().skip_while(|b| **b == b' ') {
        match b {
            b'-' => negative = true,
            b'0'..=b'9' => value = (value * 10 + i64::from(b - b'0')).min(1 << 40),
            _ => break,
        }
    }
    let value = if negative { -value } else { value };
    Some((i32::try_from(value).ok()?, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
        let total = u32::try_from(4 + header.len() + body.len()).unwrap();
        let mark = u32::try_from(header.len()).unwrap() | u32::from(kind) << 24;
        [&total.to_be_bytes(), &mark.to_be_bytes(), header, body].concat()
    }

    #[test]
    fn json_and_binary_responses_are_found_one_after_the_other() {
        let json = br#"{"code":19,"extFields":{"nextBeginOffset":"0077"},"flag":1,"language":"JAVA","opaque":1000000003,"remark":"no new","version":479}"#;
        let mut binary = vec![0, 2, 0, 1, 223];
        binary.extend_from_slice(&1_000_000_004_i32.to_be_bytes());
        binary.extend_from_slice(&1_i32.to_be_bytes());
        binary.extend_from_slice(&[0; 8]);
        let bytes = [frame(0, json, b"body"), frame(1, &binary, b"")].concat();
        let mut scanner = Scanner::default();
        let (first, len) = scanner.next(&bytes).unwrap().unwrap();
        assert_eq!((first.code, first.opaque, first.is_request), (19, 1_000_000_003, false));
        assert_eq!(first.number("nextBeginOffset"), Some(77));
        assert_eq!(first.remark().as_deref(), Some("no new"));
        assert_eq!(first.body, b"body");
        let (second, _) = scanner.next(&bytes[len..]).unwrap().unwrap();
        assert_eq!((second.code, second.opaque), (2, 1_000_000_004));
        for cut in 0..len {
            assert_eq!(scanner.next(&bytes[..cut]).unwrap(), None);
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let mut scanner = Scanner::default();
        assert!(scanner.next(b"HTTP/1.1 400 Bad Request").is_err());
        assert!(scanner.next(&frame(0, b"{}", b"")).is_err());
        assert!(scanner.next(&frame(7, b"{}", b"")).is_err());
    }
}
