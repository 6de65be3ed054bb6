//! Reading and writing what these commands are about.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_disk::{Disk as _, RealDisk, whole};
use blockhouse_package::{Error, Package, component};

use crate::{given, wrong_use};

/// A plugin's file as a whole, checked.
pub(super) fn package(path: &Path) -> anyhow::Result<Package> {
    if path.is_dir() {
        return Err(wrong_use(format!(
            "{} is a directory: `blockhouse plugin build {0}` makes a component of it",
            path.display()
        )));
    }
    given::file(path)?;
    Package::read(&RealDisk, path).map_err(|error| about(path, error))
}

/// An error about a file. What the disk says names the file already.
pub(super) fn about(path: &Path, error: Error) -> anyhow::Error {
    match error {
        Error::Disk { .. } => error.into(),
        other => anyhow::Error::new(other).context(path.display().to_string()),
    }
}

/// A file that may have at most `max` bytes.
pub(super) fn read(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    given::file(path)?;
    let failed = || format!("cannot read {}", path.display());
    let len = RealDisk.open_read(path).and_then(|file| file.len()).with_context(failed)?;
    anyhow::ensure!(len <= max, "{} has {len} bytes, more than {max}", path.display());
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let found = whole::read(&RealDisk, path).and_then(|found| found.ok_or_else(gone));
    found.with_context(failed)
}

/// A component's bytes.
pub(super) fn component(path: &Path) -> anyhow::Result<Vec<u8>> {
    read(path, component::SIZE_MAX)
}

/// A text of a person's, which is small.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    long_text(path, 1 << 20)
}

/// A text of at most `max` bytes.
pub(super) fn long_text(path: &Path, max: u64) -> anyhow::Result<String> {
    let bytes = read(path, max)?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Writes a file as a whole; it is on disk when this returns.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    // A name alone has no directory to be synced.
    let path: PathBuf = std::path::absolute(path).with_context(failed)?;
    whole::replace(&RealDisk, &path, bytes).with_context(failed)
}
