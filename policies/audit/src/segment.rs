//! The files of a log: which there are, and what stands at the head of a `.tree` file.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use blockhouse_disk::Disk;

use crate::note;
use crate::tree::{Hash, Tree};

const RECORDS: &str = "jsonl";
const TREE: &str = "tree";
const MAGIC: &str = "blockhouse-audit-tree 1";
/// Digits of a segment's number.
const DIGITS: usize = 20;

/// The records' file of the segment that begins with record `first`.
pub(crate) fn records_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{RECORDS}"))
}

/// The file with its tree and its checkpoints.
pub(crate) fn tree_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{TREE}"))
}

/// The first record of each segment, the oldest first.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<u64>> {
    with_suffix(disk, dir, RECORDS)
}

/// The first record of each `.tree` file.
pub(crate) fn list_trees(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<u64>> {
    with_suffix(disk, dir, TREE)
}

fn with_suffix(disk: &dyn Disk, dir: &Path, suffix: &str) -> io::Result<Vec<u64>> {
    let number = |name: &str| {
        let digits = name.strip_suffix(suffix)?.strip_suffix('.')?;
        let is_number = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    let mut all: Vec<u64> =
        disk.list(dir)?.iter().filter_map(|entry| number(&entry.name)).collect();
    all.sort_unstable();
    Ok(all)
}

/// What a segment begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The tree before its first record.
    pub(crate) tree: Tree,
    /// The leaf before it.
    pub(crate) prev: Hash,
}

impl Head {
    pub(crate) fn text(&self) -> String {
        let Self { tree, prev } = self;
        let mut text = format!("{MAGIC}\n{}\n{}\n", tree.size(), Base64::encode_string(prev));
        for peak in tree.peaks() {
            // Text takes everything.
            let _always = writeln!(text, "{}", Base64::encode_string(peak));
        }
        text.push('\n');
        text
    }

    /// The head, and what follows it.
    pub(crate) fn parse(text: &str) -> Option<(Self, &str)> {
        let (head, rest) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        if lines.next()? != MAGIC {
            return None;
        }
        let size = lines.next()?.parse().ok()?;
        let prev = note::hash(lines.next()?)?;
        let peaks = lines.map(note::hash).collect::<Option<Vec<_>>>()?;
        Some((Self { tree: Tree::of(size, peaks)?, prev }, rest))
    }
}

/// The whole checkpoints at the beginning of a text; what is left is torn.
pub(crate) struct Notes<'a>(pub(crate) &'a str);

impl<'a> Iterator for Notes<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0;
        let (body, rest) = text.split_once("\n\n")?;
        let (signatures, rest) = rest.split_once("\n\n")?;
        if body.contains('\0') || signatures.contains('\0') {
            return None;
        }
        self.0 = rest;
        text.get(..body.len() + 2 + signatures.len() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf;

    #[test]
    fn a_head_is_read_back_and_checkpoints_follow() {
        let mut tree = Tree::default();
        (0..7_u8).for_each(|n| tree.push(leaf(&[n])));
        let head = Head { tree, prev: leaf(&[6]) };
        let text = format!("{}a\n1\nr\n\n- s\n\na\n2\nr\n\n- s\n\na\n3\nr\n\n- ", head.text());
        let (read, rest) = Head::parse(&text).unwrap();
        assert_eq!(read, head);
        let mut notes = Notes(rest);
        assert_eq!(notes.by_ref().collect::<Vec<_>>(), ["a\n1\nr\n\n- s\n", "a\n2\nr\n\n- s\n"]);
        assert_eq!(notes.0, "a\n3\nr\n\n- ");
        for end in 0..head.text().len() {
            assert_eq!(Head::parse(head.text().get(..end).unwrap()), None);
        }
    }
}
