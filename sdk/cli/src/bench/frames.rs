//! Requests encoded once and sent many times: only digits of fixed width change.

use std::fmt::Write as _;

/// Opaques start here, so that all have ten digits; the rest is the slot.
const OPAQUE_BASE: i32 = 1_000_000_000;
const SEND_MESSAGE_V2: i32 = 310;
const SEND_BATCH_MESSAGE: i32 = 320;
const PULL_MESSAGE: i32 = 11;
/// `MQVersion` ordinal of RocketMQ 5.3.1: what a current client says.
const VERSION: i32 = 475;
/// Digits of the part of a unique key that changes.
const KEY_DIGITS: usize = 12;
/// Digits of an offset: as many as `i64::MAX` has.
const OFFSET_DIGITS: usize = 19;
const PULL_SUSPEND: u32 = 2;
const PULL_SUBSCRIPTION: u32 = 4;

/// Where a message goes.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) topic: String,
    pub(crate) queue_id: u32,
}

/// The slot that an opaque belongs to.
pub(crate) fn slot_of(opaque: i32) -> Option<usize> {
    usize::try_from(opaque.checked_sub(OPAQUE_BASE)?).ok()
}

/// What a body begins with when latency is measured end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Tells this run of the generator from others.
    pub(crate) run: u64,
    /// When the message was sent, by [`clock::now`](super::clock::now).
    pub(crate) sent: u64,
}

impl Stamp {
    /// Bytes of a stamp: bodies must be as long.
    pub(crate) const LEN: usize = 16;

    fn to_bytes(self) -> [u8; Self::LEN] {
        (u128::from(self.run) << 64 | u128::from(self.sent)).to_be_bytes()
    }

    /// The stamp that a body begins with.
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        let both = u128::from_be_bytes(*body.first_chunk()?);
        Some(Self {
            run: u64::try_from(both >> 64).ok()?,
            sent: u64::try_from(both & u128::from(u64::MAX)).ok()?,
        })
    }
}

/// A send request.
#[derive(Debug)]
pub(crate) struct SendFrame {
    bytes: Vec<u8>,
    born_at: usize,
    keys_at: Vec<usize>,
    /// Where each body starts.
    bodies_at: Vec<usize>,
}

impl SendFrame {
    /// A request of `batch` messages of `size` bytes; `tag` makes its keys differ from those of
    /// other slots.
    pub(crate) fn new(to: &Queue, slot: usize, tag: u32, size: usize, batch: usize) -> Self {
        let (code, body, properties) = if batch > 1 {
            let entry = batch_entry(tag, size);
            (SEND_BATCH_MESSAGE, entry.repeat(batch), String::new())
        } else {
            (SEND_MESSAGE_V2, vec![b'x'; size], properties(tag, "\\u0001", "\\u0002"))
        };
        let mut ext = String::new();
        let _infallible = write!(
            ext,
            "\"a\":\"blockhouse-bench\",\"b\":\"{}\",\"c\":\"TBW102\",\"d\":\"4\",\"e\":\"{}\",\
             \"f\":\"0\",\"g\":\"{:013}\",\"h\":\"0\",\"i\":\"{properties}\",\"j\":\"0\",\
             \"k\":\"false\",\"m\":\"{}\"",
            to.topic,
            to.queue_id,
            0,
            batch > 1
        );
        let bytes = request(code, slot, &ext, &body);
        let body_from = bytes.len() - body.len();
        let key = key_prefix(tag);
        Self {
            born_at: places(&bytes, b"\"g\":\"").first().map_or(0, |at| at + 5),
            keys_at: places(&bytes, key.as_bytes()).iter().map(|at| at + key.len()).collect(),
            bodies_at: (0..batch)
                .map(|i| body_from + i * (body.len() / batch) + if batch > 1 { 20 } else { 0 })
                .collect(),
            bytes,
        }
    }

    /// How many messages it carries.
    pub(crate) fn messages(&self) -> u64 {
        self.keys_at.len() as u64
    }

