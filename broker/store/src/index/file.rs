//! One IndexFile: header, hash slots, entries that chain back from a slot to the oldest.

mod rebuild;

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::DiskFile;

use super::{Find, Put, REBUILD};
use crate::Error;

pub(crate) const HEADER_LEN: u64 = 40;
pub(crate) const SLOT_LEN: u64 = 4;
pub(crate) const ENTRY_LEN: usize = 20;
const ENTRY_LEN_U64: u64 = ENTRY_LEN as u64;
/// Bytes of entries that stay in memory until a checkpoint.
const ENTRIES_KEPT: usize = 1 << 20;
const PAGE: usize = 4096;
const PAGE_U64: u64 = PAGE as u64;

/// How large an IndexFile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) slots: u32,
    pub(crate) entries: u32,
}

impl Shape {
    /// Bytes of a file.
    pub(crate) fn file_len(self) -> u64 {
        self.entries_at() + u64::from(self.entries) * ENTRY_LEN_U64
    }

    pub(crate) fn entries_at(self) -> u64 {
        HEADER_LEN + u64::from(self.slots) * SLOT_LEN
    }

    pub(crate) fn entry_at(self, number: u32) -> u64 {
        self.entries_at() + u64::from(number) * ENTRY_LEN_U64
    }
}

/// The first 40 bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) begin_timestamp: i64,
    pub(crate) end_timestamp: i64,
    pub(crate) begin_physical: u64,
    pub(crate) end_physical: u64,
    /// Slots in use.
    pub(crate) slots_used: u32,
    /// Number of the next entry; entry 0 is never used.
    pub(crate) next_entry: u32,
}

impl Header {
    pub(crate) fn read(b: &[u8; 40]) -> Self {
        let wide = |at: usize| b[at..].first_chunk().map_or(0, |c| i64::from_be_bytes(*c));
        let narrow = |at: usize| b[at..].first_chunk().map_or(0, |c| u32::from_be_bytes(*c));
        Self {
            begin_timestamp: wide(0),
            end_timestamp: wide(8),
            begin_physical: wide(16).cast_unsigned(),
            end_physical: wide(24).cast_unsigned(),
            slots_used: narrow(32),
            next_entry: narrow(36).max(1),
        }
    }

    fn write(&self) -> [u8; 40] {
        let mut b = [0; 40];
        b[..8].copy_from_slice(&self.begin_timestamp.to_be_bytes());
        b[8..16].copy_from_slice(&self.end_timestamp.to_be_bytes());
        b[16..24].copy_from_slice(&self.begin_physical.to_be_bytes());
        b[24..32].copy_from_slice(&self.end_physical.to_be_bytes());
        b[32..36].copy_from_slice(&self.slots_used.to_be_bytes());
        b[36..].copy_from_slice(&self.next_entry.to_be_bytes());
        b
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) hash: u32,
    pub(crate) physical: u64,
    /// Seconds since the file's first message.
    pub(crate) seconds: i32,
    /// Number of the entry before it in its slot's chain, 0 for none.
    pub(crate) previous: u32,
}

impl Entry {
    pub(crate) fn read(b: &[u8; ENTRY_LEN]) -> Self {
        let narrow = |at: usize| b[at..].first_chunk().map_or(0, |c| u32::from_be_bytes(*c));
        Self {
            hash: narrow(0),
            physical: u64::from(narrow(4)) << 32 | u64::from(narrow(8)),
            seconds: narrow(12).cast_signed(),
            previous: narrow(16),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash.to_be_bytes());
        out.extend_from_slice(&self.physical.to_be_bytes());
        out.extend_from_slice(&self.seconds.to_be_bytes());
        out.extend_from_slice(&self.previous.to_be_bytes());
    }

    const fn is_nothing(self) -> bool {
        self.hash == 0 && self.physical == 0 && self.previous == 0
    }
}

/// One IndexFile. What is not written yet is in memory: hash slots by page, new entries as bytes.
#[derive(Debug)]
pub(super) struct IndexFile {
    file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    shape: Shape,
    pub(super) header: Header,
    /// Nothing of the slots is in the file yet: pages need not be read.
    fresh: bool,
    pages: Vec<Option<Box<Page>>>,
    entries: Vec<u8>,
}

