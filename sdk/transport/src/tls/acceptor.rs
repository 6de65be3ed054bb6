//! TLS on accepted connections: what is in force, who is connected, and the change of both.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use blockhouse_disk::Disk;
use blockhouse_meter::Connections;
use blockhouse_model::Clock;
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::certificate::Facts;
use super::material::{Current, Material, Prints};
use super::provider::Now;
use super::turns::Turns;
use super::{Config, Error, Mode};
use crate::Connection;

/// What listeners with TLS share.
pub struct Acceptor {
    pub(super) config: Config,
    disk: Arc<dyn Disk>,
    now: Now,
    pub(super) counts: Arc<Connections>,
    current: RwLock<Arc<Current>>,
    /// What could not be taken the last time, so that it is said once.
    failed: Mutex<Option<Failed>>,
    pub(super) turns: Turns,
    /// Connections whose clients showed certificates.
    live: Mutex<HashMap<u64, Live>>,
    /// There is another certificate whose end may be the next.
    ends_changed: Notify,
}

/// A connection with a certificate.
#[derive(Clone)]
struct Live {
    connection: Weak<Connection>,
    chain: Arc<[CertificateDer<'static>]>,
    /// From when on one of the chain is good no more, since 1970.
    end: Duration,
}

#[derive(PartialEq)]
enum Failed {
    /// These contents were tried.
    Contents(Prints),
    /// The files could not be read, with this text.
    Files(String),
}

/// A connection stays known for as long as this.
pub struct Known {
    acceptor: Arc<Acceptor>,
    id: u64,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.acceptor.live.lock().remove(&self.id);
    }
}

impl Acceptor {
    /// Reads and tries all files; `None` if TLS is disabled.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(
        config: &Config,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        counts: Arc<Connections>,
    ) -> Result<Option<Arc<Self>>, Error> {
        if config.mode == Mode::Disabled {
            return Ok(None);
        }
        let now = Now(clock);
        let current = Material::read(config, &*disk)?.build(config, &now)?;
        if !disk.is_private(&config.key).unwrap_or(true) {
            warn!(file = %config.key.display(), "others than its owner may read the private key");
        }
        show_end(&counts, &current);
        Ok(Some(Arc::new(Self {
            config: config.clone(),
            disk,
            now,
            counts,
            current: RwLock::new(Arc::new(current)),
            failed: Mutex::new(None),
            turns: Turns::new(config.handshakes_max),
            live: Mutex::default(),
            ends_changed: Notify::new(),
        })))
    }

    pub(super) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read())
    }

    /// Looks at the files, and takes what changed if it is good: for connections made from now on.
    /// If clients are trusted on other grounds, open connections are judged again. Blocks for as
    /// long as the disk and the signatures take. Gives whether something changed.
    ///
    /// # Errors
    /// What is wrong with the new contents; it is logged and counted once for the same contents.
    pub fn reload(&self) -> Result<bool, Error> {
        let material = match Material::read(&self.config, &*self.disk) {
            Ok(material) => material,
            Err(error) => return Err(self.refuse(Failed::Files(error.to_string()), error)),
        };
        let (prints, before) = (material.prints(), self.current().prints);
        if prints == before {
            *self.failed.lock() = None;
            return Ok(false);
        }
        let next = match material.build(&self.config, &self.now) {
            Ok(next) => Arc::new(next),
            Err(error) => return Err(self.refuse(Failed::Contents(prints), error)),
        };
        *self.failed.lock() = None;
        *self.current.write() = Arc::clone(&next);
        show_end(&self.counts, &next);
        self.counts.channels.reloads[0].add(1);
        info!(valid_until = next.end, "certificates were read again");
        if prints.trust != before.trust {
            let live: Vec<Live> = self.live.lock().values().cloned().collect();
            self.judge_again(&next, live);
        }
        Ok(true)
    }

    /// Waits until a client with a certificate has come: [`expire`](Self::expire) may say something else then.
    pub async fn another(&self) {
        self.ends_changed.notified().await;
    }

    fn refuse(&self, what: Failed, error: Error) -> Error {
        let mut failed = self.failed.lock();
        if failed.as_ref() != Some(&what) {
            self.counts.channels.reloads[1].add(1);
            warn!(%error, "changed certificates are not taken, the old ones stay in force");
            *failed = Some(what);
        }
        error
    }

    /// Closes connections whose certificates are no longer good.
    fn judge_again(&self, current: &Current, live: impl IntoIterator<Item = Live>) {
        for Live { connection, chain, .. } in live {
            let Some(connection) = connection.upgrade() else { continue };
            if !current.admits(&chain, &self.now) {
                self.counts.channels.revoked.add(1);
                warn!(peer = %connection.peer(), user = ?connection.certificate(), "closed: its certificate is no longer good");
                connection.cut();
            }
        }
    }

    /// Closes connections whose clients' certificates have ended. Gives how long it is until the next one
    /// ends, if there is one.
    pub fn expire(&self) -> Option<Duration> {
        let now = self.now.since_1970();
        let (ended, going): (Vec<Live>, Vec<Live>) =
            self.live.lock().values().cloned().partition(|live| live.end <= now);
        for connection in ended.iter().filter_map(|live| live.connection.upgrade()) {
            if !connection.is_closed() {
                self.counts.channels.revoked.add(1);
                warn!(peer = %connection.peer(), user = ?connection.certificate(), "closed: its certificate has ended");
            }
            connection.cut();
        }
        going.iter().map(|live| live.end.saturating_sub(now)).min()
    }

    /// Takes note of a client's certificate, which was judged by `used`.
    pub(super) fn know(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        chain: &[CertificateDer<'_>],
        used: &Arc<Current>,
    ) -> Known {
        let chain: Vec<_> = chain.iter().map(|c| c.clone().into_owned()).collect();
        let ends = chain.iter().filter_map(|certificate| Facts::read(certificate).ok());
        // A certificate is good until its last second is over.
        let second = Duration::from_secs(1);
        let end = ends.map(|facts| facts.end.saturating_add(second)).min();
        let end = end.unwrap_or(Duration::MAX);
        let live = Live { connection: Arc::downgrade(connection), chain: chain.into(), end };
        self.live.lock().insert(connection.id(), live);
        self.ends_changed.notify_one();
        let known = Known { acceptor: Arc::clone(self), id: connection.id() };
        // What came into force during the handshake did not see this one among the live.
        let now = self.current();
        if now.prints.trust != used.prints.trust {
            self.judge_again(&now, self.live.lock().get(&connection.id()).cloned());
        }
        known
    }
}

fn show_end(counts: &Connections, current: &Current) {
    counts.channels.certificate_end.set(i64::try_from(current.end).unwrap_or(i64::MAX));
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("mode", &self.config.mode).finish_non_exhaustive()
    }
}
