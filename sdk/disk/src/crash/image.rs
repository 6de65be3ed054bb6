//! From a history to what a crash in it could leave.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content::{Content, Page};
use super::{Base, CrashDisk, Event, Inode};
use crate::mem::{PAGE, PAGE_U64, pages};

const SECTOR: usize = 512;

/// A history, and a point in it.
#[derive(Debug)]
pub struct Crashes {
    events: Vec<Event>,
    at: usize,
    durable: Base,
    /// What was written since a file's last sync.
    dirty: HashMap<Inode, Dirty>,
    /// Changes of names that are not durable, in order.
    names: Vec<Vec<(PathBuf, Option<Inode>)>>,
}

/// What happened to a file since its last sync: every version of every page, and every length.
#[derive(Debug, Default)]
struct Dirty {
    pages: BTreeMap<u64, Vec<Page>>,
    lens: Vec<u64>,
}

impl Crashes {
    pub(super) fn new(durable: Base, events: Vec<Event>) -> Self {
        Self { events, at: 0, durable, dirty: HashMap::new(), names: Vec::new() }
    }

    /// How many events lie before this point.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Goes one event on; false at the end of the history.
    pub fn step(&mut self) -> bool {
        let Some(event) = self.events.get(self.at).cloned() else { return false };
        self.at += 1;
        match event {
            Event::Write { inode, at, bytes } => self.write(inode, at, &bytes),
            Event::SetLen { inode, len } => self.set_len(inode, len),
            Event::Names { changes } => self.names.push(changes),
            Event::Sync { inode } => self.sync(inode),
            Event::SyncDir { dir } => self.sync_names(Some(&dir)),
            Event::SyncAll => {
                for inode in self.dirty.keys().copied().collect::<Vec<_>>() {
                    self.sync(inode);
                }
                self.sync_names(None);
            }
        }
        true
    }

    /// A disk as a crash at this point could leave it.
    #[must_use]
    pub fn image(&self, seed: u64) -> CrashDisk {
        let mut dice = Dice(seed);
        let mut files = self.durable.files.clone();
        let luck = Luck::of(&mut dice);
        let mut dirty: Vec<_> = self.dirty.iter().collect();
        dirty.sort_by_key(|(inode, _)| **inode);
        // One page of all is hit in the middle of its way to the disk.
        let count: usize = dirty.iter().map(|(_, dirty)| dirty.pages.len()).sum();
        let mut torn = (luck.tears && count > 0).then(|| dice.below(count));
        for (inode, dirty) in dirty {
            let file = file_mut(&mut files, *inode);
            for (number, versions) in &dirty.pages {
                let old = file.page(*number);
                let page = match torn {
                    Some(0) => tear(&old, versions, &mut dice),
                    _ => luck.pick(&old, versions, &mut dice),
                };
                torn = torn.and_then(|left| left.checked_sub(1));
                file.put(*number, page);
            }
            let len = luck.pick(&file.len(), &dirty.lens, &mut dice);
            // What lies behind the length is gone, and the bytes of its last page with it.
            file.set_len(len);
        }
        let mut names = self.durable.names.clone();
        for changes in self.kept_names(luck, &mut dice) {
            apply(&mut names, changes);
        }
        for inode in names.values() {
            file_mut(&mut files, *inode);
        }
        CrashDisk::holding(Base { files, names })
    }

    fn write(&mut self, inode: Inode, at: u64, bytes: &[u8]) {
        let durable = file_mut(&mut self.durable.files, inode);
        let dirty = self.dirty.entry(inode).or_default();
        for (number, inside, part) in pages(at, bytes.len()) {
            let versions = dirty.pages.entry(number).or_default();
            let last = versions.last().cloned().unwrap_or_else(|| durable.page(number));
            let mut page = last.unwrap_or_else(|| Arc::from([0; PAGE]));
            Arc::make_mut(&mut page)[inside].copy_from_slice(&bytes[part]);
            versions.push(Some(page));
        }
        let end = at + bytes.len() as u64;
        if end > dirty.len(durable) {
            dirty.lens.push(end);
        }
    }

