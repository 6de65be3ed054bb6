//! What is beyond a quota: refused, held back, and let through when its time has come.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use blockhouse_hook::{Credentials, Hook, Identity, Point, Points};
use blockhouse_meter::{Meter, QuotaKind};
use blockhouse_model::{Principal, RequestContext};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::sys_flag;
use blockhouse_protocol::{ExtWriter, RemotingCommand, RequestHead, encode, frame};
use blockhouse_remoting::Remoting;
use blockhouse_remoting::quota::{Config, Override, Rates, Share};
use blockhouse_transport::{Connection, Replies, Service as _, Sessions as _};
use bytes::BytesMut;

use super::support::{NoNode, World, bodies, pull_header, send_header};

/// Everybody is who they say, and who says nothing is nobody.
struct Believer;

impl Hook for Believer {
    fn name(&self) -> &'static str {
        "believer"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate)
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        match credentials.access_key {
            "" => Identity::Unknown,
            name => Identity::Known(Principal::User(name.into())),
        }
    }
}

struct Scene {
    world: World,
    remoting: Arc<Remoting>,
    connection: Arc<Connection>,
    meter: Arc<Meter>,
}

impl Scene {
    async fn new(config: &Config) -> Self {
        let world = World::new(&[Arc::new(Believer)]).await;
        let meter = Arc::<Meter>::default();
        let (broker, node) = (Arc::clone(&world.broker), Arc::new(NoNode));
        let remoting = Remoting::bounded(broker, node, Arc::clone(&meter), config);
        let at = |port| ([127, 0, 0, 1], port).into();
        Self { world, remoting, connection: Connection::detached(at(5), at(6)), meter }
    }

    /// The answers to a burst, by their numbers.
    async fn burst(&self, frames: BytesMut) -> Vec<RemotingCommand> {
        let mut burst = split(frames);
        let mut replies = Replies::new();
        self.remoting.burst(&self.connection, &mut burst, &mut replies);
        let mut answers = split(BytesMut::from(&*replies.settled().await));
        answers.sort_by_key(|answer| answer.opaque);
        answers
    }

