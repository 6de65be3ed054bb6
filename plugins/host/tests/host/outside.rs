//! What waits for others: messages and requests of plugins.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blockhouse_hook::{Appended, HookChain};
use blockhouse_host::{Binding, Config, Host, Interface, Outgoing, PublishError, Publisher};
use blockhouse_model::{
    MessageId, PhysicalOffset, Principal, QueueId, QueueOffset, RequestContext,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::rig::{Shelf, binding, component, request};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
const REPORTS: &str = "reports";

/// Keeps what plugins send, and shows it to the hooks as a broker does.
struct Recorder {
    sent: SyncSender<(String, String, String, String)>,
    chain: Arc<OnceLock<HookChain>>,
}

impl Publisher for Recorder {
    fn publish(&self, message: &Outgoing<'_>, timeout: Duration) -> Result<(), PublishError> {
        if message.body.len() > 1_000 {
            return Err(PublishError::TooLarge);
        }
        if message.topic == "closed" {
            return Err(PublishError::Refused("the topic is closed".to_owned()));
        }
        assert!(timeout <= Duration::from_secs(10), "bounded by the call");
        let body = String::from_utf8_lossy(message.body).into_owned();
        let Outgoing { binding, topic, properties, .. } = *message;
        self.sent
            .send((binding.to_owned(), topic.to_owned(), body, properties.to_owned()))
            .unwrap();
        if let Some(chain) = self.chain.get() {
            let principal = Principal::plugin(binding);
            append(chain, &RequestContext { principal, ..request(None) }, topic);
        }
        Ok(())
    }
}

fn append(chain: &HookChain, cx: &RequestContext, topic: &str) {
    append_with(chain, cx, topic, "");
}

fn append_with(chain: &HookChain, cx: &RequestContext, topic: &str, properties: &str) {
    let id = MessageId { host: ([127, 0, 0, 1], 1).into(), offset: PhysicalOffset(0) };
    let message = Appended {
        topic,
        queue: QueueId(1),
        queue_offset: QueueOffset(2),
        id,
        body_len: 1,
        properties,
    };
    chain.after_append(cx, &[message]);
}

/// Couriers that are bound, and what they sent.
struct Couriers {
    host: Host,
    chain: Arc<OnceLock<HookChain>>,
    sent: Receiver<(String, String, String, String)>,
    _shelf: Shelf,
}

impl Couriers {
    fn new(ca: Option<&str>, configs: &[(&str, serde_json::Value)], grants: [&[&str]; 2]) -> Self {
        let shelf = Shelf::new();
        let digest = shelf.put(&component("courier"));
        let bound = configs.iter().map(|(name, config)| {
            let mut bound = courier(&digest, &config.to_string());
            bound.name = (*name).to_owned();
            let [http, publish] = grants.map(|list| list.iter().map(|s| (*s).to_owned()).collect());
            (bound.grants.http, bound.grants.publish) = (http, publish);
            bound.grants.publish.push(REPORTS.to_owned());
            bound
        });
        let http_ca = ca.map(|pem| {
            let path = shelf.path("ca");
            blockhouse_disk::whole::replace(&blockhouse_disk::RealDisk, &path, pem.as_bytes())
                .unwrap();
            path
        });
        let (send, sent) = sync_channel(100);
        let chain = Arc::new(OnceLock::new());
        let publisher = Recorder { sent: send, chain: Arc::clone(&chain) };
        let config = Config { http_ca, binding: bound.collect(), ..Config::default() };
        let host = shelf
            .start_on(&config, Arc::new(blockhouse_disk::RealDisk), Some(Arc::new(publisher)))
            .unwrap()
            .unwrap();
        assert!(chain.set(HookChain::new(&host.hooks())).is_ok());
        Self { host, chain, sent, _shelf: shelf }
    }

    /// A client's message is stored in `topic`.
    fn append(&self, topic: &str) {
        append(self.chain.get().unwrap(), &request(Some("ann")), topic);
    }

    /// The next message: binding, topic, body, properties.
    fn next(&self) -> (String, String, String, String) {
        self.sent.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e}: {:?}", self.host.status()))
    }

    /// What became of one message or request.
    fn outcome(ca: Option<&str>, config: &serde_json::Value, grants: [&[&str]; 2]) -> String {
        let mut config = config.clone();
        config["report"] = REPORTS.into();
        let couriers = Self::new(ca, &[("courier", config)], grants);
        couriers.append("orders");
        loop {
            let (_, topic, body, _) = couriers.next();
            if topic == REPORTS {
                return body;
            }
        }
    }
}

