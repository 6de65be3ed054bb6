//! Connections that have to prove who they are, and how long they may take.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use blockhouse_hook::{Credentials, Hook, Identity, Point, Points, Rejection};
use blockhouse_meter::Shed;
use blockhouse_model::{Principal, RequestContext};
use blockhouse_protocol::codes::{request_code, response_code as code};

use super::support::{Client, World};

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

/// Time stands still but when a test moves it: a runtime with a blocking task does not skip it.
struct StoppedTime(
    #[expect(dead_code, reason = "dropping it ends the blocking task")] mpsc::SyncSender<()>,
);

impl StoppedTime {
    fn new() -> Self {
        let (stop, stopped) = mpsc::sync_channel(1);
        tokio::task::spawn_blocking(move || stopped.recv());
        Self(stop)
    }
}

async fn asked(client: &Client, credentials: &[(&'static str, &str)]) -> i32 {
    client.ask(request_code::GET_BROKER_RUNTIME_INFO, credentials, b"").await.code
}

const GOOD: [(&str, &str); 2] = [("AccessKey", "alice"), ("Signature", "alice")];
const BAD: [(&str, &str); 2] = [("AccessKey", "alice"), ("Signature", "forged")];
const NONE: [(&str, &str); 0] = [];

#[tokio::test(start_paused = true)]
async fn bad_credentials_keep_a_connection_only_until_login_ms_and_good_ones_keep_it() {
    let _time = StoppedTime::new();
    let world = World::new(&[Arc::new(Judge)]).await;
    let shed = |why: Shed| world.counts.shed[why as usize].read();
    let (friend, forger) = (world.client().await, world.client().await);
    let (nobody, silent) = (world.client().await, world.client().await);
    assert_eq!(asked(&friend, &GOOD).await, code::SUCCESS);
    assert_eq!(asked(&forger, &BAD).await, code::NO_PERMISSION);
    assert_eq!(asked(&nobody, &NONE).await, code::NO_PERMISSION);
    // A good request keeps it, even if others on it are bad.
    assert_eq!(asked(&friend, &BAD).await, code::NO_PERMISSION);

    // Made is not yet accepted.
    while world.counts.opened.read() < 4 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(31)).await;
    silent.0.ended().await;
    assert_eq!((shed(Shed::FirstRequest), shed(Shed::Login)), (1, 0));
    // Whoever goes on asking is heard, and gains no time by it.
    assert_eq!(asked(&forger, &BAD).await, code::NO_PERMISSION);
    assert_eq!(asked(&nobody, &NONE).await, code::NO_PERMISSION);

    tokio::time::advance(Duration::from_secs(30)).await;
    forger.0.ended().await;
    nobody.0.ended().await;
    assert_eq!((shed(Shed::FirstRequest), shed(Shed::Login)), (1, 2));
    assert_eq!(asked(&friend, &GOOD).await, code::SUCCESS);
    world.server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_proves_itself_in_time_stays() {
    let _time = StoppedTime::new();
    let world = World::new(&[Arc::new(Judge)]).await;
    let late = world.client().await;
    assert_eq!(asked(&late, &BAD).await, code::NO_PERMISSION);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(asked(&late, &GOOD).await, code::SUCCESS);
    // Another one that proved nothing goes, so the deadlines were looked at meanwhile.
    let other = world.client().await;
    assert_eq!(asked(&other, &BAD).await, code::NO_PERMISSION);
    tokio::time::advance(Duration::from_secs(61)).await;
    other.0.ended().await;
    assert_eq!(asked(&late, &GOOD).await, code::SUCCESS);
    assert_eq!(world.counts.shed[Shed::Login as usize].read(), 1);
    world.server.shutdown().await;
}
