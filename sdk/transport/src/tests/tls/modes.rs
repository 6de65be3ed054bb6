//! What each mode does with plaintext and TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;

use super::scene::{PATIENCE, Scene};
use crate::tests::support::{ECHO, FILL, Peer, request};
use crate::tls::Mode;
use crate::{Error, Limits};

#[tokio::test]
async fn permissive_serves_both_and_tells_them_apart() {
    let scene = Scene::new(|_| {}).await;
    let mut plain = scene.plain().await;
    plain.send(&request(ECHO, 1, b"plain")).await;
    assert_eq!(plain.answer().await, (1, "plain".into()));
    let dialer = scene.dialer(None, |_| {});
    let secure = scene.dial(&dialer).await.unwrap();
    assert!(secure.is_secure());
    let answer = secure.call(ECHO, |_| {}, b"secret", PATIENCE).await.unwrap();
    assert_eq!(answer.body, "secret");
    let channels = &scene.counts.channels;
    assert_eq!((channels.plain.read(), channels.tls.read()), (1, 1));
    assert_eq!(scene.handshakes("done"), 1);
    dialer.shutdown().await;
    scene.until(|s| s.counts.channels.tls.read() == 0).await;
}

#[tokio::test]
async fn enforcing_answers_plaintext_with_what_to_do_and_closes() {
    let scene = Scene::new(|c| c.mode = Mode::Enforcing).await;
    let mut plain = scene.plain().await;
    // A producer tries again after this code, at once and on the same connection.
    for opaque in [7, 8] {
        plain.send(&request(ECHO, opaque, b"secret")).await;
        let answer = plain.receive().await.unwrap();
        assert_eq!((answer.opaque, answer.code), (opaque, 16));
        assert!(answer.remark().unwrap().contains("tls.enable=true"), "{answer:?}");
    }
    assert!(plain.receive().await.is_none());
    assert_eq!(scene.service.opened.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(scene.handshakes("plaintext"), 1);
    let dialer = scene.dialer(None, |_| {});
    let secure = scene.dial(&dialer).await.unwrap();
    secure.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_closes_on_a_hello() {
    let scene = Scene::new(|_| {}).await;
    let service = Arc::clone(&scene.service);
    let endpoint = crate::tests::support::endpoint(&service, Limits::default());
    let server = crate::Server::bind("127.0.0.1:0", endpoint).await.unwrap();
    let dialer = scene.dialer(None, |_| {});
    let refused = dialer.connect(&server.local_addr().to_string(), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, Error::Tls { .. }), "{refused}");
}

#[tokio::test]
async fn bodies_larger_than_any_buffer_pass_both_ways() {
    let scene = Scene::new(|c| c.mode = Mode::Enforcing).await;
    let dialer = scene.dialer(None, |_| {});
    let secure = scene.dial(&dialer).await.unwrap();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let answer = secure.call(ECHO, |_| {}, &body, PATIENCE).await.unwrap();
    assert!(answer.body == body);
    let calls = (0..40).map(|_| secure.call(FILL, |_| {}, b"100000", PATIENCE));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap().body.len(), 100_000);
    }
}

/// A client of rustls's own, to see what was agreed on.
async fn agreed(
    scene: &Scene,
    groups: &[&'static dyn rustls::crypto::SupportedKxGroup],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> (Option<NamedGroup>, Option<ProtocolVersion>) {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(scene.authority.cert.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: groups.to_vec(),
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_sni = false;
    let stream = TcpStream::connect(scene.server.local_addr()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let mut peer = Peer::new(stream);
    peer.send(&request(ECHO, 1, b"x")).await;
    assert_eq!(peer.answer().await, (1, "x".into()));
    let session = peer.stream.get_ref().1;
    (
        session.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name),
        session.protocol_version(),
    )
}

#[tokio::test]
async fn hybrid_key_exchange_is_preferred_and_older_clients_are_served() {
    use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    use rustls::version::{TLS12, TLS13};

    let scene = Scene::new(|c| c.mode = Mode::Enforcing).await;
    let both = [&TLS13, &TLS12];
    let v13 = Some(ProtocolVersion::TLSv1_3);
    let hybrid = Some(NamedGroup::X25519MLKEM768);
    assert_eq!(agreed(&scene, &[X25519MLKEM768, X25519], &both).await, (hybrid, v13));
    let x25519 = Some(NamedGroup::X25519);
    assert_eq!(agreed(&scene, &[X25519], &both).await, (x25519, v13));
    let v12 = Some(ProtocolVersion::TLSv1_2);
    let p256 = Some(NamedGroup::secp256r1);
    assert_eq!(agreed(&scene, &[SECP256R1], &[&TLS12]).await, (p256, v12));
}

#[tokio::test]
async fn a_server_that_does_not_prove_who_it_is_is_not_connected_to() {
    let scene = Scene::new(|_| {}).await;
    let told = |refused: Error| {
        assert!(matches!(refused, Error::Tls { .. }), "{refused}");
        refused.to_string()
    };
    let other = super::authority::Authority::new("another root");
    scene.write("other.pem", &other.cert);
    let stranger = scene.dialer(None, |o| o.ca = "other.pem".into());
    let text = told(scene.dial(&stranger).await.unwrap_err());
    assert!(text.contains("invalid peer certificate"), "{text}");
    let misnamed = scene.dialer(None, |o| o.server_name = "example.org".to_owned());
    let text = told(scene.dial(&misnamed).await.unwrap_err());
    assert!(text.contains("example.org"), "{text}");
    let careless = scene.dialer(None, |o| {
        o.ca = "other.pem".into();
        o.insecure = true;
    });
    let taken = scene.dial(&careless).await.unwrap();
    taken.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
}
