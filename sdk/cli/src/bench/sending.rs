//! The script of a sending connection.

use super::frames::{Queue, SendFrame, Stamp, slot_of};
use super::load::LoadArgs;
use super::scan::Response;
use super::stats::Stats;
use super::wire::Script;
use super::{clock, load};

/// Timers are this coarse: a request that leaves so much later than it was due is not late.
const TIMER_NS: u64 = 2_000_000;

/// Keeps a window of send requests in flight, or as many as a rate allows.
pub(crate) struct Sending {
    slots: Vec<Slot>,
    free: Vec<usize>,
    counter: u64,
    /// Bytes of a body.
    size: u64,
    stamp: bool,
    pace: Option<Pace>,
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
            while let Some(at) = self.free.pop() {
                self.send(at, now, now, out);
            }
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
        if self.pace.is_some() {
            self.free.push(at);
        } else {
            self.send(at, now, now, out);
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