impl Drop for Couriers {
    fn drop(&mut self) {
        self.host.close();
    }
}

fn courier(digest: &str, config: &str) -> Binding {
    let mut bound = binding(digest, config);
    bound.deadline_ms = Some(10_000);
    bound
}

/// Answers each connection with what `answer` makes of the request; `None` keeps it waiting.
struct Server {
    address: SocketAddr,
    requests: Receiver<String>,
}

impl Server {
    fn start(tls: bool, answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, requests) = sync_channel(100);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut stream = if tls { wrap(stream) } else { Box::new(stream) };
                // A client that refuses the certificate leaves at once.
                let Ok(request) = read_request(&mut stream) else { continue };
                match answer(&request) {
                    // One that does not take it all has its reason.
                    Some(answer) => drop(stream.write_all(&answer).and_then(|()| stream.flush())),
                    None => kept.push(stream),
                }
                if seen.send(request).is_err() {
                    return;
                }
            }
        });
        Self { address, requests }
    }

    fn url(&self, scheme: &str, rest: &str) -> String {
        format!("{scheme}://{}{rest}", self.address)
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

const CA: &str = include_str!("certs/ca.pem");

fn wrap(stream: TcpStream) -> Box<dyn Stream> {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("certs/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certs/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    Box::new(rustls::StreamOwned::new(connection, stream))
}

fn read_request(stream: &mut dyn Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body)?;
    bytes.extend(body);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn answer(status: &str, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    Some([head.as_bytes(), body].concat())
}

fn asks(url: &str) -> serde_json::Value {
    serde_json::json!({ "request": { "method": "POST", "url": url, "timeout_ms": 10_000 } })
}

#[test]
fn a_request_reaches_a_listed_address_as_the_host_writes_it() {
    let server = Server::start(false, |_| answer("200 OK", b"hello"));
    let mut config = asks(&server.url("http", "/v1/events?day=1"));
    config["request"]["headers"] = serde_json::json!({ "X-Audit": "yes" });
    let outcome = Couriers::outcome(None, &config, [&[&server.url("http", "/v1/")], &[]]);
    assert_eq!(outcome, "200 5 hello");
    let request = server.requests.recv_timeout(PATIENCE).unwrap();
    assert!(request.starts_with("POST /v1/events?day=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\norders/1/2"), "{request}");
    let host = format!("host: {}\r\n", server.address);
    for line in [&*host, "x-audit: yes\r\n", "connection: close\r\n"] {
        assert!(request.to_lowercase().contains(line), "{line} {request}");
    }
}

#[test]
fn what_is_not_listed_is_not_connected_to() {
    let server = Server::start(false, |_| answer("200 OK", b""));
    let granted = server.url("http", "/v1/");
    for url in [
        server.url("http", "/v2/"),
        server.url("http", "/v1/../v2/"),
        server.url("http", "/v1/%2e%2e/v2/"),
        server.url("https", "/v1/"),
        format!("http://user@{}/v1/", server.address),
        format!("http://localhost:{}/v1/", server.address.port()),
    ] {
        let outcome = Couriers::outcome(None, &asks(&url), [&[&granted], &[]]);
        assert_eq!(outcome, "Failure::NotGranted", "{url}");
    }
    assert!(server.requests.try_recv().is_err(), "nothing arrived");
}

#[test]
fn headers_that_are_the_hosts_are_refused() {
    let mut config = asks("http://127.0.0.1:9/");
    for (name, value) in
        [("Host", "evil.example"), ("Transfer-Encoding", "chunked"), ("a", "b\r\nc")]
    {
        config["request"]["headers"] = serde_json::json!({ name: value });
        let outcome = Couriers::outcome(None, &config, [&["http://127.0.0.1:9/"], &[]]);
        assert!(outcome.contains("not legal"), "{name}: {outcome}");
    }
}

#[test]
fn what_is_too_large_is_refused_both_ways() {
    let server = Server::start(false, |request| {
        answer("200 OK", &vec![b'x'; if request.contains("/many") { 300 << 10 } else { 200 << 10 }])
    });
    let outcome = |path: &str, body: usize| {
        let mut config = asks(&server.url("http", path));
        config["request"]["body_size"] = body.into();
        Couriers::outcome(None, &config, [&[&server.url("http", "/")], &[]])
    };
    assert_eq!(outcome("/few", 300 << 10), "Failure::OverLimit");
    assert!(server.requests.try_recv().is_err(), "nothing arrived");
    assert_eq!(outcome("/many", 1), "Failure::OverLimit");
    assert!(outcome("/few", 200 << 10).starts_with("200 204800 "));
}

#[test]
fn a_redirection_is_an_answer() {
    let elsewhere = Server::start(false, |_| answer("200 OK", b""));
    let to = elsewhere.url("http", "/secret");
    let server = Server::start(false, move |_| {
        Some(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into())
    });
    let granted = [&*server.url("http", "/"), &*elsewhere.url("http", "/")];
    let outcome = Couriers::outcome(None, &asks(&server.url("http", "/")), [&granted, &[]]);
    assert_eq!(outcome, "302 0 ");
    assert!(elsewhere.requests.try_recv().is_err(), "it was followed");
}

#[test]
fn a_server_that_does_not_answer_is_left_in_time() {
    let server = Server::start(false, |_| None);
    let mut config = asks(&server.url("http", "/"));
    config["request"]["timeout_ms"] = 50.into();
    let granted = server.url("http", "/");
    assert_eq!(Couriers::outcome(None, &config, [&[&granted], &[]]), "Failure::TimedOut");

    // The call's own deadline, though more was asked for: it ends as an answer, not as a failure.
    config["request"]["timeout_ms"] = 3_600_000.into();
    config["report"] = REPORTS.into();
    let shelf = Shelf::new();
    let mut bound = courier(&shelf.put(&component("courier")), &config.to_string());
    bound.deadline_ms = Some(400);
    (bound.grants.http, bound.grants.publish) = (vec![granted], vec![REPORTS.to_owned()]);
    let (send, sent) = sync_channel(10);
    let publisher = Recorder { sent: send, chain: Arc::default() };
    let config = Config { binding: vec![bound], ..Config::default() };
    let host = shelf
        .start_on(&config, Arc::new(blockhouse_disk::RealDisk), Some(Arc::new(publisher)))
        .unwrap()
        .unwrap();
    append(&HookChain::new(&host.hooks()), &request(None), "orders");
    assert_eq!(sent.recv_timeout(PATIENCE).unwrap().2, "Failure::TimedOut");
    host.close();
}

#[test]
fn only_certificates_of_known_authorities_are_believed() {
    let server = Server::start(true, |_| answer("200 OK", b"hello"));
    let outcome = |ca, host: &str| {
        let url = format!("https://{host}:{}/", server.address.port());
        Couriers::outcome(ca, &asks(&url), [&[&url], &[]])
    };
    assert_eq!(outcome(Some(CA), "127.0.0.1"), "200 5 hello");
    let unknown = outcome(None, "127.0.0.1");
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
}

#[test]
fn a_file_of_authorities_without_any_is_refused() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("courier"));
    let refused = |http_ca: std::path::PathBuf| {
        let mut bound = courier(&digest, "{}");
        bound.grants.http = vec!["https://a/".to_owned()];
        let config = Config { http_ca: Some(http_ca), binding: vec![bound], ..Config::default() };
        shelf.start_with(&config).err().unwrap().to_string()
    };
    assert!(refused(shelf.path("nothing")).contains("not there"));
    assert!(refused(shelf.path(&digest)).contains("no certificate"));
}

