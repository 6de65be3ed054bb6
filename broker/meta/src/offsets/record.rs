//! The records of the journal: length (u16), CRC-32 of the body (u32), body; little-endian.

use blockhouse_model::{QueueId, QueueOffset};

use super::journal::Digest;
use crate::topics::QUEUES_MAX;

const SET: u8 = 1;
const REMOVE: u8 = 2;
const CONTINUES: u8 = 3;
const LOG: u8 = 4;
const HEAD_LEN: usize = 6;

/// A change of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// A group is at an offset.
    Set { topic: &'a str, group: &'a str, queue: QueueId, offset: QueueOffset },
    /// A group has no progress in a topic any more.
    Remove { topic: &'a str, group: &'a str },
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Change(Change<'a>),
    /// The journal also continues a file with these contents.
    Continues(Digest),
    /// Where the log of messages ended when the changes before this were written. They are to be
    /// believed only with a log that goes at least as far.
    Log(u64),
}

impl Record<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_LEN]);
        match self {
            Self::Change(Change::Set { topic, group, queue, offset }) => {
                out.push(SET);
                out.extend_from_slice(&queue.0.to_le_bytes());
                out.extend_from_slice(&offset.0.to_le_bytes());
                write_names(out, topic, group);
            }
            Self::Change(Change::Remove { topic, group }) => {
                out.push(REMOVE);
                write_names(out, topic, group);
            }
            Self::Continues(digest) => {
                out.push(CONTINUES);
                out.extend_from_slice(&digest.to_bytes());
            }
            Self::Log(end) => {
                out.push(LOG);
                out.extend_from_slice(&end.to_le_bytes());
            }
        }
        // Names have at most 255 bytes, so a body is far below 64 KiB.
        let len = u16::try_from(out.len() - start - HEAD_LEN).unwrap_or(u16::MAX);
        let crc = crc32fast::hash(&out[start + HEAD_LEN..]);
        out[start..start + 2].copy_from_slice(&len.to_le_bytes());
        out[start + 2..start + HEAD_LEN].copy_from_slice(&crc.to_le_bytes());
    }
}

fn write_names(out: &mut Vec<u8>, topic: &str, group: &str) {
    out.extend_from_slice(&u16::try_from(topic.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(group.as_bytes());
}

/// Takes one record off the front; `None` at the end or at the first damage, which what nobody can
/// have committed is, too: the file that the progress is written to next could not hold it.
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let record = read(body)?;
    *bytes = rest;
    Some(record)
}

fn read(body: &[u8]) -> Option<Record<'_>> {
    let (kind, body) = body.split_first()?;
    match *kind {
        SET => {
            let (queue, body) = body.split_first_chunk::<4>()?;
            let (offset, body) = body.split_first_chunk::<8>()?;
            let (topic, group) = read_names(body)?;
            let queue = QueueId(u32::from_le_bytes(*queue));
            let offset = QueueOffset::from_i64(i64::from_le_bytes(*offset))?;
            let fits = queue.0 < QUEUES_MAX && !topic.contains('@');
            fits.then_some(Record::Change(Change::Set { topic, group, queue, offset }))
        }
        REMOVE => {
            let (topic, group) = read_names(body)?;
            Some(Record::Change(Change::Remove { topic, group }))
        }
        CONTINUES => Digest::from_bytes(body).map(Record::Continues),
        LOG => Some(Record::Log(u64::from_le_bytes(body.try_into().ok()?))),
        _ => None,
    }
}

fn read_names(body: &[u8]) -> Option<(&str, &str)> {
    let (len, body) = body.split_first_chunk::<2>()?;
    let (topic, group) = body.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    Some((std::str::from_utf8(topic).ok()?, std::str::from_utf8(group).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_until_the_first_damage() {
        let records = [
            Record::Change(Change::Set {
                topic: "t",
                group: "g",
                queue: QueueId(7),
                offset: QueueOffset(i64::MAX.cast_unsigned()),
            }),
            Record::Change(Change::Remove { topic: "topic", group: "" }),
            Record::Continues(Digest::of(b"x")),
            Record::Log(1 << 40),
        ];
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for record in &records {
            record.write(&mut bytes);
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            let mut rest = &bytes[..cut];
            let whole = ends.iter().filter(|end| **end <= cut).count();
            for record in &records[..whole] {
                assert_eq!(take(&mut rest), Some(*record));
            }
            assert_eq!(take(&mut rest), None, "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let mut rest = &damaged[..];
            let intact = ends.iter().filter(|end| **end <= at).count();
            for record in &records[..intact] {
                assert_eq!(take(&mut rest), Some(*record));
            }
            assert_eq!(take(&mut rest), None, "damaged at {at}");
        }
    }
}