    fn set_len(&mut self, inode: Inode, len: u64) {
        let durable = file_mut(&mut self.durable.files, inode);
        let dirty = self.dirty.entry(inode).or_default();
        if len < dirty.len(durable) {
            let mut numbers = durable.numbers_from(len / PAGE_U64);
            numbers.extend(dirty.pages.range(len / PAGE_U64..).map(|(number, _)| *number));
            numbers.sort_unstable();
            numbers.dedup();
            for number in numbers {
                let versions = dirty.pages.entry(number).or_default();
                let last = versions.last().cloned().unwrap_or_else(|| durable.page(number));
                let kept = usize::try_from(len.saturating_sub(number * PAGE_U64)).unwrap_or(PAGE);
                versions.push(last.filter(|_| kept > 0).map(|mut page| {
                    Arc::make_mut(&mut page)[kept..].fill(0);
                    page
                }));
            }
        }
        dirty.lens.push(len);
    }

    fn sync(&mut self, inode: Inode) {
        let file = file_mut(&mut self.durable.files, inode);
        let Some(dirty) = self.dirty.remove(&inode) else { return };
        let len = dirty.len(file);
        for (number, versions) in dirty.pages {
            if let Some(last) = versions.into_iter().last() {
                file.put(number, last);
            }
        }
        file.set_len(len);
    }

    /// Makes the changes of names in a directory durable, or all.
    fn sync_names(&mut self, dir: Option<&Path>) {
        let is_in = |changes: &Vec<(PathBuf, Option<Inode>)>| {
            dir.is_none_or(|dir| changes.iter().any(|(path, _)| path.parent() == Some(dir)))
        };
        for changes in std::mem::take(&mut self.names) {
            if is_in(&changes) {
                apply(&mut self.durable.names, &changes);
            } else {
                self.names.push(changes);
            }
        }
    }

    /// The changes of names that were kept: those before some moment, or any.
    fn kept_names(
        &self,
        luck: Luck,
        dice: &mut Dice,
    ) -> impl Iterator<Item = &Vec<(PathBuf, Option<Inode>)>> {
        let is_journal = dice.below(2) == 0;
        let before = dice.below(self.names.len() + 1);
        let kept: Vec<_> = (0..self.names.len())
            .map(|n| match luck.percent {
                0 | 100 => luck.percent == 100,
                _ if is_journal => n < before,
                percent => dice.below(100) < percent,
            })
            .collect();
        self.names.iter().zip(kept).filter_map(|(changes, kept)| kept.then_some(changes))
    }
}

fn file_mut(files: &mut Vec<Content>, inode: Inode) -> &mut Content {
    if files.len() <= inode {
        files.resize_with(inode + 1, Content::default);
    }
    &mut files[inode]
}

fn apply(names: &mut BTreeMap<PathBuf, Inode>, changes: &[(PathBuf, Option<Inode>)]) {
    for (path, inode) in changes {
        match inode {
            Some(inode) => names.insert(path.clone(), *inode),
            None => names.remove(path),
        };
    }
}

impl Dirty {
    fn len(&self, durable: &Content) -> u64 {
        self.lens.last().copied().unwrap_or_else(|| durable.len())
    }
}

/// A page that was on its way: some sectors are older than others.
fn tear(old: &Page, versions: &[Page], dice: &mut Dice) -> Page {
    let version = |n: usize| if n == 0 { old } else { &versions[n - 1] };
    let older = dice.below(versions.len());
    let newer = older + 1 + dice.below(versions.len() - older);
    let mut page = [0; PAGE];
    for start in (0..PAGE).step_by(SECTOR) {
        let from = if dice.below(2) == 0 { older } else { newer };
        if let Some(bytes) = version(from) {
            page[start..start + SECTOR].copy_from_slice(&bytes[start..start + SECTOR]);
        }
    }
    Some(Arc::from(page))
}

/// How much of what was not synced is kept.
#[derive(Clone, Copy, Debug)]
struct Luck {
    percent: usize,
    /// Something in between may be kept, not only the newest.
    versions: bool,
    tears: bool,
}

impl Luck {
    fn of(dice: &mut Dice) -> Self {
        let percent = [0, 10, 50, 50, 90, 100][dice.below(6)];
        Self { percent, versions: dice.below(2) == 0, tears: dice.below(2) == 0 }
    }

    /// What is left of something that was `old` when it was synced and then had `versions`.
    fn pick<T: Clone>(self, old: &T, versions: &[T], dice: &mut Dice) -> T {
        let Some(last) = versions.last() else { return old.clone() };
        let is_kept = dice.below(100) < self.percent;
        if !is_kept {
            return old.clone();
        }
        let other = if self.versions { versions.get(dice.below(2 * versions.len())) } else { None };
        other.unwrap_or(last).clone()
    }
}

/// Numbers from a seed (splitmix64).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        usize::try_from(z % (end.max(1) as u64)).unwrap_or(0)
    }
}
