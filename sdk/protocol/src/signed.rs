//! What RocketMQ's ACL signs, on both ends.

use std::cmp::Ordering;
use std::fmt;

use bytes::{Buf as _, BytesMut};

use crate::codes::version;
use crate::encode::{self, ExtWriter};
use crate::header::message::UNIQUE_KEY_QUERY;
use crate::{ExtFields, RemotingCommand};

/// The field that names who signed.
pub const ACCESS_KEY: &str = "AccessKey";
/// The field that holds the signature.
pub const SIGNATURE: &str = "Signature";

/// The bytes that a client signs before the body: the values of all fields in the order of their
/// names. The signature itself is not among them, and clients up to 4.9.3 leave one field out that
/// they add after signing.
///
/// One value is used for all requests of a burst: only the first needs memory of its own, and those
/// that have the same fields in the same places as the one before need no sorting.
#[derive(Debug, Default)]
pub struct SignedFields {
    order: Vec<usize>,
    /// The names that are in this order, as they came, one behind the other; and where each ends.
    names: Vec<u8>,
    ends: Vec<usize>,
    /// For each field, the beginning of its name.
    beginnings: Vec<u64>,
    bytes: Vec<u8>,
}

impl SignedFields {
    /// What is signed of `command`; `None` if a field is there twice: then what is signed is not what is
    /// acted on.
    pub fn of(&mut self, command: &RemotingCommand) -> Option<&[u8]> {
        let ext: &ExtFields = &command.ext;
        if !self.has_names_of(ext) && !self.sort(ext) {
            // Nothing that comes may be taken for this.
            *self = Self::default();
            return None;
        }
        let Self { order, bytes, .. } = self;
        bytes.clear();
        for (name, value) in order.iter().map(|at| ext.nth_raw(*at)) {
            let late = name == UNIQUE_KEY_QUERY.as_bytes() && command.version <= version::V4_9_3;
            if name != SIGNATURE.as_bytes() && !late {
                bytes.extend_from_slice(value);
            }
        }
        Some(bytes)
    }

    /// Whether these fields have the names of those before, in the same places.
    fn has_names_of(&self, ext: &ExtFields) -> bool {
        let mut begin = 0;
        let mut both = ext.iter_raw().zip(&self.ends);
        ext.len() == self.ends.len()
            && both.all(|((name, _), end)| {
                let before = self.names.get(begin..*end);
                begin = *end;
                before == Some(name)
            })
    }

    /// Puts fields in order; `false` if one is there twice.
    fn sort(&mut self, ext: &ExtFields) -> bool {
        let Self { order, names, ends, beginnings, .. } = self;
        names.clear();
        ends.clear();
        beginnings.clear();
        for (name, _) in ext.iter_raw() {
            names.extend_from_slice(name);
            ends.push(names.len());
            beginnings.push(beginning(name));
        }
        let by_name = |a: &usize, b: &usize| match (beginnings.get(*a), beginnings.get(*b)) {
            (Some(x), Some(y)) if x != y => x.cmp(y),
            _ => java_order(ext.nth(*a).0, ext.nth(*b).0),
        };
        order.clear();
        order.extend(0..ext.len());
        order.sort_unstable_by(by_name);
        order.array_windows().all(|[a, b]: &[usize; 2]| by_name(a, b) == Ordering::Less)
    }
}

/// The first bytes of a name as a number: where two differ, they compare as the names do in [`java_order`].
/// Nothing is told apart from the first byte on that is not ASCII, since there Java's order is another one.
fn beginning(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(name) {
        *to = if from.is_ascii() { *from } else { u8::MAX };
        if !from.is_ascii() {
            break;
        }
    }
    u64::from_be_bytes(first)
}

/// The order of Java's strings, which are of UTF-16: another one than ours beyond U+FFFF only.
fn java_order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

type Sign = Box<dyn Fn(&[u8], &[u8]) -> String + Send + Sync>;

/// Signs the requests of a client.
pub struct Signer {
    access_key: String,
    sign: Sign,
}

impl Signer {
    /// A signer for `access_key`; `sign` makes the signature of signed fields and body.
    pub fn new(
        access_key: impl Into<String>,
        sign: impl Fn(&[u8], &[u8]) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { access_key: access_key.into(), sign: Box::new(sign) }
    }

