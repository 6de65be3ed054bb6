//! The listener as HTTP clients see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blockhouse_hook::{
    AuditEvent, Auditor, Awaited, Credentials, Hook, HookChain, Hooks, Identity, Point, Points,
    Rejection, Settled, Verdict,
};
use blockhouse_model::{
    Access, Action, ManualClock, Principal, RequestContext, Resource, Timestamp,
};
use blockhouse_ops::{Change, Check, Config, Door, Handler, Ops, Page, Parts, Reply, Row, View};
use blockhouse_service::Tasks;
use hyper::http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

struct DenyAll;

impl Hook for DenyAll {
    fn name(&self) -> &'static str {
        "deny all"
    }

    fn points(&self) -> Points {
        Points::all()
    }

    fn authorize(&self, _: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        assert_eq!(accesses.len(), 1);
        Verdict::Reject(Rejection::new("no"))
    }
}

/// A sink whose records are durable when the test says so, and that hands on what it is told. It lets nobody delete.
struct Holding(mpsc::Sender<(Awaited, oneshot::Sender<bool>)>, mpsc::Sender<AuditEvent>);

impl Hook for Holding {
    fn name(&self) -> &'static str {
        "holding"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::AuditSink).with(Point::Authorize)
    }

    fn authorize(&self, _: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        if accesses.iter().any(|access| access.action == Action::Delete) {
            return Verdict::Reject(Rejection::new("no"));
        }
        Verdict::Continue
    }

    fn audit(&self, events: &[AuditEvent]) {
        for event in events {
            assert!(self.1.try_send(event.clone()).is_ok(), "more events than are looked at");
        }
    }

    fn audit_settled(&self, awaited: Awaited) -> Option<Settled> {
        let (tell, told) = oneshot::channel();
        // Full, it drops the sender: as if nothing could be recorded.
        let _full = self.0.try_send((awaited, tell));
        Some(Box::pin(async move {
            match told.await {
                Ok(true) => Ok(()),
                _ => Err(Rejection::new("the disk is full")),
            }
        }))
    }
}

struct Fixture {
    address: SocketAddr,
    tasks: Tasks,
    ready: Arc<AtomicBool>,
    hooks: Arc<Hooks>,
}

const fn call_access() -> Access<'static> {
    Access { action: Action::Get, resource: Resource::Cluster }
}

fn rows() -> Vec<Row> {
    let access = |action| Access { action, resource: Resource::Cluster };
    let change = |refuse: Option<&'static str>| {
        Handler::Change(Arc::new(Change {
            body_max: 8,
            refuse: Box::new(move |_| refuse.map(str::to_owned)),
            judge: Box::new(|call| match &*call.body {
                b"other" => call.denied(Access { action: Action::Delete, ..call_access() }),
                b"?" => Some(Reply::refusal(StatusCode::BAD_REQUEST, "request", "a question")),
                _ => None,
            }),
            make: Box::new(|call| {
                let body = String::from_utf8_lossy(&call.body);
                Reply::ok(serde_json::json!([call.name, call.parameter("a"), body]))
            }),
        }))
    };
    let deleted = change(None);
    let info = Handler::Look(Box::new(|_| Reply::ok(serde_json::json!({ "version": "1" }))));
    let row = |path, method, action, handler| Row { path, method, access: access(action), handler };
    vec![
        row("/v1/info", Method::GET, Action::Get, info),
        row("/v1/things/*", Method::PUT, Action::Update, change(None)),
        row("/v1/things/*", Method::DELETE, Action::Delete, deleted),
        row("/v1/closed", Method::POST, Action::Update, change(Some("not from there"))),
    ]
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp(0)))
}

fn start() -> Result<Fixture, blockhouse_ops::Error> {
    start_with(Door::open(clock()))
}

fn start_with(door: Door) -> Result<Fixture, blockhouse_ops::Error> {
    start_of(door, rows())
}

