//! How far each delay level is delivered, `config/delayOffset.json`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_model::names::SCHEDULE_TOPIC;
use blockhouse_model::{Clock, DataVersion, QueueOffset};
use parking_lot::Mutex;

use crate::ahead::{End, SetBack};
use crate::config_file::ConfigFile;
use crate::examine::delay_queue;
use crate::fields::{take_version, write_version};
use crate::json::{Writer, parse, take_int, take_object};
use crate::{Error, Home, SyncLog};

const TABLE: &str = "offsetTable";

/// After so many changes the version rises: it tells slaves what is newer, not what is new.
const VERSION_STEP: u64 = 500;

#[derive(Clone, Debug, Default)]
struct State {
    version: DataVersion,
    table: BTreeMap<u32, QueueOffset>,
}

/// The next queue offset to deliver, by delay level.
pub struct DelayOffsets {
    state: Mutex<State>,
    changes: AtomicU64,
    pub(crate) file: ConfigFile,
    clock: Arc<dyn Clock>,
}

impl DelayOffsets {
    /// Reads the file.
    ///
    /// # Errors
    /// The file and its `.bak` are unusable, or the disk fails.
    pub fn open(home: &Home) -> Result<Self, Error> {
        let file = ConfigFile::new(Arc::clone(&home.disk), home.config_file("delayOffset.json"));
        let version = DataVersion { timestamp: home.clock.now().0, ..DataVersion::default() };
        let state = file.load(decode)?.map_or(State { version, ..State::default() }, |l| l.value);
        Ok(Self {
            state: Mutex::new(state),
            changes: AtomicU64::new(0),
            file,
            clock: Arc::clone(&home.clock),
        })
    }

    /// The next offset to deliver of a level, if any was delivered or set.
    #[must_use]
    pub fn find(&self, level: u32) -> Option<QueueOffset> {
        self.state.lock().table.get(&level).copied()
    }

    /// All levels.
    #[must_use]
    pub fn all(&self) -> Vec<(u32, QueueOffset)> {
        self.state.lock().table.iter().map(|(level, offset)| (*level, *offset)).collect()
    }

    /// Sets the next offset to deliver of a level.
    pub fn set(&self, level: u32, offset: QueueOffset) {
        let mut state = self.state.lock();
        if state.table.insert(level, offset) == Some(offset) {
            return;
        }
        if self.changes.fetch_add(1, Ordering::AcqRel) % VERSION_STEP == VERSION_STEP - 1 {
            state.version = state.version.next(self.clock.now());
        }
    }

    /// The contents as JSON, as one broker sends it to another.
    #[must_use]
    pub fn to_json(&self) -> String {
        encode(&self.state.lock(), false)
    }

    /// Sets levels that are ahead of their queue's end back to that end, in memory.
    pub fn set_back(&self, end: &End<'_>) -> SetBack {
        let mut back = SetBack::default();
        for (level, from) in self.all() {
            let Some(queue) = delay_queue(level) else { continue };
            if let Some(to) = end(SCHEDULE_TOPIC, queue).filter(|to| from > *to) {
                self.set(level, to);
                back.note((SCHEDULE_TOPIC, None, queue), (from, to));
            }
        }
        back
    }

    /// As [`DelayOffsets::persist_after`], where the log is on disk.
    ///
    /// # Errors
    /// As there.
    pub fn persist(&self) -> Result<bool, Error> {
        self.persist_after(&|| true)
    }

    /// Writes the file if something changed since it was last written. Waits for the disk, first
    /// for the log's: a message that was set free must not be lost as well where it went. If that
    /// cannot be, the file stays as it is, and what was set free since is set free again after a
    /// restart.
    ///
    /// # Errors
    /// The disk fails; nothing is lost, and the next call tries again.
    pub fn persist_after(&self, sync_log: &SyncLog<'_>) -> Result<bool, Error> {
        let changes = self.changes.load(Ordering::Acquire);
        if self.file.holds(changes) {
            return Ok(false);
        }
        // Before the log is synced: a level moves once its messages are in the log.
        let state = self.state.lock().clone();
        if !sync_log() {
            return Ok(false);
        }
        self.file.persist(changes, || encode(&state, true))
    }
}

/// The levels in the file's text.
pub(crate) fn levels_in(text: &[u8]) -> Result<Vec<(u32, QueueOffset)>, String> {
    Ok(decode(text)?.table.into_iter().collect())
}

fn decode(text: &[u8]) -> Result<State, String> {
    let mut root = parse(text)?;
    let version = take_version(&mut root)?;
    let mut levels = take_object(&mut root, TABLE)?;
    let names: Vec<String> = levels.keys().cloned().collect();
    let mut table = BTreeMap::new();
    for name in names {
        let level = name.parse().map_err(|_| format!("{TABLE}: {name} is not a level"))?;
        let offset = take_int(&mut levels, &name)?.and_then(QueueOffset::from_i64);
        table.insert(level, offset.unwrap_or_default());
    }
    Ok(State { version, table })
}

fn encode(state: &State, pretty: bool) -> String {
    let mut w = Writer::new(pretty);
    w.open();
    write_version(&mut w, state.version);
    w.key(TABLE);
    w.open();
    for (level, offset) in &state.table {
        w.int_key(*level);
        w.int(offset.to_i64());
    }
    w.close();
    w.close();
    w.finish()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use blockhouse_disk::{MemDisk, whole};
    use blockhouse_model::{ManualClock, Timestamp};

    use super::*;

    fn home(disk: &MemDisk) -> Home {
        let clock = Arc::new(ManualClock::at(Timestamp(7)));
        Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock }
    }

    #[test]
    fn no_level_is_saved_before_the_log() {
        let disk = MemDisk::new();
        let offsets = DelayOffsets::open(&home(&disk)).unwrap();
        offsets.set(1, QueueOffset(3));
        assert!(!offsets.persist_after(&|| false).unwrap());
        assert_eq!(DelayOffsets::open(&home(&disk)).unwrap().find(1), None);
        // What comes while the log is synced may lie behind what is synced.
        let sync_log = || {
            offsets.set(1, QueueOffset(4));
            true
        };
        assert!(offsets.persist_after(&sync_log).unwrap());
        assert_eq!(DelayOffsets::open(&home(&disk)).unwrap().find(1), Some(QueueOffset(3)));
        assert!(offsets.persist_after(&|| true).unwrap());
        assert!(!offsets.persist_after(&|| panic!("nothing to save")).unwrap());
        assert_eq!(DelayOffsets::open(&home(&disk)).unwrap().find(1), Some(QueueOffset(4)));
    }

    #[test]
    fn levels_come_back_in_the_form_of_java() {
        let disk = MemDisk::new();
        let offsets = DelayOffsets::open(&home(&disk)).unwrap();
        offsets.set(18, QueueOffset(4));
        offsets.set(1, QueueOffset(11));
        assert!(offsets.persist().unwrap());
        offsets.set(1, QueueOffset(11));
        assert!(!offsets.persist().unwrap(), "nothing changed");
        let text = whole::read(&disk, Path::new("/d/config/delayOffset.json")).unwrap().unwrap();
        let expected = "{\n\t\"dataVersion\":{\n\t\t\"counter\":0,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":7\n\t},\n\t\"offsetTable\":{\n\t\t1:11,\n\t\t18:4\n\t}\n}";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        let offsets = DelayOffsets::open(&home(&disk)).unwrap();
        assert_eq!(offsets.find(18), Some(QueueOffset(4)));
        assert_eq!(offsets.find(2), None);
    }
}
