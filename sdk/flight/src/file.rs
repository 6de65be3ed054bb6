//! The bytes of the file: a head, a table of names, and rings of records, one after the other.
//!
//! All numbers are little-endian. What is not whole does not fit its checksum.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use blockhouse_meter::flight::Subject;
use blockhouse_meter::spans::{Stages, Ticks};
use blockhouse_meter::{FlightRecord, NameNumber};
use blockhouse_model::Timestamp;

/// What the file begins with.
const MAGIC: [u8; 8] = *b"BHFLIGHT";
const VERSION: u32 = 1;
/// Bytes of the head; a page, so that all that follows lies within pages.
pub const HEAD: usize = 4_096;
/// Names of the table.
pub const NAMES: u32 = 8_192;
/// Bytes of a name's place.
pub const NAME: usize = 256;
/// Most bytes of a name; longer ones are cut.
pub const NAME_MAX: usize = NAME - 16;
/// Bytes of a record.
pub const RECORD: usize = 128;
/// More rings than any process has.
const RINGS_MAX: u32 = 64;
/// More records than any ring has.
const RECORDS_MAX: u32 = 1 << 20;
const WORDS: usize = RECORD / 8;
/// Of a record without a queue.
const NO_QUEUE: u32 = u32::MAX;

/// Who wrote the file, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Rings.
    pub rings: u32,
    /// Records of each.
    pub records: u32,
    /// The process.
    pub process: u32,
    /// When it began, by the wall clock.
    pub began: Timestamp,
    /// The same moment on the monotonic clock, which records have.
    pub began_monotonic: Duration,
}

impl Head {
    /// Bytes of the whole file.
    #[must_use]
    pub const fn file_len(&self) -> u64 {
        self.ring_at(self.rings)
    }

    /// Where a ring begins.
    #[must_use]
    pub const fn ring_at(&self, ring: u32) -> u64 {
        (HEAD + NAMES as usize * NAME) as u64 + ring as u64 * self.records as u64 * RECORD as u64
    }

    pub(crate) fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let words = [
            u64::from_le_bytes(MAGIC),
            halves(VERSION, NAMES),
            halves(self.rings, self.records),
            halves(self.process, 0),
            self.began.0.cast_unsigned(),
            nanos(self.began_monotonic),
        ];
        put(&mut bytes, &words);
        put(&mut bytes[words.len() * 8..], &[checksum(&words)]);
        bytes
    }

    /// What a file of this beginning is; `None` if it is none, or of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let all: [u64; 7] = words(bytes)?;
        let [magic, form, size, process, began, began_monotonic, sum] = all;
        let fits = magic == u64::from_le_bytes(MAGIC)
            && form == halves(VERSION, NAMES)
            && sum == checksum(&all[..6]);
        let (rings, records) = split(size);
        let is_bounded = (1..=RINGS_MAX).contains(&rings) && (1..=RECORDS_MAX).contains(&records);
        (fits && is_bounded).then_some(Self {
            rings,
            records,
            process: split(process).0,
            began: Timestamp(began.cast_signed()),
            began_monotonic: Duration::from_nanos(began_monotonic),
        })
    }
}

/// The place in the table of a name with this number.
#[must_use]
pub const fn name_at(number: u32) -> usize {
    HEAD + (number % NAMES) as usize * NAME
}

pub(crate) fn encode_name(number: u32, text: &str) -> [u8; NAME] {
    let text = text.split_at(text.floor_char_boundary(NAME_MAX)).0.as_bytes();
    let mut bytes = [0; NAME];
    put(&mut bytes, &[halves(number, u32::try_from(text.len()).unwrap_or(0))]);
    bytes[8..8 + text.len()].copy_from_slice(text);
    let sum = words::<{ NAME / 8 }>(&bytes).map_or(0, |all| checksum(&all));
    put(&mut bytes[NAME - 8..], &[sum]);
    bytes
}

/// A name and its number; `None` if there is none, or not all of it.
#[must_use]
pub fn decode_name(bytes: &[u8]) -> Option<(u32, &str)> {
    let mut all: [u64; NAME / 8] = words(bytes)?;
    let sum = std::mem::take(&mut all[NAME / 8 - 1]);
    let (number, len) = split(all[0]);
    if number == 0 || sum != checksum(&all) {
        return None;
    }
    let len = usize::try_from(len).ok().filter(|len| *len <= NAME_MAX)?;
    let text = std::str::from_utf8(bytes.get(8..8 + len)?).ok()?;
    Some((number, text))
}

