//! Records that are given out as they lie in a map, and pages of it that the disk does not give.

use std::sync::atomic::Ordering;

use blockhouse_disk::Lent;

use super::{End, Run, Scan};
use crate::read::ReadStatus;
use crate::verify::PageLost;

/// Smaller pieces are copied, not lent: they are worth no part of their own in a write, and whoever
/// sends them would copy them, for which a page might be lost.
pub const LENT_MIN: usize = 1025;

impl Scan<'_> {
    pub(super) fn take_mapped(&mut self, run: Run, lent: Lent) -> Option<End> {
        let Ok(verified) = self.expected(run).verify_lent(&lent) else {
            return self.page_lost(run);
        };
        let good = verified.map_or_else(|damage| damage.bytes, |()| run.len);
        if self.lend(lent, good).is_err() {
            return self.page_lost(run);
        }
        match verified {
            Ok(()) => {
                self.out.status = ReadStatus::Found;
                None
            }
            Err(damage) => Some(self.end_before(run, damage)),
        }
    }

    /// Gives out the first `good` bytes. Whoever sends a small piece copies it, and must not look.
    fn lend(&mut self, mut lent: Lent, good: usize) -> Result<(), PageLost> {
        if good == 0 {
            return Ok(());
        }
        if good >= LENT_MIN {
            lent.truncate(good);
            self.push(lent.to_send());
            return Ok(());
        }
        let before = self.landing.copied.len();
        // One small message is often all there is; where there are two, there are more.
        if before > 0 && self.landing.copied.capacity() - before < good {
            self.make_room(good);
        }
        let copied = &mut self.landing.copied;
        copied.resize(before + good, 0);
        let done = lent.copy_to(0, &mut copied[before..]).map_err(|_| PageLost);
        if done.is_err() {
            copied.truncate(before);
        }
        done
    }

    /// The disk does not give a page that was in memory a moment ago. A system call can say so.
    fn page_lost(&mut self, run: Run) -> Option<End> {
        self.shared.lost_pages.fetch_add(1, Ordering::Relaxed);
        self.landing.lend_no_more();
        self.close(run)
    }
}
