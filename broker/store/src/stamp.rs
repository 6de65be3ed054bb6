//! The stamp of `blockhouse/`: which layout the files there and around it have.

use std::path::Path;

use blockhouse_disk::{Disk, whole};

use crate::Error;

/// The layout that this program writes. It rises when an older program would misread or spoil what
/// a newer one wrote, and only then.
const LAYOUT: u32 = 1;
const NAME: &str = "blockhouse/version";
/// More is no stamp.
const LEN_MAX: usize = 1024;

/// Refuses a directory that a newer program wrote.
pub(crate) fn check(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let path = dir.join(NAME);
    let found = whole::read(disk, &path).map_err(Error::io("read", &path))?;
    let refused = |problem: String| Err(Error::Format { path: path.clone(), problem });
    if let Some(found) = &found {
        match layout(found) {
            None => {
                return refused(
                    "is no stamp of Blockhouse; remove it if you are sure that no \
                 newer version wrote here"
                        .to_owned(),
                );
            }
            Some(newer) if newer > LAYOUT => {
                return refused(format!(
                    "a newer version wrote this directory (layout {newer}, this one knows {LAYOUT}): \
                 use that version, or stop it cleanly and remove `blockhouse`; what is left is \
                 RocketMQ's own layout"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Puts this program's stamp on the directory, before anything else in it is changed.
pub(crate) fn put(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let path = dir.join(NAME);
    let found = whole::read(disk, &path).map_err(Error::io("read", &path))?;
    let text = format!("layout {LAYOUT}\nwritten by {}\n", env!("CARGO_PKG_VERSION"));
    if found.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    whole::replace(disk, &path, text.as_bytes()).map_err(Error::io("write", &path))
}

/// The number of the first line, `layout N`.
fn layout(text: &[u8]) -> Option<u32> {
    let text = text.get(..text.len().min(LEN_MAX)).and_then(|t| std::str::from_utf8(t).ok())?;
    text.lines().next()?.strip_prefix("layout ")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::MemDisk;

    use super::*;

    fn stamped(text: Option<&str>) -> (Result<(), String>, String) {
        let disk = MemDisk::new();
        let path = Path::new("/d").join(NAME);
        if let Some(text) = text {
            whole::replace(&disk, &path, text.as_bytes()).unwrap();
        }
        let dir = Path::new("/d");
        let result = check(&disk, dir).and_then(|()| put(&disk, dir)).map_err(|e| e.to_string());
        let after = whole::read(&disk, &path).unwrap().unwrap();
        (result, String::from_utf8(after).unwrap())
    }

    #[test]
    fn a_directory_without_a_stamp_or_with_an_older_one_gets_ours() {
        let ours = format!("layout 1\nwritten by {}\n", env!("CARGO_PKG_VERSION"));
        for before in [None, Some("layout 1\nwritten by 0.0.1\n"), Some("layout 0\n"), Some(&*ours)]
        {
            assert_eq!(stamped(before), (Ok(()), ours.clone()), "{before:?}");
        }
    }

    #[test]
    fn a_newer_stamp_or_none_at_all_is_refused_and_left_alone() {
        for (before, problem) in [
            ("layout 2\nwritten by 9.0.0\n", "a newer version wrote this directory (layout 2"),
            ("", "is no stamp"),
            ("layout many\n", "is no stamp"),
            ("\u{0}\u{0}", "is no stamp"),
        ] {
            let (result, after) = stamped(Some(before));
            let text = result.unwrap_err();
            assert!(text.contains(problem) && text.contains("/d/blockhouse/version"), "{text}");
            assert_eq!(after, before);
        }
    }
}
