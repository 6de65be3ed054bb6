//! All name servers together.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_protocol::signed::Signer;
use blockhouse_transport::tls::Connector;
use blockhouse_transport::{Dialer, Endpoint, Limits, NoService, NoSessions};
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::reported::{Changes, Identity, Reported};
use crate::speaker::Speaker;
use crate::{Config, State};

/// How long a name server may take to hear the goodbye.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// Reports one broker to its name servers.
pub struct Registrar {
    addresses: Vec<String>,
    state: Arc<State>,
    shared: Shared,
    dialer: Dialer,
}

/// What a [`Speaker`] shares with the others.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) reported: Arc<dyn Reported>,
    pub(crate) changes: Changes,
    pub(crate) state: Arc<State>,
    pub(crate) signer: Option<Arc<Signer>>,
}

impl Registrar {
    /// A registrar for the broker `identity` at `name_servers` (`host:port` each; doubles are
    /// dropped). Nothing happens before [`run`](Self::run).
    #[must_use]
    pub fn new(
        config: Config,
        name_servers: &[String],
        identity: Identity,
        reported: Arc<dyn Reported>,
        changes: &Changes,
    ) -> Self {
        let addresses: BTreeSet<_> = name_servers.iter().map(|a| a.trim().to_owned()).collect();
        let addresses: Vec<_> = addresses.into_iter().filter(|a| !a.is_empty()).collect();
        let state = Arc::new(State::new(&addresses));
        let limits = Limits { connections_max: addresses.len(), ..Limits::default() };
        let endpoint = Endpoint::new(Arc::new(NoService), Arc::new(NoSessions), limits);
        let shared = Shared {
            config: Arc::new(config),
            reported,
            changes: changes.clone(),
            state: Arc::clone(&state),
            signer: None,
            identity: Arc::new(identity),
        };
        Self { addresses, state, shared, dialer: Dialer::new(endpoint) }
    }

    /// The same by TLS, if a connector is given.
    #[must_use]
    pub fn over(self, tls: Option<Arc<Connector>>) -> Self {
        Self { dialer: self.dialer.over(tls), ..self }
    }

    /// Has everything signed that name servers are told.
    #[must_use]
    pub fn signed_by(mut self, signer: &Arc<Signer>) -> Self {
        self.shared.signer = Some(Arc::clone(signer));
        self
    }

    /// Who has been told what; stays valid while the registrar runs.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Reports until `stop` is ready, then takes the broker out of all name servers that are
    /// reached, and ends (within about a second).
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopping = watch::Sender::new(false);
        let speaker = |addr| Speaker::new(addr, self.shared.clone(), &self.dialer);
        let speaking =
            self.addresses.into_iter().map(|addr| speaker(addr).run(stopping.subscribe()));
        let stopper = async {
            stop.await;
            stopping.send_replace(true);
        };
        tokio::join!(join_all(speaking), stopper);
        self.dialer.shutdown().await;
    }
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar").field("state", &self.state).finish_non_exhaustive()
    }
}
