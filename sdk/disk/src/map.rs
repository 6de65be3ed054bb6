//! Maps of files.
#![expect(unsafe_code, reason = "mapping a file is unsafe; the rules are kept here")]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

use crate::sys::PAGE_MIN;
use crate::{FileMap, FileMapKind, guard, sys};

struct Owner(Mmap);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps the first `len` bytes of `file`, which must have them.
pub(crate) fn map(file: &File, len: u64) -> io::Result<FileMap> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    guard::install()?;
    // SAFETY: the file is as long as the map, and `RealFile::set_len` refuses to make it shorter
    // from now on; the store holds the directory's lock, so no other process of ours does either.
    // Bytes that are still written are not looked at: that is the contract of `DiskFile::map`.
    let map = unsafe { MmapOptions::new().len(len).map(file) }?;
    Ok(FileMap(FileMapKind::Real(Bytes::from_owner(Owner(map)))))
}

/// Bytes that one system call is asked about at most; pages have 4 KiB or more.
const ASKED: usize = 512 << 10;

impl FileMap {
    /// How many bytes of `range` from its start on can be looked at now without the disk: their
    /// pages are in memory. This is asked of the kernel (`mincore`), and no page is touched.
    ///
    /// Looking at others stops the thread until the disk has given them, or is an error. So ask
    /// before looking, and look at once: the kernel takes pages back that nobody has used for a
    /// while.
    #[must_use]
    pub fn resident(&self, range: Range<usize>) -> usize {
        let FileMapKind::Real(all) = &self.0 else { return range.len() };
        let (Some(len), Some(page)) = (all.get(range.clone()).map(<[u8]>::len), sys::page_size())
        else {
            return 0;
        };
        let mut at = range.start - range.start % page;
        while at < range.end {
            let asked = (range.end - at).min(ASKED);
            let mut pages = [0; ASKED / PAGE_MIN];
            let Some(pages) = pages.get_mut(..asked.div_ceil(page)) else { break };
            // Out of memory for page tables, say: not known to be there.
            if sys::resident(&all[at..at + asked], pages).is_err() {
                break;
            }
            let there = pages.iter().take_while(|page| **page & 1 == 1).count();
            at += there * page;
            if there < pages.len() {
                break;
            }
        }
        at.saturating_sub(range.start).min(len)
    }

    /// The bytes of `range`; `None` if it reaches past the map.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Option<Lent> {
        match &self.0 {
            FileMapKind::Real(all) => {
                (range.start <= range.end && range.end <= all.len()).then(|| Lent(all.slice(range)))
            }
            FileMapKind::Sim(file) => {
                let mut bytes = vec![0; range.end.checked_sub(range.start)?];
                let n = file.read_at(&mut bytes, range.start as u64).ok()?;
                (n == bytes.len()).then(|| Lent(Bytes::from(bytes)))
            }
        }
    }
}

impl fmt::Debug for FileMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileMap").finish_non_exhaustive()
    }
}

/// Bytes of a map. The disk may have lost them since they were in memory.
#[derive(Clone)]
pub struct Lent(Bytes);

impl Lent {
    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the first `len` only.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Copies what begins at `at`. No system call, and nothing is checked beforehand.
    ///
    /// # Errors
    /// `EIO` if the disk does not give a page of it; `out` is then filled in part. `InvalidInput`
    /// past the end.
    pub fn copy_to(&self, at: usize, out: &mut [u8]) -> io::Result<()> {
        let end = at.checked_add(out.len());
        let bytes = end.and_then(|end| self.0.get(at..end)).ok_or(io::ErrorKind::InvalidInput)?;
        guard::copy(bytes, out)
    }

    /// The bytes for a system call that sends them, which fails with `EFAULT` where the disk does
    /// not give a page. The process must not look at them itself: that would end it (`SIGBUS`).
    #[must_use]
    pub fn to_send(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("len", &self.len()).finish_non_exhaustive()
    }
}
