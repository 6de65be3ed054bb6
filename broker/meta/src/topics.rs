//! The topics of a broker, `config/topics.json`.

mod codec;
mod owners;
mod system;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_model::names::{self, check_topic};
use blockhouse_model::{Clock, DataVersion, Perm, Topic, TopicConfig};
use parking_lot::Mutex;

use crate::attributes::{self, Changes};
use crate::config_file::ConfigFile;
use crate::listeners::Listeners;
use crate::room::{Room, Words};
use crate::table::Table;
use crate::unsaved::Unsaved;
use crate::{Error, Extra, Home};

use owners::{Owners, owned};

pub use owners::TopicShares;
pub use system::{TOPICS_MAX, TopicSettings};

/// Most queues of a topic. RocketMQ takes any number; each of these is a directory and a row in
/// several listings, and its own largest topic has 1,024.
pub const QUEUES_MAX: u32 = 65_536;

/// What happened to the topics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TopicChange {
    /// A topic is new or not what it was.
    Put(Arc<TopicConfig>),
    /// A topic is gone.
    Removed(Topic),
}

/// The names in the file's text.
pub(crate) fn names_in(text: &[u8]) -> Result<BTreeSet<String>, String> {
    let (_, entries) = codec::decode(text)?;
    Ok(entries.into_iter().map(|entry| entry.config.name.as_str().to_owned()).collect())
}

#[derive(Clone, Debug)]
struct Entry {
    config: Arc<TopicConfig>,
    extra: Arc<Extra>,
}

impl Entry {
    fn new(config: TopicConfig, owner: Option<&str>) -> Self {
        Self { config: Arc::new(config), extra: owned(codec::default_extra(), owner) }
    }
}

/// What it is called towards those who find no room.
const WORDS: Words = Words {
    what: "topics",
    option: "broker.topics_max",
    command: "blockhouse admin topic delete TOPIC",
};

/// The topics.
pub struct Topics {
    table: Table<Topic, Entry>,
    room: Room,
    owners: Owners,
    /// Held during a change, so that changes come one after the other.
    version: Mutex<DataVersion>,
    changes: AtomicU64,
    unsaved: Unsaved,
    settings: TopicSettings,
    /// Topics of the broker itself whose names depend on its settings.
    own: HashSet<String>,
    pub(crate) file: ConfigFile,
    listeners: Listeners<TopicChange>,
    clock: Arc<dyn Clock>,
}

impl Topics {
    /// Reads the topics and adds those that a broker always has.
    ///
    /// # Errors
    /// The file and its `.bak` are unusable, or the disk fails.
    pub fn open(home: &Home, settings: TopicSettings) -> Result<Self, Error> {
        let file = ConfigFile::new(Arc::clone(&home.disk), home.config_file("topics.json"));
        let loaded = file.load(codec::decode)?;
        let first_start = loaded.is_none();
        let version = DataVersion { timestamp: home.clock.now().0, ..DataVersion::default() };
        let (version, entries) = loaded.map_or((version, Vec::new()), |l| l.value);
        let table = Table::default();
        let owners = Owners::new(settings.shares.clone());
        for entry in entries {
            owners.took(&entry.extra);
            table.insert(entry.config.name.clone(), entry);
        }
        let mut own = HashSet::new();
        let mut added = false;
        for config in system::topics(&settings) {
            own.insert(config.name.as_str().to_owned());
            if table.find(&config.name).is_none() {
                table.insert(config.name.clone(), Entry::new(config, None));
                added = true;
            }
        }
        let room = Room::of(WORDS, table.len(), settings.topics_max);
        Ok(Self {
            table,
            room,
            owners,
            version: Mutex::new(version),
            changes: AtomicU64::new(u64::from(first_start || added)),
            unsaved: Unsaved::default(),
            settings,
            own,
            file,
            listeners: Listeners::default(),
            clock: Arc::clone(&home.clock),
        })
    }

    /// The topic of that name.
    #[must_use]
    pub fn find(&self, topic: &str) -> Option<Arc<TopicConfig>> {
        self.table.read(topic).get(topic).map(|entry| Arc::clone(&entry.config))
    }

    /// Whether there is a topic of that name.
    #[must_use]
    pub fn contains(&self, topic: &str) -> bool {
        self.table.read(topic).contains_key(topic)
    }

