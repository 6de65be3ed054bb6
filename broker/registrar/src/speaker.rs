//! One name server: connect, report, repeat.

use std::sync::Arc;

use blockhouse_model::DataVersion;
use blockhouse_transport::Error::Closed;
use blockhouse_transport::{Connection, Dialer};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::registrar::{FAREWELL, Shared};
use crate::{Error, wire};

/// Talks to one name server.
pub(crate) struct Speaker<'a> {
    addr: String,
    shared: Shared,
    dialer: &'a Dialer,
}

/// Why a conversation ended.
enum Ended {
    /// The broker stops.
    Stopped,
    /// The name server is not there, or does not want us.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Waits for the request to stop. Holds nothing of the channel afterwards, so that it can be waited
/// for beside other things.
async fn asked_to(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

impl<'a> Speaker<'a> {
    pub(crate) fn new(addr: String, shared: Shared, dialer: &'a Dialer) -> Self {
        Self { addr, shared, dialer }
    }

    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut failures = 0_u32;
        loop {
            let begun = Instant::now();
            let ended = self.converse(&mut stop, &mut failures).await;
            self.shared.state.set(&self.addr, None);
            let Ended::Failed(error) = ended else { return };
            failures = failures.saturating_add(1);
            // One line when it is lost, not one per attempt.
            if failures == 1 {
                warn!(name_server = %self.addr, %error, "cannot report to this name server");
            } else {
                debug!(name_server = %self.addr, %error, failures, "still cannot report");
            }
            let wait = self.shared.config.retry_after(failures).saturating_sub(begun.elapsed());
            if timeout(wait, asked_to(&mut stop)).await.is_ok() {
                return;
            }
        }
    }

    /// One connection, from its first report to its end.
    async fn converse(&self, stop: &mut watch::Receiver<bool>, failures: &mut u32) -> Ended {
        // Changes from here on are news; what was before is in the first report.
        let mut changes = self.shared.changes.listen();
        let begun = async {
            let patience = self.shared.config.connect_timeout();
            let dialed = self.dialer.connect(&self.addr, patience).await;
            let connection = dialed.map_err(Error::from)?;
            if let Some(signer) = &self.shared.signer {
                connection.sign_with(Arc::clone(signer));
            }
            let version = self.report(&connection).await.inspect_err(|_| connection.close())?;
            Ok::<_, Error>((connection, version))
        };
        let (connection, version) = tokio::select! {
            begun = begun => match begun {
                Ok(begun) => begun,
                Err(error) => return error.into(),
            },
            () = asked_to(stop) => return Ended::Stopped,
        };
        *failures = 0;
        let topics = version.counter;
        info!(name_server = %self.addr, version = topics, "reported to the name server");
        let ended = tokio::select! {
            error = self.keep_up(&connection, &mut changes) => error.into(),
            () = asked_to(stop) => {
                self.say_goodbye(&connection).await;
                Ended::Stopped
            }
        };
        connection.close();
        ended
    }

    /// Signs of life and news, until the name server fails.
    async fn keep_up(
        &self,
        connection: &Arc<Connection>,
        changes: &mut watch::Receiver<u64>,
    ) -> Error {
        let config = &self.shared.config;
        let mut last = Instant::now();
        let mut last_news = None;
        loop {
            let news = async {
                // The sender lives in `shared`, so this does not fail.
                let _told = changes.changed().await;
                // News follow news by the pause at least; a lone one goes at once.
                if let Some(last_news) = last_news {
                    sleep_until(last_news + config.change_pause()).await;
                }
            };
            let spoken = tokio::select! {
                () = connection.ended() => Err(Closed(connection.peer()).into()),
                () = news => {
                    changes.mark_unchanged();
                    last_news = Some(Instant::now());
                    self.report(connection).await.map(|_| ())
                }
                () = sleep_until(last + config.report_period()) => {
                    self.sign_of_life(connection).await
                }
            };
            if let Err(error) = spoken {
                return error;
            }
            last = Instant::now();
        }
    }

    /// A full report.
    async fn report(&self, connection: &Connection) -> Result<DataVersion, Error> {
        let snapshot = self.shared.reported.snapshot();
        let version = snapshot.version;
        let config = &self.shared.config;
        let answer = wire::register(connection, &self.shared.identity, snapshot, config).await?;
        self.shared.reported.answered(&self.addr, &answer);
        self.shared.state.set(&self.addr, Some(version));
        Ok(version)
    }

    /// A question for the known version, and a full report if it is not ours.
    async fn sign_of_life(&self, connection: &Connection) -> Result<(), Error> {
        let config = &self.shared.config;
        let version = self.shared.reported.version();
        let known = if config.report_in_full {
            false
        } else {
            !wire::changed(connection, &self.shared.identity, version, config).await?
        };
        if !known {
            self.report(connection).await?;
        }
        Ok(())
    }

    async fn say_goodbye(&self, connection: &Connection) {
        match wire::unregister(connection, &self.shared.identity, FAREWELL).await {
            Ok(()) => info!(name_server = %self.addr, "taken out of the name server"),
            Err(error) => debug!(name_server = %self.addr, %error, "left without a goodbye"),
        }
    }
}