fn start_of(door: Door, rows: Vec<Row>) -> Result<Fixture, blockhouse_ops::Error> {
    start_for(2, door, rows)
}

fn start_for(
    connections_max: usize,
    door: Door,
    rows: Vec<Row>,
) -> Result<Fixture, blockhouse_ops::Error> {
    let tasks = Tasks::new("ops");
    let ready = Arc::new(AtomicBool::new(false));
    let hooks = Arc::new(Hooks::none());
    let store = Arc::clone(&ready);
    let check = move || {
        if store.load(Ordering::SeqCst) { Ok(()) } else { Err("still recovering".to_owned()) }
    };
    let parts = Parts {
        checks: vec![Check { name: "store", ready: Box::new(check) }],
        complaints: Box::new(Vec::new),
        notes: Box::new(|| vec!["all is well".to_owned()]),
        views: vec![View {
            path: "/metrics",
            access: Access { action: Action::Get, resource: Resource::Cluster },
            show: Box::new(|accept| {
                let content_type = "text/plain; version=0.0.4; charset=utf-8";
                Ok(Page { content_type, body: format!("a_total 1\n{accept}").into_bytes() })
            }),
        }],
        rows,
        hooks: Arc::clone(&hooks),
        door,
        tasks: tasks.clone(),
    };
    let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let config = Config { listen, connections_max, tls: false };
    let running = Ops::start(&config, parts)?;
    let address = running.map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |r| r.local_addr());
    Ok(Fixture { address, tasks, ready, hooks })
}

