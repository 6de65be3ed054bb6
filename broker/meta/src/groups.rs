//! The consumer groups of a broker, `config/subscriptionGroup.json`.

mod codec;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_model::names::check_group;
use blockhouse_model::{Clock, DataVersion, Group, SubscriptionGroup, Topic};
use parking_lot::{Mutex, RwLock};

use crate::attributes::{self, Changes};
use crate::config_file::ConfigFile;
use crate::listeners::Listeners;
use crate::room::{Room, Words};
use crate::table::Table;
use crate::{Error, Extra, Home};

/// Groups that every broker has.
pub const OWN_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_RMQ_SYS_TRANS",
];

/// Prefix of groups that belong to RocketMQ itself.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Most groups if nothing is said: a list of all of them, with names as long as any, still fits the largest frame
/// that RocketMQ's tools take.
pub const GROUPS_MAX: usize = 20_000;

/// How groups come to be.
#[derive(Clone, Copy, Debug)]
pub struct GroupSettings {
    /// Whether a group is created when it first appears.
    pub auto_create: bool,
    /// Most groups, the broker's own included; there may be more in the file.
    pub groups_max: usize,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self { auto_create: true, groups_max: GROUPS_MAX }
    }
}

/// What happened to the groups.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GroupChange {
    /// A group is new or not what it was.
    Put(Arc<SubscriptionGroup>),
    /// A group is gone.
    Removed(Group),
}

/// Whether the file's text can be understood.
pub(crate) fn verify(text: &[u8]) -> Result<(), String> {
    codec::decode(text).map(drop)
}

#[derive(Clone, Debug)]
struct Entry {
    config: Arc<SubscriptionGroup>,
    extra: Arc<Extra>,
}

/// Bits by group and topic that keep the group from the topic.
type Forbidden = BTreeMap<Group, BTreeMap<Topic, u32>>;

/// What it is called towards those who find no room.
const WORDS: Words = Words {
    what: "consumer groups",
    option: "broker.groups_max",
    command: "blockhouse admin group delete GROUP",
};

/// The consumer groups.
pub struct Groups {
    table: Table<Group, Entry>,
    room: Room,
    forbidden: RwLock<Forbidden>,
    /// Held during a change, so that changes come one after the other.
    version: Mutex<DataVersion>,
    changes: AtomicU64,
    settings: GroupSettings,
    pub(crate) file: ConfigFile,
    listeners: Listeners<GroupChange>,
    clock: Arc<dyn Clock>,
}

impl Groups {
    /// Reads the groups and adds those that a broker always has.
    ///
    /// # Errors
    /// The file and its `.bak` are unusable, or the disk fails.
    pub fn open(home: &Home, settings: GroupSettings) -> Result<Self, Error> {
        let path = home.config_file("subscriptionGroup.json");
        let file = ConfigFile::new(Arc::clone(&home.disk), path);
        let loaded = file.load(codec::decode)?.map(|l| l.value);
        let mut changed = loaded.is_none();
        let state = loaded.unwrap_or_else(|| codec::State {
            version: DataVersion { timestamp: home.clock.now().0, ..DataVersion::default() },
            ..codec::State::default()
        });
        let table = Table::default();
        for entry in state.entries {
            table.insert(entry.config.name.clone(), entry);
        }
        for name in OWN_GROUPS {
            if table.find(name).is_none() {
                let config = SubscriptionGroup::new(Group::trusted(name));
                table.insert(config.name.clone(), Entry::new(config));
                changed = true;
            }
        }
        let room = Room::of(WORDS, table.len(), settings.groups_max);
        Ok(Self {
            table,
            room,
            forbidden: RwLock::new(state.forbidden),
            version: Mutex::new(state.version),
            changes: AtomicU64::new(u64::from(changed)),
            settings,
            file,
            listeners: Listeners::default(),
            clock: Arc::clone(&home.clock),
        })
    }

    /// The group of that name.
    #[must_use]
    pub fn find(&self, group: &str) -> Option<Arc<SubscriptionGroup>> {
        self.table.read(group).get(group).map(|entry| Arc::clone(&entry.config))
    }

    /// The group of that name, created if it is new and groups are created so; `None` if not, or if
    /// the name is not one.
    ///
    /// # Errors
    /// There is no room for another group.
    pub fn find_or_create(&self, group: &str) -> Result<Option<Arc<SubscriptionGroup>>, Error> {
        if let Some(found) = self.find(group) {
            return Ok(Some(found));
        }
        if !self.settings.auto_create {
            return Ok(None);
        }
        let Ok(name) = Group::new(group) else { return Ok(None) };
        let mut version = self.version.lock();
        if let Some(found) = self.find(group) {
            return Ok(Some(found));
        }
        self.room.check()?;
        let config = self.put(&mut version, Entry::new(SubscriptionGroup::new(name)));
        drop(version);
        tracing::info!(group, "new consumer group");
        self.listeners.tell(&GroupChange::Put(Arc::clone(&config)));
        Ok(Some(config))
    }

    /// Whether there is a group of that name.
    #[must_use]
    pub fn contains(&self, group: &str) -> bool {
        self.table.read(group).contains_key(group)
    }

