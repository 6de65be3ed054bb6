//! Maps of files.
#![expect(unsafe_code, reason = "mapping a file is unsafe; the rules are kept here")]

use std::fs::File;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

use crate::{FileMap, FileMapKind};

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

impl FileMap {
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
