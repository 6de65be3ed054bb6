//! Connections that nobody vouches for, over loopback sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blockhouse_meter::Shed;
use blockhouse_protocol::RemotingCommand;
use tokio::net::{TcpSocket, TcpStream};

use super::support::{ECHO, Peer, Scripted, endpoint, request};
use crate::{Connection, Endpoint, Limits, Refused, Replies, Server, Service};

/// Vouches for nobody until it is told to.
struct Doubtful {
    inner: Arc<Scripted>,
    believes: AtomicBool,
}

impl Service for Doubtful {
    fn burst(
        &self,
        from: &Arc<Connection>,
        burst: &mut Vec<RemotingCommand>,
        replies: &mut Replies,
    ) {
        if self.believes.load(Ordering::SeqCst) {
            from.vouch();
        }
        self.inner.burst(from, burst, replies);
    }

    fn vouches(&self) -> bool {
        true
    }
}

struct Scene {
    server: Server,
    endpoint: Endpoint,
    service: Arc<Doubtful>,
}

async fn scene(believes: bool, change: impl FnOnce(&mut Limits)) -> Scene {
    let mut limits = Limits::default();
    change(&mut limits);
    let inner = Arc::new(Scripted::default());
    let service = Arc::new(Doubtful { inner: Arc::clone(&inner), believes: believes.into() });
    let endpoint = Endpoint { service: service.clone(), ..endpoint(&inner, limits) };
    let server = Server::bind("127.0.0.1:0", endpoint.clone()).await.unwrap();
    Scene { server, endpoint, service }
}

impl Scene {
    async fn connect(&self) -> Peer<TcpStream> {
        self.connect_from("127.0.0.1").await
    }

    /// Connects, and waits until the server has taken the connection in.
    async fn connect_from(&self, ip: &str) -> Peer<TcpStream> {
        let before = self.endpoint.counts.opened.read();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
        let peer = Peer::new(socket.connect(self.server.local_addr()).await.unwrap());
        while self.endpoint.counts.opened.read() == before {
            tokio::task::yield_now().await;
        }
        peer
    }

    /// What the sessions were told, and of which address.
    fn told(&self) -> Vec<(String, Refused, String)> {
        self.service.inner.refused.lock().clone()
    }

    fn shed(&self, why: Shed) -> u64 {
        self.endpoint.counts.shed[why as usize].read()
    }
}

async fn served(peer: &mut Peer<TcpStream>) {
    peer.send(&request(ECHO, 1, b"x")).await;
    assert_eq!(peer.answer().await.0, 1);
}

#[tokio::test]
async fn the_oldest_that_said_nothing_makes_room_and_those_that_were_let_in_stay() {
    let scene = scene(true, |l| l.unproven_max = 2).await;
    let mut proven = scene.connect().await;
    served(&mut proven).await;
    let (mut oldest, mut half) = (scene.connect().await, scene.connect().await);
    half.send(&request(ECHO, 1, b"half")[..7]).await;
    let mut newest = scene.connect().await;
    assert!(oldest.receive().await.is_none());
    half.send(&request(ECHO, 1, b"half")[7..]).await;
    assert_eq!(half.answer().await, (1, "half".into()));
    served(&mut newest).await;
    served(&mut proven).await;
    assert_eq!(scene.shed(Shed::Unproven), 1);
    scene.server.shutdown().await;
}

#[tokio::test]
async fn an_address_makes_room_among_its_own() {
    let scene = scene(true, |l| l.unproven_per_address_max = 1).await;
    let mut other = scene.connect_from("127.0.0.3").await;
    let mut oldest = scene.connect_from("127.0.0.2").await;
    let mut newest = scene.connect_from("127.0.0.2").await;
    assert!(oldest.receive().await.is_none());
    served(&mut other).await;
    served(&mut newest).await;
    assert_eq!(scene.shed(Shed::Address), 1);
    let why = "nobody vouches for it (address)".to_owned();
    assert_eq!(scene.told(), [("127.0.0.2".to_owned(), Refused::Unproven, why)]);
}

#[tokio::test]
async fn an_address_has_so_many_connections_even_if_they_are_proven() {
    let scene = scene(true, |l| l.connections_per_address_max = 1).await;
    let mut first = scene.connect_from("127.0.0.2").await;
    served(&mut first).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut refused = Peer::new(socket.connect(scene.server.local_addr()).await.unwrap());
    assert!(refused.receive().await.is_none());
    served(&mut scene.connect_from("127.0.0.3").await).await;
    served(&mut first).await;
    assert_eq!(scene.endpoint.counts.refused.read(), 1);
    let why = "too many connections of its address (connections_per_address_max)".to_owned();
    assert_eq!(scene.told(), [("127.0.0.2".to_owned(), Refused::Full, why)]);
}

#[tokio::test]
async fn with_all_connections_taken_one_that_is_not_proven_makes_room() {
    let scene = scene(true, |l| l.connections_max = 2).await;
    let mut proven = scene.connect().await;
    served(&mut proven).await;
    let mut silent = scene.connect().await;
    let mut newcomer = scene.connect().await;
    assert!(silent.receive().await.is_none());
    served(&mut newcomer).await;
    served(&mut proven).await;
    assert_eq!(scene.shed(Shed::Connections), 1);
}

#[tokio::test]
async fn who_is_not_let_in_stays_only_so_long() {
    let scene = scene(false, |l| l.login_ms = 50).await;
    let mut stranger = scene.connect().await;
    served(&mut stranger).await;
    assert!(stranger.receive().await.is_none());
    assert_eq!(scene.shed(Shed::Login), 1);
    scene.service.believes.store(true, Ordering::SeqCst);
    let mut friend = scene.connect().await;
    served(&mut friend).await;
    let mut silent = scene.connect().await;
    assert!(silent.receive().await.is_none());
    served(&mut friend).await;
    assert_eq!(scene.shed(Shed::Login), 2);
    assert_eq!(scene.told().len(), 2, "each of them is told");
}

#[tokio::test]
async fn a_first_request_without_end_has_a_deadline_and_a_bound() {
    let scene = scene(true, |l| (l.first_request_ms, l.unproven_bytes) = (50, 100_000)).await;
    let mut slow = scene.connect().await;
    slow.send(&request(ECHO, 1, b"x")[..7]).await;
    assert!(slow.receive().await.is_none());
    assert_eq!(scene.shed(Shed::FirstRequest), 1);
    assert!(scene.told()[0].2.contains("first_request"), "{:?}", scene.told());
    let scene = self::scene(true, |l| l.unproven_bytes = 100_000).await;
    let mut long = scene.connect().await;
    long.send(&request(ECHO, 1, &vec![0; 400_000])[..300_000]).await;
    assert!(long.receive().await.is_none());
    assert_eq!(scene.shed(Shed::Bytes), 1);
    assert!(scene.told()[0].2.contains("bytes"), "{:?}", scene.told());
    let mut proven = scene.connect().await;
    served(&mut proven).await;
    proven.send(&request(ECHO, 1, &vec![0; 400_000])).await;
    assert_eq!(proven.answer().await.1.len(), 400_000);
}
