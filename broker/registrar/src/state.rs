//! Who has been told what.

use std::collections::BTreeMap;
use std::time::Duration;

use blockhouse_model::DataVersion;
use tokio::sync::watch;

/// What is known of each name server.
#[derive(Debug)]
pub struct State {
    /// By address: the version last accepted over a connection that still stands.
    told: watch::Sender<BTreeMap<String, Option<DataVersion>>>,
}

impl State {
    pub(crate) fn new(name_servers: &[String]) -> Self {
        let nobody = name_servers.iter().map(|addr| (addr.clone(), None)).collect();
        Self { told: watch::Sender::new(nobody) }
    }

    pub(crate) fn set(&self, name_server: &str, version: Option<DataVersion>) {
        self.told.send_if_modified(|told| {
            let Some(known) = told.get_mut(name_server) else { return false };
            std::mem::replace(known, version) != version
        });
    }

    /// The name servers, with the version of the topics that each has accepted from this broker;
    /// `None` while one is not reached.
    #[must_use]
    pub fn name_servers(&self) -> BTreeMap<String, Option<DataVersion>> {
        self.told.borrow().clone()
    }

    /// How many name servers know this broker.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.told.borrow().values().flatten().count()
    }

    /// Waits until some name server knows this broker (at once if none is configured). `false` if
    /// that does not happen within `patience`.
    pub async fn reached_any(&self, patience: Duration) -> bool {
        self.wait(patience, |told| told.is_empty() || told.values().any(Option::is_some)).await
    }

    /// Waits until all name servers that are reached know `version`, so that clients that ask
    /// there see a new topic. `false` if that does not happen within `patience`.
    pub async fn told(&self, version: DataVersion, patience: Duration) -> bool {
        let knows = |known: &DataVersion| known.counter >= version.counter || *known == version;
        self.wait(patience, |told| told.values().flatten().all(knows)).await
    }

    async fn wait(
        &self,
        patience: Duration,
        done: impl FnMut(&BTreeMap<String, Option<DataVersion>>) -> bool,
    ) -> bool {
        let mut changes = self.told.subscribe();
        // The sender lives in self: waiting cannot fail but by time.
        matches!(tokio::time::timeout(patience, changes.wait_for(done)).await, Ok(Ok(_)))
    }
}
