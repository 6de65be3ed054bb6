//! Headers for collectors that are secrets: out of a file, which may change while the process runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use blockhouse_disk::{Disk, RealDisk, whole};
use blockhouse_telemetry::otlp::{Secrets, headers_of_text};
use hyper::HeaderMap;
use parking_lot::Mutex;

/// Longest file.
const LEN_MAX: u64 = 64 << 10;

/// What reads the file before each request, if there is one. It must be good now.
pub(super) fn load(path: &Path) -> anyhow::Result<Option<Secrets>> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let headers = read(&RealDisk, path).map_err(|problem| anyhow!("{}: {problem}", path.display()));
    let headers = headers.context("headers for collectors (telemetry.otlp.headers_file)")?;
    let last = Mutex::new(Last { headers, trouble: None });
    let file = HeadersFile { disk: Arc::new(RealDisk), path: path.to_owned(), last };
    Ok(Some(Arc::new(move || file.current())))
}

struct HeadersFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    last: Mutex<Last>,
}

struct Last {
    headers: HeaderMap,
    /// Why the file cannot be read since then.
    trouble: Option<String>,
}

impl HeadersFile {
    /// What the file says, or what it said when it could be read last.
    fn current(&self) -> HeaderMap {
        let found = read(&*self.disk, &self.path);
        let (path, mut last) = (self.path.display(), self.last.lock());
        match found {
            Ok(headers) => {
                if last.trouble.take().is_some() {
                    tracing::info!(%path, "headers for collectors are read again");
                }
                last.headers = headers;
            }
            Err(problem) => {
                if last.trouble.as_ref() != Some(&problem) {
                    tracing::warn!(%path, problem, "headers for collectors cannot be read: the last ones are used");
                    last.trouble = Some(problem);
                }
            }
        }
        last.headers.clone()
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<HeaderMap, String> {
    let said = |error: std::io::Error| error.to_string();
    let bytes = whole::read_up_to(disk, path, LEN_MAX).map_err(said)?;
    let bytes = bytes.ok_or_else(|| "is not there".to_owned())?;
    if !disk.is_private(path).map_err(said)? {
        return Err("can be read by others: chmod 600".to_owned());
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is no text".to_owned())?;
    let headers = headers_of_text(text)?;
    // As one that is just being written looks.
    if headers.is_empty() { Err("has no header".to_owned()) } else { Ok(headers) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use blockhouse_disk::MemDisk;

    use super::*;

    #[test]
    fn a_file_that_went_bad_leaves_what_it_said_before() {
        let disk = MemDisk::new();
        let path = Path::new("/headers");
        let write = |text: &str| {
            whole::replace_private(&disk, path, text.as_bytes()).unwrap();
        };
        write("authorization=Bearer 1");
        let headers = read(&disk, path).unwrap();
        let last = Mutex::new(Last { headers, trouble: None });
        let file = HeadersFile { disk: Arc::new(disk.clone()), path: path.to_owned(), last };
        let is = |expected: &str| {
            assert_eq!(file.current().get("authorization").unwrap(), expected);
        };
        is("Bearer 1");
        write("authorization=Bearer 2");
        is("Bearer 2");
        write("authorization");
        is("Bearer 2");
        assert_eq!(file.last.lock().trouble.as_deref(), Some("line 1 must be name=value"));
        write("# nothing yet\n");
        is("Bearer 2");
        write("authorization=Bearer 3");
        is("Bearer 3");
        assert_eq!(file.last.lock().trouble, None);
        disk.remove(path).unwrap();
        is("Bearer 3");
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_too_long_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("headers");
        let write = |text: &[u8]| {
            whole::replace_private(&RealDisk, path, text).unwrap();
        };
        write(b"a=b");
        assert_eq!(read(&RealDisk, path).unwrap().get("a").unwrap(), "b");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&RealDisk, path).unwrap_err().contains("chmod 600"));
        write(&vec![b'\n'; usize::try_from(LEN_MAX + 1).unwrap()]);
        assert!(read(&RealDisk, path).unwrap_err().contains("65536"));
        assert!(load(Path::new("")).unwrap().is_none());
        assert!(load(Path::new("/there/is/none")).is_err());
    }
}