const HELD: u8 = 1;
const LATE: u8 = 2;
const ONE_WAY: u8 = 4;
const HOOKED: u8 = 8;

/// The record that is the `sequence`th of its ring, counted from 1.
pub(crate) fn encode(sequence: u64, record: &FlightRecord) -> [u8; RECORD] {
    let FlightRecord { subject, peer, .. } = record;
    let Stages { admit, hooked, append, flush } = subject.stages;
    let flag = |is: bool, bit: u8| if is { bit } else { 0 };
    let flags = flag(record.is_held, HELD)
        | flag(record.is_late, LATE)
        | flag(record.is_one_way, ONE_WAY)
        | flag(hooked, HOOKED);
    let [ip_high, ip_low] = halves_of(match peer.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    });
    let [trace_high, trace_low] = halves_of(subject.trace_id);
    let mut all: [u64; WORDS] = [
        sequence,
        nanos(record.ended),
        halves(Ticks::of(record.total).number(), admit.number()),
        halves(append.number(), flush.number()),
        halves(record.requests, subject.messages),
        halves(record.request.cast_unsigned(), record.response.cast_unsigned()),
        halves(subject.queue.unwrap_or(NO_QUEUE), record.client.0),
        halves(subject.topic.0, subject.group.0),
        subject.bytes,
        halves(u32::from(peer.port()) | u32::from(flags) << 16, subject.reason.0),
        ip_high,
        ip_low,
        trace_high,
        trace_low,
        record.connection,
        0,
    ];
    all[WORDS - 1] = checksum(&all[..WORDS - 1]);
    let mut bytes = [0; RECORD];
    put(&mut bytes, &all);
    bytes
}

/// What stands in a record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing yet.
    Empty,
    /// A record that is not whole.
    Torn,
    /// A record, and the how manieth of its ring it is.
    Whole(u64, FlightRecord),
}

impl Place {
    /// What these bytes are.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        match words::<WORDS>(bytes) {
            Some(all) if all == [0; WORDS] => Self::Empty,
            Some(all) if all[WORDS - 1] == checksum(&all[..WORDS - 1]) => whole(&all),
            _ => Self::Torn,
        }
    }
}

