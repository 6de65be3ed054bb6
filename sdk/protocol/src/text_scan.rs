//! Finding the end of a JSON text and undoing its escapes in place, eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unescaped {
    /// After the text's last byte, escapes undone.
    pub(crate) end: usize,
    /// After the closing quote.
    pub(crate) next: usize,
}

/// A bit in each byte of `word` that equals `byte`; exact for the lowest one.
const fn equal(word: u64, byte: u8) -> u64 {
    let diff = word ^ (ONES * byte as u64);
    diff.wrapping_sub(ONES) & !diff & HIGHS
}

/// How many of the first eight bytes are neither quote nor backslash.
const fn plain(word: u64) -> usize {
    ((equal(word, b'"') | equal(word, b'\\')).trailing_zeros() / 8) as usize
}

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}

/// Where the text that starts at `at`, after its opening quote, ends: at its closing quote. `None`
/// if it has escapes, does not end, or ends with the bytes, which is for [`unescape`].
#[inline]
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = plain(word_at(bytes, at)?);
        at += len;
        if len < 8 {
            return (bytes.get(at) == Some(&b'"')).then_some(at);
        }
    }
}

/// Undoes the escapes of the text that starts at `start`, after its opening quote. Bytes that are
/// not UTF-8 stay so, and blanks fill the gap, so that checking the whole later checks the text.
pub(crate) fn unescape(bytes: &mut [u8], start: usize) -> Result<Unescaped, &'static str> {
    let mut at = start;
    while let Some(word) = word_at(bytes, at) {
        let len = plain(word);
        at += len;
        if len < 8 {
            break;
        }
    }
    loop {
        match bytes.get(at).copied() {
            Some(b'"') => return Ok(Unescaped { end: at, next: at + 1 }),
            Some(b'\\') => return compact(bytes, at),
            Some(_) => at += 1,
            None => return Err("a text does not end"),
        }
    }
}

/// Undoes escapes from the first backslash at `at` on.
fn compact(bytes: &mut [u8], at: usize) -> Result<Unescaped, &'static str> {
    let (mut read, mut write) = (at, at);
    loop {
        if let Some(word) = word_at(bytes, read) {
            let len = plain(word);
            // Bytes that are not read yet are not overwritten: up to `read + len`, all are read.
            if write + 8 <= read + len {
                if let Some(to) = bytes.get_mut(write..write + 8) {
                    to.copy_from_slice(&word.to_le_bytes());
                }
                write += len;
            } else {
                for byte in word.to_le_bytes().into_iter().take(len) {
                    put(bytes, &mut write, byte);
                }
            }
            read += len;
            if len == 8 {
                continue;
            }
        }
        match bytes.get(read).copied() {
            Some(b'"') => {
                bytes.get_mut(write..read).unwrap_or_default().fill(b' ');
                return Ok(Unescaped { end: write, next: read + 1 });
            }
            Some(b'\\') => {
                // By far the most frequent: the separators in a message's properties.
                if let Some([b'u', b'0', b'0', b'0', digit @ b'1'..=b'2']) =
                    bytes.get(read + 1..read + 6)
                {
                    let separator = digit - b'0';
                    put(bytes, &mut write, separator);
                    read += 6;
                    continue;
                }
                let (used, what) = escape(bytes.get(read + 1..).unwrap_or_default())?;
                read += 1 + used;
                match u8::try_from(what) {
                    Ok(ascii @ ..0x80) => put(bytes, &mut write, ascii),
                    _ => put_char(bytes, &mut write, what),
                }
            }
            Some(byte) => {
                put(bytes, &mut write, byte);
                read += 1;
            }
            None => return Err("a text does not end"),
        }
    }
}

fn put(bytes: &mut [u8], write: &mut usize, byte: u8) {
    if let Some(to) = bytes.get_mut(*write) {
        *to = byte;
    }
    *write += 1;
}

fn put_char(bytes: &mut [u8], write: &mut usize, what: char) {
    for byte in what.encode_utf8(&mut [0; 4]).bytes() {
        put(bytes, write, byte);
    }
}

/// Reads an escape after its backslash: how many bytes it took, and what it stands for.
fn escape(rest: &[u8]) -> Result<(usize, char), &'static str> {
    let plain = match *rest {
        [b'u', ..] => return unicode(rest),
        [quoted @ (b'"' | b'\\' | b'/'), ..] => char::from(quoted),
        [b'n', ..] => '\n',
        [b't', ..] => '\t',
        [b'r', ..] => '\r',
        [b'b', ..] => '\u{8}',
        [b'f', ..] => '\u{c}',
        _ => return Err("an escape is unknown"),
    };
    Ok((1, plain))
}

fn unicode(rest: &[u8]) -> Result<(usize, char), &'static str> {
    let first = hex4(rest.get(1..5)).ok_or("four hex digits were expected")?;
    if let Some(plain) = char::from_u32(first) {
        return Ok((5, plain));
    }
    // A surrogate. Java turns one without its other half into a question mark when it writes
    // UTF-8, so that is what its brokers store.
    let low = match rest.get(5..7) {
        Some(b"\\u") => hex4(rest.get(7..11)),
        _ => None,
    };
    match low {
        Some(low @ 0xDC00..=0xDFFF) if first < 0xDC00 => {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            Ok((11, char::from_u32(code).unwrap_or('?')))
        }
        _ => Ok((5, '?')),
    }
}

fn hex4(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |sum, b| Some(sum << 4 | char::from(*b).to_digit(16)?))
}

/// A decimal number with an optional sign, as Java's `Long.parseLong` takes it.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    // Counted downwards, as there is one negative number more. 18 digits cannot overflow.
    let (mut value, short) = (0_i64, digits.len() <= 18);
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        let digit = i64::from(digit);
        value =
            if short { value * 10 - digit } else { value.checked_mul(10)?.checked_sub(digit)? };
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(text: &str) -> Result<String, &'static str> {
        let mut bytes = format!("{text}\"tail").into_bytes();
        let done = unescape(&mut bytes, 0)?;
        assert_eq!(&bytes[done.next..], b"tail");
        Ok(String::from_utf8(bytes[..done.end].to_vec()).unwrap())
    }

    #[test]
    fn escapes_shrink_in_place() {
        assert_eq!(undo(r"plain"), Ok("plain".into()));
        assert_eq!(undo(""), Ok(String::new()));
        assert_eq!(
            undo(r"KEYS\u0001k1 k2\u0002TAGS\u0001a"),
            Ok("KEYS\x01k1 k2\x02TAGS\x01a".into())
        );
        assert_eq!(
            undo(r#"\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00"#),
            Ok("\"\\/\x08\x0c\n\r\téé😀".into())
        );
        assert_eq!(undo(r"\ud83dx\ude00"), Ok("?x?".into()));
        assert!(undo(r"\x").is_err());
        assert!(undo(r"\u12").is_err());
        assert!(unescape(&mut b"no end, however long".to_vec(), 0).is_err());
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        assert_eq!(parse_i64(b"0"), Some(0));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"+7"), Some(7));
        for bad in [&b""[..], b"-", b"1x", b" 1", b"9223372036854775808", b"1.0"] {
            assert_eq!(parse_i64(bad), None);
        }
    }
}
