//! Name servers, connections, and one request with its answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use blockhouse_model::Clock;
use blockhouse_model::id::unique_key;
use blockhouse_protocol::body::route::TopicRouteData;
use blockhouse_protocol::body::{Body, heartbeat::HeartbeatData};
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::namesrv::GetRouteInfo;
use blockhouse_protocol::signed::Signer;
use blockhouse_protocol::{ExtWriter, RemotingCommand};
use blockhouse_transport::tls::Connector;
use blockhouse_transport::{Connection, Dialer, Endpoint, Limits, NoSessions, Replies, Service};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Error, Route};

/// How long a route is used before it is asked for again. RocketMQ's `pollNameServerInterval`.
const ROUTE_AGE_MAX: Duration = Duration::from_secs(30);

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` of name servers, separated by `;` (or `,`).
    pub namesrv: String,
    /// How long to wait for a connection and for an answer.
    pub timeout: Duration,
    /// Tells this client from others on the same machine; part of its client id.
    pub instance: String,
    /// Makes connections secure; `None`: in plaintext.
    pub tls: Option<Arc<Connector>>,
    /// Who signs its requests, where servers ask for that.
    pub signer: Option<Arc<Signer>>,
}

impl Options {
    /// The defaults with these name servers.
    #[must_use]
    pub fn new(namesrv: &str) -> Self {
        Self {
            namesrv: namesrv.to_owned(),
            timeout: Duration::from_secs(3),
            instance: std::process::id().to_string(),
            tls: None,
            signer: None,
        }
    }
}

/// A client of one cluster; cheap to share by reference or `Arc`.
pub struct Client {
    name_servers: Vec<String>,
    /// The name server that answered last.
    current: AtomicUsize,
    options: Options,
    clock: Arc<dyn Clock>,
    dialer: Dialer,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
    routes: Mutex<HashMap<String, (Duration, Arc<Route>)>>,
    notices: Arc<Notices>,
    keys: AtomicU16,
}

/// What servers ask of this client.
#[derive(Debug, Default)]
struct Notices {
    /// The members of some group changed.
    members_changed: Notify,
}

impl Service for Notices {
    fn burst(&self, _: &Arc<Connection>, burst: &mut Vec<RemotingCommand>, _: &mut Replies) {
        if burst.iter().any(|c| c.code == request_code::NOTIFY_CONSUMER_IDS_CHANGED) {
            self.members_changed.notify_one();
        }
    }
}

impl Client {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// The list of name servers is empty.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let servers = options.namesrv.split([';', ',']).map(str::trim);
        let name_servers: Vec<String> =
            servers.filter(|s| !s.is_empty()).map(str::to_owned).collect();
        if name_servers.is_empty() {
            return Err(Error::NoNameServer);
        }
        let notices = Arc::new(Notices::default());
        let service = Arc::clone(&notices);
        let endpoint = Endpoint::new(service, Arc::new(NoSessions), Limits::default());
        Ok(Self {
            name_servers,
            current: AtomicUsize::new(0),
            dialer: Dialer::new(endpoint).over(options.tls.clone()),
            options,
            clock,
            connections: Mutex::default(),
            routes: Mutex::default(),
            notices,
            keys: AtomicU16::new(0),
        })
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// How long answers are waited for.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.options.timeout
    }

    /// The name servers.
    #[must_use]
    pub fn name_servers(&self) -> &[String] {
        &self.name_servers
    }

    /// What the client calls itself, as official clients do: `ip@instance`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("127.0.0.1@{}", self.options.instance)
    }

    /// A connection to `addr`, made if there is none.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn connection(&self, addr: &str) -> Result<Arc<Connection>, Error> {
        if let Some(open) = self.connections.lock().get(addr).filter(|c| !c.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let made = self.dialer.connect(addr, self.options.timeout).await?;
        if let Some(signer) = &self.options.signer {
            made.sign_with(Arc::clone(signer));
        }
        self.connections.lock().insert(addr.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    /// Asks `addr` and returns the answer, whatever its code.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer in `timeout`.
    pub async fn ask(
        &self,
        addr: &str,
        code: i32,
        ext: impl FnOnce(&mut ExtWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<RemotingCommand, Error> {
        let connection = self.connection(addr).await?;
        Ok(connection.call(code, ext, body, timeout).await?)
    }

    /// Asks `addr` and returns the answer if it is success.
    ///
    /// # Errors
    /// It cannot be reached, does not answer, or refuses.
    pub async fn call(
        &self,
        addr: &str,
        code: i32,
        ext: impl FnOnce(&mut ExtWriter<'_>),
        body: &[u8],
    ) -> Result<RemotingCommand, Error> {
        let answer = self.ask(addr, code, ext, body, self.options.timeout).await?;
        succeeded(addr, answer)
    }

    /// Asks the name servers, beginning with the one that answered last, until one succeeds or
    /// refuses.
    ///
    /// # Errors
    /// None can be reached, or one refuses.
    pub async fn ask_name_server(
        &self,
        code: i32,
        ext: impl Fn(&mut ExtWriter<'_>),
        body: &[u8],
    ) -> Result<RemotingCommand, Error> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = Error::NoNameServer;
        for turn in 0..self.name_servers.len() {
            let at = (first + turn) % self.name_servers.len();
            match self.call(&self.name_servers[at], code, &ext, body).await {
                Err(Error::Transport(error)) => {
                    tracing::debug!(%error, "name server does not answer, trying the next");
                    last = error.into();
                }
                answered => {
                    self.current.store(at, Ordering::Relaxed);
                    return answered;
                }
            }
        }
        Err(Error::NameServers { list: self.name_servers.join(";"), last: Box::new(last) })
    }

    /// Asks every name server in turn; all must succeed.
    ///
    /// # Errors
    /// The first that cannot be reached or refuses.
    pub async fn ask_all_name_servers(
        &self,
        code: i32,
        ext: impl Fn(&mut ExtWriter<'_>),
    ) -> Result<(), Error> {
        for addr in &self.name_servers {
            self.call(addr, code, &ext, b"").await?;
        }
        Ok(())
    }

    /// A topic's route as the name server has it now.
    ///
    /// # Errors
    /// [`Error::NoRoute`] if the topic is unknown.
    pub async fn route_data(&self, topic: &str) -> Result<TopicRouteData, Error> {
        let header = GetRouteInfo { topic, accept_standard_json_only: Some(true) };
        let code = request_code::GET_ROUTEINFO_BY_TOPIC;
        match self.ask_name_server(code, |ext| header.write(ext), b"").await {
            Ok(answer) => Ok(TopicRouteData::decode(&answer.body)?),
            Err(e) if e.code() == Some(response_code::TOPIC_NOT_EXIST) => {
                Err(Error::NoRoute(topic.to_owned()))
            }
            Err(e) => Err(e),
        }
    }

    /// A topic's route, at most 30 s old.
    ///
    /// # Errors
    /// [`Error::NoRoute`] if the topic is unknown.
    pub async fn route(&self, topic: &str) -> Result<Arc<Route>, Error> {
        let now = self.clock.monotonic();
        if let Some((since, route)) = self.routes.lock().get(topic)
            && now.saturating_sub(*since) < ROUTE_AGE_MAX
        {
            return Ok(Arc::clone(route));
        }
        let route = Arc::new(Route::of(topic, &self.route_data(topic).await?));
        self.routes.lock().insert(topic.to_owned(), (now, Arc::clone(&route)));
        Ok(route)
    }

    /// Forgets a topic's route: it turned out to be wrong.
    pub fn forget_route(&self, topic: &str) {
        self.routes.lock().remove(topic);
    }

    /// Tells a broker that this client lives.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn heartbeat(&self, addr: &str, data: &HeartbeatData) -> Result<(), Error> {
        self.call(addr, request_code::HEART_BEAT, |_| {}, &data.encode()).await?;
        Ok(())
    }

    /// Waits until a broker says that the members of a group changed.
    pub(crate) async fn members_changed(&self) {
        self.notices.members_changed.notified().await;
    }

    /// A new unique key for a message.
    #[must_use]
    pub fn unique_key(&self) -> String {
        let ms_of_month = self.clock.now().0.rem_euclid(30 * 86_400_000);
        let pid = u16::try_from(std::process::id() & 0xFFFF).unwrap_or(0);
        let counter = self.keys.fetch_add(1, Ordering::Relaxed);
        unique_key([127, 0, 0, 1], pid, u32::try_from(ms_of_month).unwrap_or(0), counter)
    }

    /// Closes all connections after what they still have to send.
    pub async fn close(&self) {
        self.dialer.shutdown().await;
    }
}

/// An answer with another code than success is an error.
pub(crate) fn succeeded(addr: &str, answer: RemotingCommand) -> Result<RemotingCommand, Error> {
    if answer.code == response_code::SUCCESS {
        return Ok(answer);
    }
    let remark = answer.remark().unwrap_or("without a reason").to_owned();
    Err(Error::Refused { addr: addr.to_owned(), code: answer.code, remark })
}
