//! Connections from balancers.

use std::net::SocketAddr;
use std::sync::Arc;

use blockhouse_meter::Shed;
use blockhouse_protocol::RemotingCommand;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::support::{ECHO, Peer, Scripted, endpoint, request};
use crate::proxy::Protocol;
use crate::{Connection, Endpoint, Limits, Replies, Server, Service};

/// Answers with the address that it sees.
struct Seen;

impl Service for Seen {
    fn burst(
        &self,
        from: &Arc<Connection>,
        burst: &mut Vec<RemotingCommand>,
        replies: &mut Replies,
    ) {
        for command in burst.drain(..) {
            let head = blockhouse_protocol::encode::ResponseHead::new(command.opaque, 0, None);
            let seen = from.peer().to_string();
            blockhouse_protocol::encode::response(replies.frames(), &head, |_| {}, seen.len());
            replies.frames().extend_from_slice(seen.as_bytes());
        }
    }
}

async fn server(change: impl FnOnce(&mut Limits)) -> (Server, Endpoint) {
    let mut limits = Limits {
        proxy_protocol: Protocol::Required,
        proxy_networks: vec!["127.0.0.2".parse().unwrap()],
        ..Limits::default()
    };
    change(&mut limits);
    assert_eq!(limits.validate(), Ok(()));
    let endpoint =
        Endpoint { service: Arc::new(Seen), ..endpoint(&Arc::new(Scripted::default()), limits) };
    (Server::bind("127.0.0.1:0", endpoint.clone()).await.unwrap(), endpoint)
}

async fn from(ip: &str, to: SocketAddr) -> Peer<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Peer::new(stream)
}

fn binary(command: u8, source: [u8; 4], port: u16) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11, 0, 12 + 4]);
    header.extend(source);
    header.extend([10, 0, 0, 1]);
    header.extend(port.to_be_bytes());
    header.extend([0, 80, 4, 0, 1, 0]);
    header
}

#[tokio::test]
async fn a_balancer_says_who_the_client_is_and_the_first_request_may_come_with_it() {
    let (server, _) = server(|_| {}).await;
    let line = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 10911\r\n".to_vec();
    for header in [line, binary(0x21, [192, 0, 2, 7], 56324)] {
        let mut together = from("127.0.0.2", server.local_addr()).await;
        together.send(&[&header[..], &request(ECHO, 1, b"")].concat()).await;
        assert_eq!(together.answer().await, (1, "192.0.2.7:56324".into()));
        let mut bytewise = from("127.0.0.2", server.local_addr()).await;
        for byte in &header {
            bytewise.stream.write_all(&[*byte]).await.unwrap();
        }
        bytewise.send(&request(ECHO, 2, b"")).await;
        assert_eq!(bytewise.answer().await, (2, "192.0.2.7:56324".into()));
    }
    let mut own = from("127.0.0.2", server.local_addr()).await;
    own.send(&[binary(0x20, [0; 4], 0), request(ECHO, 3, b"")].concat()).await;
    let (_, seen) = own.answer().await;
    assert_eq!(seen, own.stream.local_addr().unwrap().to_string());
}

#[tokio::test]
async fn nobody_else_is_believed_and_a_balancer_may_not_be_silent_about_it() {
    let (server, endpoint) = server(|_| {}).await;
    let line = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 10911\r\n";
    let mut other = from("127.0.0.3", server.local_addr()).await;
    other.send(&[&line[..], &request(ECHO, 1, b"")].concat()).await;
    assert!(other.receive().await.is_none());
    let mut direct = from("127.0.0.3", server.local_addr()).await;
    direct.send(&request(ECHO, 1, b"")).await;
    let (_, seen) = direct.answer().await;
    assert_eq!(seen, direct.stream.local_addr().unwrap().to_string());
    let mut without = from("127.0.0.2", server.local_addr()).await;
    without.send(&request(ECHO, 1, b"")).await;
    assert!(without.receive().await.is_none());
    assert_eq!(endpoint.counts.shed[Shed::Proxy as usize].read(), 1);
}

#[tokio::test]
async fn limits_of_an_address_are_the_clients_not_the_balancers() {
    let (server, endpoint) = server(|l| l.connections_per_address_max = 1).await;
    let connect = async |client: u8| {
        let mut peer = from("127.0.0.2", server.local_addr()).await;
        peer.send(&[binary(0x21, [192, 0, 2, client], 1), request(ECHO, 1, b"")].concat()).await;
        peer
    };
    let (mut first, mut second) = (connect(1).await, connect(2).await);
    assert_eq!(first.answer().await.0, 1);
    assert_eq!(second.answer().await.0, 1);
    assert!(connect(1).await.receive().await.is_none());
    assert_eq!(endpoint.counts.refused.read(), 1);
}

#[tokio::test]
async fn a_header_has_the_deadline_of_a_first_request_and_a_stop_waits_for_none() {
    let (server, endpoint) = server(|l| l.first_request_ms = 50).await;
    let mut half = from("127.0.0.2", server.local_addr()).await;
    half.send(b"PROXY TCP4").await;
    assert!(half.receive().await.is_none());
    assert_eq!(endpoint.counts.shed[Shed::FirstRequest as usize].read(), 1);
    server.shutdown().await;
    let (server, endpoint) = self::server(|_| {}).await;
    let mut held = from("127.0.0.2", server.local_addr()).await;
    held.send(b"PROXY").await;
    while endpoint.counts.opened.read() == 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown().await;
    assert!(held.receive().await.is_none());
}
