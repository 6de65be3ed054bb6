//! The script of a sending connection.

use super::frames::{Queue, SendFrame, Stamp, slot_of};
use super::load::LoadArgs;
use super::scan::Response;
use super::stats::Stats;
use super::wire::Script;
use super::{clock, load};

/// Timers are this coarse: a request that leaves so much later than it was due is not late.
const TIMER_NS: u64 = 2_000_000;

/// Keeps a window of send requests in flight, or as many as a rate allows, or sends a whole window
/// at once.
pub(crate) struct Sending {
    slots: Vec<Slot>,
    free: Vec<usize>,
    counter: u64,
    /// Bytes of a body.
    size: u64,
    stamp: bool,
    pace: Option<Pace>,
    bursts: bool,
}

struct Slot {
    frame: SendFrame,
    started: u64,
}

struct Pace {
    interval: u64,
    next: u64,
}

impl Sending {
    /// The script of connection number `index`, sending to `queues` in turn.
    pub(crate) fn new(index: usize, load: &LoadArgs, kind: load::Kind, queues: &[Queue]) -> Self {
        let tag = u32::try_from(index).unwrap_or(0);
        let slots: Vec<Slot> = (0..load.in_flight)
            .map(|slot| {
                let queue = &queues[(index + slot) % queues.len()];
                let frame = SendFrame::new(queue, slot, tag, load.size, load.batch);
                Slot { frame, started: 0 }
            })
            .collect();
        let pace = load.interval().map(|interval| {
            let connections = u64::try_from(load.connections).unwrap_or(1).max(1);
            let share = interval / connections * u64::try_from(index).unwrap_or(0);
            Pace { interval, next: clock::now() + share }
        });
        Self {
            free: (0..slots.len()).rev().collect(),
            slots,
            // Keys must differ from those of earlier runs.
            counter: clock::wall_ms(0) << 8,
            size: u64::try_from(load.size).unwrap_or(0),
            stamp: kind == load::Kind::EndToEnd,
            pace,
            bursts: load.bursts,
        }
    }

    fn send_all(&mut self, now: u64, out: &mut Vec<u8>) {
        while let Some(at) = self.free.pop() {
            self.send(at, now, now, out);
        }
    }

    fn send(&mut self, at: usize, now: u64, started: u64, out: &mut Vec<u8>) {
        let slot = &mut self.slots[at];
        slot.started = started;
        if self.stamp {
            slot.frame.stamp(Stamp { run: clock::run(), sent: started });
        }
        slot.frame.write(clock::wall_ms(now), &mut self.counter, out);
    }
}

impl Script for Sending {
    fn start(&mut self, now: u64, out: &mut Vec<u8>) {
        if self.pace.is_none() {
            self.send_all(now, out);
        }
    }

    fn answer(
        &mut self,
        now: u64,
        response: &Response<'_>,
        out: &mut Vec<u8>,
        stats: Option<&mut Stats>,
    ) {
        let Some(at) = slot_of(response.opaque).filter(|at| *at < self.slots.len()) else { return };
        if let Some(stats) = stats {
            match response.code {
                // With the sender's stamp, messages count where they arrive.
                0 | 10..=12 if self.stamp => {}
                0 | 10..=12 => {
                    let slot = &self.slots[at];
                    let messages = slot.frame.messages();
                    let latency = now.saturating_sub(slot.started);
                    stats.answered(messages, messages * self.size, latency);
                }
                code => stats.refuse(code, || response.remark()),
            }
        }
        if self.pace.is_none() && !self.bursts {
            return self.send(at, now, now, out);
        }
        self.free.push(at);
        if self.bursts && self.free.len() == self.slots.len() {
            self.send_all(now, out);
        }
    }

    fn due(&mut self, now: u64, out: &mut Vec<u8>) -> Option<u64> {
        loop {
            let pace = self.pace.as_mut()?;
            if pace.next > now {
                return Some(pace.next);
            }
            // With the whole window in flight the next answer makes room; what is sent then counts
            // from when it was due.
            let at = self.free.pop()?;
            let due = pace.next;
            pace.next += pace.interval;
            let started = if now - due > TIMER_NS { due } else { now };
            self.send(at, now, started, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    /// How many requests an answer brings, for each of `answered` slots in turn.
    fn requests(arguments: &[&str], answered: &[i32]) -> Vec<usize> {
        let load = Line::parse_from(arguments).load;
        let queue = Queue { topic: "t".to_owned(), queue_id: 0 };
        let mut sending = Sending::new(0, &load, load::Kind::Produce, &[queue]);
        let count = |out: &[u8]| out.windows(8).filter(|w| *w == b"\"opaque\"").count();
        let mut out = Vec::new();
        sending.start(1, &mut out);
        let mut seen = vec![count(&out)];
        for slot in answered {
            out.clear();
            let opaque = 1_000_000_000 + slot;
            let answer = Response { code: 0, opaque, is_request: false, header: b"", body: b"" };
            sending.answer(2, &answer, &mut out, None);
            seen.push(count(&out));
        }
        seen
    }

    #[test]
    fn a_window_is_kept_full_or_sent_at_once() {
        assert_eq!(requests(&["bench", "-w", "3"], &[1, 0, 2, 1]), [3, 1, 1, 1, 1]);
        assert_eq!(requests(&["bench", "-w", "3", "--bursts"], &[1, 0, 2, 1]), [3, 0, 0, 3, 0]);
    }
}
