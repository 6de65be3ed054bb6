//! Building, running and stopping a broker.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_core::{Announcer, HeldPulls, Identity, Recorder};
use blockhouse_disk::{Disk, Space};
use blockhouse_hook::{Acls, Hooks, Users};
use blockhouse_meta::{GroupSettings, Home, LogEnd, Meta, TopicSettings, TopicShares};
use blockhouse_meter::Meter;
use blockhouse_model::{Clock, DataVersion, Perm, Timestamp};
use blockhouse_protocol::signed::Signer;
use blockhouse_registrar::{Changes, Registrar};
use blockhouse_remoting::{Remoting, quota::Config as QuotaConfig};
use blockhouse_service::stage::OTHERS_PATIENCE;
use blockhouse_service::{Stage, Stages, Tasks};
use blockhouse_store::{Closing, Store};
use blockhouse_transport::tls::{Acceptor, Connector};
use blockhouse_transport::{Budget, Endpoint, Server};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::ahead;
use crate::inert;
use crate::node::Facts;
use crate::reported::Topics;
use crate::settings::{Settings, store_config};
use crate::upkeep;

/// How long tasks have to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a stop does first.
const NAME_SERVERS: &str = "it waits for name servers";
/// How long name servers have to learn of this broker or its topics before somebody stops waiting.
const REGISTRATION_PATIENCE: Duration = Duration::from_secs(1);

/// What a broker gets from its process.
#[derive(Clone)]
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The hooks, shared with other servers of the process.
    pub hooks: Arc<Hooks>,
    /// The files.
    pub disk: Arc<dyn Disk>,
    /// Where requests and connections are counted.
    pub meter: Arc<Meter>,
    /// The group that groups for this broker are made below.
    pub tasks: Tasks,
    /// Bytes in flight, shared with other listeners of the process; `None` for its own.
    pub budget: Option<Arc<Budget>>,
    /// How connections are secured.
    pub tls: Tls,
    /// The users, where requests are authenticated.
    pub users: Option<Arc<dyn Users>>,
    /// The ACLs, where policies are asked.
    pub acls: Option<Arc<dyn Acls>>,
    /// Who signs what name servers are told.
    pub signer: Option<Arc<Signer>>,
}

/// TLS in both directions; by default in none.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// On listeners.
    pub acceptor: Option<Arc<Acceptor>>,
    /// To name servers.
    pub connector: Option<Arc<Connector>>,
}

/// Starts brokers.
#[derive(Clone, Copy, Debug)]
pub struct Broker;

/// A broker that runs.
pub struct Running {
    core: Arc<blockhouse_core::Broker>,
    store: Arc<Store>,
    meta: Meta,
    server: Server,
    vip: Option<Server>,
    registrar: Tasks,
    registered: Arc<blockhouse_registrar::State>,
    facts: Arc<Facts>,
    tasks: Tasks,
    stages: Stages,
}

impl Broker {
    /// Opens the data directory, recovering it if need be, and serves from then on.
    ///
    /// # Errors
    /// The directory cannot be used, an option is impossible, or an address cannot be listened on.
    pub async fn start(settings: Settings, parts: Parts) -> anyhow::Result<Running> {
        let tasks = parts.tasks.child("broker");
        let registrar_tasks = parts.tasks.child("registrar");
        let home = Home {
            disk: Arc::clone(&parts.disk),
            dir: settings.data.clone(),
            clock: Arc::clone(&parts.clock),
        };
        // The store first: its lock keeps a second process from everything in the directory.
        let held = Arc::new(HeldPulls::default());
        let store = Arc::new(open_store(&settings, &parts, &held)?);
        let meta = open_meta(&home, &settings, &store)?;
        if let Err(refused) = inert::check(&store, &meta, &*parts.disk, settings.core.allow_inert) {
            // No whole record of the log and no file of `config/` is changed. Recovery has stamped the
            // directory, cut a torn tail if there was one, and brought queues and index up to the
            // log's end; the stop writes them, and checkpoints. A clean one, so that whoever can
            // serve it finds nothing to recover.
            store.close().context("the store")?;
            return Err(refused);
        }
        ahead::set_back(&store, &meta)?;

        // The port must be known before the first message: it is part of every message's id.
        let listener =
            Server::reserve(&settings.listen.to_string()).await.context("the broker's listener")?;
        let advertised = settings.advertised(listener.local_addr());
        let (registrar, registered) = build_registrar(&settings, &meta, advertised);
        let registrar = registrar.over(parts.tls.connector.clone());
        let registrar = match &parts.signer {
            Some(signer) => registrar.signed_by(signer),
            None => registrar,
        };
        let announcer = Arc::new(Announced(Arc::clone(&registered)));
        let own = Own { held, advertised, announcer };
        let core = Arc::new(build_core(&settings, &parts, &meta, &store, own)?);

        parts.meter.watch_sizes(core.stats().sizes());
        let facts = Facts::new(
            settings.properties.clone(),
            settings.data.clone(),
            Arc::clone(&parts.disk),
            Arc::clone(&parts.clock),
        )
        .with_users(parts.users.clone())
        .with_acls(parts.acls.clone());
        let (facts, meter) = (Arc::new(facts), Arc::clone(&parts.meter));
        let node = Arc::clone(&facts) as _;
        let remoting = Remoting::bounded(Arc::clone(&core), node, meter, &settings.quota);
        let mut endpoint =
            Endpoint::new(Arc::clone(&remoting) as _, remoting as _, settings.limits.clone());
        endpoint.budget = parts.budget.clone().unwrap_or(endpoint.budget);
        endpoint.counts = Arc::clone(&parts.meter.connections);
        endpoint.tls = parts.tls.acceptor.clone();
        let vip = vip_listener(&settings, listener.local_addr(), &endpoint).await?;
        let server = listener.serve(endpoint);
        info!(addr = %server.local_addr(), advertised = %advertised, "broker listens");

        upkeep::start(&tasks, &core, &meta, &parts.meter);
        let mut stop = registrar_tasks.shutdown();
        registrar_tasks.spawn("registrar", registrar.run(async move { stop.requested().await }));
        // Whoever is told that the broker is up may ask a name server for it. One that is down does
        // not hold the broker up for long.
        registered.reached_any(REGISTRATION_PATIENCE).await;
        Ok(Running {
            core,
            store,
            meta,
            server,
            vip,
            registrar: registrar_tasks,
            registered,
            facts,
            tasks,
            stages: Stages::new(NAME_SERVERS),
        })
    }
}

