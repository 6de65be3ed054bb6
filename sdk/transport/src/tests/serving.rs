//! Listeners, dialers and shutdown over loopback sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use super::support::{CLOSE, DEFER, ECHO, FILL, Peer, Scripted, endpoint, request};
use crate::{Dialer, Error, Limits, Refused, Server};

async fn server(service: &Arc<Scripted>, limits: Limits) -> Server {
    Server::bind("127.0.0.1:0", endpoint(service, limits)).await.unwrap()
}

async fn client(server: &Server) -> Peer<TcpStream> {
    Peer::new(TcpStream::connect(server.local_addr()).await.unwrap())
}

#[tokio::test]
async fn a_hostile_client_loses_only_its_own_connection() {
    let service = Arc::new(Scripted::default());
    let server = server(&service, Limits::default()).await;
    let (mut good, mut bad) = (client(&server).await, client(&server).await);
    good.send(&request(ECHO, 1, b"a")).await;
    assert_eq!(good.answer().await, (1, "a".into()));
    bad.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(bad.receive().await.is_none());
    good.send(&request(ECHO, 2, b"b")).await;
    assert_eq!(good.answer().await, (2, "b".into()));
    server.shutdown().await;
}

#[tokio::test]
async fn shutdown_waits_for_answers_that_are_owed_and_joins_all() {
    let service = Arc::new(Scripted::default());
    let server = server(&service, Limits::default()).await;
    let addr = server.local_addr();
    let (mut busy, mut idle) = (client(&server).await, client(&server).await);
    idle.send(&request(ECHO, 1, b"")).await;
    idle.answer().await;
    busy.send(&[request(DEFER, 2, b"owed"), request(ECHO, 3, b"")].concat()).await;
    assert_eq!(busy.answer().await.0, 3);
    let ((), ()) = tokio::join!(server.shutdown(), async {
        assert!(idle.receive().await.is_none());
        service.gate.add_permits(1);
        assert_eq!(busy.answer().await, (2, "owed".into()));
        assert!(busy.receive().await.is_none());
    });
    assert_eq!(service.opened.load(Ordering::SeqCst), 2);
    assert_eq!(service.closed.load(Ordering::SeqCst), 2);
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn answers_are_not_taken_back_from_a_client_that_sends_more_meanwhile() {
    let service = Arc::new(Scripted::default());
    let endpoint = endpoint(&service, Limits::default());
    let counts = Arc::clone(&endpoint.counts);
    let server = Server::bind("127.0.0.1:0", endpoint).await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    // So most of the answer is still on this side when all of it is written.
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut client = Peer::new(socket.connect(server.local_addr()).await.unwrap());
    let asked = [request(FILL, 1, b"1000000"), request(CLOSE, 2, b"")].concat();
    // More than is read with these.
    let more = request(ECHO, 3, b"").repeat(100);
    client.send(&[asked, more].concat()).await;
    while counts.bytes.read()[1] < 1_000_000 {
        tokio::task::yield_now().await;
    }
    let (opaque, body) = client.answer().await;
    assert_eq!((opaque, body.len()), (1, 1_000_000));
    drop(client);
    server.shutdown().await;
}

#[tokio::test]
async fn shutdown_gives_up_on_answers_that_do_not_come() {
    let service = Arc::new(Scripted::default());
    let server = server(&service, Limits { drain_ms: 20, ..Limits::default() }).await;
    let mut held = client(&server).await;
    held.send(&[request(DEFER, 1, b""), request(ECHO, 2, b"")].concat()).await;
    held.answer().await;
    server.shutdown().await;
    assert!(held.receive().await.is_none());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_room_comes_back() {
    let service = Arc::new(Scripted::default());
    let server = server(&service, Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = client(&server).await;
    first.send(&request(ECHO, 1, b"")).await;
    first.answer().await;
    assert_eq!(server.connections(), 1);
    assert!(client(&server).await.receive().await.is_none());
    let told = service.refused.lock().clone();
    assert_eq!((told.len(), told[0].1), (1, Refused::Full), "{told:?}");
    drop(first);
    while service.closed.load(Ordering::SeqCst) == 0 || server.connections() > 0 {
        tokio::task::yield_now().await;
    }
    let mut second = client(&server).await;
    second.send(&request(ECHO, 2, b"")).await;
    assert_eq!(second.answer().await.0, 2);
}

#[tokio::test]
async fn a_session_that_is_not_admitted_is_closed_unread() {
    let service = Arc::new(Scripted { admit: false, ..Scripted::default() });
    let server = server(&service, Limits::default()).await;
    let mut refused = client(&server).await;
    refused.send(&request(ECHO, 1, b"")).await;
    assert!(refused.receive().await.is_none());
    assert_eq!(service.served.load(Ordering::SeqCst), 0);
    assert_eq!(service.closed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_dialer_calls_a_server_and_both_shut_down() {
    let service = Arc::new(Scripted::default());
    let server = server(&service, Limits::default()).await;
    let dialer = Dialer::new(endpoint(&Arc::new(Scripted::default()), Limits::default()));
    let second = Duration::from_secs(1);
    let addr = server.local_addr().to_string();
    let connection = dialer.connect(&addr, second).await.unwrap();
    let answer = connection.call(ECHO, |_| {}, b"hello", second).await.unwrap();
    assert_eq!(answer.body, "hello");
    dialer.shutdown().await;
    connection.ended().await;
    server.shutdown().await;
    let refused = dialer.connect(&addr, second).await.unwrap_err();
    assert!(matches!(refused, Error::Connect { .. }), "{refused}");
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let service = Arc::new(Scripted::default());
    let server = server(&service, Limits::default()).await;
    let addr = server.local_addr().to_string();
    let error = Server::bind(&addr, endpoint(&service, Limits::default())).await.unwrap_err();
    assert!(error.to_string().contains(&addr), "{error}");
}