    async fn ask(
        &self,
        user: &str,
        code: i32,
        write: impl FnOnce(&mut ExtWriter<'_>),
    ) -> RemotingCommand {
        let mut frames = BytesMut::new();
        put(&mut frames, user, RequestHead::new(code, 1), write, b"");
        self.burst(frames).await.remove(0)
    }

    async fn pull(&self, user: &str, offset: i64) -> RemotingCommand {
        let header = pull_header("t", offset, "*");
        self.ask(user, request_code::PULL_MESSAGE, |out| header.write(out)).await
    }

    /// The codes of the answers to sends of these bodies, in one burst.
    async fn sends(&self, user: &str, bodies: &[&[u8]]) -> Vec<i32> {
        let mut frames = BytesMut::new();
        for (number, body) in (0..).zip(bodies) {
            send(&mut frames, user, RequestHead::new(request_code::SEND_MESSAGE_V2, number), body);
        }
        self.burst(frames).await.iter().map(|answer| answer.code).collect()
    }

    fn stored(&self) -> u64 {
        let stored = self.meter.requests.read();
        stored.get(&Some((request_code::SEND_MESSAGE_V2, code::SUCCESS))).copied().unwrap_or(0)
    }
}

fn split(mut bytes: BytesMut) -> Vec<RemotingCommand> {
    std::iter::from_fn(|| frame::split(&mut bytes, 1 << 20).unwrap()).collect()
}

fn put(
    out: &mut BytesMut,
    user: &str,
    head: RequestHead,
    write: impl FnOnce(&mut ExtWriter<'_>),
    body: &[u8],
) {
    let fields = |out: &mut ExtWriter<'_>| {
        write(out);
        if !user.is_empty() {
            out.text("AccessKey", user);
        }
    };
    encode::request(out, &head, fields, body);
}

fn send(out: &mut BytesMut, user: &str, head: RequestHead, body: &[u8]) {
    let header = send_header("t", "");
    put(out, user, head, |out| header.write(out), body);
}

fn users(share: Share) -> Config {
    Config { enabled: true, user: share, ..Config::default() }
}

const OK: i32 = code::SUCCESS;
const BUSY: i32 = code::SYSTEM_BUSY;

#[tokio::test]
async fn sends_beyond_a_quota_are_busy_until_it_is_there_again() {
    let scene = Scene::new(&users(Share { requests: 3, ..Share::default() })).await;
    assert_eq!(
        scene.sends("alice", &[b"1", b"2", b"3", b"4", b"5"]).await,
        [OK, OK, OK, BUSY, BUSY]
    );
    assert_eq!(scene.sends("bob", &[b"1"]).await, [OK]);
    let mut frames = BytesMut::new();
    send(&mut frames, "alice", RequestHead::new(request_code::SEND_MESSAGE_V2, 7), b"6");
    let one_way = RequestHead::one_way(request_code::SEND_MESSAGE_V2, 8);
    send(&mut frames, "alice", one_way, b"7");
    let answers = scene.burst(frames).await;
    assert_eq!(answers.len(), 1, "one-way requests have no answer");
    let told = "the quota of requests of this user is used up: come back in 334 ms";
    assert_eq!((answers[0].code, answers[0].remark()), (BUSY, Some(told)));
    // Clients read these from every answer to a send.
    assert_eq!(answers[0].ext.get("MSG_REGION"), Some("DefaultRegion"));
    assert_eq!(scene.meter.quota_refusals.of(QuotaKind::Requests), 4);
    scene.world.clock.advance(Duration::from_millis(334));
    assert_eq!(scene.sends("alice", &[b"8", b"9"]).await, [OK, BUSY]);
    assert_eq!(scene.stored(), 5, "what is refused is not stored");
    scene.world.server.shutdown().await;
}

#[tokio::test]
async fn bytes_are_bounded_whatever_they_come_in() {
    let scene = Scene::new(&users(Share { produce_bytes: 1_000, ..Share::default() })).await;
    let body = [b'x'; 400];
    // What is behind a refused one waits as well: the order of a connection's sends is kept.
    assert_eq!(scene.sends("alice", &[&body, &body, &body, b"x"]).await, [OK, OK, BUSY, BUSY]);
    assert_eq!(scene.sends("alice", &[&body]).await, [BUSY]);
    scene.world.clock.advance(Duration::from_millis(200));
    assert_eq!(scene.sends("alice", &[&body]).await, [OK]);
    assert_eq!(scene.meter.quota_refusals.of(QuotaKind::ProduceBytes), 3);
    assert_eq!(scene.meter.quota_refusals.of(QuotaKind::Requests), 0);
    scene.world.server.shutdown().await;
}

/// Time of tasks stands still but when a test moves it: a runtime with a blocking task does not
/// skip it.
fn stopped_time() -> mpsc::SyncSender<()> {
    let (held, end) = mpsc::sync_channel(1);
    tokio::task::spawn_blocking(move || end.recv());
    held
}

#[tokio::test(start_paused = true)]
async fn pulls_beyond_a_quota_are_held_back_and_asked_for_again() {
    let _held = stopped_time();
    let scene = Scene::new(&users(Share { fetch_bytes: 1_000, ..Share::default() })).await;
    assert_eq!(scene.sends("", &[&[b'x'; 2_000]]).await, [OK]);
    // How much it is shows when it goes out: the first passes, and has to be paid for.
    let first = scene.pull("alice", 0).await;
    assert_eq!((first.code, bodies(&first).len()), (OK, 1));
    let second = async {
        let begun = tokio::time::Instant::now();
        let mut header = pull_header("t", 0, "*");
        header.sys_flag |= sys_flag::SUSPEND;
        header.suspend_timeout_millis = 15_000;
        let code = request_code::PULL_MESSAGE;
        (scene.ask("alice", code, |out| header.write(out)).await, begun.elapsed())
    };
    let moved = async {
        for _ in 0..40 {
            scene.world.clock.advance(Duration::from_millis(100));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    };
    let ((second, took), ()) = tokio::join!(second, moved);
    assert_eq!(second.code, code::PULL_RETRY_IMMEDIATELY);
    assert_eq!(second.ext.get("nextBeginOffset"), Some("0"));
    assert!(second.body.is_empty() && second.remark().unwrap().contains("fetch_bytes"));
    // Some 2,100 bytes at 1,000 a second, of which one second was there.
    assert!((1_000..1_500).contains(&took.as_millis()), "{took:?}");
    assert_eq!(scene.meter.quota_refusals.of(QuotaKind::FetchBytes), 1);
    let third = scene.pull("alice", 0).await;
    assert_eq!((third.code, bodies(&third).len()), (OK, 1));
    assert_eq!(scene.pull("bob", 0).await.code, OK);
    scene.world.server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn no_pull_is_held_back_for_longer_than_clients_wait() {
    let _held = stopped_time();
    let scene = Scene::new(&users(Share { fetch_bytes: 1, ..Share::default() })).await;
    assert_eq!(scene.sends("", &[&[b'x'; 2_000]]).await, [OK]);
    assert_eq!(scene.pull("alice", 0).await.code, OK);
    let wait = tokio::time::advance(Duration::from_secs(5));
    let (answer, ()) = tokio::join!(scene.pull("alice", 0), wait);
    assert_eq!(answer.code, code::PULL_RETRY_IMMEDIATELY);
    scene.world.server.shutdown().await;
}

#[tokio::test]
async fn other_requests_are_refused_but_those_that_keep_a_group_together() {
    let none =
        Override { principals: vec!["anonymous".to_owned()], requests: 1, ..Override::default() };
    let config = Config { enabled: true, overrides: vec![none], ..Config::default() };
    let scene = Scene::new(&config).await;
    let info = request_code::GET_BROKER_RUNTIME_INFO;
    assert_eq!(scene.ask("", info, |_| {}).await.code, OK);
    assert_eq!(scene.ask("", info, |_| {}).await.code, BUSY);
    assert_eq!(scene.ask("alice", info, |_| {}).await.code, OK, "who is not named is not bounded");
    let update = |out: &mut ExtWriter<'_>| {
        for (name, value) in
            [("consumerGroup", "g"), ("topic", "t"), ("queueId", "0"), ("commitOffset", "0")]
        {
            out.text(name, value);
        }
    };
    assert_ne!(scene.ask("", request_code::UPDATE_CONSUMER_OFFSET, update).await.code, BUSY);
    assert_ne!(scene.ask("", request_code::HEART_BEAT, |_| {}).await.code, BUSY);
    scene.world.server.shutdown().await;
}

#[tokio::test]
async fn an_address_is_bounded_over_all_its_connections_and_only_where_it_is_on() {
    let rates = Rates { requests: 2, ..Rates::default() };
    let bounded = Config { enabled: true, address: rates, ..Config::default() };
    for (config, last) in [(bounded.clone(), BUSY), (Config { enabled: false, ..bounded }, OK)] {
        let mut scene = Scene::new(&config).await;
        assert_eq!(scene.sends("alice", &[b"1", b"2"]).await, [OK, OK]);
        scene.connection =
            Connection::detached(([127, 0, 0, 1], 7).into(), ([127, 0, 0, 1], 6).into());
        assert_eq!(scene.sends("bob", &[b"3"]).await, [last]);
        scene.connection =
            Connection::detached(([127, 0, 0, 2], 7).into(), ([127, 0, 0, 1], 6).into());
        assert_eq!(scene.sends("alice", &[b"4"]).await, [OK], "another address");
        scene.world.server.shutdown().await;
    }
}

#[tokio::test]
async fn a_user_with_all_connections_is_told_so_and_the_connection_ends() {
    let mut scene = Scene::new(&users(Share { connections: 1, ..Share::default() })).await;
    assert_eq!(scene.sends("alice", &[b"1"]).await, [OK]);
    let next = || Connection::detached(([127, 0, 0, 1], 7).into(), ([127, 0, 0, 1], 6).into());
    let first = std::mem::replace(&mut scene.connection, next());
    // All of the burst is refused, and counted as one connection.
    assert_eq!(scene.sends("alice", &[b"2", b"3"]).await, [BUSY, BUSY]);
    assert!(scene.connection.is_closed() && !first.is_closed());
    assert_eq!(scene.meter.quota_refusals.of(QuotaKind::Connections), 1);
    scene.connection = next();
    assert_eq!(scene.sends("bob", &[b"4"]).await, [OK], "another user's is another's");
    scene.remoting.closed(&first);
    scene.connection = next();
    let refused = scene.ask("alice", request_code::GET_BROKER_RUNTIME_INFO, |_| {}).await;
    assert_eq!(refused.code, OK, "the place of one that ended is free: {:?}", refused.remark());
    scene.world.server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_bounded_until_they_are_answered() {
    let _held = stopped_time();
    let scene = Scene::new(&users(Share { in_flight: 1, ..Share::default() })).await;
    assert_eq!(scene.sends("alice", &[b"1", b"2"]).await, [OK, BUSY], "one after the other");
    let waits = async {
        let mut header = pull_header("t", 1, "*");
        header.sys_flag |= sys_flag::SUSPEND;
        header.suspend_timeout_millis = 15_000;
        scene.ask("alice", request_code::PULL_MESSAGE, |out| header.write(out)).await
    };
    let meanwhile = async {
        tokio::task::yield_now().await;
        let info = scene.ask("alice", request_code::GET_BROKER_RUNTIME_INFO, |_| {}).await;
        let told = "the quota of in_flight of this user is used up: there are 1 already";
        assert_eq!((info.code, info.remark()), (BUSY, Some(told)));
        assert_eq!(scene.pull("alice", 0).await.code, BUSY, "a pull as well");
        assert_ne!(scene.ask("alice", request_code::HEART_BEAT, |_| {}).await.code, BUSY);
        // As a proxy's connection, which is now this user's and now that one's.
        assert_eq!(scene.ask("bob", request_code::GET_BROKER_RUNTIME_INFO, |_| {}).await.code, OK);
        assert_eq!(scene.pull("alice", 0).await.code, BUSY, "it has not been answered meanwhile");
        // It is what the pull waits for.
        assert_eq!(scene.sends("bob", &[b"3"]).await, [OK]);
    };
    let (pulled, ()) = tokio::join!(waits, meanwhile);
    assert_eq!((pulled.code, bodies(&pulled).len()), (OK, 1));
    assert_eq!(scene.pull("alice", 0).await.code, OK, "it is answered");
    assert_eq!(scene.meter.quota_refusals.of(QuotaKind::InFlight), 4);
    scene.world.server.shutdown().await;
}