fn open_meta(home: &Home, settings: &Settings, store: &Arc<Store>) -> anyhow::Result<Meta> {
    let core = &settings.core;
    let topics = TopicSettings {
        cluster: settings.cluster.clone(),
        broker: settings.name.clone(),
        auto_create: core.auto_create_topic,
        topics_max: core.topics_max,
        shares: shares(&settings.quota),
        template_queues: core.default_topic_queues,
        trace_topic: core.trace_topic,
        ..TopicSettings::default()
    };
    let groups = GroupSettings {
        auto_create: core.auto_create_subscription_group,
        groups_max: core.groups_max,
    };
    let store = Arc::clone(store);
    let log_end: LogEnd = Arc::new(move || store.confirmed().0);
    let meta = Meta::open_with(home, (topics, groups), Some(log_end));
    meta.context("the broker's topics, groups and offsets")
}

fn shares(quota: &QuotaConfig) -> TopicShares {
    let of = quota.topics_of().map(|(name, max)| (name.to_owned(), max));
    TopicShares { each: quota.topics(), of: of.collect() }
}

fn open_store(settings: &Settings, parts: &Parts, held: &Arc<HeldPulls>) -> anyhow::Result<Store> {
    let config = store_config(&settings.store, &settings.core, &settings.data);
    let parts = blockhouse_store::Parts {
        disk: Arc::clone(&parts.disk),
        clock: Arc::clone(&parts.clock),
        listener: Arc::clone(held) as _,
    };
    Store::open(config, parts).context("the store")
}

/// What the core gets that belongs to this server alone.
struct Own {
    held: Arc<HeldPulls>,
    advertised: SocketAddr,
    announcer: Arc<Announced>,
}

fn build_core(
    settings: &Settings,
    parts: &Parts,
    meta: &Meta,
    store: &Arc<Store>,
    own: Own,
) -> anyhow::Result<blockhouse_core::Broker> {
    let core = blockhouse_core::Parts {
        identity: Identity {
            cluster: settings.cluster.clone(),
            name: settings.name.clone(),
            id: settings.broker_id,
            store_host: own.advertised,
        },
        store: Arc::clone(store),
        topics: Arc::clone(&meta.topics),
        groups: Arc::clone(&meta.groups),
        offsets: Arc::clone(&meta.offsets),
        delay_offsets: Arc::clone(&meta.delay_offsets),
        held: own.held,
        hooks: Arc::clone(&parts.hooks),
        announcer: own.announcer,
        clock: Arc::clone(&parts.clock),
    };
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let process = u16::from_be_bytes([high, low]);
    let broker = blockhouse_core::Broker::new(settings.core.clone(), core, process)?;
    let code_of = blockhouse_remoting::code_of;
    let recorder = parts.meter.spans().cloned().map(|spans| Recorder { spans, code_of });
    let times_sends = parts.meter.flight().is_some();
    Ok(broker.recording(recorder).timing_sends(times_sends))
}

/// Old clients and tools send to the port two below the broker's.
async fn vip_listener(
    settings: &Settings,
    main: SocketAddr,
    endpoint: &Endpoint,
) -> anyhow::Result<Option<Server>> {
    let Some(port) = main.port().checked_sub(2).filter(|port| settings.vip_port && *port > 0)
    else {
        return Ok(None);
    };
    let addr = SocketAddr::new(main.ip(), port).to_string();
    // A port that was picked by the system may have a neighbour in use; nobody was told of it.
    match Server::bind(&addr, endpoint.clone()).await {
        Ok(server) => Ok(Some(server)),
        Err(error) if settings.listen.port() == 0 => {
            warn!(%error, "no VIP port");
            Ok(None)
        }
        Err(error) => {
            Err(error).context("the broker's VIP port (node.vip_port = false does without it)")
        }
    }
}

