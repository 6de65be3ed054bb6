//! The broker's use cases on domain types: send, pull, send back, delay, offsets, clients, and the
//! administration of topics and groups.
//!
//! [`Broker`] is what every protocol adapter calls. It knows no request code, no socket and no
//! file: it is given a store, metadata, hooks and client channels.
//!
//! | module | holds |
//! |---|---|
//! | [`caller`] | who asks, and the hook chain that the request goes through |
//! | [`send`] | messages in: admit, shape, append |
//! | [`pull`] | messages out, and waiting for them |
//! | [`held`] | the table of waiting pulls |
//! | [`send_back`] | redelivery and dead letters |
//! | [`delay`] | setting delayed messages free |
//! | [`offsets`] | where groups are, and where queues begin and end |
//! | [`clients`] | who is connected, and in which groups |
//! | [`membership`] | what is done about groups before their members count |
//! | [`queue_locks`] | exclusive queues of ordered consumers |
//! | [`topics`], [`groups`] | administration |
//! | [`inspect`] | what operators ask: messages by key and id, progress, rates |
//! | [`reset`] | moving a group by hand |
//! | [`relay`] | questions of operators that a client answers |
//! | [`stats`] | counts and rates |
//! | [`refusal`] | why a request was not carried out |

pub mod caller;
pub mod clients;
mod cold;
pub mod config;
pub mod delay;
mod flushes;
pub mod groups;
pub mod held;
pub mod inspect;
pub mod lag;
pub mod membership;
pub mod offsets;
pub mod pull;
pub mod queue_locks;
pub mod refusal;
pub mod relay;
pub mod reset;
mod saves;
pub mod send;
pub mod send_back;
pub mod stats;
pub mod topics;
mod traced;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use blockhouse_hook::Hooks;
use blockhouse_meta::{DelayOffsets, Groups, Offsets, Topics};
use blockhouse_meter::Spans;
use blockhouse_model::names::SCHEDULE_TOPIC;
use blockhouse_model::{
    Clock, DataVersion, DelayLevels, Perm, QueueId, SubscriptionGroup, Topic, TopicConfig,
};
use blockhouse_store::Store;
use tokio::task::JoinSet;

pub use caller::Caller;
pub use config::Config;
pub use held::HeldPulls;
pub use refusal::{Forbidden, Refusal, RefusalKind};

use clients::Clients;
use cold::ColdReads;
use queue_locks::QueueLocks;
use saves::Saves;
use send::Stamp;
use stats::Stats;
use topics::refused_change;

/// Who this broker is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its cluster.
    pub cluster: String,
    /// Its name, shared with its replicas.
    pub name: String,
    /// 0 is the master.
    pub id: u64,
    /// The address that clients reach it by; stored in every message.
    pub store_host: SocketAddr,
}

/// What a broker is made of.
pub struct Parts {
    /// Who it is.
    pub identity: Identity,
    /// Its messages.
    pub store: Arc<Store>,
    /// Its topics.
    pub topics: Arc<Topics>,
    /// Its consumer groups.
    pub groups: Arc<Groups>,
    /// How far groups are.
    pub offsets: Arc<Offsets>,
    /// How far the delivery of delayed messages is.
    pub delay_offsets: Arc<DelayOffsets>,
    /// Waiting pulls; also the store's listener.
    pub held: Arc<HeldPulls>,
    /// Policy and extension.
    pub hooks: Arc<Hooks>,
    /// Tells name servers of the topics.
    pub announcer: Arc<dyn Announcer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Tells name servers of the topics.
pub trait Announcer: Send + Sync + 'static {
    /// Resolves when all name servers that are reached know `version`, or after a short while.
    fn announced(&self, version: DataVersion) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Who records what the broker does.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Takes the records.
    pub spans: Arc<Spans>,
    /// The protocol's code of a refusal.
    pub code_of: fn(RefusalKind) -> i32,
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAnnouncer;

impl Announcer for NoAnnouncer {
    fn announced(&self, _: DataVersion) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async {})
    }
}