    /// How many topics there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.room.count()
    }

    /// How many topics were wanted since the start for which there was no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.room.refused()
    }

    /// How many topics were wanted since the start by users whose share was used up.
    #[must_use]
    pub fn refused_owners(&self) -> u64 {
        self.owners.refused()
    }

    /// All topics, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<TopicConfig>> {
        let mut all: Vec<_> = self.table.values().into_iter().map(|e| e.config).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// All topics and the version that they are.
    #[must_use]
    pub fn snapshot(&self) -> (DataVersion, Vec<Arc<TopicConfig>>) {
        let version = self.version.lock();
        (*version, self.all())
    }

    /// The version of the topics.
    #[must_use]
    pub fn version(&self) -> DataVersion {
        *self.version.lock()
    }

    /// Raises the version without a change of the topics, for a change of the broker's role.
    pub fn raise_state_version(&self, state_version: i64) {
        let mut version = self.version.lock();
        version.state_version = state_version;
        self.bump(&mut version);
    }

    /// Fields that only Java brokers know.
    #[must_use]
    pub fn extra(&self, topic: &str) -> Option<Arc<Extra>> {
        self.table.read(topic).get(topic).map(|entry| Arc::clone(&entry.extra))
    }

    /// Whether the topic belongs to the broker itself, by its name alone or by its settings.
    #[must_use]
    pub fn is_system(&self, topic: &str) -> bool {
        names::is_system_topic(topic) || self.own.contains(topic)
    }

    /// The broker's own topics that there are, by name.
    #[must_use]
    pub fn system_topics(&self) -> Vec<Topic> {
        let all = self.all();
        all.iter().filter(|t| self.is_system(&t.name)).map(|t| t.name.clone()).collect()
    }

    /// Calls `listener` after each change from now on, on the thread that makes the change.
    pub fn on_change(&self, listener: impl Fn(&TopicChange) + Send + Sync + 'static) {
        self.listeners.add(listener);
    }

    /// Writes the file if something changed since it was last written. Waits for the disk.
    ///
    /// # Errors
    /// The disk fails; nothing is lost, and the next call tries again.
    pub fn persist(&self) -> Result<bool, Error> {
        let (changes, new) = {
            let _no_change = self.version.lock();
            (self.changes.load(Ordering::Acquire), self.unsaved.all())
        };
        let wrote = self.file.persist(changes, || {
            // Whoever makes a topic waits for the lock: not for a text of all of them.
            let (version, entries) = {
                let version = self.version.lock();
                (*version, self.table.values())
            };
            codec::encode(version, entries)
        })?;
        self.unsaved.saved(&new);
        Ok(wrote)
    }

    /// Whether the topic is new and not in the file yet: a crash would forget it.
    #[must_use]
    pub fn is_unsaved(&self, topic: &str) -> bool {
        self.unsaved.contains(topic)
    }
}

/// How topics come, change and go.
impl Topics {
    /// The topic, created after `template` if it is new: as many queues as the client wants but not
    /// more than the template has, and the template's permissions. `None` if there is no such
    /// template, it may not be inherited from, or the name is not one. A new one is `owner`'s, `user:NAME`.
    ///
    /// # Errors
    /// There is no room for another topic, or for one more of this owner.
    pub fn create_on_send(
        &self,
        topic: &str,
        template: &str,
        (queues, sys_flag): (u32, u32),
        owner: Option<&str>,
    ) -> Result<Option<Arc<TopicConfig>>, Error> {
        let Ok(name) = Topic::new(topic) else { return Ok(None) };
        self.create(topic, owner, || {
            let from = self.find(template)?;
            let disabled = template == names::AUTO_CREATE_TOPIC && !self.settings.auto_create;
            if disabled || !from.perm.inherited() {
                return None;
            }
            Some(TopicConfig {
                perm: Perm(from.perm.0 & !Perm::INHERIT),
                sys_flag,
                ..TopicConfig::new(name, queues.min(from.write_queues))
            })
        })
    }

    /// The topic, created readable and writeable with `queues` queues if it is new: how retry and
    /// dead-letter topics come to be.
    ///
    /// # Errors
    /// There is no room for another topic.
    pub fn create_for_send_back(
        &self,
        topic: &str,
        queues: u32,
        sys_flag: u32,
    ) -> Result<Arc<TopicConfig>, Error> {
        let config = || TopicConfig {
            sys_flag,
            ..TopicConfig::new(Topic::trusted(topic), queues.min(QUEUES_MAX))
        };
        Ok(self.create(topic, None, || Some(config()))?.unwrap_or_else(|| Arc::new(config())))
    }

    /// A consumer group's retry topic, created if it is new; ordered if the group consumes an
    /// ordered topic, which may change with each heartbeat.
    ///
    /// # Errors
    /// There is no room for another topic.
    pub fn create_retry(
        &self,
        group: &str,
        queues: u32,
        sys_flag: u32,
        order: bool,
    ) -> Result<Arc<TopicConfig>, Error> {
        let topic = names::retry_topic(group);
        let found = self.create_for_send_back(&topic, queues, sys_flag)?;
        if found.order == order {
            return Ok(found);
        }
        let changed = self.change(&topic, |config| config.order = order);
        Ok(changed.unwrap_or(found))
    }

