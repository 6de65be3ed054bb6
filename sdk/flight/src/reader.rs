//! Reading a file of records, whether its process runs or not.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{Disk, DiskFile};
use blockhouse_meter::{FlightRecord, NameNumber};

use crate::file::{HEAD, Head, NAME, Place, RECORD, decode_name, name_at};
use crate::{BEFORE, DIR, NAMESRV_DIR, NOW};

/// Records that are read with one call.
const CHUNK: usize = 1_024;
/// What the name of a file of records ends with.
pub(crate) const EXTENSION: &str = ".flight";

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error(
        "{0} has no records: it is no file of the flight recorder, nor a data directory with one"
    )]
    None(PathBuf),
    /// It is something else.
    #[error("{0} is no file of the flight recorder, or of another version")]
    Other(PathBuf),
    /// It cannot be read.
    #[error("{path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
}

/// A file of records.
#[derive(Debug)]
pub struct Flight {
    head: Head,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    names: HashMap<u32, Option<Arc<str>>>,
}

/// Sees a record: the ring that it is of, its number there, and itself.
pub type Visit<'a> = dyn FnMut(&mut Flight, (u32, u64), &FlightRecord) + 'a;

/// What stood in the places of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records.
    pub whole: u64,
    /// Records that are not whole.
    pub torn: u64,
}

/// The files that `path` means: a file, the two of a directory, or those of a data directory, where a
/// broker and a name server may have two each.
///
/// # Errors
/// There are none.
pub fn files(disk: &dyn Disk, path: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_file = path.to_str().is_some_and(|name| name.ends_with(EXTENSION));
    if is_file && disk.exists(path) {
        return Ok(vec![path.to_owned()]);
    }
    let dirs = [path.join(DIR), path.join(NAMESRV_DIR), path.to_owned()];
    let both = dirs.iter().flat_map(|dir| [BEFORE, NOW].map(|name| dir.join(name)));
    let there: Vec<PathBuf> = both.filter(|file| disk.exists(file)).collect();
    if there.is_empty() { Err(Error::None(path.to_owned())) } else { Ok(there) }
}

impl Flight {
    /// Opens a file.
    ///
    /// # Errors
    /// It is no such file, or cannot be read.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Disk { path: path.to_owned(), source };
        let file = disk.open_read(path).map_err(failed)?;
        let mut bytes = [0; HEAD];
        file.read_at(&mut bytes, 0).map_err(failed)?;
        let head = Head::decode(&bytes).ok_or_else(|| Error::Other(path.to_owned()))?;
        Ok(Self { head, path: path.to_owned(), file, names: HashMap::new() })
    }

    /// Who wrote it.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Hands every record that is whole to `visit`, ring by ring. What is written meanwhile may come
    /// or not.
    ///
    /// # Errors
    /// What the disk says. A file that is shorter than it should be has what it has.
    pub fn each(&mut self, visit: &mut Visit<'_>) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let mut bytes = vec![0; CHUNK * RECORD];
        for ring in 0..self.head.rings {
            let end = self.head.ring_at(ring + 1);
            let mut at = self.head.ring_at(ring);
            while at < end {
                let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(bytes.len());
                let file = Arc::clone(&self.file);
                let failed = |source| Error::Disk { path: self.path.clone(), source };
                let read = file.read_at(&mut bytes[..wanted], at).map_err(failed)?;
                for place in bytes[..read].chunks(RECORD) {
                    match Place::decode(place) {
                        Place::Empty => {}
                        Place::Torn => tally.torn += 1,
                        Place::Whole(sequence, record) => {
                            tally.whole += 1;
                            visit(self, (ring, sequence), &record);
                        }
                    }
                }
                at += wanted as u64;
            }
        }
        Ok(tally)
    }

    /// What a number of a record stands for: nothing for none, `?` where the table has another name
    /// by now.
    pub fn name(&mut self, number: NameNumber) -> Option<Arc<str>> {
        if number == NameNumber::NONE {
            return None;
        }
        if let Some(known) = self.names.get(&number.0) {
            return known.clone().or_else(|| Some("?".into()));
        }
        let mut bytes = [0; NAME];
        // A name that cannot be read is one that is not known.
        let read = self.file.read_at(&mut bytes, name_at(number.0) as u64).unwrap_or(0);
        let found = bytes.get(..read).and_then(decode_name);
        let name = found.filter(|(found, _)| *found == number.0).map(|(_, text)| text.into());
        self.names.insert(number.0, name);
        self.name(number)
    }

    /// A time of the monotonic clock that records have, in microseconds since 1970.
    #[must_use]
    pub fn wall_micros(&self, at: Duration) -> i64 {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let since = micros(at).saturating_sub(micros(self.head.began_monotonic));
        self.head.began.0.saturating_mul(1_000).saturating_add(since)
    }
}