/// The broker's use cases.
pub struct Broker {
    config: Config,
    parts: Parts,
    clients: Clients,
    queue_locks: QueueLocks,
    saves: Saves,
    cold_reads: ColdReads,
    stats: Stats,
    stamp: Stamp,
    delay_levels: DelayLevels,
    schedule_topic: Arc<TopicConfig>,
    next_queue: AtomicU32,
    next_key: AtomicU32,
    process: u16,
    recorder: Option<Recorder>,
    times_sends: bool,
}

impl Broker {
    /// A broker of these parts. `process` goes into the unique keys that it makes.
    ///
    /// # Errors
    /// The delay levels are not a list of times.
    pub fn new(config: Config, parts: Parts, process: u16) -> Result<Self, Refusal> {
        let Some(delay_levels) = DelayLevels::parse(&config.message_delay_level) else {
            return Err(Refusal::invalid(format!(
                "broker.message_delay_level: `{}` is not a list of times like `1s 5s 1m`",
                config.message_delay_level
            )));
        };
        let stamp = Stamp::new(&config.region_id, config.trace_on, &parts.identity.cluster);
        let schedule_topic = parts.topics.find(SCHEDULE_TOPIC).unwrap_or_else(|| {
            Arc::new(TopicConfig::new(Topic::trusted(SCHEDULE_TOPIC), delay_levels.count()))
        });
        let held = Arc::downgrade(&parts.held);
        parts.hooks.watch(Box::new(move || {
            if let Some(held) = held.upgrade() {
                held.question_all();
            }
        }));
        Ok(Self {
            clients: Clients::new(Arc::clone(&parts.clock), config.members_max),
            queue_locks: QueueLocks::new(Arc::clone(&parts.clock)),
            saves: Saves::default(),
            cold_reads: ColdReads::new(config.cold_reads()),
            stats: Stats::default(),
            stamp,
            delay_levels,
            schedule_topic,
            next_queue: AtomicU32::new(0),
            next_key: AtomicU32::new(0),
            process,
            recorder: None,
            times_sends: false,
            config,
            parts,
        })
    }

    /// The same, with what it does recorded as spans.
    #[must_use]
    pub fn recording(self, recorder: Option<Recorder>) -> Self {
        if let Some(recorder) = &recorder {
            recorder.spans.begin_at(self.store().stats().log_end.0);
            flushes::watch(self.store(), &recorder.spans);
        }
        Self { recorder, ..self }
    }

    /// The same, with [`send::Times`] of all sends, for whoever records how long their stages took.
    #[must_use]
    pub fn timing_sends(self, times_sends: bool) -> Self {
        Self { times_sends, ..self }
    }

    pub(crate) const fn times_sends(&self) -> bool {
        self.times_sends
    }

    /// Who records spans, if anybody does.
    #[must_use]
    pub fn spans(&self) -> Option<&Arc<Spans>> {
        self.recorder.as_ref().map(|recorder| &recorder.spans)
    }

    /// The code that a refusal has in spans.
    pub(crate) fn code_of(&self, refusal: &Refusal) -> i32 {
        self.recorder.as_ref().map_or(0, |recorder| (recorder.code_of)(refusal.kind))
    }

