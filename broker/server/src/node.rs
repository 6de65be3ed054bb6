//! What tools ask about the process around the core.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::{Disk, Space};
use blockhouse_hook::{Acls, Users};
use blockhouse_model::{Clock, Timestamp};
use blockhouse_remoting::Node;

pub(crate) struct Facts {
    properties: String,
    data: PathBuf,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    started: Timestamp,
    users: Option<Arc<dyn Users>>,
    acls: Option<Arc<dyn Acls>>,
}

impl Facts {
    pub(crate) fn new(
        properties: String,
        data: PathBuf,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let started = clock.now();
        Self { properties, data, disk, clock, started, users: None, acls: None }
    }

    pub(crate) fn with_users(self, users: Option<Arc<dyn Users>>) -> Self {
        Self { users, ..self }
    }

    pub(crate) fn with_acls(self, acls: Option<Arc<dyn Acls>>) -> Self {
        Self { acls, ..self }
    }

    pub(crate) const fn started(&self) -> Timestamp {
        self.started
    }

    /// The room of the filesystem that holds the data; `None` if it does not say.
    pub(crate) fn space(&self) -> Option<Space> {
        self.disk.space(&self.data).ok()
    }

    /// How long the process runs, in the words of RocketMQ's tools.
    fn runtime(&self) -> String {
        let seconds = self.clock.now().since(self.started).as_secs();
        let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        format!("[ {days} days, {hours} hours, {minutes} minutes, {seconds} seconds ]")
    }
}

fn capacity(space: Space) -> String {
    const MIB: u64 = 1 << 20;
    format!("Total : {} MiB, Free : {} MiB.", space.total / MIB, space.free / MIB)
}

impl Node for Facts {
    fn properties(&self) -> String {
        self.properties.clone()
    }

    fn update(&self, _properties: &str) -> Result<(), String> {
        Err("this broker's configuration does not change while it runs: set the option in its \
             configuration file (`blockhouse config show` lists them) and restart it"
            .to_owned())
    }

    fn users(&self) -> Option<Arc<dyn Users>> {
        self.users.clone()
    }

    fn acls(&self) -> Option<Arc<dyn Acls>> {
        self.acls.clone()
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("bootTimestamp", self.started.0.to_string()),
            ("runtime", self.runtime()),
            ("blockhouseVersion", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        if let Some(space) = self.space() {
            facts.push(("commitLogDirCapacity", capacity(space)));
        }
        facts
    }
}
