//! The files of every ConsumeQueue: `consumequeue/{topic}/{queue}/{20 digits}`.

mod bounds;
mod removal;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{Disk, DiskFile, Entry};
use parking_lot::Mutex;

use crate::Error;
use crate::faults::is_out_of_descriptors;
use crate::queue::{Queue, UNIT_LEN, Unit};
use crate::read::ColdRead;
use crate::segments::{file_name, parse_name};
pub(crate) use bounds::IsThere;

const UNIT_LEN_U64: u64 = UNIT_LEN as u64;

/// The files of every ConsumeQueue, of which a bounded number is open.
#[derive(Debug)]
pub(crate) struct QueueFiles {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Entries per file.
    per_file: u64,
    open: Mutex<OpenFiles>,
}

/// Open files, the least recently used closed first.
#[derive(Debug)]
struct OpenFiles {
    limit: usize,
    clock: u64,
    files: HashMap<(u64, u64), (u64, Arc<dyn DiskFile>)>,
    by_age: BTreeMap<u64, (u64, u64)>,
}

impl OpenFiles {
    fn find(&mut self, key: (u64, u64)) -> Option<Arc<dyn DiskFile>> {
        self.clock += 1;
        let (age, file) = self.files.get_mut(&key)?;
        self.by_age.remove(age);
        *age = self.clock;
        self.by_age.insert(self.clock, key);
        Some(Arc::clone(file))
    }

    fn add(&mut self, key: (u64, u64), file: &Arc<dyn DiskFile>) {
        self.clock += 1;
        if let Some((age, _)) = self.files.insert(key, (self.clock, Arc::clone(file))) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.clock, key);
        while self.files.len() > self.limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.files.remove(&oldest);
        }
    }

    /// Closes the older half. Gives whether there was a file to close.
    fn close_half(&mut self) -> bool {
        let count = self.files.len().div_ceil(2);
        for _ in 0..count {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.files.remove(&oldest);
            }
        }
        count > 0
    }

    fn forget(&mut self, uid: u64) {
        self.files.retain(|key, _| key.0 != uid);
        self.by_age.retain(|_, key| key.0 != uid);
    }
}

/// Entries that a file could give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// All that were asked for, or all up to the file's end.
    Units,
    /// There is no such file.
    Missing,
    /// They are not in memory.
    WouldBlock,
    /// The disk did not give them.
    Failed,
}