#[test]
fn a_message_goes_to_a_listed_topic() {
    let config = serde_json::json!({
        "topic": "audit-eu", "properties": { "TAGS": "red", "k": "v" }, "report": REPORTS
    });
    let couriers = Couriers::new(None, &[("auditor", config)], [&["http://a/"], &["audit-*"]]);
    couriers.append("orders");
    let (binding, topic, body, properties) = couriers.next();
    assert_eq!([&*binding, &*topic, &*body], ["auditor", "audit-eu", "orders/1/2"]);
    assert_eq!(properties, "TAGS\u{1}red\u{2}k\u{1}v\u{2}");
    assert_eq!(couriers.next().2, "stored");
}

#[test]
fn a_message_that_may_not_be_is_not_sent() {
    let outcome = |topic: &str, body_size: usize, properties: serde_json::Value| {
        let config =
            serde_json::json!({ "topic": topic, "body_size": body_size, "properties": properties });
        Couriers::outcome(None, &config, [&["http://a/"], &["audit-*", "closed"]])
    };
    let none = || serde_json::json!({});
    assert_eq!(outcome("orders", 0, none()), "Failure::NotGranted");
    assert_eq!(outcome("audit-a b", 0, none()), "Failure::NotGranted");
    assert_eq!(outcome("audit-x", 2_000, none()), "Failure::OverLimit");
    assert!(outcome("closed", 0, none()).contains("the topic is closed"));
    let illegal = outcome("audit-x", 0, serde_json::json!({ "a\u{1}b": "c" }));
    assert!(illegal.contains("control bytes"), "{illegal}");
}

