//! Maps of files that are written through: what is written stays there when the process ends, however it
//! does.
#![expect(unsafe_code, reason = "bytes of a map that others write as well are copied by address")]

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};

use crate::{DiskFile, guard};

/// The beginning of a file, for reading and writing by many threads at once. Nobody waits for anybody:
/// whoever reads what is being written, or is written by two at once, gets a mix. So what is written
/// has to tell by itself whether it is whole.
///
/// A page that the disk does not give is an error, as it is for other maps.
pub struct Window(Kind);

enum Kind {
    Real(MmapRaw),
    Sim { file: Arc<dyn DiskFile>, len: usize },
}

/// Maps the first `len` bytes of `file`, which must have them.
pub(crate) fn map(file: &File, len: u64) -> io::Result<Window> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    guard::install()?;
    Ok(Window(Kind::Real(MmapOptions::new().len(len).map_raw(file)?)))
}

impl Window {
    /// A window of a simulated file.
    pub(crate) fn simulated(file: Arc<dyn DiskFile>, len: u64) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(Self(Kind::Sim { file, len }))
    }

    /// How many bytes it shows.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Real(map) => map.len(),
            Kind::Sim { len, .. } => *len,
        }
    }

    /// Whether it shows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes `bytes` at `at`. No system call.
    ///
    /// # Errors
    /// `EIO` if the disk has no page for it; `InvalidInput` past the end.
    pub fn write(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.fits(at, bytes.len())?;
        match &self.0 {
            Kind::Real(map) => {
                let to = map.as_mut_ptr().wrapping_add(at);
                // SAFETY: the map has these bytes, which was asked just now, and lives as long as
                // `self`; `bytes` are none of it, since nobody is ever given a reference into it.
                unsafe { guard::copy_raw(to, bytes.as_ptr(), bytes.len()) }
            }
            Kind::Sim { file, .. } => file.write_at(bytes, at as u64),
        }
    }

    /// Reads into `out` what is at `at` now. No system call.
    ///
    /// # Errors
    /// As for [`Window::write`].
    pub fn read(&self, at: usize, out: &mut [u8]) -> io::Result<()> {
        self.fits(at, out.len())?;
        match &self.0 {
            Kind::Real(map) => {
                let from = map.as_ptr().wrapping_add(at);
                // SAFETY: as above, the other way round.
                unsafe { guard::copy_raw(out.as_mut_ptr(), from, out.len()) }
            }
            Kind::Sim { file, .. } => match file.read_at(out, at as u64)? {
                n if n == out.len() => Ok(()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }

    fn fits(&self, at: usize, len: usize) -> io::Result<()> {
        let end = at.checked_add(len).filter(|end| *end <= self.len());
        end.map(drop).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Disk as _, MemDisk, RealDisk};

    #[test]
    fn what_is_written_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            RealDisk.create(&dir.path().join("f")).unwrap(),
            MemDisk::new().create(&dir.path().join("f")).unwrap(),
        ];
        for file in files {
            assert!(file.window(8_192).is_err(), "the file is not that long");
            file.allocate(8_192).unwrap();
            let window = file.window(8_192).unwrap();
            window.write(4_090, b"hello, window").unwrap();
            let mut seen = [0; 13];
            window.read(4_090, &mut seen).unwrap();
            assert_eq!(&seen, b"hello, window");
            let mut seen = [0; 13];
            assert_eq!(file.read_at(&mut seen, 4_090).unwrap(), 13);
            assert_eq!(&seen, b"hello, window");
            window.write(8_191, b"x").unwrap();
            for (at, len) in [(8_192, 1), (8_191, 2), (usize::MAX, 2)] {
                assert!(window.write(at, &vec![0; len]).is_err(), "{at} {len}");
                assert!(window.read(at, &mut vec![0; len]).is_err(), "{at} {len}");
            }
        }
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn a_page_that_is_gone_is_an_error_and_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = RealDisk.create(&path).unwrap();
        file.allocate(8_192).unwrap();
        let window = file.window(8_192).unwrap();
        assert!(file.set_len(10).is_err(), "a mapped file must not get shorter");
        // Somebody else empties the file.
        RealDisk.create(&path).unwrap().set_len(0).unwrap();
        let lost = Some(libc::EIO);
        assert_eq!(window.write(5_000, b"x").unwrap_err().raw_os_error(), lost);
        assert_eq!(window.read(5_000, &mut [0]).unwrap_err().raw_os_error(), lost);
    }
}
