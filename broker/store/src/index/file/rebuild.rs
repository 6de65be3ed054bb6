//! An IndexFile after a crash, or with damage: what can be believed of it.

use super::{ENTRY_LEN, Entry, HEADER_LEN, Header, IndexFile, PAGE_U64, SLOT_LEN};
use crate::Error;

impl IndexFile {
    /// Whether the header agrees with the entries, and none is of a record at `limit` or behind it.
    pub(in crate::index) fn is_sound(&self, limit: u64) -> Result<bool, Error> {
        let header = &self.header;
        if header.next_entry <= 1 {
            return Ok(true);
        }
        let (first, last) = (self.entry(1)?, self.entry(header.next_entry - 1)?);
        Ok(first.physical == header.begin_physical
            && last.physical == header.end_physical
            && (first.physical..limit).contains(&last.physical)
            && header.begin_timestamp <= header.end_timestamp)
    }

    /// Keeps the entries of records before `limit` and builds header and slots from them; `time_at`
    /// tells when the record at a place was stored. False if there are none.
    pub(in crate::index) fn rebuild(
        &mut self,
        limit: u64,
        time_at: &dyn Fn(u64) -> Option<i64>,
    ) -> Result<bool, Error> {
        let (mut low, mut high) = (1, self.shape.entries);
        while low < high {
            let mid = low + (high - low) / 2;
            let entry = self.entry_in_file(mid)?;
            if entry.is_nothing() || entry.physical >= limit { high = mid } else { low = mid + 1 }
        }
        if low <= 1 {
            return Ok(false);
        }
        self.let_go();
        self.fresh = true;
        let begin_physical = self.entry_in_file(1)?.physical;
        let begin_timestamp = time_at(begin_physical).unwrap_or(self.header.begin_timestamp);
        let header = Header { begin_physical, begin_timestamp, ..self.header };
        self.header = Header { next_entry: low, slots_used: 0, ..header };
        let end = self.rebuild_slots(low, limit)?;
        if end <= 1 {
            return Ok(false);
        }
        self.header.next_entry = end;
        // Pages without a used slot must be zeros as well.
        for number in 0..self.shape.entries_at().div_ceil(PAGE_U64) {
            let slot = (number * PAGE_U64).saturating_sub(HEADER_LEN) / SLOT_LEN;
            let (page, _) = self.slot_page(u32::try_from(slot).unwrap_or(0))?;
            page.dirty = true;
        }
        self.write_out()?;
        self.let_go();
        Ok(true)
    }

    fn entry_in_file(&self, number: u32) -> Result<Entry, Error> {
        let mut bytes = [0; ENTRY_LEN];
        let at = self.shape.entry_at(number);
        self.file.read_at(&mut bytes, at).map_err(self.failed("read"))?;
        Ok(Entry::read(&bytes))
    }

    /// Gives where it stopped: at `end`, or at an entry that cannot follow the one before. Half an
    /// entry, as a crash may leave it, can lead the search for the end astray.
    fn rebuild_slots(&mut self, end: u32, limit: u64) -> Result<u32, Error> {
        const AT_ONCE: u32 = 1 << 14;
        let mut buffer = vec![0; AT_ONCE as usize * ENTRY_LEN];
        let mut number = 1;
        while number < end {
            let count = AT_ONCE.min(end - number);
            let bytes = &mut buffer[..count as usize * ENTRY_LEN];
            self.file
                .read_at(bytes, self.shape.entry_at(number))
                .map_err(Error::io("read", &self.path))?;
            let (entries, _) = bytes.as_chunks::<ENTRY_LEN>();
            for bytes in entries {
                let entry = Entry::read(bytes);
                let lowest = if number == 1 { 0 } else { self.header.end_physical };
                if entry.is_nothing() || !(lowest..limit).contains(&entry.physical) {
                    return Ok(number);
                }
                if self.swap_slot(entry.hash % self.shape.slots, number)? == 0 {
                    self.header.slots_used += 1;
                }
                let seconds = i64::from(entry.seconds.max(0));
                self.header.end_timestamp =
                    self.header.begin_timestamp.saturating_add(seconds * 1_000);
                self.header.end_physical = entry.physical;
                number += 1;
            }
        }
        Ok(end)
    }
}
