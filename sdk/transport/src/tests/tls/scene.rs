//! A server with TLS, its files, and clients of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{MemDisk, whole};
use blockhouse_meter::Connections;
use blockhouse_model::{ManualClock, Timestamp};
use tokio::net::TcpStream;

use super::authority::{Authority, Issued};
use crate::tests::support::{Peer, Scripted, endpoint};
use crate::tls::{Acceptor, ClientAuth, Config, Connector, Mode, Outgoing};
use crate::{Connection, Dialer, Error, Limits, Server};

/// 2026-06-01.
const NOW: Timestamp = Timestamp(1_780_272_000_000);
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Scene {
    pub(super) authority: Authority,
    pub(super) disk: MemDisk,
    pub(super) clock: Arc<ManualClock>,
    pub(super) service: Arc<Scripted>,
    pub(super) counts: Arc<Connections>,
    pub(super) tls: Arc<Acceptor>,
    pub(super) server: Server,
}

impl Scene {
    /// A server with files `server.pem`, `server.key`, `ca.pem` and `crl.pem` (nobody revoked).
    pub(super) async fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::limited(change, Limits::default()).await
    }

    pub(super) async fn limited(change: impl FnOnce(&mut Config), limits: Limits) -> Self {
        let authority = Authority::new("test root");
        let disk = MemDisk::new();
        let issued = authority.server();
        write(&disk, "server.pem", &issued.cert);
        write(&disk, "server.key", &issued.key);
        write(&disk, "ca.pem", &authority.cert);
        write(&disk, "crl.pem", &authority.revoke(&[]));
        let mut config = config();
        change(&mut config);
        assert_eq!(config.validate(), Ok(()));
        let clock = Arc::new(ManualClock::at(NOW));
        let counts = Arc::new(Connections::default());
        let disk_of_it = Arc::new(disk.clone());
        let tls = Acceptor::load(&config, disk_of_it, clock.clone(), Arc::clone(&counts));
        let tls = tls.unwrap().unwrap();
        let service = Arc::new(Scripted::default());
        let mut endpoint = endpoint(&service, limits);
        endpoint.tls = Some(Arc::clone(&tls));
        endpoint.counts = Arc::clone(&counts);
        let server = Server::bind("127.0.0.1:0", endpoint).await.unwrap();
        Self { authority, disk, clock, service, counts, tls, server }
    }

    pub(super) fn write(&self, file: &str, text: &str) {
        write(&self.disk, file, text);
    }

    pub(super) fn install(&self, issued: &Issued) {
        self.write("server.pem", &issued.cert);
        self.write("server.key", &issued.key);
    }

    pub(super) async fn plain(&self) -> Peer<TcpStream> {
        Peer::new(TcpStream::connect(self.server.local_addr()).await.unwrap())
    }

    /// A dialer that trusts the root, with a certificate if one is given.
    pub(super) fn dialer(
        &self,
        client: Option<&Issued>,
        change: impl FnOnce(&mut Outgoing),
    ) -> Dialer {
        let mut config = Outgoing { ca: "ca.pem".into(), ..Outgoing::default() };
        if let Some(client) = client {
            self.write("client.pem", &client.cert);
            self.write("client.key", &client.key);
            config.cert = "client.pem".into();
            config.key = "client.key".into();
        }
        change(&mut config);
        let connector = Connector::load(&config, Arc::new(self.disk.clone()), self.clock.clone());
        let endpoint = endpoint(&Arc::new(Scripted::default()), Limits::default());
        Dialer::new(endpoint).over(Some(Arc::new(connector.unwrap())))
    }

    pub(super) async fn dial(&self, dialer: &Dialer) -> Result<Arc<Connection>, Error> {
        dialer.connect(&self.server.local_addr().to_string(), PATIENCE).await
    }

    /// How many handshakes ended so.
    pub(super) fn handshakes(&self, outcome: &str) -> u64 {
        let at = blockhouse_meter::HANDSHAKES.iter().position(|name| *name == outcome).unwrap();
        self.counts.channels.handshakes[at].read()
    }

    /// Waits for a count that another task makes.
    pub(super) async fn until(&self, what: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !what(self) {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("it does not come to that");
    }
}

pub(super) fn config() -> Config {
    Config {
        mode: Mode::Permissive,
        cert: "server.pem".into(),
        key: "server.key".into(),
        ..Config::default()
    }
}

/// Asks for certificates, and looks into the list.
pub(super) fn with_clients(config: &mut Config) {
    config.client_auth = ClientAuth::Optional;
    config.client_ca = "ca.pem".into();
    config.client_crl = vec!["crl.pem".into()];
}

pub(super) fn write(disk: &MemDisk, file: &str, text: &str) {
    whole::replace(disk, Path::new(file), text.as_bytes()).unwrap();
}
