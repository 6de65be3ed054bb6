//! The stamp of `blockhouse/`: which layout the files there and around it have.

use std::path::Path;

use blockhouse_disk::{Disk, whole};

use crate::Error;

/// The layout that this program writes. It rises when an older program would misread or spoil what
/// a newer one wrote, and only then.
const LAYOUT: u32 = 1;
pub(crate) const NAME: &str = "blockhouse/version";
/// What only helps a start to read less, and what an older program could misread: without these
/// files a start goes by RocketMQ's own. Nothing else in `blockhouse/` is the store's.
const OF_LAYOUT: [&str; 4] =
    [NAME, "blockhouse/checkpoint", "blockhouse/queues", "blockhouse/flushed"];
/// More is no stamp.
const LEN_MAX: usize = 1024;

/// What stands on a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Nothing, or a layout that this program knows.
    Known,
    /// Something else than a stamp.
    Damaged,
    /// A layout that this program does not know.
    Newer(u32),
}

/// Reads the stamp.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Stamp, Error> {
    let path = dir.join(NAME);
    let found = whole::read(disk, &path).map_err(Error::io("read", &path))?;
    Ok(match found.as_deref().map(layout) {
        Some(None) => Stamp::Damaged,
        Some(Some(newer)) if newer > LAYOUT => Stamp::Newer(newer),
        _ => Stamp::Known,
    })
}

/// Refuses a directory that a newer program wrote, and changes nothing in it. [`Store::open`](crate::Store::open)
/// does the same; whoever writes into the directory before asks here first.
///
/// # Errors
/// The newer layout, with the way down; a stamp that is none; what the filesystem says.
pub fn check(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let problem = match read(disk, dir)? {
        Stamp::Known => return Ok(()),
        Stamp::Damaged => "is no stamp of Blockhouse; remove it if you are sure that no newer \
                           version wrote here, or let `blockhouse admin store repair` do it"
            .to_owned(),
        Stamp::Newer(newer) => format!(
            "a newer version wrote this directory (layout {newer}, this one knows {LAYOUT}): use \
             that version. The way down: stop it cleanly, and remove {}. All else in `blockhouse/` \
             stays: users, policies, plugins and the audit log are there, and nowhere else",
            OF_LAYOUT.map(|name| format!("`{name}`")).join(", ")
        ),
    };
    Err(Error::Format { path: dir.join(NAME), problem })
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

    #[test]
    fn the_way_down_names_files_and_no_directory() {
        let text = stamped(Some("layout 2\n")).0.unwrap_err();
        let (_, removed) = text.split_once("and remove ").unwrap();
        let (removed, rest) = removed.split_once(". ").unwrap();
        let names: Vec<_> = removed.split(", ").map(|name| name.trim_matches('`')).collect();
        assert_eq!(names, OF_LAYOUT);
        assert!(rest.starts_with("All else in `blockhouse/` stays"), "{rest}");
    }
}