async fn ask(fixture: &Fixture, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(fixture.address).await?;
    let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let fixture = start().unwrap();
    let answer = ask(&fixture, "GET /healthz").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    let answer = ask(&fixture, "GET /readyz").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nstore: still recovering\n"), "{answer}");
    fixture.ready.store(true, Ordering::SeqCst);
    let answer = ask(&fixture, "GET /readyz").await.unwrap();
    assert!(answer.ends_with("\r\n\r\nready\nall is well\n"), "{answer}");
    let answer = ask(&fixture, "GET /metrics").await.unwrap();
    assert!(answer.ends_with("\r\n\r\na_total 1\n"), "{answer}");
    assert!(ask(&fixture, "HEAD /metrics").await.unwrap().ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn rows_are_found_by_path_and_method_and_need_permission() {
    let fixture = start().unwrap();
    let answer = ask(&fixture, "GET /v1/info?x=1").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-type: application/json"), "{answer}");
    assert!(ask(&fixture, "GET /v1/nothing").await.unwrap().starts_with("HTTP/1.1 404 "));
    let answer = ask(&fixture, "POST /v1/info").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET"), "{answer}");
    let deny: Arc<dyn Hook> = Arc::new(DenyAll);
    fixture.hooks.swap(HookChain::new(&[deny]));
    let answer = ask(&fixture, "GET /v1/info").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("no\n"), "{answer}");
}

/// As a look at policies does while a change of them waits for the disk.
#[tokio::test]
async fn a_look_that_waits_keeps_nobody_else_waiting() {
    let (go, wait) = std::sync::mpsc::sync_channel(1);
    let (tell, mut began) = mpsc::channel(1);
    let wait = parking_lot::Mutex::new(wait);
    let look = Handler::Look(Box::new(move |_| {
        tell.try_send(()).unwrap();
        // Only if it keeps the worker, which would let it go on, is nothing told in time.
        wait.lock().recv_timeout(Duration::from_secs(20)).unwrap();
        Reply::ok(serde_json::json!("seen"))
    }));
    let access = Access { action: Action::Get, resource: Resource::Cluster };
    let row = Row { path: "/v1/waits", method: Method::GET, access, handler: look };
    let fixture = start_of(Door::open(clock()), vec![row]).unwrap();
    let meanwhile = async {
        began.recv().await.unwrap();
        let answer = ask(&fixture, "GET /healthz").await.unwrap();
        assert!(answer.ends_with("ok\n"), "{answer}");
        go.send(()).unwrap();
    };
    let (answer, ()) = tokio::join!(ask(&fixture, "GET /v1/waits"), meanwhile);
    let answer = answer.unwrap();
    assert!(answer.ends_with("\"seen\"\n"), "{answer}");
}

/// Whoever asks again and again while the disk hangs, and does not wait for the answer.
#[tokio::test]
async fn looks_that_hang_take_a_few_threads_whoever_waits_for_them() {
    let (go, wait) = std::sync::mpsc::sync_channel(8);
    let (tell, mut began) = mpsc::channel(8);
    let wait = parking_lot::Mutex::new(wait);
    let wait = Handler::Look(Box::new(move |_| {
        tell.try_send(()).unwrap();
        wait.lock().recv_timeout(Duration::from_secs(60)).unwrap();
        Reply::ok(serde_json::json!("seen"))
    }));
    let other = Handler::Look(Box::new(|_| Reply::ok(serde_json::json!("other"))));
    let row = |path, handler| Row { path, method: Method::GET, access: call_access(), handler };
    let rows = vec![row("/v1/waits", wait), row("/v1/other", other)];
    let fixture = start_for(32, Door::open(clock()), rows).unwrap();
    for _ in 0..4 {
        let mut gone = TcpStream::connect(fixture.address).await.unwrap();
        gone.write_all(b"GET /v1/waits HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        began.recv().await.unwrap();
    }
    for _ in 0..3 {
        let answer = ask(&fixture, "GET /v1/waits").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("busy"), "{answer}");
        assert!(ask(&fixture, "GET /v1/other").await.unwrap().ends_with("\"other\"\n"));
    }
    assert!(began.try_recv().is_err(), "a fifth thread waits");
    for _ in 0..5 {
        go.send(()).unwrap();
    }
    // The four end one after the other, and on a machine that is busy not within the second for which a look waits.
    let mut answer = ask(&fixture, "GET /v1/waits").await.unwrap();
    for _ in 0..60 {
        if !answer.starts_with("HTTP/1.1 503 ") {
            break;
        }
        answer = ask(&fixture, "GET /v1/waits").await.unwrap();
    }
    assert!(answer.ends_with("\"seen\"\n"), "{answer}");
}

#[tokio::test]
async fn changes_have_a_body_that_is_bounded_and_come_from_where_they_may() {
    let fixture = start().unwrap();
    let send = async |line: &str, headers: &str, body: &str| {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        let len = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, serde_json::from_str::<serde_json::Value>(body).unwrap_or_default())
    };
    let (status, told) = send("PUT /v1/things/x?a=1", "", "12345678").await;
    assert_eq!((&*status, told), ("200", serde_json::json!(["x", "1", "12345678"])));
    let (status, told) = send("PUT /v1/things/x", "", "123456789").await;
    assert_eq!((&*status, &told["kind"]), ("413", &"too-large".into()));
    let (status, told) = send("PUT /v1/things/x", "origin: http://a.example\r\n", "1").await;
    assert_eq!((&*status, &told["kind"]), ("403", &"forbidden".into()));
    let (status, told) = send("POST /v1/closed", "", "1").await;
    assert_eq!((&*status, &told["error"]), ("403", &"not from there".into()));
    let deny: Arc<dyn Hook> = Arc::new(DenyAll);
    fixture.hooks.swap(HookChain::new(&[deny]));
    assert_eq!(send("PUT /v1/things/x", "", "1").await.0, "403");
}

