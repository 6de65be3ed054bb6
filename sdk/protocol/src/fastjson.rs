//! JSON as RocketMQ's Java servers and clients write it.
//!
//! Their library leaves JSON's rules in two places: the integer keys of a map are written without
//! quotes (`{0:"addr"}`), and a map whose keys are objects has objects for keys
//! (`{{"queueId":0}:1}`). It leaves out members that are null, and takes null for absent.
//!
//! [`read`] takes both dialects, [`write`] and [`write_strict`] write one or the other.

mod standard;
mod writer;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::BodyError;

pub use standard::standard;

/// How the keys of maps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Integers and objects as they are.
    Bare,
    /// All in quotes.
    Quoted,
}

/// Reads a value in either dialect. Nesting deeper than 64 is refused.
///
/// # Errors
/// The text is not JSON in either dialect, or not of the type's shape.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, BodyError> {
    Ok(serde_json::from_slice(&standard(text)?)?)
}

/// Writes a value in Java's dialect. Members that are null are left out.
#[must_use]
pub fn write<T: Serialize + ?Sized>(value: &T) -> Bytes {
    writer::write(value, Keys::Bare)
}

/// Writes a value in strict JSON. Members that are null are left out.
#[must_use]
pub fn write_strict<T: Serialize + ?Sized>(value: &T) -> Bytes {
    writer::write(value, Keys::Quoted)
}

/// Appends a text in quotes.
fn quote(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(b"\"");
    crate::encode::put_escaped(out, text);
    out.extend_from_slice(b"\"");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::body::MessageQueue;

    fn queue(id: i32) -> MessageQueue {
        MessageQueue { broker_name: "b\"".into(), queue_id: id, topic: "t".into() }
    }

    #[test]
    fn object_keys_come_back() {
        let map: BTreeMap<_, _> = [(queue(0), 7), (queue(1), -8)].into();
        let text = write(&map);
        assert_eq!(
            text,
            &br#"{{"brokerName":"b\"","queueId":0,"topic":"t"}:7,{"brokerName":"b\"","queueId":1,"topic":"t"}:-8}"#[..]
        );
        assert_eq!(read::<BTreeMap<MessageQueue, i64>>(&text).unwrap(), map);
        assert_eq!(read::<BTreeMap<MessageQueue, i64>>(&write_strict(&map)).unwrap(), map);
    }

    #[test]
    fn integer_keys_are_bare_or_quoted() {
        let map: BTreeMap<i64, &str> = [(0, "a"), (-1, "b\n")].into();
        assert_eq!(write(&map), &br#"{-1:"b\n",0:"a"}"#[..]);
        assert_eq!(write_strict(&map), &br#"{"-1":"b\n","0":"a"}"#[..]);
        let back: BTreeMap<i64, String> = read(br#" { 0 : "a" , "-1":"b\n"} "#).unwrap();
        assert_eq!(back.len(), 2);
    }

    #[test]
    fn null_members_count_as_absent() {
        #[derive(Serialize)]
        struct Pair {
            a: Option<i32>,
            b: Option<i32>,
        }
        assert_eq!(write(&Pair { a: None, b: Some(1) }), &br#"{"b":1}"#[..]);
        assert_eq!(standard(br#"{"a":null,"b":[null],"c":null}"#).unwrap(), br#"{"b":[null]}"#);
        assert_eq!(standard(br#"{"a":null}"#).unwrap(), b"{}");
        assert_eq!(standard(b"null").unwrap(), b"null");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in [
            &b""[..],
            b"{",
            b"{\"a\"",
            b"{\"a\":}",
            b"[1,",
            b"\"",
            b"{{\"a\":{}}:1}",
            b"{{",
            b"{,}",
            b"[1]]",
            b"{\"a\":1}x",
            b"\"\\",
        ] {
            assert!(read::<serde_json::Value>(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        let deep = [vec![b'['; 65], vec![b']'; 65]].concat();
        assert!(standard(&deep).is_err());
        assert!(standard(&deep[1..129]).is_ok());
    }
}
