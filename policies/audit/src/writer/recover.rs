//! What a start makes of what the last process left.

use std::path::Path;
use std::sync::Arc;

use blockhouse_disk::{Disk, whole};
use blockhouse_model::Timestamp;

use super::{End, Open, Span, Writer, begin};
use crate::lines::{Line, Lines};
use crate::links::{Links, Misfit};
use crate::note::{Checkpoint, PublicKey, SecretKey};
use crate::recent::Recent;
use crate::record::{Entry, Own};
use crate::segment::{self, Head, Notes};
use crate::tree::{Tree, leaf};
use crate::{Config, Error, key};

/// The last segment as it was found.
struct Found {
    end: End,
    last: Checkpoint,
    note: String,
    notes_len: u64,
    /// Bytes that are not whole records.
    cut: u64,
}

impl Writer {
    /// Opens the log in `dir`, or begins one. The entry says how that went, and is to be the next record.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: Config,
        node: &str,
        now: Timestamp,
    ) -> Result<(Self, Entry), Error> {
        disk.create_private_dir(dir).map_err(Error::disk(dir))?;
        let lock = dir.join("lock");
        let lock = disk.lock(&lock).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => Error::Locked(dir.to_owned()),
            _ => Error::Disk { path: lock.clone(), source: error },
        })?;
        let firsts = segment::list(disk.as_ref(), dir).map_err(Error::disk(dir))?;
        let key = key::load(disk.as_ref(), dir, firsts.is_empty())?;
        let (open, note, end, signed, cut) = if let Some(&first) = firsts.last() {
            let Found { end, last, note, notes_len, cut } = find(&*disk, dir, first, &key)?;
            (mend(&*disk, dir, first, end.len, notes_len)?, note, end, last.size, cut)
        } else {
            let end = End { tree: Tree::default(), prev: [0; 32], len: 0 };
            let head = Head { tree: end.tree.clone(), prev: end.prev };
            let (open, note) = begin(disk.as_ref(), dir, &key, &head).map_err(Error::disk(dir))?;
            (open, note, end, 0, 0)
        };
        let mut segments = spans(disk.as_ref(), dir, &firsts, now)?;
        if segments.is_empty() {
            segments.push(Span { first: 0, since: now });
        }
        let unsigned = end.tree.size() - signed;
        let writer = Self {
            disk,
            dir: dir.to_owned(),
            config,
            key,
            durable: end.clone(),
            end,
            signed,
            checkpoint: note,
            node: node.to_owned(),
            recent: Recent::default(),
            open,
            segments,
            is_dirty: false,
            buf: Vec::new(),
            _lock: lock,
        };
        Ok((writer, Entry::Own(now, Own::Started { unsigned, cut })))
    }
}

/// When each segment begins.
fn spans(disk: &dyn Disk, dir: &Path, firsts: &[u64], now: Timestamp) -> Result<Vec<Span>, Error> {
    let mut spans = Vec::with_capacity(firsts.len());
    for &first in firsts {
        let path = segment::records_path(dir, first);
        let file = disk.open_read(&path).map_err(Error::disk(&path))?;
        let mut lines = Lines::of(file, 0);
        let since = match lines.next().map_err(Error::disk(&path))? {
            Some(Line::Whole(line)) => Links::parse(line).map_or(now, |l| Timestamp(l.time)),
            _ => now,
        };
        spans.push(Span { first, since });
    }
    Ok(spans)
}

/// Reads the last segment.
fn find(disk: &dyn Disk, dir: &Path, first: u64, key: &SecretKey) -> Result<Found, Error> {
    let changed = |problem: String| Error::Changed { path: dir.to_owned(), problem };
    let path = segment::tree_path(dir, first);
    let bytes = whole::read(disk, &path).map_err(Error::disk(&path))?;
    let bytes = bytes.ok_or_else(|| changed(format!("{} is gone", path.display())))?;
    let text = text_of(&bytes);
    let (head, notes) = Head::parse(text)
        .ok_or_else(|| changed(format!("{} has no tree at its head", path.display())))?;
    let (last, note, torn) = last_note(notes, &head, first, key.public()).map_err(&changed)?;
    let notes_len = (text.len() - torn) as u64;
    let records = segment::records_path(dir, first);
    let (end, cut) = read_records(disk, &records, &head, &last, &changed)?;
    Ok(Found { end, last, note, notes_len, cut })
}