    /// The options in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Who this broker is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.parts.identity
    }

    /// The hooks in force. What serves a [`Caller`] asks the chain that came with it.
    #[must_use]
    pub fn hooks(&self) -> &Hooks {
        &self.parts.hooks
    }

    /// Who is connected.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Who has which queue to himself.
    #[must_use]
    pub fn queue_locks(&self) -> &QueueLocks {
        &self.queue_locks
    }

    /// Counts and rates.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The topics.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.parts.topics
    }

    /// The consumer groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.parts.groups
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.parts.clock.as_ref()
    }

    /// The waiting pulls.
    #[must_use]
    pub fn held(&self) -> &Arc<HeldPulls> {
        &self.parts.held
    }

    /// The messages.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// What may be done with this broker as a whole.
    #[must_use]
    pub fn permission(&self) -> Perm {
        Perm(self.config.permission)
    }

    pub(crate) fn shared_store(&self) -> Arc<Store> {
        Arc::clone(&self.parts.store)
    }

    pub(crate) fn shared_topics(&self) -> Arc<Topics> {
        Arc::clone(&self.parts.topics)
    }

    pub(crate) fn shared_groups(&self) -> Arc<Groups> {
        Arc::clone(&self.parts.groups)
    }

    /// Brings the progress that was committed since the last call where a kill of the process does
    /// not reach it. Adapters call it once per burst, before its answers leave; it costs nothing
    /// when nothing was committed.
    pub fn keep_commits(&self) {
        if let Err(error) = self.offsets().flush_journal() {
            tracing::error!(%error, "committed progress is only in memory; trying again");
        }
    }

    pub(crate) fn offsets(&self) -> &Offsets {
        &self.parts.offsets
    }

    pub(crate) async fn announced(&self) {
        self.parts.announcer.announced(self.topics().version()).await;
    }

    pub(crate) fn delay_offsets(&self) -> &DelayOffsets {
        &self.parts.delay_offsets
    }

    pub(crate) fn delay_levels(&self) -> &DelayLevels {
        &self.delay_levels
    }

    pub(crate) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    pub(crate) fn schedule_topic(&self) -> &Arc<TopicConfig> {
        &self.schedule_topic
    }

    /// A queue for a message whose sender has no preference: each in turn.
    pub(crate) fn pick_queue(&self, queues: u32) -> QueueId {
        QueueId(self.next_queue.fetch_add(1, Ordering::Relaxed) % queues.max(1))
    }

    /// A unique key for a message that came without one.
    pub(crate) fn make_unique_key(&self) -> String {
        const MONTH_MS: i64 = 31 * 24 * 3_600 * 1_000;
        let ip = match self.identity().store_host.ip() {
            std::net::IpAddr::V4(ip) => ip.octets(),
            std::net::IpAddr::V6(_) => [0; 4],
        };
        let ms = u32::try_from(self.clock().now().0.rem_euclid(MONTH_MS)).unwrap_or(0);
        let [_, _, high, low] = self.next_key.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        blockhouse_model::id::unique_key(ip, self.process, ms, u16::from_be_bytes([high, low]))
    }

    /// How many requests found no room since the start: for topics, groups, places of groups, members, locks.
    #[must_use]
    pub fn refused_names(&self) -> [u64; 5] {
        [
            self.topics().refused(),
            self.groups().refused(),
            self.offsets().refused(),
            self.clients.refused(),
            self.queue_locks.refused(),
        ]
    }

    /// A group that a client names: found, or created where that is allowed.
    ///
    /// # Errors
    /// There is none of that name, or no room for another one.
    pub fn group_for_use(&self, group: &str) -> Result<Arc<SubscriptionGroup>, Refusal> {
        let found = self.groups().find_or_create(group).map_err(|e| refused_change(&e))?;
        found.ok_or_else(|| Refusal::no_group(group))
    }
}

/// Runs what may wait for the disk away from the workers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_failed| stopping())
}

/// Runs what takes turns with others in a task of its own, which ends when this is dropped. An answer that waits is polled by
/// its connection's task, and by that only while the client takes its bytes: a turn that it is handed meanwhile, it would
/// keep from everybody.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Refusal> {
    let mut task = JoinSet::new();
    task.spawn(work);
    task.join_next().await.and_then(Result::ok).ok_or_else(stopping)
}

pub(crate) fn stopping() -> Refusal {
    Refusal::new(RefusalKind::SystemBusy, "the broker is stopping")
}
