//! Beginnings that are no good.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::scene::{PATIENCE, Scene, with_clients};
use crate::Limits;
use crate::tests::support::ECHO;
use crate::tls::Mode;

/// Whether the server ends this connection.
async fn is_ended(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok()
}

async fn connect(scene: &Scene) -> TcpStream {
    TcpStream::connect(scene.server.local_addr()).await.unwrap()
}

#[tokio::test]
async fn half_a_hello_ends_at_the_deadline_and_a_thousand_of_them_stop_nobody() {
    let scene = Scene::new(|c| {
        c.mode = Mode::Enforcing;
        c.handshake_ms = 1_500;
        c.handshakes_max = 1;
    })
    .await;
    let mut held = Vec::new();
    for at in 0..1_000_usize {
        let mut stream = connect(&scene).await;
        // The beginning of a record that promises 500 bytes; every other one says nothing at all.
        let hello = [0x16, 3, 1, 1, 0xf4, 1, 0, 1, 0xf0];
        stream.write_all(&hello[..if at % 2 == 0 { 9 } else { 0 }]).await.unwrap();
        held.push(stream);
    }
    let dialer = scene.dialer(None, |_| {});
    let good = scene.dial(&dialer).await.unwrap();
    good.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    for stream in &mut held {
        assert!(is_ended(stream).await);
    }
    scene.until(|s| s.handshakes("timeout") == 1_000).await;
    good.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_silent_connection_in_permissive_mode_has_the_time_of_an_idle_one() {
    let limits = Limits { idle_ms: 100, ..Limits::default() };
    let scene = Scene::limited(|c| c.handshake_ms = 60_000, limits).await;
    assert!(is_ended(&mut connect(&scene).await).await);
    assert_eq!(scene.handshakes("timeout"), 0);
}

#[tokio::test]
async fn a_hello_in_single_bytes_is_understood() {
    let scene = Scene::new(|c| c.mode = Mode::Enforcing).await;
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (front, back) = (relay.local_addr().unwrap(), scene.server.local_addr());
    let mut relaying = tokio::task::JoinSet::new();
    relaying.spawn(async move {
        let (mut client, _) = relay.accept().await.unwrap();
        let mut server = TcpStream::connect(back).await.unwrap();
        server.set_nodelay(true).unwrap();
        let (mut from_server, mut to_server) = server.split();
        let (mut from_client, mut to_client) = client.split();
        let up = async {
            while let Ok(byte) = from_client.read_u8().await {
                to_server.write_u8(byte).await.unwrap();
            }
        };
        tokio::join!(up, tokio::io::copy(&mut from_server, &mut to_client)).1.ok();
    });
    let dialer = scene.dialer(None, |_| {});
    let connection = dialer.connect(&front.to_string(), PATIENCE).await.unwrap();
    let answer = connection.call(ECHO, |_| {}, b"slow", PATIENCE).await.unwrap();
    assert_eq!(answer.body, "slow");
}

#[tokio::test]
async fn a_hello_without_end_is_cut_off() {
    let scene = Scene::new(|c| c.handshake_ms = 600_000).await;
    let mut stream = connect(&scene).await;
    // Records of one handshake message that says it has 64 KB, each with 1 KB of it.
    let mut record = vec![0x16, 3, 1, 4, 0];
    record.extend([1, 0, 0xf0, 0]);
    record.extend([0; 1020]);
    let sent = timeout(PATIENCE, async {
        for _ in 0..64 {
            if stream.write_all(&record).await.is_err() {
                return;
            }
        }
    });
    sent.await.unwrap();
    let mut rest = Vec::new();
    // Closed with bytes unread: a reset is as good as an end.
    let _reset = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    scene.until(|s| s.handshakes("failed") == 1).await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_handshakes() {
    let scene = Scene::new(|c| {
        c.mode = Mode::Enforcing;
        c.handshake_ms = 600_000;
    })
    .await;
    let mut silent = connect(&scene).await;
    let mut half = connect(&scene).await;
    half.write_all(&[0x16, 3, 1]).await.unwrap();
    scene.until(|s| s.server.connections() == 2).await;
    timeout(Duration::from_secs(5), scene.server.shutdown()).await.unwrap();
    assert!(is_ended(&mut silent).await && is_ended(&mut half).await);
}

#[test]
fn any_first_bytes_end_or_wait_and_others_are_served() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scenes = runtime.block_on(async {
        let enforcing = Scene::new(|c| {
            with_clients(c);
            c.mode = Mode::Enforcing;
            c.handshake_ms = 50;
        });
        [Scene::new(|c| c.handshake_ms = 50).await, enforcing.await]
    });
    let beginning = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        prop::collection::vec(any::<u8>(), 0..600)
            .prop_map(|rest| [&[0x16, 3, 1], &rest[..]].concat()),
        (any::<u16>(), prop::collection::vec(any::<u8>(), 0..600)).prop_map(|(len, rest)| {
            [&[0x16, 3, 1], &len.to_be_bytes()[..], &[1, 0], &len.to_be_bytes()[..], &rest].concat()
        }),
    ];
    let config = ProptestConfig { failure_persistence: None, cases: 200, ..Default::default() };
    proptest!(config, |(bytes in beginning)| {
        runtime.block_on(async {
            for scene in &scenes {
                let mut stream = connect(scene).await;
                // The server may have closed it before all is written.
                let _cut = stream.write_all(&bytes).await;
                let _reset = stream.shutdown().await;
                prop_assert!(is_ended(&mut stream).await);
            }
            Ok(())
        })?;
    });
    runtime.block_on(async {
        for scene in &scenes {
            let good = scene.dial(&scene.dialer(None, |_| {})).await.unwrap();
            assert!(good.is_secure());
            scene.until(|s| s.server.connections() <= 1).await;
        }
    });
}

#[tokio::test]
async fn who_begins_many_handshakes_and_finishes_none_holds_up_no_other_address() {
    let scene = Scene::new(|c| {
        c.handshakes_max = 4;
        c.handshake_ms = 600_000;
    })
    .await;
    let hello = hello();
    let mut held = Vec::new();
    for _ in 0..8 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut stream = socket.connect(scene.server.local_addr()).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        held.push(stream);
    }
    // Those that have a turn are answered, and answer nothing themselves.
    let mut answered: FuturesUnordered<_> = held.iter_mut().map(|s| s.read_u8()).collect();
    for _ in 0..2 {
        answered.next().await.unwrap().unwrap();
    }
    let dialer = scene.dialer(None, |_| {});
    let good = scene.dial(&dialer).await.unwrap();
    good.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
}

/// A whole hello, as a client of rustls sends it.
fn hello() -> Vec<u8> {
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

    let config = ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().unwrap();
    let mut bytes = Vec::new();
    let mut client = ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    client.write_tls(&mut bytes).unwrap();
    bytes
}