fn whole(all: &[u64; WORDS]) -> Place {
    let [total, admit] = <[u32; 2]>::from(split(all[2])).map(Ticks::from_number);
    let [append, flush] = <[u32; 2]>::from(split(all[3])).map(Ticks::from_number);
    let (requests, messages) = split(all[4]);
    let (request, response) = split(all[5]);
    let (queue, client) = split(all[6]);
    let (topic, group) = split(all[7]);
    let (port, reason) = split(all[9]);
    let [port_low, port_high, flags, _] = port.to_le_bytes();
    let ip = Ipv6Addr::from_bits(joined(all[10], all[11])).to_canonical();
    let subject = Subject {
        topic: NameNumber(topic),
        group: NameNumber(group),
        // It is that of the record.
        client: NameNumber::NONE,
        reason: NameNumber(reason),
        queue: Some(queue).filter(|queue| *queue != NO_QUEUE),
        messages,
        bytes: all[8],
        trace_id: joined(all[12], all[13]),
        stages: Stages { admit, hooked: flags & HOOKED != 0, append, flush },
    };
    let record = FlightRecord {
        ended: Duration::from_nanos(all[1]),
        total: total.time(),
        request: request.cast_signed(),
        response: response.cast_signed(),
        requests,
        is_held: flags & HELD != 0,
        is_late: flags & LATE != 0,
        is_one_way: flags & ONE_WAY != 0,
        peer: SocketAddr::new(ip, u16::from_le_bytes([port_low, port_high])),
        connection: all[14],
        client: NameNumber(client),
        subject,
    };
    Place::Whole(all[0], record)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn halves(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

const fn split(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn halves_of(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}

fn joined(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn put(bytes: &mut [u8], words: &[u64]) {
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// The first `N` words; `None` if they are not all there.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut all = [0; N];
    let mut places = bytes.chunks_exact(8);
    for word in &mut all {
        *word = u64::from_le_bytes(places.next()?.try_into().ok()?);
    }
    Some(all)
}

/// Tells words that are whole from a mix of two. Four sums at once: one alone would be four times as slow.
fn checksum(words: &[u64]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut sums = [FACTOR, FACTOR.rotate_left(16), FACTOR.rotate_left(32), FACTOR.rotate_left(48)];
    for four in words.chunks(4) {
        for (sum, word) in sums.iter_mut().zip(four) {
            *sum = (*sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
        }
    }
    sums.into_iter().fold(0, |all, sum| (all ^ sum).wrapping_mul(FACTOR).rotate_left(31))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn record() -> FlightRecord {
        FlightRecord {
            ended: Duration::from_nanos(1_234_567_890_123),
            total: Duration::from_micros(1_500),
            request: 310,
            response: -3,
            requests: 7,
            is_held: false,
            is_late: true,
            is_one_way: false,
            peer: SocketAddr::from(([10, 0, 0, 5], 51_000)),
            connection: 99,
            client: NameNumber(3),
            subject: Subject {
                topic: NameNumber(1),
                group: NameNumber(2),
                client: NameNumber::NONE,
                reason: NameNumber(8),
                queue: Some(4),
                messages: 9,
                bytes: 1 << 40,
                trace_id: 1 << 127 | 5,
                stages: Stages {
                    admit: Ticks::of(Duration::from_micros(1)),
                    hooked: true,
                    append: Ticks::of(Duration::from_micros(2)),
                    flush: Ticks::of(Duration::from_micros(3)),
                },
            },
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let other = FlightRecord {
            peer: SocketAddr::new("2001:db8::7".parse().unwrap(), 1),
            is_held: true,
            is_one_way: true,
            is_late: false,
            subject: Subject::default(),
            ..record()
        };
        for (sequence, record) in [(1, record()), (u64::MAX, other)] {
            let bytes = encode(sequence, &record);
            assert_eq!(Place::decode(&bytes), Place::Whole(sequence, record));
        }
        assert_eq!(Place::decode(&[0; RECORD]), Place::Empty);
        assert_eq!(Place::decode(&[0; RECORD - 1]), Place::Torn);
    }

    #[test]
    fn a_record_of_two_is_torn_wherever_one_ends() {
        let mut later = record();
        later.ended += Duration::from_nanos(1);
        let (old, new) = (encode(1, &record()), encode(65_537, &later));
        for end in 1..RECORD {
            let mut mixed = old;
            mixed[..end].copy_from_slice(&new[..end]);
            if mixed != old && mixed != new {
                assert_eq!(Place::decode(&mixed), Place::Torn, "{end}");
            }
            let mut begun = [0; RECORD];
            begun[..end].copy_from_slice(&new[..end]);
            assert_eq!(Place::decode(&begun), Place::Torn, "{end}");
        }
        for at in 0..RECORD {
            let mut flipped = old;
            flipped[at] ^= 0x40;
            assert_eq!(Place::decode(&flipped), Place::Torn, "{at}");
        }
    }

    #[test]
    fn names_are_whole_or_none() {
        let long = "é".repeat(200);
        for name in ["orders", "", &long] {
            let bytes = encode_name(8_193, name);
            let (text, _) = name.split_at(name.floor_char_boundary(NAME_MAX));
            assert_eq!(decode_name(&bytes), Some((8_193, text)));
            for at in [0, 4, 9, NAME - 1] {
                let mut flipped = bytes;
                flipped[at] ^= 1;
                assert_eq!(decode_name(&flipped), None, "{at}");
            }
        }
        assert_eq!(decode_name(&[0; NAME]), None);
        assert_eq!(decode_name(b"short"), None);
    }

    #[test]
    fn a_head_says_how_large_the_file_is() {
        let head = Head {
            rings: 2,
            records: 65_536,
            process: 77,
            began: Timestamp(1_800_000_000_000),
            began_monotonic: Duration::from_nanos(5),
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes), Some(head));
        assert_eq!(head.file_len(), 4_096 + (2 << 20) + (16 << 20));
        assert_eq!((head.ring_at(0) % 4_096, head.ring_at(1) % 4_096), (0, 0));
        for at in 0..56 {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            assert_eq!(Head::decode(&flipped), None, "{at}");
        }
        for wrong in
            [Head { rings: 65, ..head }, Head { rings: 0, ..head }, Head { records: 0, ..head }]
        {
            assert_eq!(Head::decode(&wrong.encode()), None);
        }
        assert_eq!(Head::decode(&bytes[..40]), None);
    }
}
