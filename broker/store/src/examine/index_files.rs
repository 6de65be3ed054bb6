//! The index files as they are, and their entries in order.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::DiskFile;

use super::finding::{Findings, Kind, Remedy};
use super::site::Site;
use crate::Error;
use crate::index::{ENTRY_LEN, Entry, HEADER_LEN, Header, SLOT_LEN, Shape, is_name};

/// Entries that are read at once.
const AT_ONCE: u32 = 1 << 14;
/// Most hash slots of a file, as in the store's options.
const SLOTS_MAX: u32 = 1 << 28;
/// Hash slots of RocketMQ's own files.
const SLOTS: u32 = 5_000_000;

/// One file.
pub(super) struct IndexFileAt {
    /// Below the data directory.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) shape: Shape,
    pub(super) header: Header,
}

/// All files that can be read, oldest first.
pub(super) fn list(site: &Site, findings: &mut Findings) -> Result<Vec<IndexFileAt>, Error> {
    let dir = site.dir.join("index");
    let mut files = Vec::new();
    if site.options.no_index {
        return Ok(files);
    }
    for entry in site.disk.list(&dir).map_err(Error::io("list", &dir))? {
        if entry.is_dir || !is_name(&entry.name) {
            continue;
        }
        let path = dir.join(&entry.name);
        let name = site.name(&path);
        if entry.len == 0 {
            let what = (Kind::IndexFile, Remedy::NextStart);
            findings.notice(what, name, None, "is empty: a crash while it was made");
            continue;
        }
        let Some(shape) = shape_of(entry.len, site.options.index_slots) else {
            let problem = format!(
                "is {} bytes long, which fits no number of hash slots that is known (--index-slots)",
                entry.len
            );
            findings.damage((Kind::IndexFile, Remedy::RebuildIndex), name, None, problem);
            continue;
        };
        let mut header = [0; 40];
        site.disk
            .open_read(&path)
            .and_then(|file| file.read_at(&mut header, 0))
            .map_err(Error::io("read", &path))?;
        let header = Header::read(&header);
        if header.next_entry > shape.entries {
            let problem =
                format!("has room for {} entries and says {}", shape.entries, header.next_entry);
            findings.damage((Kind::IndexFile, Remedy::RebuildIndex), name, None, problem);
            continue;
        }
        files.push(IndexFileAt { name, path, shape, header });
    }
    Ok(files)
}

/// RocketMQ's files have four entries for each slot, and so have ours, unless it is said otherwise.
fn shape_of(len: u64, slots: Option<u32>) -> Option<Shape> {
    let room = len.checked_sub(HEADER_LEN)?;
    let of_slot = SLOT_LEN + 4 * ENTRY_LEN as u64;
    let slots = match slots {
        Some(slots) => slots,
        None => u32::try_from(room / of_slot).ok().filter(|_| room % of_slot == 0)?,
    };
    let entries = room.checked_sub(u64::from(slots) * SLOT_LEN)?;
    let fits = entries % ENTRY_LEN as u64 == 0 && slots > 0 && slots <= SLOTS_MAX;
    let entries = u32::try_from(entries / ENTRY_LEN as u64).ok()?;
    fits.then_some(Shape { slots, entries })
}

/// The shape of files where none tells: four entries for each slot, RocketMQ's own by default.
pub(super) fn shape_of_new(slots: Option<u32>) -> Shape {
    let slots = slots.filter(|slots| (1..=SLOTS_MAX).contains(slots)).unwrap_or(SLOTS);
    Shape { slots, entries: slots.saturating_mul(4) }
}

/// Reads a file's entries one after the other.
pub(super) struct Entries {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    shape: Shape,
    /// The number of the entry that comes next.
    pub(super) next: u32,
    end: u32,
    block: Vec<Entry>,
    used: usize,
}

impl Entries {
    pub(super) fn open(site: &Site, of: &IndexFileAt) -> Result<Self, Error> {
        let file = site.disk.open_read(&of.path).map_err(Error::io("open", &of.path))?;
        let (shape, end) = (of.shape, of.header.next_entry);
        Ok(Self { file, path: of.path.clone(), shape, next: 1, end, block: Vec::new(), used: 0 })
    }

    /// The next entry and its number.
    pub(super) fn take(&mut self) -> Result<Option<(u32, Entry)>, Error> {
        if self.next >= self.end {
            return Ok(None);
        }
        if self.used >= self.block.len() {
            let count = AT_ONCE.min(self.end - self.next);
            let mut bytes = vec![0; count as usize * ENTRY_LEN];
            let read = self.file.read_at(&mut bytes, self.shape.entry_at(self.next));
            let n = read.map_err(Error::io("read", &self.path))?;
            let (entries, _) = bytes[..n].as_chunks::<ENTRY_LEN>();
            self.block = entries.iter().map(Entry::read).collect();
            self.used = 0;
        }
        let Some(entry) = self.block.get(self.used).copied() else { return Ok(None) };
        let number = self.next;
        self.used += 1;
        self.next += 1;
        Ok(Some((number, entry)))
    }

    /// Gives the first hash slots that do not hold what `newest` says, and how many are in use.
    pub(super) fn compare_slots(&self, newest: &[u32]) -> Result<(Option<u32>, u32), Error> {
        let (mut wrong, mut used) = (None, 0);
        for (i, block) in newest.chunks(AT_ONCE as usize).enumerate() {
            let mut bytes = vec![0; block.len() * 4];
            let first = i as u64 * u64::from(AT_ONCE);
            let read = self.file.read_at(&mut bytes, HEADER_LEN + first * SLOT_LEN);
            read.map_err(Error::io("read", &self.path))?;
            let (slots, _) = bytes.as_chunks::<4>();
            for (slot, (actual, expected)) in slots.iter().zip(block).enumerate() {
                used += u32::from(*expected != 0);
                if u32::from_be_bytes(*actual) != *expected && wrong.is_none() {
                    wrong = u32::try_from(first + slot as u64).ok();
                }
            }
        }
        Ok((wrong, used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_tells_the_number_of_slots() {
        let of = |slots, entries| Some(Shape { slots, entries });
        assert_eq!(shape_of(420_000_040, None), of(5_000_000, 20_000_000));
        assert_eq!(shape_of(40 + 84 * 50, None), of(50, 200));
        assert_eq!(shape_of(40 + 400 + 20 * 7, None), None);
        assert_eq!(shape_of(40 + 400 + 20 * 7, Some(100)), of(100, 7));
        assert_eq!(shape_of(39, None), None);
        assert_eq!(shape_of(420_000_040, Some(u32::MAX)), None);
    }
}
