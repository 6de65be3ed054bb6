//! A layout as a directory.

use std::collections::BTreeMap;
use std::path::Path;

use blockhouse_disk::{Disk, whole};
use bytes::Bytes;

use super::{Files, INDEX};
use crate::{Error, file};

pub(super) struct Directory<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) path: &'a Path,
}

impl Files for Directory<'_> {
    /// `path` is one of the fixed names, or made of a digest.
    fn read(&self, path: &str, max: u64) -> Result<Bytes, Error> {
        file::read(self.disk, &self.path.join(path), max)
    }
}

/// The index is written last: a layout that has one is whole.
pub(super) fn write(
    disk: &dyn Disk,
    dir: &Path,
    files: &BTreeMap<String, Bytes>,
) -> Result<(), Error> {
    let (index, others): (Vec<_>, Vec<_>) = files.iter().partition(|(path, _)| *path == INDEX);
    for (path, bytes) in others.into_iter().chain(index) {
        let path = dir.join(path);
        whole::replace(disk, &path, bytes).map_err(|e| Error::disk("write", &path, e))?;
    }
    Ok(())
}