#[test]
fn two_plugins_that_answer_each_other_do_not_go_on_forever() {
    let sends_to = |topic: &str| serde_json::json!({ "topic": topic });
    let configs = [("ping", sends_to("pong-in")), ("pong", sends_to("ping-in"))];
    let couriers = Couriers::new(None, &configs, [&["http://a/"], &["ping-in", "pong-in"]]);
    couriers.append("orders");
    let mut senders = [couriers.next().0, couriers.next().0];
    senders.sort();
    assert_eq!(senders, ["ping", "pong"]);
    // What waits is finished before the end.
    couriers.host.close();
    assert!(couriers.sent.try_recv().is_err(), "one message of a client's caused a third");
}

#[test]
fn who_waits_keeps_nobody_else_waiting() {
    let server = Server::start(false, |_| None);
    let mut waits = asks(&server.url("http", "/"));
    waits["report"] = REPORTS.into();
    let sends = serde_json::json!({ "topic": "copies" });
    let configs = [("a-waits", waits), ("b-sends", sends)];
    let couriers = Couriers::new(None, &configs, [&[&server.url("http", "/")], &["copies"]]);
    couriers.append("orders");
    server.requests.recv_timeout(PATIENCE).unwrap();
    couriers.append("orders");
    let copies = [couriers.next(), couriers.next()].map(|(binding, topic, ..)| (binding, topic));
    let copy = ("b-sends".to_owned(), "copies".to_owned());
    assert_eq!(copies, [copy.clone(), copy], "before the first one's time is over");
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let server = Server::start(false, |_| None);
    let url = server.url("http", "/");
    let couriers = Couriers::new(None, &[("a", asks(&url))], [&[&url], &[]]);
    couriers.append("orders");
    server.requests.recv_timeout(PATIENCE).unwrap();
    let (chain, properties) = (couriers.chain.get().unwrap(), "x".repeat(32 << 10));
    (0..600).for_each(|_| append_with(chain, &request(Some("ann")), "orders", &properties));
    let lost = || couriers.host.status()[0].hooks[0].lost;
    // 16 MiB have room for 512 times 32 KiB, without what else is kept of each.
    assert!((88..=100).contains(&lost()), "{} of 600", lost());
    couriers.host.close();
    assert_eq!(lost(), 600, "the rest is lost with the stop");
}

#[test]
fn the_end_of_the_host_is_the_end_of_what_waits() {
    let server = Server::start(false, |_| None);
    let mut config = asks(&server.url("http", "/"));
    config["report"] = REPORTS.into();
    let couriers = Couriers::new(None, &[("a", config)], [&[&server.url("http", "/")], &[]]);
    (0..3).for_each(|_| couriers.append("orders"));
    server.requests.recv_timeout(PATIENCE).unwrap();
    couriers.host.close();
    assert!(couriers.next().2.contains("the node stops"));
    assert_eq!(couriers.host.status()[0].hooks[0].lost, 2, "what was behind it is counted");
}

#[test]
fn what_waits_is_not_bound_to_what_clients_wait_for() {
    let shelf = Shelf::new();
    let digest = shelf.put(&component("conformance"));
    let refused = |change: &dyn Fn(&mut Binding)| {
        let mut bound = binding(&digest, "{}");
        bound.hooks = vec![Interface::AfterAppend, Interface::BeforeSend];
        change(&mut bound);
        shelf.start(vec![bound]).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let http = refused(&|bound| bound.grants.http = vec!["https://a/".to_owned()]);
    assert!(http.contains("`http`") && http.contains("before-send"), "{http}");
    let nothing_stores = refused(&|bound| bound.grants.publish = vec!["x".to_owned()]);
    assert!(nothing_stores.contains("brokers only"), "{nothing_stores}");
    let ungranted = {
        let courier = shelf.put(&component("courier"));
        let mut bound = super::outside::courier(&courier, "{}");
        bound.grants.http = vec!["https://a/".to_owned()];
        shelf.start(vec![bound]).err().unwrap().to_string()
    };
    assert!(ungranted.contains("does not grant") && ungranted.contains("publish"), "{ungranted}");
}