/// What of it is text; the rest is of a write that did not come to its end.
fn text_of(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// The last checkpoint, its text, and how many bytes behind it are torn.
fn last_note(
    text: &str,
    head: &Head,
    first: u64,
    key: &PublicKey,
) -> Result<(Checkpoint, String, usize), String> {
    let mut notes = Notes(text);
    let Some(note) = notes.next() else {
        return Err("its last segment begins with no checkpoint".to_owned());
    };
    let begin = key.open(note).map_err(|error| error.to_string())?;
    if (begin.size, begin.root, head.tree.size()) != (first, head.tree.root(), first) {
        return Err(format!("the tree before record {first} is not the one that was signed"));
    }
    let Some(note) = notes.by_ref().last() else {
        return Ok((begin, note.to_owned(), notes.0.len()));
    };
    let last = key.open(note).map_err(|error| error.to_string())?;
    Ok((last, note.to_owned(), notes.0.len()))
}

/// Builds the tree anew and compares it with the checkpoint. What follows a line that is no record is
/// cut, if no checkpoint counts it.
fn read_records(
    disk: &dyn Disk,
    path: &Path,
    head: &Head,
    last: &Checkpoint,
    changed: &dyn Fn(String) -> Error,
) -> Result<(End, u64), Error> {
    let file = disk.open_read(path).map_err(Error::disk(path))?;
    let len = file.len().map_err(Error::disk(path))?;
    let mut lines = Lines::of(file, 0);
    let mut end = End { tree: head.tree.clone(), prev: head.prev, len: 0 };
    let compare = |end: &End| {
        if end.tree.size() == last.size && end.tree.root() != last.root {
            return Err(changed(format!(
                "the {} records before it are not those that the last checkpoint counts",
                last.size
            )));
        }
        Ok(())
    };
    compare(&end)?;
    let number = |end: &End| end.tree.size();
    while let Some(line) = lines.next().map_err(Error::disk(path))? {
        let (new, why) = match line {
            Line::Whole(line) => {
                let fits =
                    Links::parse(line).and_then(|links| links.check(number(&end), Some(&end.prev)));
                (leaf(line), fits.err())
            }
            Line::Torn(_) => ([0; 32], Some(Misfit::NoRecord("it has no end".to_owned()))),
            Line::TooLong => ([0; 32], Some(Misfit::NoRecord("it has no end".to_owned()))),
        };
        match why {
            Some(_) if number(&end) >= last.size => break,
            Some(why) => {
                return Err(changed(crate::verify::misfit(number(&end), &why)));
            }
            None => {}
        }
        end.tree.push(new);
        end.prev = new;
        end.len = lines.at();
        compare(&end)?;
    }
    if number(&end) < last.size {
        let (has, counts) = (number(&end), last.size);
        return Err(changed(format!(
            "it ends with {has} records, but its last checkpoint counts {counts}"
        )));
    }
    let cut = len.saturating_sub(end.len);
    Ok((end, cut))
}

/// Cuts what is torn, and makes what is not durable.
fn mend(disk: &dyn Disk, dir: &Path, first: u64, len: u64, notes_len: u64) -> Result<Open, Error> {
    let open = |path: &Path, len: u64| {
        let file = disk.open(path)?;
        if file.len()? != len {
            file.set_len(len)?;
        }
        // Also what a killed process wrote and nobody synced.
        file.sync_data()?;
        Ok(file)
    };
    let path = segment::tree_path(dir, first);
    let notes = open(&path, notes_len).map_err(Error::disk(&path))?;
    let path = segment::records_path(dir, first);
    let records = open(&path, len).map_err(Error::disk(&path))?;
    disk.sync_dir(dir).map_err(Error::disk(dir))?;
    Ok(Open { first, records, notes, notes_len })
}
