//! Maps of files.
#![expect(unsafe_code, reason = "mapping a file is unsafe; the rules are kept here")]

use std::fs::File;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

use crate::sys::PAGE_MIN;
use crate::{FileMap, FileMapKind, sys};

struct Owner(Mmap);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps the first `len` bytes of `file`, which must have them.
pub(crate) fn map(file: &File, len: u64) -> io::Result<FileMap> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
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
    /// Touching a page that the disk does not give kills the process (`SIGBUS`), and one that it
    /// gives slowly stops the thread. So ask before each look, and look at once: the kernel takes
    /// pages back that nobody has used for a while.
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
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        match &self.0 {
            FileMapKind::Real(all) => {
                (range.start <= range.end && range.end <= all.len()).then(|| all.slice(range))
            }
            FileMapKind::Sim(file) => {
                let mut bytes = vec![0; range.end.checked_sub(range.start)?];
                let n = file.read_at(&mut bytes, range.start as u64).ok()?;
                (n == bytes.len()).then(|| Bytes::from(bytes))
            }
        }
    }
}