    /// How many groups there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.room.count()
    }

    /// How many groups were wanted since the start for which there was no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.room.refused()
    }

    /// All groups, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<SubscriptionGroup>> {
        let mut all: Vec<_> = self.table.values().into_iter().map(|e| e.config).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// All groups and the version that they are.
    #[must_use]
    pub fn snapshot(&self) -> (DataVersion, Vec<Arc<SubscriptionGroup>>) {
        let version = self.version.lock();
        (*version, self.all())
    }

    /// The version of the groups.
    #[must_use]
    pub fn version(&self) -> DataVersion {
        *self.version.lock()
    }

    /// Fields that only Java brokers know, such as `groupRetryPolicy`.
    #[must_use]
    pub fn extra(&self, group: &str) -> Option<Arc<Extra>> {
        self.table.read(group).get(group).map(|entry| Arc::clone(&entry.extra))
    }

    /// Calls `listener` after each change from now on, on the thread that makes the change.
    pub fn on_change(&self, listener: impl Fn(&GroupChange) + Send + Sync + 'static) {
        self.listeners.add(listener);
    }

    /// Writes the file if something changed since it was last written. Waits for the disk.
    ///
    /// # Errors
    /// The disk fails; nothing is lost, and the next call tries again.
    pub fn persist(&self) -> Result<bool, Error> {
        let changes = self.changes.load(Ordering::Acquire);
        self.file.persist(changes, || {
            // Whoever makes a group waits for the lock: not for a text of all of them.
            let (version, forbidden, entries) = {
                let version = self.version.lock();
                (*version, self.forbidden.read().clone(), self.table.values())
            };
            codec::encode(version, &forbidden, entries)
        })
    }

    /// Creates or changes a group as an operator asks. `config.attributes` is not looked at; the
    /// attributes that the group has are changed by `changes`. Fields of `extra` replace those of
    /// the same name; without any, the group keeps what it has.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn update(
        &self,
        config: SubscriptionGroup,
        changes: &Changes,
        extra: Option<Extra>,
    ) -> Result<Arc<SubscriptionGroup>, Error> {
        check_group(&config.name)?;
        let mut version = self.version.lock();
        let old = self.table.find(&config.name);
        if old.is_none() {
            self.room.check()?;
        }
        let current = old.as_ref().map(|entry| &entry.config.attributes);
        let attributes = attributes::alter(attributes::OF_GROUPS, current, changes)?;
        let mut merged = old.as_ref().map_or_else(codec::default_extra, |e| Extra::clone(&e.extra));
        merged.0.extend(extra.unwrap_or_default().0);
        codec::drop_known(&mut merged);
        let config = Arc::new(SubscriptionGroup { attributes, ..config });
        if let Some(old) = old.filter(|old| old.config == config && *old.extra == merged) {
            return Ok(old.config);
        }
        let config = self.put(&mut version, Entry { config, extra: Arc::new(merged) });
        drop(version);
        self.listeners.tell(&GroupChange::Put(Arc::clone(&config)));
        Ok(config)
    }

    /// Keeps a group from consuming; `false` if it is not there.
    pub fn disable(&self, group: &str) -> bool {
        let mut version = self.version.lock();
        let Some(old) = self.table.find(group) else {
            return false;
        };
        let config = SubscriptionGroup { consume_enable: false, ..(*old.config).clone() };
        let config = self.put(&mut version, Entry { config: Arc::new(config), extra: old.extra });
        drop(version);
        self.listeners.tell(&GroupChange::Put(config));
        true
    }

    /// Takes a group out, with what it was forbidden; tells what it was.
    pub fn remove(&self, group: &str) -> Option<Arc<SubscriptionGroup>> {
        let mut version = self.version.lock();
        self.forbidden.write().remove(group);
        let old = self.table.remove(group)?;
        self.room.freed();
        self.bump(&mut version);
        drop(version);
        self.listeners.tell(&GroupChange::Removed(old.config.name.clone()));
        Some(old.config)
    }

    /// Whether an operator keeps the group from the topic (RocketMQ: forbidden bit 0, "read").
    #[must_use]
    pub fn is_forbidden(&self, group: &str, topic: &str) -> bool {
        self.forbidden_bits(group, topic) & 1 != 0
    }

    /// All bits that keep the group from the topic.
    #[must_use]
    pub fn forbidden_bits(&self, group: &str, topic: &str) -> u32 {
        let forbidden = self.forbidden.read();
        // Almost always empty, and looked at by each pull.
        if forbidden.is_empty() {
            return 0;
        }
        forbidden.get(group).and_then(|topics| topics.get(topic)).copied().unwrap_or(0)
    }

    /// All bits by group and topic.
    #[must_use]
    pub fn forbidden(&self) -> BTreeMap<Group, BTreeMap<Topic, u32>> {
        self.forbidden.read().clone()
    }

    /// Sets or clears bit `index` (0 to 31) between a group and a topic.
    ///
    /// # Errors
    /// A name is not one.
    pub fn forbid(&self, group: &str, topic: &str, index: u32, set: bool) -> Result<(), Error> {
        let (group, topic) = (Group::new(group)?, Topic::new(topic)?);
        let bit = 1_u32.checked_shl(index).unwrap_or(0);
        let mut version = self.version.lock();
        let mut forbidden = self.forbidden.write();
        let old = forbidden.get(&group).and_then(|t| t.get(&topic)).copied().unwrap_or(0);
        let new = if set { old | bit } else { old & !bit };
        if new == old {
            return Ok(());
        }
        let topics = forbidden.entry(group.clone()).or_default();
        if new == 0 {
            topics.remove(&topic);
        } else {
            topics.insert(topic, new);
        }
        if topics.is_empty() {
            forbidden.remove(&group);
        }
        self.bump(&mut version);
        Ok(())
    }

    fn put(&self, version: &mut DataVersion, entry: Entry) -> Arc<SubscriptionGroup> {
        let config = Arc::clone(&entry.config);
        if self.table.insert(config.name.clone(), entry).is_none() {
            self.room.took();
        }
        self.bump(version);
        config
    }

    fn bump(&self, version: &mut DataVersion) {
        *version = version.next(self.clock.now());
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Entry {
    fn new(config: SubscriptionGroup) -> Self {
        Self { config: Arc::new(config), extra: Arc::new(codec::default_extra()) }
    }
}

#[cfg(test)]
mod tests;