impl QueueFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: PathBuf, per_file: u64, limit: usize) -> Self {
        let open = OpenFiles {
            limit: limit.max(1),
            clock: 0,
            files: HashMap::new(),
            by_age: BTreeMap::new(),
        };
        Self { disk, root, per_file, open: Mutex::new(open) }
    }

    pub(crate) fn dir(&self, queue: &Queue) -> PathBuf {
        self.root.join(queue.topic.as_str()).join(queue.id.to_string())
    }

    fn path(&self, queue: &Queue, number: u64) -> PathBuf {
        self.dir(queue).join(file_name(number * self.per_file * UNIT_LEN_U64))
    }

    fn file_len(&self) -> u64 {
        self.per_file * UNIT_LEN_U64
    }

    fn file(&self, queue: &Queue, number: u64, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let key = (queue.uid, number);
        if let Some(file) = self.open.lock().find(key) {
            return Ok(file);
        }
        let path = self.path(queue, number);
        let file = match self.open_or_create(&path, create) {
            // Files that nobody uses now must not keep the process from what it needs.
            Err(e) if is_out_of_descriptors(&e) && self.open.lock().close_half() => {
                self.open_or_create(&path, create)?
            }
            other => other?,
        };
        // New, or a crash while it was made.
        if file.is_empty()? {
            file.set_len(self.file_len())?;
        }
        self.open.lock().add(key, &file);
        Ok(file)
    }

    fn open_or_create(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        match self.disk.open(path) {
            Err(e) if create && e.kind() == io::ErrorKind::NotFound => {
                let file = self.disk.create(path)?;
                // Java refuses files of another length; the file is sparse.
                if let Err(e) = file.set_len(self.file_len()) {
                    self.disk.remove(path)?;
                    return Err(e);
                }
                Ok(file)
            }
            other => other,
        }
    }

    /// Writes entries from `first` on.
    pub(crate) fn write(&self, queue: &Queue, first: u64, units: &[Unit]) -> Result<(), Error> {
        let mut first = first;
        let mut rest = units;
        let mut bytes = Vec::with_capacity(units.len() * UNIT_LEN);
        while !rest.is_empty() {
            let room = usize::try_from(self.per_file - first % self.per_file).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(room));
            bytes.clear();
            for unit in now {
                unit.write(&mut bytes);
            }
            let number = first / self.per_file;
            let at = first % self.per_file * UNIT_LEN_U64;
            let path = self.path(queue, number);
            let written = self.fill_before(queue, number, first).and_then(|()| {
                self.file(queue, number, true)
                    .and_then(|file| file.write_at(&bytes, at))
                    .map_err(Error::io("write", &path))
            });
            // It may have been opened while the disk was read-only.
            written.inspect_err(|_| self.forget(queue))?;
            first += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// A queue that begins inside a file: RocketMQ fills what is before with blank entries.
    fn fill_before(&self, queue: &Queue, number: u64, first: u64) -> Result<(), Error> {
        let before = first % self.per_file;
        if before == 0 || first != queue.min() {
            return Ok(());
        }
        // A file that a crash left may be there without them.
        if self.unit_at(queue, first - 1)?.is_some_and(|unit| unit.size != 0) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for _ in 0..before {
            Unit::BLANK.write(&mut bytes);
        }
        self.file(queue, number, true)
            .and_then(|file| file.write_at(&bytes, 0))
            .map_err(Error::io("write", &self.path(queue, number)))
    }

    /// Reads up to `count` entries from `first` on, within one file. All must have been written.
    pub(crate) fn read(
        &self,
        queue: &Queue,
        first: u64,
        count: usize,
        cold: ColdRead,
        out: &mut Vec<Unit>,
    ) -> io::Result<Got> {
        let number = first / self.per_file;
        let room = usize::try_from(self.per_file - first % self.per_file).unwrap_or(usize::MAX);
        let file = match self.file(queue, number, false) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Got::Missing),
            other => other?,
        };
        let mut bytes = vec![0; count.min(room) * UNIT_LEN];
        let at = first % self.per_file * UNIT_LEN_U64;
        let n = match cold {
            ColdRead::Allow => file.read_at(&mut bytes, at),
            ColdRead::Refuse => file.read_now(&mut bytes, at),
        };
        let n = match n {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Got::WouldBlock),
            other => other?,
        };
        let (units, _) = bytes[..n].as_chunks::<UNIT_LEN>();
        out.extend(units.iter().map(Unit::read));
        Ok(Got::Units)
    }

    /// The first offset from `from` on, in its file, whose entry may have been written.
    fn next_written(&self, queue: &Queue, from: u64) -> io::Result<Option<u64>> {
        let start = from - from % self.per_file;
        let file = self.file(queue, start / self.per_file, false)?;
        let next = file.next_data((from - start) * UNIT_LEN_U64)?;
        Ok(next.map(|at| start + at / UNIT_LEN_U64))
    }

    /// Whether there is an entry right before `end`, in a file of the right length. A shorter file
    /// gets its length.
    pub(crate) fn ends_with_entry(&self, queue: &Queue, end: u64) -> Result<bool, Error> {
        let Some(last) = end.checked_sub(1) else { return Ok(true) };
        let number = last / self.per_file;
        let failed = |e| Error::io("read", &self.path(queue, number))(e);
        let file = match self.file(queue, number, false) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(failed)?,
        };
        if file.len().map_err(failed)? < self.file_len() {
            file.set_len(self.file_len()).map_err(failed)?;
            return Ok(false);
        }
        Ok(self.unit_at(queue, last)?.is_some_and(Unit::is_entry))
    }

    /// Where the file after the one with `offset` begins.
    pub(crate) const fn next_file(&self, offset: u64) -> u64 {
        (offset / self.per_file + 1) * self.per_file
    }

    /// The numbers of the queue's files.
    fn numbers(&self, queue: &Queue) -> Result<Vec<u64>, Error> {
        let dir = self.dir(queue);
        let mut numbers = Vec::new();
        for Entry { name, len, .. } in self.disk.list(&dir).map_err(Error::io("list", &dir))? {
            let Some(base) = parse_name(&name) else { continue };
            let path = dir.join(&name);
            if !base.is_multiple_of(self.file_len()) || (len != 0 && len != self.file_len()) {
                let problem = format!(
                    "is {len} bytes long, store.queue_file_entries asks for {}. If that is what it \
                     was when the file was written, it is damaged: `blockhouse admin store check` \
                     shows what is wrong, and `blockhouse admin store repair --yes` writes the \
                     queues anew from the log",
                    self.file_len()
                );
                return Err(Error::Format { path, problem });
            }
            if len == 0 {
                // A crash while the file was made.
                let file = self.disk.open(&path).map_err(Error::io("open", &path))?;
                file.set_len(self.file_len()).map_err(Error::io("extend", &path))?;
            }
            numbers.push(base / self.file_len());
        }
        Ok(numbers)
    }

    fn unit_at(&self, queue: &Queue, offset: u64) -> Result<Option<Unit>, Error> {
        let mut out = Vec::new();
        self.read(queue, offset, 1, ColdRead::Allow, &mut out)
            .map_err(Error::io("read", &self.path(queue, offset / self.per_file)))?;
        Ok(out.first().copied())
    }

    /// The first offset from `low` to `high` whose entry makes `is_past` true, `high` if none does.
    /// `is_past` must be false up to some entry and true after it.
    fn search(
        &self,
        queue: &Queue,
        (mut low, mut high): (u64, u64),
        is_past: impl Fn(Unit) -> bool,
    ) -> Result<u64, Error> {
        while low < high {
            let mid = low + (high - low) / 2;
            match self.unit_at(queue, mid)? {
                Some(unit) if !is_past(unit) => low = mid + 1,
                _ => high = mid,
            }
        }
        Ok(low)
    }

    /// The first offset whose record lies at `log_min` or after it.
    pub(crate) fn first_from(&self, queue: &Queue, log_min: u64) -> Result<u64, Error> {
        let range = (self.first_kept(queue)?, queue.max());
        let mut tail = Vec::new();
        let in_memory = queue.copy_tail(range.0, 0, &mut tail).min(range.1);
        let past = |u: Unit| u.is_entry() && u.physical >= log_min;
        let found = self.search(queue, (range.0, in_memory.max(range.0)), past)?;
        if found < in_memory {
            return Ok(found);
        }
        queue.copy_tail(in_memory, usize::MAX, &mut tail);
        let skip = tail.iter().take_while(|u| !past(**u)).count();
        Ok((in_memory + skip as u64).min(range.1))
    }

    /// The queue's first offset, or a later one if its file is gone.
    fn first_kept(&self, queue: &Queue) -> Result<u64, Error> {
        let (min, max) = (queue.min(), queue.in_files());
        if min >= max || self.disk.exists(&self.path(queue, min / self.per_file)) {
            return Ok(min);
        }
        let numbers = self.numbers(queue)?;
        let kept = numbers.iter().map(|number| number * self.per_file).find(|start| *start > min);
        Ok(kept.unwrap_or(max).min(max))
    }

    /// Entries per file.
    pub(crate) const fn per_file(&self) -> u64 {
        self.per_file
    }

    /// Whether both offsets are in one file.
    pub(crate) const fn are_together(&self, one: u64, other: u64) -> bool {
        one / self.per_file == other / self.per_file
    }

    /// Whether a topic has a directory.
    pub(crate) fn has_topic(&self, topic: &str) -> bool {
        self.disk.exists(&self.root.join(topic))
    }

    /// Whether there is a directory for them.
    pub(crate) fn is_there(&self) -> bool {
        self.disk.exists(&self.root)
    }

    /// The topics and queue ids that have directories.
    pub(crate) fn list(&self) -> Result<Vec<(String, u32)>, Error> {
        let list = |dir: &Path| self.disk.list(dir).map_err(Error::io("list", dir));
        let mut found = Vec::new();
        for topic in list(&self.root)? {
            // A name that is no topic is not ours to touch.
            if !topic.is_dir || topic.name.len() > blockhouse_model::names::STORED_TOPIC_LEN_MAX {
                continue;
            }
            for queue in list(&self.root.join(&topic.name))? {
                if let Ok(id) = queue.name.parse::<u32>()
                    && queue.is_dir
                    && i32::try_from(id).is_ok()
                {
                    found.push((topic.name.clone(), id));
                }
            }
        }
        Ok(found)
    }
}
