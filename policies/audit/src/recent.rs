//! The last records, kept in memory for those who ask a running node.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

/// Records that are kept.
pub const RECENT_MAX: usize = 1_024;
/// Bytes of them that are kept.
const BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<(u64, Box<[u8]>)>,
    bytes: usize,
}

/// The last records of this process, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Arc<Mutex<Kept>>);

impl Recent {
    /// Adds what was written, as `first` and the following ones.
    pub(crate) fn add(&self, lines: impl Iterator<Item = (u64, Box<[u8]>)>) {
        let mut kept = self.0.lock();
        for (number, line) in lines {
            kept.bytes += line.len();
            kept.lines.push_back((number, line));
            while kept.lines.len() > RECENT_MAX || kept.bytes > BYTES_MAX {
                let gone = kept.lines.pop_front();
                kept.bytes -= gone.map_or(0, |(_, line)| line.len());
            }
        }
    }

    /// Takes back what a failed sync has taken along: record `end` is the first of it.
    pub(crate) fn cut(&self, end: u64) {
        let mut kept = self.0.lock();
        while let Some((_, line)) = kept.lines.pop_back_if(|(number, _)| *number >= end) {
            kept.bytes -= line.len();
        }
    }

    /// Hands the records to `visit`, the newest first, until it says false.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&[u8]) -> bool) {
        // Copied: the log's thread must not wait for somebody who looks.
        let lines: Vec<Box<[u8]>> =
            self.0.lock().lines.iter().rev().map(|(_, line)| line.clone()).collect();
        for line in &lines {
            if !visit(line) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(recent: &Recent) -> Vec<usize> {
        let mut found = Vec::new();
        recent.each(&mut |line| {
            found.push(line.len());
            true
        });
        found
    }

    #[test]
    fn the_last_ones_are_kept_within_bounds() {
        let recent = Recent::default();
        recent.add((0..3_usize).map(|n| (n as u64, vec![0; n].into())));
        assert_eq!(numbers(&recent), [2, 1, 0]);
        recent.cut(1);
        assert_eq!(numbers(&recent), [0]);
        recent.add((1..3_000_u64).map(|n| (n, vec![0; 7].into())));
        assert_eq!(numbers(&recent).len(), RECENT_MAX);
        recent.add((3_000..3_300_u64).map(|n| (n, vec![0; 32 << 10].into())));
        assert_eq!(numbers(&recent).len(), BYTES_MAX / (32 << 10));
        assert_eq!(recent.0.lock().bytes, BYTES_MAX);
    }
}