#[derive(Debug)]
struct Page {
    dirty: bool,
    bytes: [u8; PAGE],
}

impl IndexFile {
    fn new(file: Arc<dyn DiskFile>, path: PathBuf, shape: Shape, header: Header) -> Self {
        Self { file, path, shape, header, fresh: false, pages: Vec::new(), entries: Vec::new() }
    }

    /// A file that exists.
    pub(super) fn open(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        shape: Shape,
    ) -> Result<Self, Error> {
        let mut header = [0; 40];
        file.read_at(&mut header, 0).map_err(Error::io("read", &path))?;
        let header = Header::read(&header);
        if header.next_entry > shape.entries {
            let problem = format!(
                "has room for {} entries, and its header says {}: {REBUILD}",
                shape.entries, header.next_entry
            );
            return Err(Error::Format { path, problem });
        }
        Ok(Self::new(file, path, shape, header))
    }

    /// A new file, all zeros. RocketMQ starts its header with where the full one before it ended.
    pub(super) fn fresh(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        shape: Shape,
        before: Option<Header>,
    ) -> Self {
        let mut header = Header { next_entry: 1, ..Header::default() };
        if let Some(before) = before {
            header.begin_timestamp = before.end_timestamp;
            header.end_timestamp = before.end_timestamp;
            header.begin_physical = before.end_physical;
            header.end_physical = before.end_physical;
        }
        Self { fresh: true, ..Self::new(file, path, shape, header) }
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.header.next_entry >= self.shape.entries
    }

    fn written_entries(&self) -> u32 {
        let waiting = u32::try_from(self.entries.len() / ENTRY_LEN).unwrap_or(u32::MAX);
        self.header.next_entry - waiting
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(what, &self.path)
    }

    /// The page with the slot, read if need be, and the slot's place in it.
    fn slot_page(&mut self, slot: u32) -> Result<(&mut Page, usize), Error> {
        let at = HEADER_LEN + u64::from(slot) * SLOT_LEN;
        // 40 and 4096 are multiples of 4, so no slot lies across two pages.
        let number = usize::try_from(at / PAGE_U64).unwrap_or(usize::MAX);
        let inside = usize::try_from(at % PAGE_U64).unwrap_or(0);
        if self.pages.is_empty() {
            let count = usize::try_from(self.shape.entries_at().div_ceil(PAGE_U64)).unwrap_or(0);
            self.pages.resize_with(count, || None);
        }
        if self.pages[number].is_none() {
            let mut page = Box::new(Page { dirty: false, bytes: [0; PAGE] });
            if !self.fresh {
                let start = number as u64 * PAGE_U64;
                self.file.read_at(&mut page.bytes, start).map_err(self.failed("read"))?;
            }
            self.pages[number] = Some(page);
        }
        match &mut self.pages[number] {
            Some(page) => Ok((page, inside)),
            None => Err(Error::Poisoned),
        }
    }

    /// Makes `entry` the newest of its slot; gives the one that was.
    fn swap_slot(&mut self, slot: u32, entry: u32) -> Result<u32, Error> {
        let next = self.header.next_entry;
        let (page, at) = self.slot_page(slot)?;
        let Some(field) = page.bytes.get_mut(at..at + 4) else { return Ok(0) };
        let old = field.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        field.copy_from_slice(&entry.to_be_bytes());
        page.dirty = true;
        // RocketMQ takes a number that is past the entries for none.
        Ok(if old > next { 0 } else { old })
    }

    /// Adds a key.
    pub(super) fn put(&mut self, put: Put) -> Result<(), Error> {
        // Nobody looks at them before the header counts them. First, so that a key whose put fails
        // is not there and can be put again.
        if self.entries.len() >= ENTRIES_KEPT {
            self.write_entries()?;
        }
        let number = self.header.next_entry;
        let previous = self.swap_slot(put.hash % self.shape.slots, number)?;
        let seconds = if self.header.begin_timestamp <= 0 {
            0
        } else {
            let seconds = put.store_timestamp.saturating_sub(self.header.begin_timestamp) / 1_000;
            i32::try_from(seconds.max(0)).unwrap_or(i32::MAX)
        };
        Entry { hash: put.hash, physical: put.physical, seconds, previous }
            .write(&mut self.entries);
        if number <= 1 {
            self.header.begin_physical = put.physical;
            self.header.begin_timestamp = put.store_timestamp;
        }
        if previous == 0 {
            self.header.slots_used += 1;
        }
        self.header.next_entry += 1;
        self.header.end_physical = put.physical;
        self.header.end_timestamp = put.store_timestamp;
        Ok(())
    }