#[tokio::test]
async fn connections_are_limited_and_idle_ones_do_not_hold_up_a_stop() {
    let fixture = start().unwrap();
    let mut idle = Vec::new();
    for _ in 0..2 {
        // An answered request on a kept connection: it is known to have its slot.
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut start = [0_u8; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        idle.push(stream);
    }
    let mut third = TcpStream::connect(fixture.address).await.unwrap();
    let mut rest = Vec::new();
    let closed = third.read_to_end(&mut rest).await;
    assert!(closed.is_err() || rest.is_empty());
    assert_eq!(fixture.tasks.stop(Duration::from_secs(5)).await, Vec::<String>::new());
}

#[tokio::test]
async fn changes_and_their_refusals_are_answered_after_the_record_of_them() {
    let fixture = start().unwrap();
    let (tell, mut asked) = mpsc::channel(8);
    let (sink, mut told) = mpsc::channel(8);
    fixture.hooks.audit_with(&Arc::new(Auditor::new(clock())));
    fixture.hooks.swap(HookChain::new(&[Arc::new(Holding(tell, sink)) as _]));
    let send = async |line: &str| {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let status = async |mut stream: TcpStream| {
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        String::from_utf8_lossy(&start[9..]).into_owned()
    };
    // Before it is made, and before it is answered.
    for (durable, expected) in
        [(&[true, true][..], "200"), (&[true, false], "503"), (&[false], "503")]
    {
        let stream = send("PUT /v1/things/x").await;
        let mut is_first = true;
        for durable in durable {
            let (awaited, tell) = asked.recv().await.unwrap();
            assert_eq!(awaited, Awaited::Control);
            assert!(is_silent(&stream), "{expected}");
            // Nothing is done before the first record.
            assert!(told.try_recv().is_ok_and(|event| event.announced) == is_first, "{expected}");
            is_first = false;
            tell.send(*durable).unwrap();
        }
        assert_eq!(status(stream).await, expected);
    }
    for durable in [true, false] {
        let stream = send("DELETE /v1/things/x").await;
        let (awaited, tell) = asked.recv().await.unwrap();
        assert_eq!(awaited, Awaited::Control);
        assert!(is_silent(&stream));
        tell.send(durable).unwrap();
        assert_eq!(status(stream).await, "403");
    }
    assert_eq!(status(send("GET /v1/info").await).await, "200");
    assert!(asked.try_recv().is_err());
}

/// What comes of a change is what is told of it, also where its body says that it is not made.
#[tokio::test]
async fn what_a_body_has_refused_is_not_told_as_allowed() {
    let fixture = start().unwrap();
    let (tell, mut asked) = mpsc::channel(8);
    let (sink, mut told) = mpsc::channel(8);
    fixture.hooks.audit_with(&Arc::new(Auditor::new(clock())));
    fixture.hooks.swap(HookChain::new(&[Arc::new(Holding(tell, sink)) as _]));
    let put = "AdminCommand PUT /v1/things/x";
    for (body, status, expected) in [
        ("other", "403", vec!["Authorization Delete Refused".to_owned()]),
        ("?", "400", vec![format!("{put} Refused")]),
        ("too long!", "413", vec![format!("{put} Refused")]),
        ("1", "200", vec![format!("{put} Allowed")]),
    ] {
        let send = async {
            let mut stream = TcpStream::connect(fixture.address).await.unwrap();
            let len = body.len();
            let head = format!("PUT /v1/things/x HTTP/1.1\r\nhost: x\r\ncontent-length: {len}");
            let request = format!("{head}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::pin!(send);
        let answer = loop {
            tokio::select! {
                answer = &mut send => break answer,
                Some((awaited, tell)) = asked.recv() => {
                    assert_eq!(awaited, Awaited::Control);
                    tell.send(true).unwrap();
                }
            }
        };
        assert_eq!(answer.split(' ').nth(1), Some(status), "{body}: {answer}");
        let line =
            |event: AuditEvent| format!("{:?} {} {:?}", event.kind, event.action, event.outcome);
        let lines: Vec<String> = std::iter::from_fn(|| told.try_recv().ok()).map(line).collect();
        assert_eq!(lines, expected, "{body}");
    }
}

/// Whether nothing has come: what is answered only after the record cannot have.
fn is_silent(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Stands where policies do and refuses nothing: as an audit log or, if it decides, policies.
struct Standing {
    decides: bool,
}

impl Hook for Standing {
    fn name(&self) -> &'static str {
        "standing"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize)
    }

    fn decides_who_may(&self) -> bool {
        self.decides
    }
}

/// Knows one user, whose name is his password, and asks everybody.
struct Users;

impl Hook for Users {
    fn name(&self) -> &'static str {
        "users"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate)
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        let right = format!("{}+{:?}", credentials.access_key, credentials.signed_fields);
        if credentials.access_key == "root" || credentials.signature != right {
            return Identity::Refused(Rejection::new("not known"));
        }
        Identity::Known(Principal::User(credentials.access_key.into()))
    }
}

fn asking(clock: &Arc<ManualClock>) -> Door {
    Door {
        sign: Some(Box::new(|password, text| format!("{password}+{text:?}"))),
        is_super: Box::new(|who| *who == Principal::User("admin".into())),
        ..Door::open(Arc::clone(clock) as _)
    }
}

/// The status of the answer; `pair` is the Base64 of a name and a password.
#[expect(clippy::unwrap_used, reason = "a step that fails ends the test")]
async fn status(fixture: &Fixture, line: &str, pair: &str) -> String {
    let authorization =
        if pair.is_empty() { String::new() } else { format!("authorization: Basic {pair}\r\n") };
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nhost: x\r\n{authorization}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

const ANN: &str = "YW5uOmFubg==";
const ADMIN: &str = "YWRtaW46YWRtaW4=";
const WRONG: &str = "YW5uOmJvYg==";

#[tokio::test]
async fn all_but_health_asks_who_it_is() {
    let fixture = start_with(asking(&clock())).unwrap();
    fixture.hooks.swap(HookChain::new(&[Arc::new(Users) as Arc<dyn Hook>]));
    assert_eq!(status(&fixture, "GET /healthz", "").await, "200");
    for line in ["GET /metrics", "GET /v1/info", "GET /v1/unknown", "PUT /v1/things/x"] {
        assert_eq!(status(&fixture, line, "").await, "401", "{line}");
        assert_eq!(status(&fixture, line, WRONG).await, "401", "{line}");
    }
    assert_eq!(status(&fixture, "GET /metrics", ANN).await, "200");
    assert_eq!(status(&fixture, "GET /v1/info", ANN).await, "200");
    // No policies are in force: changes are for Super users.
    assert_eq!(status(&fixture, "PUT /v1/things/x", ANN).await, "403");
    assert_eq!(status(&fixture, "PUT /v1/things/x", ADMIN).await, "200");
    // Nor are they with a hook there that only refuses; policies decide.
    for (decides, expected) in [(false, "403"), (true, "200")] {
        let standing = Arc::new(Standing { decides });
        fixture.hooks.swap(HookChain::new(&[Arc::new(Users) as Arc<dyn Hook>, standing]));
        assert_eq!(status(&fixture, "PUT /v1/things/x", ANN).await, expected);
        assert_eq!(status(&fixture, "PUT /v1/things/x", ADMIN).await, "200");
    }
    fixture.tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn who_guesses_passwords_waits() {
    let clock = clock();
    let fixture = start_with(asking(&clock)).unwrap();
    fixture.hooks.swap(HookChain::new(&[Arc::new(Users) as Arc<dyn Hook>]));
    for _ in 0..10 {
        assert_eq!(status(&fixture, "GET /metrics", WRONG).await, "401");
    }
    assert_eq!(status(&fixture, "GET /metrics", ANN).await, "429");
    assert_eq!(status(&fixture, "GET /metrics", "").await, "401", "no password, no guess");
    assert_eq!(status(&fixture, "GET /healthz", "").await, "200");
    clock.advance(Duration::from_mins(1));
    assert_eq!(status(&fixture, "GET /metrics", ANN).await, "200");
    fixture.tasks.stop(Duration::from_secs(5)).await;
}
