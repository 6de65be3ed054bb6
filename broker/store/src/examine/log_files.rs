//! The CommitLog's files as they are, whatever is wrong with them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::{Disk, DiskFile};

use super::finding::{Findings, Kind, Remedy};
use super::site::Site;
use crate::Error;
use crate::segments::{file_name, parse_name};

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    /// The position of its first byte.
    pub(super) base: u64,
    /// Its length, which should be that of all.
    pub(super) len: u64,
}

/// The CommitLog's files.
pub(super) struct LogFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Bytes per file; 0 without files.
    pub(super) size: u64,
    /// By position.
    pub(super) list: Vec<LogFile>,
}

impl LogFiles {
    pub(super) fn list(site: &Site, findings: &mut Findings) -> Result<Self, Error> {
        let dir = site.log_dir.clone();
        let found = site.disk.list(&dir).map_err(Error::io("list", &dir))?;
        let mut list: Vec<LogFile> = found
            .iter()
            .filter_map(|entry| Some(LogFile { base: parse_name(&entry.name)?, len: entry.len }))
            .collect();
        let size = site.options.segment_size.unwrap_or_else(|| size_of(&list));
        list.retain(|file| {
            let fits = size > 0 && file.base % size == 0;
            if !fits {
                let name = site.name(&dir.join(file_name(file.base)));
                let problem = format!("is at no multiple of the files' size, {size}");
                findings.damage((Kind::LogFile, Remedy::None), name, file.base, problem);
            }
            fits
        });
        let files = Self { disk: Arc::clone(&site.disk), dir, size, list };
        files.judge(site, findings);
        Ok(files)
    }

    fn judge(&self, site: &Site, findings: &mut Findings) {
        for (i, file) in self.list.iter().enumerate() {
            let name = site.name(&self.path(file.base));
            let last = i + 1 == self.list.len();
            let problem = format!("is {} bytes long instead of {}", file.len, self.size);
            if file.len > self.size {
                let what = (Kind::LogFile, Remedy::ResizeLogFile);
                findings.damage(what, name, file.base, problem);
            } else if file.len < self.size && last {
                // A crash while the file was made.
                findings.notice((Kind::LogFile, Remedy::NextStart), name, file.base, problem);
            } else if file.len < self.size {
                let what = (Kind::LogFile, Remedy::ResizeLogFile);
                findings.damage(what, name, file.base, problem);
            }
        }
    }

    pub(super) fn path(&self, base: u64) -> PathBuf {
        self.dir.join(file_name(base))
    }

    /// The file that should hold `at`, if it is there.
    pub(super) fn holding(&self, at: u64) -> Option<LogFile> {
        let base = at.checked_div(self.size)? * self.size;
        let i = self.list.binary_search_by_key(&base, |file| file.base).ok()?;
        self.list.get(i).copied()
    }

    /// Where the first file begins that is there and begins after `at`.
    pub(super) fn next_base(&self, at: u64) -> Option<u64> {
        let i = self.list.partition_point(|file| file.base <= at);
        self.list.get(i).map(|file| file.base)
    }

    /// Where the log begins.
    pub(super) fn begin(&self) -> u64 {
        self.list.first().map_or(0, |file| file.base)
    }

    /// Where the last file ends.
    pub(super) fn limit(&self) -> u64 {
        self.list.last().map_or(0, |file| file.base + self.size)
    }

    /// Where the file that should hold `at` ends.
    pub(super) fn file_end(&self, at: u64) -> u64 {
        at.checked_div(self.size).map_or(at, |number| (number + 1) * self.size)
    }

    pub(super) fn open(&self, base: u64) -> Result<Arc<dyn DiskFile>, Error> {
        let path = self.path(base);
        self.disk.open_read(&path).map_err(Error::io("open", &path))
    }
}

/// The size that most files have, if the names fit it; else the smallest step between names.
fn size_of(list: &[LogFile]) -> u64 {
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for file in list {
        *counts.entry(file.len).or_default() += 1;
    }
    let fits = |len: u64| len > 0 && list.iter().all(|file| file.base % len == 0);
    let most = counts.into_iter().filter(|(len, _)| fits(*len)).max_by_key(|(len, n)| (*n, *len));
    let step = list.windows(2).map(|pair| pair[1].base - pair[0].base).min();
    most.map(|(len, _)| len).or(step).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_files_is_what_names_and_lengths_agree_on() {
        let files = |pairs: &[(u64, u64)]| -> Vec<LogFile> {
            pairs.iter().map(|(base, len)| LogFile { base: *base, len: *len }).collect()
        };
        assert_eq!(size_of(&[]), 0);
        assert_eq!(size_of(&files(&[(300, 100)])), 100);
        assert_eq!(size_of(&files(&[(0, 100), (100, 100), (200, 7)])), 100);
        assert_eq!(size_of(&files(&[(0, 100), (200, 100)])), 100, "one is missing");
        assert_eq!(size_of(&files(&[(0, 70), (100, 130)])), 100, "no length fits");
    }
}