    /// Writes the fields that `ext` writes, and who signed them together with `body`.
    pub fn write(
        &self,
        out: &mut ExtWriter<'_>,
        ext: impl FnOnce(&mut ExtWriter<'_>),
        body: &[u8],
    ) {
        let mut written = BytesMut::new();
        encode::binary_fields(&mut written, |out| {
            ext(out);
            out.pair(ACCESS_KEY, &self.access_key);
        });
        let mut fields = Vec::new();
        let mut rest: &[u8] = &written;
        while let Some(pair) = take_pair(&mut rest) {
            out.pair(pair.0, pair.1);
            fields.push(pair);
        }
        fields.sort_unstable_by(|a, b| java_order(a.0, b.0));
        let signed: Vec<u8> = fields.iter().flat_map(|(_, value)| value.bytes()).collect();
        out.pair(SIGNATURE, &(self.sign)(&signed, body));
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// The next field of those that we wrote ourselves.
fn take_pair<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, &'a str)> {
    let name_len = rest.try_get_u16().ok()?;
    let (name, after) = rest.split_at_checked(usize::from(name_len))?;
    *rest = after;
    let value_len = rest.try_get_u32().ok()?;
    let (value, after) = rest.split_at_checked(usize::try_from(value_len).ok()?)?;
    *rest = after;
    Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::frame;
    use crate::{RequestHead, SerializeType};

    use super::*;

    fn command<const N: usize>(version: i32, fields: [(&str, &str); N]) -> RemotingCommand {
        let ext = fields.into_iter().collect();
        RemotingCommand { version, ..RemotingCommand::new(10, ext, Bytes::new()) }
    }

    fn signed(command: &RemotingCommand) -> Option<String> {
        let mut room = SignedFields::default();
        // What a request before it left must not be seen.
        room.of(&self::command(0, [("x", "left"), ("y", "over")]));
        room.of(command).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn values_are_joined_in_the_order_of_their_names() {
        let fields = [("a", "PG"), ("Signature", "s"), ("b", "TopicTest"), ("AccessKey", "ak1")];
        assert_eq!(signed(&command(0, fields)).unwrap(), "ak1PGTopicTest");
        let fields =
            [("b", "TopicTest"), ("SecurityToken", "tok"), ("AccessKey", "ak1"), ("a", "PG")];
        assert_eq!(signed(&command(0, fields)).unwrap(), "ak1tokPGTopicTest");
    }

    #[test]
    fn clients_up_to_4_9_3_add_a_field_after_signing() {
        let fields = [(UNIQUE_KEY_QUERY, "true"), ("AccessKey", "ak1")];
        assert_eq!(signed(&command(version::V4_9_3, fields)).unwrap(), "ak1");
        assert_eq!(signed(&command(version::V4_9_3 + 1, fields)).unwrap(), "ak1true");
    }

    #[test]
    fn a_field_that_is_there_twice_signs_nothing() {
        assert_eq!(signed(&command(0, [("a", "1"), ("b", "2"), ("a", "3")])), None);
        assert_eq!(signed(&command(0, [("Signature", "1"), ("Signature", "2")])), None);
        let mut room = SignedFields::default();
        let twice = command(0, [("a", "1"), ("a", "2")]);
        assert_eq!(room.of(&twice), None);
        assert_eq!(room.of(&twice), None, "not after the same either");
        assert_eq!(room.of(&command(0, [("a", "1"), ("b", "2")])), Some(&b"12"[..]));
        assert_eq!(room.of(&twice), None);
        // The same bytes, parted elsewhere.
        for names in [["ab", "c"], ["a", "bc"], ["abc", ""]] {
            let fields = [(names[0], "x"), (names[1], "y")];
            let sorted: &[u8] = if names[0] < names[1] { b"xy" } else { b"yx" };
            assert_eq!(room.of(&command(0, fields)), Some(sorted), "{names:?}");
        }
    }

    #[test]
    fn the_order_is_java_s() {
        let fields = [("\u{ff5e}", "2"), ("\u{1f600}", "1"), ("z", "0")];
        assert_eq!(signed(&command(0, fields)).unwrap(), "012");
    }

    #[test]
    fn it_is_the_same_whatever_the_request_before_had() {
        let names = [
            "",
            "\0",
            "a",
            "a\0",
            "aa",
            "long-name",
            "long-names",
            "long-namf",
            "z",
            "\u{7f}",
            "\u{80}",
            "a\u{e9}b",
            "a\u{e9}a",
            "a\u{1f600}",
            "a\u{ff5e}",
            "long-n\u{ff5e}e",
            "long-n\u{1f600}e",
        ];
        let mut sorted = names;
        sorted.sort_by(|a, b| java_order(a, b));
        let expected = sorted.map(|name| format!("{name};")).concat();
        let mut room = SignedFields::default();
        for turned in 0..names.len() {
            let mut fields = names;
            fields.rotate_left(turned);
            let values = fields.map(|name| format!("{name};"));
            let fields: Vec<_> = fields.into_iter().zip(&values).collect();
            let ext = fields.into_iter().collect();
            let command = RemotingCommand::new(10, ext, Bytes::new());
            assert_eq!(room.of(&command), Some(expected.as_bytes()));
            assert_eq!(room.of(&command), Some(expected.as_bytes()), "with the order of before");
        }
    }

    #[test]
    fn what_a_signer_writes_is_what_a_server_reads() {
        let signer = Signer::new("me", |fields, body| {
            format!("{}/{}", String::from_utf8_lossy(fields), String::from_utf8_lossy(body))
        });
        for serialize in [SerializeType::Json, SerializeType::RocketMq] {
            let mut out = BytesMut::new();
            let head = RequestHead { serialize, ..RequestHead::new(10, 7) };
            let fields = |out: &mut ExtWriter<'_>| {
                out.text("topic", "with \"quotes\" \u{1} and \u{e9}");
                out.number("b", -5);
                out.boolean("Z", true);
            };
            encode::request(&mut out, &head, |out| signer.write(out, fields, b"body"), b"body");
            let command = frame::split(&mut out, 1 << 20).unwrap().unwrap();
            let expected = signed(&command).unwrap();
            assert_eq!(expected, "metrue-5with \"quotes\" \u{1} and \u{e9}");
            assert_eq!(command.ext.get(SIGNATURE), Some(&*format!("{expected}/body")));
            assert_eq!(command.ext.get(ACCESS_KEY), Some("me"));
        }
    }
}
