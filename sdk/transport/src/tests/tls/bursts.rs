//! What TLS costs: writes and reads of a burst.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::DuplexStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use super::authority::Authority;
use crate::tests::support::{Counted, ECHO, FILL, Peer, Scripted, addr, endpoint, request};
use crate::tls::wire::Wire;
use crate::{Dialer, Limits};

struct Secured {
    service: Arc<Scripted>,
    /// Of the socket below the server's session.
    writes: Arc<AtomicUsize>,
    peer: Peer<client::TlsStream<DuplexStream>>,
    _owns_the_connection: Dialer,
}

/// A connection under TLS over a pipe of `capacity` bytes each way.
async fn secured(capacity: usize) -> Secured {
    let authority = Authority::new("root");
    let issued = authority.server();
    let chain = vec![CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let provider = crate::tls::provider();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.cert.as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (ours, theirs) = tokio::io::duplex(capacity);
    let writes = Arc::new(AtomicUsize::new(0));
    let wire = Wire::new(Counted { stream: ours, writes: Arc::clone(&writes) }, None);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let (accepted, connected) = tokio::join!(
        TlsAcceptor::from(Arc::new(server)).accept(wire),
        TlsConnector::from(Arc::new(client)).connect(name, theirs)
    );
    let service = Arc::new(Scripted::default());
    let dialer = Dialer::new(endpoint(&service, Limits::default()));
    let _connection = dialer.adopt(accepted.unwrap(), addr(), addr());
    let mut peer = Peer::new(connected.unwrap());
    // What the handshake still had to write is out when this is answered.
    peer.send(&request(ECHO, 0, b"")).await;
    peer.answer().await;
    writes.store(0, Ordering::SeqCst);
    service.bursts.lock().clear();
    Secured { service, writes, peer, _owns_the_connection: dialer }
}

#[tokio::test]
async fn a_burst_is_handed_on_at_once_and_answered_by_one_write() {
    let mut secured = secured(1 << 20).await;
    let burst: Vec<u8> = (1..=100).flat_map(|opaque| request(ECHO, opaque, b"x")).collect();
    assert!(burst.len() < 16 * 1024, "one record: {}", burst.len());
    // The first read is of the size that is usual after silence.
    secured.peer.send(&burst).await;
    for opaque in 1..=100 {
        assert_eq!(secured.peer.answer().await, (opaque, "x".into()));
    }
    let bursts = secured.service.bursts.lock().len();
    assert!(bursts <= 4, "{bursts}");
    let writes = secured.writes.load(Ordering::SeqCst);
    assert!(writes <= bursts, "{writes} writes for {bursts} bursts");
}

#[tokio::test]
async fn what_a_full_socket_did_not_take_is_written_later() {
    // Less than a record fits in: the session keeps the rest, and nobody asks for more meanwhile.
    let mut secured = secured(2_000).await;
    for (opaque, len) in [(1, 40_000), (2, 300_000), (3, 1)] {
        secured.peer.send(&request(FILL, opaque, len.to_string().as_bytes())).await;
        let (answered, body) = secured.peer.answer().await;
        assert_eq!((answered, body.len()), (opaque, len));
    }
}
