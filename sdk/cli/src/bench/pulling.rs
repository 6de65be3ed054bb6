//! The script of a pulling connection.

use blockhouse_model::SysFlag;

use super::clock;
use super::frames::{PullFrame, Queue, Stamp, slot_of};
use super::scan::Response;
use super::stats::Stats;
use super::wire::Script;

const PULL_NOT_FOUND: i32 = 19;
const PULL_RETRY_IMMEDIATELY: i32 = 20;
const PULL_OFFSET_MOVED: i32 = 21;
/// Bytes of a record before its body, for IPv4 hosts: up to and including the body's length.
const BODY_AT: usize = 88;
/// Where a record has its system flags.
const SYS_FLAG_AT: usize = 36;
/// How much longer a host is with IPv6.
const V6_EXTRA: usize = 12;

/// The queue that a slot pulls, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) queue: Queue,
    pub(crate) offset: u64,
    pub(crate) min: u64,
}

/// Keeps one pull per slot in flight.
pub(crate) struct Pulling {
    slots: Vec<Slot>,
    /// Waits for new messages at the end of a queue instead of beginning again, and measures from
    /// the stamp in each body.
    follow: bool,
}

struct Slot {
    frame: PullFrame,
    source: Source,
    started: u64,
}

impl Pulling {
    pub(crate) fn new(sources: Vec<Source>, group: &str, max: u32, follow: bool) -> Self {
        let slots = sources.into_iter().enumerate().map(|(at, source)| {
            let frame = PullFrame::new(&source.queue, at, group, max, follow);
            Slot { frame, source, started: 0 }
        });
        Self { slots: slots.collect(), follow }
    }
}

impl Slot {
    fn pull(&mut self, now: u64, out: &mut Vec<u8>) {
        self.started = now;
        self.frame.write(self.source.offset, out);
    }
}

impl Script for Pulling {
    fn start(&mut self, now: u64, out: &mut Vec<u8>) {
        self.slots.iter_mut().for_each(|slot| slot.pull(now, out));
    }

    fn answer(
        &mut self,
        now: u64,
        response: &Response<'_>,
        out: &mut Vec<u8>,
        stats: Option<&mut Stats>,
    ) {
        let Some(slot) = slot_of(response.opaque).and_then(|at| self.slots.get_mut(at)) else {
            return;
        };
        match response.code {
            0 => {
                slot.source.offset = response.number("nextBeginOffset").unwrap_or(0);
                if let Some(stats) = stats {
                    count(response.body, slot.started, now, self.follow, stats);
                }
            }
            PULL_NOT_FOUND | PULL_RETRY_IMMEDIATELY | PULL_OFFSET_MOVED => {
                let next = response.number("nextBeginOffset").unwrap_or(slot.source.min);
                slot.source.offset = if self.follow { next } else { slot.source.min };
            }
            code => {
                if let Some(stats) = stats {
                    stats.refuse(code, || response.remark());
                }
            }
        }
        slot.pull(now, out);
    }
}

/// Counts the records of a pull's body.
fn count(body: &[u8], started: u64, now: u64, follow: bool, stats: &mut Stats) {
    let mut rest = body;
    let (mut records, mut bytes) = (0, 0);
    while let Some((size, _)) = rest.split_first_chunk::<4>() {
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let Some((record, after)) = rest.split_at_checked(size).filter(|_| size > 0) else { break };
        rest = after;
        let body = body_of(record);
        if follow {
            // Messages of other runs are not counted.
            let stamp = Stamp::of(body);
            let Some(stamp) = stamp.filter(|s| s.run == clock::run()) else { continue };
            stats.latency.saturating_record(now.saturating_sub(stamp.sent).max(1));
        }
        records += 1;
        bytes += u64::try_from(body.len()).unwrap_or(0);
    }
    stats.messages += records;
    stats.bytes += bytes;
    stats.requests += 1;
    if !follow {
        stats.latency.saturating_record(now.saturating_sub(started).max(1));
    }
}

/// The body in a record; nothing if the record is damaged.
fn body_of(record: &[u8]) -> &[u8] {
    let number = |at: usize| record.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
    let flag = SysFlag(number(SYS_FLAG_AT).unwrap_or(0).cast_signed());
    let long = [SysFlag::BORN_HOST_V6, SysFlag::STORE_HOST_V6];
    let long = long.into_iter().filter(|bit| flag.0 & bit != 0).count();
    let at = BODY_AT + long * V6_EXTRA;
    let len = number(at - 4).and_then(|len| usize::try_from(len).ok());
    len.and_then(|len| record.get(at..at.checked_add(len)?)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_their_sizes() {
        let mut body = Vec::new();
        for (run, sent) in [(clock::run(), 100_u64), (clock::run(), 400), (1, 499)] {
            let mut record = vec![0; 120];
            record[..4].copy_from_slice(&120_u32.to_be_bytes());
            record[BODY_AT - 4..BODY_AT].copy_from_slice(&20_u32.to_be_bytes());
            record[BODY_AT..BODY_AT + 8].copy_from_slice(&run.to_be_bytes());
            record[BODY_AT + 8..BODY_AT + 16].copy_from_slice(&sent.to_be_bytes());
            body.extend_from_slice(&record);
        }
        let mut stats = Stats::new().unwrap();
        count(&body, 0, 500, true, &mut stats);
        assert_eq!((stats.messages, stats.bytes, stats.requests), (2, 40, 1));
        assert_eq!((stats.latency.min(), stats.latency.max()), (100, 400));
        let mut stats = Stats::new().unwrap();
        count(&body, 0, 500, false, &mut stats);
        assert_eq!((stats.messages, stats.bytes, stats.latency.len()), (3, 60, 1));
        // With long hosts the body is further behind; one that ends beyond its record is none.
        let mut record = vec![0; 150];
        record[..4].copy_from_slice(&150_u32.to_be_bytes());
        record[SYS_FLAG_AT + 3] = 0x30;
        record[BODY_AT + 23] = 7;
        assert_eq!(body_of(&record).len(), 7);
        record[BODY_AT + 23] = 200;
        assert_eq!(body_of(&record).len(), 0);
        // A size of 0 or beyond the body ends the count.
        let mut stats = Stats::new().unwrap();
        count(&[0; 40], 0, 1, false, &mut stats);
        count(&[255; 40], 0, 1, false, &mut stats);
        assert_eq!((stats.messages, stats.requests), (0, 2));
    }
}
