//! Mending the CommitLog.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use blockhouse_disk::DiskFile;
use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, SysFlag, Timestamp};
use blockhouse_record::{Draft, Stamp, encode, layout, stamp};

use super::saved::Saved;
use crate::Error;
use crate::examine::finding::Findings;
use crate::examine::log_files::LogFiles;
use crate::examine::plan::PLACEHOLDER_TOPIC;
use crate::examine::site::Site;
use crate::examine::walk::Damaged;

/// Longest placeholder: both brokers read a record as a whole.
const PLACEHOLDER_MAX: u64 = 1 << 20;
/// A placeholder with its whole topic, and room to spare.
const PLACEHOLDER: u64 = 128;
/// A record without topic.
const BARE: u64 = layout::FIXED_LEN as u64 + 1;
const FILLER: u64 = layout::FILLER_LEN as u64;
const CHUNK: u64 = 1 << 20;

fn files(site: &Site) -> Result<LogFiles, Error> {
    LogFiles::list(site, &mut Findings::default())
}

/// Gives every file the length of all. What is too much is kept.
pub(super) fn resize(site: &Site, saved: &Saved<'_>) -> Result<(), Error> {
    let log = files(site)?;
    for file in log.list.iter().filter(|file| file.len != log.size) {
        let path = log.path(file.base);
        let open = site.disk.open(&path).map_err(Error::io("open", &path))?;
        if file.len > log.size {
            let position = file.base + log.size;
            saved.keep_range(&path, &*open, (log.size, file.len), position)?;
            open.set_len(log.size).map_err(Error::io("cut", &path))?;
        }
        open.allocate(log.size)
            .and_then(|()| open.sync_data())
            .map_err(Error::io("allocate", &path))?;
    }
    Ok(())
}

/// Makes the log end at `from`: zeros behind it, no files behind its file.
pub(super) fn zero_from(site: &Site, saved: &Saved<'_>, from: u64) -> Result<(), Error> {
    let log = files(site)?;
    for file in &log.list {
        let path = log.path(file.base);
        if file.base > from || (file.base == from && file.base > log.begin()) {
            saved.take_file(&path)?;
        } else if file.base + log.size > from {
            let open = site.disk.open(&path).map_err(Error::io("open", &path))?;
            let kept = from - file.base;
            saved.keep_range(&path, &*open, (kept, log.size), from)?;
            open.set_len(kept)
                .and_then(|()| open.allocate(log.size))
                .and_then(|()| open.sync_data())
                .map_err(Error::io("cut", &path))?;
        }
    }
    site.disk.sync_dir(&site.log_dir).map_err(Error::io("sync", &site.log_dir))
}

/// Puts placeholders over ranges that cannot be read.
pub(super) fn skip(site: &Site, saved: &Saved<'_>, ranges: &[Damaged]) -> Result<(), Error> {
    let log = files(site)?;
    for range in ranges {
        let mut at = range.from;
        while at < range.to {
            let base = at / log.size * log.size;
            let to = range.to.min(base + log.size);
            let path = log.path(base);
            let file = site.disk.create(&path).map_err(Error::io("open", &path))?;
            saved.keep_range(&path, &*file, (at - base, to - base), at)?;
            let mut patch = Patch { path: &path, file: &*file, base, stored: range.stored_before };
            patch.cover(at, to, base + log.size)?;
            file.allocate(log.size)
                .and_then(|()| file.sync_data())
                .map_err(Error::io("sync", &path))?;
            at = to;
        }
    }
    site.disk.sync_dir(&site.log_dir).map_err(Error::io("sync", &site.log_dir))
}

/// Writes into one file.
struct Patch<'a> {
    path: &'a Path,
    file: &'a dyn DiskFile,
    base: u64,
    /// When placeholders say that they were stored: times in a log do not fall.
    stored: i64,
}

