//! Whether a client's first message is complete. Until it is, only its own bytes are kept: a session
//! of the TLS library would be several times the memory.

/// Type of a record that holds a handshake, and of the message that begins one.
const HANDSHAKE: u8 = 0x16;
const CLIENT_HELLO: u8 = 1;
/// Type, version and length of a record; type and length of a message.
const RECORD_HEAD: usize = 5;
const MESSAGE_HEAD: usize = 4;

/// Whether more bytes are needed before the library can say what it makes of these. Bytes that are
/// no hello need no more: the library finds that out.
pub(super) fn is_incomplete(bytes: &[u8]) -> bool {
    let mut head = Vec::with_capacity(MESSAGE_HEAD);
    let (mut rest, mut payload) = (bytes, 0);
    loop {
        let Some((record, after)) = rest.split_first_chunk::<RECORD_HEAD>() else {
            return rest.first().is_none_or(|kind| *kind == HANDSHAKE);
        };
        let [kind, _, _, high, low] = *record;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if kind != HANDSHAKE || len == 0 {
            return false;
        }
        let Some(part) = after.get(..len) else { return true };
        head.extend(part.iter().take(MESSAGE_HEAD - head.len()));
        payload += len;
        if let [kind, high, middle, low] = head[..] {
            let message = u32::from_be_bytes([0, high, middle, low]);
            let whole = usize::try_from(message).map_or(usize::MAX, |len| MESSAGE_HEAD + len);
            if kind != CLIENT_HELLO || payload >= whole {
                return false;
            }
        }
        rest = &after[len..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of `len` bytes, `each` in a record.
    fn hello(len: usize, each: usize) -> Vec<u8> {
        let [_, high, middle, low] = u32::try_from(len).unwrap().to_be_bytes();
        let message = [&[CLIENT_HELLO, high, middle, low][..], &vec![7; len]].concat();
        let record = |part: &[u8]| {
            let [high, low] = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[HANDSHAKE, 3, 1, high, low], part].concat()
        };
        message.chunks(each).flat_map(record).collect()
    }

    #[test]
    fn a_hello_is_incomplete_up_to_its_last_byte_however_it_is_cut_into_records() {
        for each in [1, 2, 3, 4, 5, 100, 16_000] {
            let whole = hello(300, each);
            for cut in 0..whole.len() {
                assert!(is_incomplete(&whole[..cut]), "{each} {cut}");
            }
            assert!(!is_incomplete(&whole));
            assert!(!is_incomplete(&[&whole[..], b"more"].concat()));
        }
    }

    #[test]
    fn what_is_no_hello_needs_no_more() {
        for bytes in [
            &b"\x17"[..],
            b"\x16\x03\x01\0\0",
            b"\x16\x03\x01\0\x04\x02\0\0\x09",
            b"\x16\x03\x01\0\x01\x01\x15",
        ] {
            assert!(!is_incomplete(bytes), "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn once_judged_more_bytes_change_nothing(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(3), Just(HANDSHAKE), any::<u8>()], 0..60),
        ) {
            if let Some(judged) = (0..=bytes.len()).find(|len| !is_incomplete(&bytes[..*len])) {
                prop_assert!((judged..=bytes.len()).all(|len| !is_incomplete(&bytes[..len])));
            }
        }
    }
}