    /// Appends the request with its present time and fresh keys, taken from `counter`.
    pub(crate) fn write(&mut self, wall_ms: u64, counter: &mut u64, out: &mut Vec<u8>) {
        put_digits(&mut self.bytes[self.born_at..self.born_at + 13], wall_ms, 10);
        for at in &self.keys_at {
            put_digits(&mut self.bytes[*at..at + KEY_DIGITS], *counter, 16);
            *counter += 1;
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Writes a stamp to the start of each body.
    pub(crate) fn stamp(&mut self, stamp: Stamp) {
        for at in &self.bodies_at {
            if let Some(start) = self.bytes.get_mut(*at..at + Stamp::LEN) {
                start.copy_from_slice(&stamp.to_bytes());
            }
        }
    }
}

/// A pull request.
#[derive(Debug)]
pub(crate) struct PullFrame {
    bytes: Vec<u8>,
    offset_at: usize,
}

impl PullFrame {
    /// A pull of up to `max` messages; with `wait`, the server holds it until there are any.
    pub(crate) fn new(from: &Queue, slot: usize, group: &str, max: u32, wait: bool) -> Self {
        let flags = if wait { PULL_SUBSCRIPTION | PULL_SUSPEND } else { PULL_SUBSCRIPTION };
        let ext = format!(
            "\"commitOffset\":\"0\",\"consumerGroup\":\"{group}\",\"expressionType\":\"TAG\",\
             \"maxMsgNums\":\"{max}\",\"queueId\":\"{}\",\"queueOffset\":\"{:0OFFSET_DIGITS$}\",\
             \"subVersion\":\"0\",\"subscription\":\"*\",\"suspendTimeoutMillis\":\"15000\",\
             \"sysFlag\":\"{flags}\",\"topic\":\"{}\"",
            from.queue_id, 0, from.topic
        );
        let bytes = request(PULL_MESSAGE, slot, &ext, b"");
        let offset_at = places(&bytes, b"\"queueOffset\":\"").first().map_or(0, |at| at + 15);
        Self { bytes, offset_at }
    }

    /// Appends the request for messages from `offset` on.
    pub(crate) fn write(&mut self, offset: u64, out: &mut Vec<u8>) {
        put_digits(&mut self.bytes[self.offset_at..self.offset_at + OFFSET_DIGITS], offset, 10);
        out.extend_from_slice(&self.bytes);
    }
}

fn request(code: i32, slot: usize, ext: &str, body: &[u8]) -> Vec<u8> {
    let opaque = OPAQUE_BASE.saturating_add(i32::try_from(slot).unwrap_or(0));
    let header = format!(
        "{{\"code\":{code},\"extFields\":{{{ext}}},\"flag\":0,\"language\":\"JAVA\",\
         \"opaque\":{opaque},\"serializeTypeCurrentRPC\":\"JSON\",\"version\":{VERSION}}}"
    );
    let len = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let lengths = [len(4 + header.len() + body.len()), len(header.len())].concat();
    [lengths.as_slice(), header.as_bytes(), body].concat()
}

/// The properties that an official client adds to every message.
fn properties(tag: u32, name_end: &str, pair_end: &str) -> String {
    let key = key_prefix(tag);
    format!("UNIQ_KEY{name_end}{key}{:0KEY_DIGITS$}{pair_end}WAIT{name_end}true{pair_end}", 0)
}

/// The first 20 of a unique key's 32 hex digits.
fn key_prefix(tag: u32) -> String {
    format!("7F000001{tag:08X}B10C")
}

/// One message of a batch: lengths, magic, crc and flag (all zero), body, properties.
fn batch_entry(tag: u32, size: usize) -> Vec<u8> {
    let properties = properties(tag, "\u{1}", "\u{2}");
    let len = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let properties_len = u16::try_from(properties.len()).unwrap_or(0).to_be_bytes();
    let total = 4 * 5 + size + 2 + properties.len();
    let mut entry = len(total).to_vec();
    entry.extend_from_slice(&[0; 12]);
    entry.extend_from_slice(&len(size));
    entry.resize(entry.len() + size, b'x');
    entry.extend_from_slice(&properties_len);
    entry.extend_from_slice(properties.as_bytes());
    entry
}

/// Where `needle` occurs.
fn places(text: &[u8], needle: &[u8]) -> Vec<usize> {
    let windows = text.windows(needle.len()).enumerate();
    windows.filter(|(_, window)| *window == needle).map(|(at, _)| at).collect()
}

/// Fills `place` with the lowest digits of `number`.
fn put_digits(place: &mut [u8], mut number: u64, base: u64) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for digit in place.iter_mut().rev() {
        *digit = usize::try_from(number % base).map_or(b'0', |d| DIGITS[d]);
        number /= base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue { topic: "t1".to_owned(), queue_id: 3 }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_send_frame_is_a_v2_request_with_fresh_time_and_key() {
        let mut frame = SendFrame::new(&queue(), 5, 0xAB, 16, 1);
        let (mut out, mut counter) = (Vec::new(), 0x1F);
        frame.stamp(Stamp { run: 1, sent: 7 });
        frame.write(1_700_000_000_123, &mut counter, &mut out);
        let header = text(&out[8..]);
        assert!(header.contains(r#""code":310"#) && header.contains(r#""b":"t1""#), "{header}");
        assert!(header.contains(r#""g":"1700000000123""#), "{header}");
        assert!(header.contains(r"UNIQ_KEY\u00017F000001000000ABB10C00000000001F\u0002"));
        assert!(header.contains(r#""opaque":1000000005"#));
        assert_eq!(
            u32::from_be_bytes(*out.first_chunk().unwrap()),
            u32::try_from(out.len()).unwrap() - 4
        );
        assert_eq!(Stamp::of(&out[out.len() - 16..]), Some(Stamp { run: 1, sent: 7 }));
        assert_eq!((counter, frame.messages(), slot_of(1_000_000_005)), (0x20, 1, Some(5)));
    }

    #[test]
    fn a_batch_gives_each_message_its_own_key_and_stamp() {
        let mut frame = SendFrame::new(&queue(), 0, 1, 32, 3);
        let (mut out, mut counter) = (Vec::new(), 0);
        frame.stamp(Stamp { run: 2, sent: 9 });
        frame.write(1, &mut counter, &mut out);
        assert_eq!((frame.messages(), counter), (3, 3));
        let all = text(&out);
        for n in 0..3 {
            assert!(all.contains(&format!("UNIQ_KEY\u{1}7F00000100000001B10C{n:012X}\u{2}")));
        }
        let entry = batch_entry(1, 32).len();
        for i in 0..3 {
            let at = out.len() - (3 - i) * entry + 20;
            assert_eq!(Stamp::of(&out[at..]), Some(Stamp { run: 2, sent: 9 }));
        }
    }

    #[test]
    fn a_pull_frame_asks_from_the_given_offset() {
        let mut frame = PullFrame::new(&queue(), 1, "g", 32, true);
        let mut out = Vec::new();
        frame.write(12, &mut out);
        let header = text(&out);
        assert!(header.contains(r#""queueOffset":"0000000000000000012""#), "{header}");
        assert!(header.contains(r#""sysFlag":"6""#));
    }
}