    fn write_entries(&mut self) -> Result<(), Error> {
        if !self.entries.is_empty() {
            let at = self.shape.entry_at(self.written_entries());
            self.file.write_at(&self.entries, at).map_err(self.failed("write"))?;
            self.entries.clear();
        }
        Ok(())
    }

    /// Writes what is in memory: entries, slots, header last.
    pub(super) fn write_out(&mut self) -> Result<(), Error> {
        let is_dirty = |page: &Option<Box<Page>>| page.as_ref().is_some_and(|page| page.dirty);
        if self.entries.is_empty() && !self.pages.iter().any(is_dirty) {
            return Ok(());
        }
        self.write_entries()?;
        let slots_end = self.shape.entries_at();
        for (number, page) in self.pages.iter_mut().enumerate() {
            let Some(page) = page.as_mut().filter(|page| page.dirty) else { continue };
            let start = (number as u64 * PAGE_U64).max(HEADER_LEN);
            let end = (number as u64 * PAGE_U64 + PAGE_U64).min(slots_end);
            let inside = usize::try_from(start % PAGE_U64).unwrap_or(0);
            let len = usize::try_from(end - start).unwrap_or(0);
            self.file
                .write_at(&page.bytes[inside..inside + len], start)
                .map_err(Error::io("write", &self.path))?;
            page.dirty = false;
        }
        self.file.write_at(&self.header.write(), 0).map_err(self.failed("write"))?;
        self.fresh = false;
        Ok(())
    }

    /// Gives the memory back after [`IndexFile::write_out`].
    pub(super) fn let_go(&mut self) {
        self.pages = Vec::new();
        self.entries = Vec::new();
    }

    pub(super) const fn overlaps(&self, begin: i64, end: i64) -> bool {
        begin <= self.header.end_timestamp && end >= self.header.begin_timestamp
    }

    fn newest(&self, slot: u32) -> Result<u32, Error> {
        let at = HEADER_LEN + u64::from(slot) * SLOT_LEN;
        let number = usize::try_from(at / PAGE_U64).unwrap_or(usize::MAX);
        let inside = usize::try_from(at % PAGE_U64).unwrap_or(0);
        let mut bytes = [0; 4];
        match self.pages.get(number) {
            Some(Some(page)) => bytes.copy_from_slice(&page.bytes[inside..inside + 4]),
            _ => {
                self.file.read_at(&mut bytes, at).map_err(self.failed("read"))?;
            }
        }
        Ok(u32::from_be_bytes(bytes))
    }

    fn entry(&self, number: u32) -> Result<Entry, Error> {
        let mut bytes = [0; ENTRY_LEN];
        let written = self.written_entries();
        if number >= written {
            let at = usize::try_from(number - written).unwrap_or(usize::MAX) * ENTRY_LEN;
            if let Some(found) = self.entries.get(at..at + ENTRY_LEN) {
                bytes.copy_from_slice(found);
            }
        } else {
            let at = self.shape.entry_at(number);
            self.file.read_at(&mut bytes, at).map_err(self.failed("read"))?;
        }
        Ok(Entry::read(&bytes))
    }

    /// Gives places to `accept`, newest first; false once that has had enough.
    pub(super) fn find(
        &self,
        find: Find,
        chain_max: usize,
        accept: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, Error> {
        let mut number = self.newest(find.hash % self.shape.slots)?;
        for _ in 0..chain_max {
            if number == 0 || number >= self.header.next_entry {
                break;
            }
            let entry = self.entry(number)?;
            if entry.seconds < 0 {
                break;
            }
            let time = self.header.begin_timestamp.saturating_add(i64::from(entry.seconds) * 1_000);
            let in_time = time >= find.begin && time <= find.end;
            if entry.hash == find.hash && in_time && !accept(entry.physical) {
                return Ok(false);
            }
            // Chains only lead back, so a damaged one ends as well.
            if time < find.begin || entry.previous >= number {
                break;
            }
            number = entry.previous;
        }
        Ok(true)
    }
}