    /// Creates or changes a topic as an operator asks. `config.attributes` is not looked at; the
    /// attributes that the topic has are changed by `changes`. Asking for what is there changes
    /// nothing. A new one is `owner`'s, `user:NAME`.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn update(
        &self,
        config: TopicConfig,
        changes: &Changes,
        owner: Option<&str>,
    ) -> Result<Arc<TopicConfig>, Error> {
        check_topic(&config.name)?;
        if self.settings.validate_system_topic && self.is_system(&config.name) {
            return Err(Error::SystemTopic(config.name.to_string()));
        }
        check_queues("readQueueNums", config.read_queues)?;
        check_queues("writeQueueNums", config.write_queues)?;
        let mixed = changes.get(&format!("+{}", attributes::MESSAGE_TYPE));
        if !self.settings.mixed_message_type && mixed.is_some_and(|v| v == "MIXED") {
            return Err(Error::MixedType);
        }
        let mut version = self.version.lock();
        let old = self.table.find(&config.name);
        let current = old.as_ref().map(|entry| &entry.config.attributes);
        let attributes = attributes::alter(attributes::OF_TOPICS, current, changes)?;
        let config = Arc::new(TopicConfig { attributes, ..config });
        let extra = match old {
            Some(old) if old.config == config => return Ok(old.config),
            Some(old) => old.extra,
            None => {
                self.room.check()?;
                self.owners.check(owner)?;
                owned(codec::default_extra(), owner)
            }
        };
        self.put(&mut version, Entry { config: Arc::clone(&config), extra });
        drop(version);
        self.listeners.tell(&TopicChange::Put(Arc::clone(&config)));
        Ok(config)
    }

    /// Puts a topic as another broker has it: metadata synchronisation.
    pub fn put_as_is(&self, config: TopicConfig, extra: Option<Extra>) {
        let extra = Arc::new(extra.unwrap_or_else(codec::default_extra));
        let config = Arc::new(config);
        let mut version = self.version.lock();
        self.put(&mut version, Entry { config: Arc::clone(&config), extra });
        drop(version);
        self.listeners.tell(&TopicChange::Put(config));
    }

    /// Marks topics as ordered ones, as a name server's list says. Unknown topics are passed over.
    pub fn set_ordered<'a>(&self, topics: impl IntoIterator<Item = &'a str>) {
        for topic in topics {
            self.change(topic, |config| config.order = true);
        }
    }

    /// Takes a topic out; tells what it was.
    pub fn remove(&self, topic: &str) -> Option<Arc<TopicConfig>> {
        let mut version = self.version.lock();
        let old = self.table.remove(topic)?;
        self.room.freed();
        self.owners.freed(&old.extra);
        self.bump(&mut version);
        drop(version);
        self.listeners.tell(&TopicChange::Removed(old.config.name.clone()));
        Some(old.config)
    }

    fn create(
        &self,
        topic: &str,
        owner: Option<&str>,
        config: impl FnOnce() -> Option<TopicConfig>,
    ) -> Result<Option<Arc<TopicConfig>>, Error> {
        if let Some(found) = self.find(topic) {
            return Ok(Some(found));
        }
        let mut version = self.version.lock();
        if let Some(found) = self.find(topic) {
            return Ok(Some(found));
        }
        let Some(config) = config() else { return Ok(None) };
        self.room.check()?;
        self.owners.check(owner)?;
        let entry = Entry::new(config, owner);
        let config = Arc::clone(&entry.config);
        self.unsaved.add(config.name.clone());
        self.put(&mut version, entry);
        drop(version);
        tracing::info!(topic, queues = config.write_queues, "new topic");
        self.listeners.tell(&TopicChange::Put(Arc::clone(&config)));
        Ok(Some(config))
    }

    /// Changes a topic that is there; `None` if it is not there. No change, no new version.
    fn change(&self, topic: &str, edit: impl FnOnce(&mut TopicConfig)) -> Option<Arc<TopicConfig>> {
        let mut version = self.version.lock();
        let old = self.table.find(topic)?;
        let mut config = TopicConfig::clone(&old.config);
        edit(&mut config);
        if config == *old.config {
            return Some(old.config);
        }
        let config = Arc::new(config);
        self.put(&mut version, Entry { config: Arc::clone(&config), extra: old.extra });
        drop(version);
        self.listeners.tell(&TopicChange::Put(Arc::clone(&config)));
        Some(config)
    }

    fn put(&self, version: &mut DataVersion, entry: Entry) {
        self.owners.took(&entry.extra);
        match self.table.insert(entry.config.name.clone(), entry) {
            Some(old) => self.owners.freed(&old.extra),
            None => self.room.took(),
        }
        self.bump(version);
    }

    fn bump(&self, version: &mut DataVersion) {
        *version = version.next(self.clock.now());
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

const fn check_queues(field: &'static str, count: u32) -> Result<(), Error> {
    if count > QUEUES_MAX {
        return Err(Error::Queues { field, count, max: QUEUES_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
