//! What a repair overwrites or removes is kept first.

use std::path::{Path, PathBuf};

use blockhouse_disk::DiskFile;

use crate::Error;
use crate::examine::site::Site;

const CHUNK: u64 = 1 << 20;

/// The directory for it.
pub(super) struct Saved<'a> {
    site: &'a Site,
    pub(super) dir: PathBuf,
}

impl<'a> Saved<'a> {
    pub(super) const fn new(site: &'a Site, dir: PathBuf) -> Self {
        Self { site, dir }
    }

    /// Where a file of the store is kept.
    fn place(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.site.log_dir) {
            Ok(in_log) => self.dir.join("commitlog").join(in_log),
            Err(_) => self.dir.join(path.strip_prefix(&self.site.dir).unwrap_or(path)),
        }
    }

    /// Keeps a copy; nothing without such a file.
    pub(super) fn keep_file(&self, path: &Path) -> Result<(), Error> {
        if !self.site.disk.exists(path) {
            return Ok(());
        }
        let file = self.site.disk.open_read(path).map_err(Error::io("open", path))?;
        let len = file.len().map_err(Error::io("read", path))?;
        self.copy((path, &*file), (0, len), &self.place(path))
    }

    /// Keeps a copy of a part of a file, named by where in the log it begins.
    pub(super) fn keep_range(
        &self,
        path: &Path,
        file: &dyn DiskFile,
        (from, to): (u64, u64),
        position: u64,
    ) -> Result<(), Error> {
        let mut name = self.place(path).into_os_string();
        name.push(format!(".from-{position}"));
        self.copy((path, file), (from, to), Path::new(&name))
    }

    fn copy(
        &self,
        (path, file): (&Path, &dyn DiskFile),
        (from, to): (u64, u64),
        into: &Path,
    ) -> Result<(), Error> {
        let copy = self.site.disk.create(into).map_err(Error::io("create", into))?;
        let end = file.len().map_err(Error::io("read", path))?.min(to);
        copy.set_len(end.saturating_sub(from)).map_err(Error::io("extend", into))?;
        let mut at = from;
        let mut buffer = Vec::new();
        while let Some(data) = file.next_data(at).map_err(Error::io("read", path))? {
            if data >= end {
                break;
            }
            buffer.resize(usize::try_from((end - data).min(CHUNK)).unwrap_or(0), 0);
            let n = file.read_at(&mut buffer, data).map_err(Error::io("read", path))?;
            if n == 0 {
                break;
            }
            copy.write_at(&buffer[..n], data - from).map_err(Error::io("write", into))?;
            at = data + n as u64;
        }
        copy.sync_data().map_err(Error::io("sync", into))?;
        into.parent()
            .map_or(Ok(()), |dir| self.site.disk.sync_dir(dir).map_err(Error::io("sync", dir)))
    }

    /// Moves a file away.
    pub(super) fn take_file(&self, path: &Path) -> Result<(), Error> {
        let into = self.place(path);
        // Makes the directories, too.
        self.site.disk.create(&into).map_err(Error::io("create", &into))?;
        if self.site.disk.rename(path, &into).is_ok() {
            return Ok(());
        }
        // Another filesystem.
        self.keep_file(path)?;
        self.site.disk.remove(path).map_err(Error::io("remove", path))
    }
}
