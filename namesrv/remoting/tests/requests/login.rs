//! Connections that have to prove who they are, and how long they may take; over loopback.
#![expect(clippy::unwrap_used, reason = "a step that fails ends the test")]

use std::sync::{Arc, mpsc};
use std::time::Duration;

use blockhouse_hook::{Credentials, Hook, Identity, Point, Points, Rejection};
use blockhouse_meter::{Connections, Shed};
use blockhouse_model::{Principal, RequestContext};
use blockhouse_namesrv_remoting::Settings;
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_transport::{Connection, Dialer, Endpoint, Limits, NoService, NoSessions, Server};

use super::bench::Bench;

const PATIENCE: Duration = Duration::from_secs(30);
const GOOD: [(&str, &str); 2] = [("AccessKey", "alice"), ("Signature", "alice")];
const BAD: [(&str, &str); 2] = [("AccessKey", "alice"), ("Signature", "forged")];
const NONE: [(&str, &str); 0] = [];

/// Believes who signs with their own name, and nobody else.
struct Judge;

impl Hook for Judge {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate)
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        match (credentials.access_key, credentials.signature) {
            (name, signature) if !name.is_empty() && signature == name => {
                Identity::Known(Principal::User(name.into()))
            }
            _ => Identity::Refused(Rejection::new("wrong")),
        }
    }
}

struct Listening {
    server: Server,
    counts: Arc<Connections>,
    dialer: Dialer,
    /// Time stands still but when a test moves it: a runtime with a blocking task does not skip it.
    _blocking: mpsc::SyncSender<()>,
}

impl Listening {
    async fn new() -> Self {
        let (blocking, stopped) = mpsc::sync_channel(1);
        tokio::task::spawn_blocking(move || stopped.recv());
        let bench = Bench::with(Settings::default(), &[Arc::new(Judge)]);
        let service = Arc::new(bench.service);
        let endpoint = Endpoint::new(Arc::clone(&service) as _, service, Limits::default());
        let counts = Arc::clone(&endpoint.counts);
        let server = Server::bind("127.0.0.1:0", endpoint).await.unwrap();
        let no_one = Endpoint::new(Arc::new(NoService), Arc::new(NoSessions), Limits::default());
        Self { server, counts, dialer: Dialer::new(no_one), _blocking: blocking }
    }

    async fn client(&self) -> Arc<Connection> {
        self.dialer.connect(&self.server.local_addr().to_string(), PATIENCE).await.unwrap()
    }

    fn shed(&self, why: Shed) -> u64 {
        self.counts.shed[why as usize].read()
    }
}

async fn asked(client: &Connection, credentials: &[(&str, &str)]) -> i32 {
    let fields = |out: &mut blockhouse_protocol::ExtWriter<'_>| {
        credentials.iter().for_each(|(name, value)| out.pair(name, value));
    };
    let request = request_code::GET_BROKER_CLUSTER_INFO;
    client.call(request, fields, b"", PATIENCE).await.unwrap().code
}

#[tokio::test(start_paused = true)]
async fn bad_credentials_keep_a_connection_only_until_login_ms_and_good_ones_keep_it() {
    let scene = Listening::new().await;
    let (friend, forger) = (scene.client().await, scene.client().await);
    let (nobody, silent) = (scene.client().await, scene.client().await);
    assert_eq!(asked(&friend, &GOOD).await, code::SUCCESS);
    assert_eq!(asked(&forger, &BAD).await, code::NO_PERMISSION);
    assert_eq!(asked(&nobody, &NONE).await, code::NO_PERMISSION);

    // Made is not yet accepted.
    while scene.counts.opened.read() < 4 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(31)).await;
    silent.ended().await;
    assert_eq!((scene.shed(Shed::FirstRequest), scene.shed(Shed::Login)), (1, 0));
    // Whoever goes on asking is heard, and gains no time by it.
    assert_eq!(asked(&forger, &BAD).await, code::NO_PERMISSION);
    assert_eq!(asked(&nobody, &NONE).await, code::NO_PERMISSION);

    tokio::time::advance(Duration::from_secs(30)).await;
    forger.ended().await;
    nobody.ended().await;
    assert_eq!((scene.shed(Shed::FirstRequest), scene.shed(Shed::Login)), (1, 2));
    assert_eq!(asked(&friend, &GOOD).await, code::SUCCESS);
    scene.server.shutdown().await;
}
