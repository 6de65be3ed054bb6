//! The name server behind its listener.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use blockhouse_hook::{Acls, ConnectionInfo, Hooks, Users, Verdict};
use blockhouse_meter::Meter;
use blockhouse_meter::spans::Role;
use blockhouse_model::Clock;
use blockhouse_protocol::RemotingCommand;
use blockhouse_requests::Answers;
use blockhouse_route::{ConnectionId, Routes, Withdrawn};
use blockhouse_transport::{Connection, Refused, Replies, Service, Sessions};
use parking_lot::{Mutex, RwLock};
use tracing::{info, warn};

use crate::dispatch::{self, With};
use crate::owners::Owners;
use crate::{KvStore, Registration, Settings};

/// Runs work that blocks.
pub trait Background: Send + Sync + 'static {
    /// Starts `work` on a thread that may block.
    fn run(&self, work: Box<dyn FnOnce() + Send>);
}

/// What a [`NameService`] is made of.
pub struct Parts {
    /// The options it starts with.
    pub settings: Settings,
    /// Options that only the start can set, by RocketMQ's names, to be shown.
    pub fixed_options: BTreeMap<String, String>,
    /// The KV configuration.
    pub kv: KvStore,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The hooks.
    pub hooks: Arc<Hooks>,
    /// For saving.
    pub background: Arc<dyn Background>,
    /// Where requests are counted.
    pub meter: Arc<Meter>,
    /// The users, where requests are authenticated.
    pub users: Option<Arc<dyn Users>>,
    /// The ACLs, where policies are asked.
    pub acls: Option<Arc<dyn Acls>>,
    /// What brokers may report.
    pub registration: Registration,
}

/// The name server: answers requests and watches its brokers' connections.
pub struct NameService {
    pub(crate) routes: RwLock<Routes>,
    pub(crate) settings: RwLock<Settings>,
    pub(crate) fixed_options: BTreeMap<String, String>,
    pub(crate) kv: Arc<KvStore>,
    pub(crate) background: Arc<dyn Background>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) users: Option<Arc<dyn Users>>,
    pub(crate) acls: Option<Arc<dyn Acls>>,
    /// Locked while `routes` is.
    pub(crate) owners: Mutex<Owners>,
    pub(crate) clock: Arc<dyn Clock>,
    started: Duration,
    pub(crate) hooks: Arc<Hooks>,
    /// Connections that a broker registered over, to be closed when it expires.
    brokers: Mutex<HashMap<ConnectionId, Weak<Connection>>>,
}

impl NameService {
    /// A name server that knows no broker yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            routes: RwLock::new(Routes::new(parts.settings.policy())),
            settings: RwLock::new(parts.settings),
            fixed_options: parts.fixed_options,
            kv: Arc::new(parts.kv),
            background: parts.background,
            meter: parts.meter,
            users: parts.users,
            acls: parts.acls,
            owners: Mutex::new(Owners::new(parts.registration)),
            started: parts.clock.monotonic(),
            clock: parts.clock,
            hooks: parts.hooks,
            brokers: Mutex::default(),
        }
    }

    /// Takes brokers out that have been silent for too long, and closes their connections.
    /// Returns how many. To be called every [`scan_interval`](Settings::scan_interval).
    pub fn expire(&self) -> usize {
        let gone = self.routes.write().expire(self.now());
        for broker in &gone {
            warn!(broker = %broker.broker, id = broker.id, addr = %broker.addr, "silent broker taken out");
            let connection = self.brokers.lock().remove(&broker.connection);
            if let Some(connection) = connection.and_then(|c| c.upgrade()) {
                connection.close();
            }
        }
        gone.len()
    }

    /// The options in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.read().clone()
    }

    /// How many broker processes are registered, and how many topics they serve.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let routes = self.routes.read();
        (routes.brokers().values().map(|b| b.members.len()).sum(), routes.topics().len())
    }

    /// Where the KV configuration is kept.
    #[must_use]
    pub fn kv_path(&self) -> &std::path::Path {
        self.kv.path()
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Time since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.now().saturating_sub(self.started)
    }

    /// Remembers that a broker registered over this connection.
    pub(crate) fn remember(&self, connection: &Arc<Connection>) {
        let id = ConnectionId(connection.id());
        self.brokers.lock().insert(id, Arc::downgrade(connection));
    }
}

impl Service for NameService {
    fn burst(
        &self,
        connection: &Arc<Connection>,
        burst: &mut Vec<RemotingCommand>,
        replies: &mut Replies,
    ) {
        let hooks = self.hooks.load();
        let counted = (&*self.clock, &*self.meter);
        let mut answers = Answers::now(counted, connection, replies).of(Role::NameServer);
        let first = if hooks.is_empty() { 0 } else { self.hooks.number(burst.len()) };
        let mut answered = 0;
        for (number, command) in (first..).zip(&*burst) {
            // Answers are not put together for who does not take them.
            if answers.replies.is_full() {
                break;
            }
            let with = With { hooks: &hooks, number, connection };
            dispatch::answer(self, with, command, &mut answers);
            answered += 1;
        }
        burst.drain(..answered);
    }

    fn vouches(&self) -> bool {
        true
    }
}

impl Sessions for NameService {
    fn opened(&self, connection: &Arc<Connection>) -> bool {
        let verdict = self.hooks.load().connection_opened(&info_of(connection));
        matches!(verdict, Verdict::Continue)
    }

    fn closed(&self, connection: &Arc<Connection>) {
        let id = ConnectionId(connection.id());
        if self.brokers.lock().remove(&id).is_some() {
            report_gone(&self.routes.write().connection_closed(id));
        }
        self.hooks.load().connection_closed(&info_of(connection));
    }

    fn refused(&self, connection: &Connection, what: Refused, why: &dyn fmt::Display) {
        self.hooks.load().shut(&info_of(connection), what.name(), why);
    }
}

fn report_gone(gone: &[Withdrawn]) {
    for broker in gone {
        info!(broker = %broker.broker, id = broker.id, addr = %broker.addr, "broker's connection ended, taken out");
    }
}

fn info_of(connection: &Connection) -> ConnectionInfo {
    ConnectionInfo {
        id: connection.id(),
        peer: connection.peer(),
        local: connection.local(),
        secure: connection.is_secure(),
    }
}

impl fmt::Debug for NameService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameService").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