impl Patch<'_> {
    fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        self.file.write_at(bytes, at - self.base).map_err(Error::io("write", self.path))
    }

    fn cover(&mut self, from: u64, to: u64, file_end: u64) -> Result<(), Error> {
        if to < file_end {
            return self.placeholders(from, to);
        }
        // A file should begin with a record: its time says how old the file before it is.
        let mut at = from;
        if to - at >= PLACEHOLDER + FILLER {
            self.placeholders(at, at + PLACEHOLDER)?;
            at += PLACEHOLDER;
        }
        if to - at < FILLER {
            return Err(self.too_short(from, to));
        }
        let mut filler = Vec::with_capacity(layout::FILLER_LEN);
        filler.extend_from_slice(&u32::try_from(to - at).unwrap_or(u32::MAX).to_be_bytes());
        filler.extend_from_slice(&layout::MAGIC_BLANK.to_be_bytes());
        self.write(&filler, at)?;
        self.zeros(at + FILLER, to)
    }

    fn zeros(&self, from: u64, to: u64) -> Result<(), Error> {
        let zeros = vec![0; usize::try_from((to - from).min(CHUNK)).unwrap_or(0)];
        let mut at = from;
        while at < to {
            let n = usize::try_from((to - at).min(CHUNK)).unwrap_or(0);
            self.write(&zeros[..n], at)?;
            at += n as u64;
        }
        Ok(())
    }

    /// Records that fill the range exactly.
    fn placeholders(&self, from: u64, to: u64) -> Result<(), Error> {
        let mut at = from;
        while at < to {
            let left = to - at;
            let len = if left <= PLACEHOLDER_MAX {
                left
            } else {
                // What is left must have room for another.
                PLACEHOLDER_MAX.min(left - PLACEHOLDER)
            };
            self.placeholder(at, len)?;
            at += len;
        }
        Ok(())
    }

    fn placeholder(&self, at: u64, len: u64) -> Result<(), Error> {
        let room = len.checked_sub(BARE).and_then(|room| usize::try_from(room).ok());
        let room = room.filter(|room| *room > 0).ok_or_else(|| self.too_short(at, at + len))?;
        let topic = PLACEHOLDER_TOPIC.get(..room).unwrap_or(PLACEHOLDER_TOPIC);
        let body = vec![0; room - topic.len()];
        let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let draft = Draft {
            topic,
            queue: QueueId(0),
            flag: 0,
            sys_flag: SysFlag(SysFlag::TRANSACTION_ROLLBACK),
            born_timestamp: Timestamp(self.stored),
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body: &body,
            properties: "",
            wait: true,
        };
        let mut bytes = Vec::new();
        let problem = |e: blockhouse_record::Error| Error::Format {
            path: self.path.to_owned(),
            problem: format!("no placeholder at {at}: {e}"),
        };
        encode(&draft, &mut bytes).map_err(problem)?;
        let place = Stamp {
            queue_offset: QueueOffset(0),
            physical_offset: PhysicalOffset(at),
            store_timestamp: Timestamp(self.stored),
        };
        stamp(&mut bytes, place);
        self.write(&bytes, at)
    }

    fn too_short(&self, from: u64, to: u64) -> Error {
        let problem = format!("no record fits from {from} to {to}");
        Error::Format { path: self.path.to_owned(), problem }
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::{Disk, MemDisk};
    use blockhouse_record::{Checked, check};

    use super::*;

    /// What a walk over the placeholders gives: lengths of records, and the filler's.
    fn covered(from: u64, to: u64, file_end: u64) -> Result<(Vec<u64>, u64), Error> {
        let disk = MemDisk::new();
        let path = Path::new("/f");
        let file = disk.create(path).unwrap();
        let mut patch = Patch { path, file: &*file, base: 1000, stored: 7 };
        patch.cover(from, to, file_end)?;
        let mut bytes = vec![9; usize::try_from(to - from).unwrap()];
        assert_eq!(file.read_at(&mut bytes, from - 1000).unwrap(), bytes.len());
        let mut at = 0;
        let mut lens = Vec::new();
        while at < bytes.len() {
            match check(&bytes[at..]).unwrap() {
                Checked::Filler => return Ok((lens, (bytes.len() - at) as u64)),
                Checked::Message(record) => {
                    assert_eq!(record.physical_offset.0, from + at as u64);
                    assert_eq!(record.store_timestamp, Timestamp(7));
                    lens.push(record.bytes.len() as u64);
                    at += record.bytes.len();
                }
            }
        }
        Ok((lens, 0))
    }

    #[test]
    fn placeholders_fill_any_range_exactly() {
        for len in [92, 93, 98, 200, 1 << 20, (1 << 20) + 1, (1 << 20) + 127, 3 << 20] {
            let (lens, filler) = covered(1_500, 1_500 + len, 1 << 30).unwrap();
            assert_eq!((lens.iter().sum::<u64>(), filler), (len, 0));
            assert!(lens.iter().all(|n| (92..=1 << 20).contains(n)), "{lens:?}");
        }
        assert!(covered(1_500, 1_591, 1 << 30).is_err(), "too short for any record");
    }

    #[test]
    fn up_to_a_files_end_the_filler_follows() {
        assert_eq!(covered(1_000, 5_000, 5_000).unwrap(), (vec![128], 3_872));
        assert_eq!(covered(1_000, 1_136, 1_136).unwrap(), (vec![128], 8));
        assert_eq!(covered(1_000, 1_100, 1_100).unwrap(), (vec![], 100));
        assert!(covered(1_000, 1_007, 1_007).is_err());
    }
}