fn build_registrar(
    settings: &Settings,
    meta: &Meta,
    advertised: SocketAddr,
) -> (Registrar, Arc<blockhouse_registrar::State>) {
    let changes = Changes::new();
    let told = changes.clone();
    meta.topics.on_change(move |_| told.tell());
    let identity = blockhouse_registrar::Identity {
        cluster: settings.cluster.clone(),
        broker: settings.name.clone(),
        id: settings.broker_id,
        addr: advertised.to_string(),
        ha_addr: SocketAddr::new(advertised.ip(), advertised.port().saturating_add(1)).to_string(),
    };
    let reported = Topics::new(Arc::clone(&meta.topics), Perm(settings.core.permission));
    let registrar = Registrar::new(
        settings.registrar.clone(),
        &settings.name_servers,
        identity,
        Arc::new(reported),
        &changes,
    );
    let state = registrar.state();
    (registrar, state)
}

/// Waits for the registrar on behalf of requests that change topics.
struct Announced(Arc<blockhouse_registrar::State>);

impl Announcer for Announced {
    fn announced(&self, version: DataVersion) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            if !state.told(version, REGISTRATION_PATIENCE).await {
                warn!("a name server does not know of the changed topics yet");
            }
        })
    }
}

impl Running {
    /// Where clients connect, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where old clients connect, if that port is served.
    #[must_use]
    pub fn vip_addr(&self) -> Option<SocketAddr> {
        self.vip.as_ref().map(Server::local_addr)
    }

    /// The broker itself, for counts and checks.
    #[must_use]
    pub fn core(&self) -> &Arc<blockhouse_core::Broker> {
        &self.core
    }

    /// Which name servers know of this broker.
    #[must_use]
    pub fn registered(&self) -> &Arc<blockhouse_registrar::State> {
        &self.registered
    }

    /// Which files of topics, groups and offsets could not be written the last time, and why: what
    /// changed since then is only in memory.
    #[must_use]
    pub fn unsaved(&self) -> Vec<(&'static str, String)> {
        self.meta.unsaved()
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.facts.started()
    }

    /// The room of the filesystem that holds the messages; `None` if it does not say.
    #[must_use]
    pub fn space(&self) -> Option<Space> {
        self.facts.space()
    }

    /// Open client connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.connections() + self.vip.as_ref().map_or(0, Server::connections)
    }

    /// What a stop is doing.
    #[must_use]
    pub fn stage(&self) -> watch::Receiver<Stage> {
        self.stages.watch()
    }

    /// Leaves the name servers, ends connections and tasks, and closes the data directory cleanly.
    ///
    /// # Errors
    /// What could not be saved. The next start recovers it as far as it is on disk.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { core, store, meta, server, vip, registrar, tasks, stages, .. } = self;
        let others = async {
            stages.enter(NAME_SERVERS);
            let mut late = registrar.stop(PATIENCE).await;
            core.held().end();
            stages.enter("it waits for clients");
            let vip = async {
                if let Some(vip) = vip {
                    vip.shutdown().await;
                }
            };
            // Both at once: each may wait for clients that do not read their answers.
            tokio::join!(vip, server.shutdown());
            stages.enter("it waits for its tasks");
            late.extend(tasks.stop(PATIENCE).await);
            late
        };
        let late = if let Ok(late) = tokio::time::timeout(OTHERS_PATIENCE, others).await {
            late
        } else {
            warn!("the broker stops without those that it waited for: {}", stages.stage());
            [registrar.stop(Duration::ZERO).await, tasks.stop(Duration::ZERO).await].concat()
        };
        if !late.is_empty() {
            warn!(tasks = ?late, "tasks of the broker had to be aborted");
        }
        let closed = tokio::task::spawn_blocking(move || {
            stages.enter("it waits for the disk: topics and offsets are saved");
            let saved =
                upkeep::persist(&meta, &store).context("topics, groups and offsets were not saved");
            // Whatever became of those.
            let closed = store.close_by_steps(|step| stages.enter(waits_for(step)));
            saved.and(closed.context("the store is not closed cleanly: the next start recovers it"))
        });
        closed.await.context("closing the data directory panicked")?
    }
}

/// What a stop does while the store is closed.
const fn waits_for(step: Closing) -> &'static str {
    match step {
        Closing::Behind => "it waits for the disk: queues and index are behind the log",
        Closing::Checkpoint => "it waits for the disk: a checkpoint is being made",
        Closing::Log => "it waits for the disk: the end of the log is synced",
        Closing::LastCheckpoint => "it waits for the disk: its whole filesystem is synced",
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("addr", &self.local_addr()).finish_non_exhaustive()
    }
}
