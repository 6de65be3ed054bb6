//! The floor under a broker's cost: a server that answers sends and does nothing else, or only writes
//! the bytes that it received, one `pwrite` per read.
//!
//! ```text
//! cargo run --release -p blockhouse-transport --example floor -- NAMESRV [FILE]
//! blockhouse bench produce --namesrv NAMESRV --topic floor --server-pid PID ...
//! ```
//! It registers the topic `floor-0` at a name server, prints its process id, and runs until it is
//! killed. It uses nothing of this crate to serve: a read, a look for `opaque`, a write.
#![expect(clippy::print_stdout, reason = "a program that prints what to use")]
#![expect(clippy::disallowed_methods, reason = "one task per connection is the floor")]

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_protocol::body::registration::body_crc32;
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::header::namesrv::RegisterBroker;
use blockhouse_protocol::{ResponseHead, encode};
use blockhouse_transport::{Dialer, Endpoint, Limits, NoService, NoSessions};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(3);
const READ_LEN: usize = 256 << 10;
/// Where the file begins again.
const FILE_LEN: u64 = 1 << 30;
const OPAQUE: &[u8] = b"\"opaque\":";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let namesrv = arguments.next().ok_or("usage: floor NAMESRV [FILE]")?;
    let file = arguments.next().map(File::create).transpose()?.map(Arc::new);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let dialer =
        Dialer::new(Endpoint::new(Arc::new(NoService), Arc::new(NoSessions), Limits::default()));
    let connection = dialer.connect(&namesrv, PATIENCE).await?;
    let addr = listener.local_addr()?.to_string();
    // A first report of a single topic is refused, as by RocketMQ's name server.
    let topic = |name: &str| {
        format!(
            r#""{name}":{{"topicName":"{name}","readQueueNums":8,"writeQueueNums":8,"perm":6,"order":false,"topicFilterType":"SINGLE_TAG","topicSysFlag":0,"attributes":{{}}}}"#
        )
    };
    let body = format!(
        r#"{{"filterServerList":[],"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":1,"stateVersion":0,"timestamp":1}},"topicConfigTable":{{{},{}}}}}}}"#,
        topic("floor-0"),
        topic("floor-1")
    );
    let header = RegisterBroker {
        broker_name: "floor",
        broker_addr: &addr,
        cluster_name: "floor",
        ha_server_addr: &addr,
        broker_id: 0,
        heartbeat_timeout_millis: None,
        enable_acting_master: None,
        compressed: false,
        body_crc32: body_crc32(body.as_bytes()),
    };
    let code = request_code::REGISTER_BROKER;
    let answer = connection.call(code, |out| header.write(out), body.as_bytes(), PATIENCE).await?;
    if answer.code != 0 {
        return Err(answer.remark().unwrap_or("not registered").into());
    }
    println!("pid {} at {addr}", std::process::id());
    let end = Arc::new(AtomicU64::new(0));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, file.clone(), Arc::clone(&end)));
    }
}

async fn serve(mut stream: TcpStream, file: Option<Arc<File>>, end: Arc<AtomicU64>) {
    let (mut input, mut output) = (BytesMut::with_capacity(READ_LEN), BytesMut::new());
    let _only_slower = stream.set_nodelay(true);
    loop {
        input.reserve(READ_LEN);
        match stream.read_buf(&mut input).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let received = input.len();
        if let Some(file) = &file {
            let at = end.fetch_add(received as u64, Ordering::Relaxed) % FILE_LEN;
            if file.write_all_at(&input, at).is_err() {
                return;
            }
        }
        while let Some(len) = complete(&input) {
            answer(&input[..len], &mut output);
            input.advance(len);
        }
        if stream.write_all(&output).await.is_err() {
            return;
        }
        output.clear();
    }
}

/// The length of the first frame, if all of it is there.
fn complete(input: &[u8]) -> Option<usize> {
    let len = 4 + usize::try_from(u32::from_be_bytes(*input.first_chunk()?)).ok()?;
    (len <= input.len()).then_some(len)
}

fn answer(frame: &[u8], output: &mut BytesMut) {
    let head = &frame[..frame.len().min(600)];
    let at = head.windows(OPAQUE.len()).position(|part| part == OPAQUE);
    let digits = at.map_or(&[][..], |at| &head[at + OPAQUE.len()..]);
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    let opaque = digits.fold(0_i32, |n, b| n.wrapping_mul(10).wrapping_add(i32::from(b - b'0')));
    encode::response(
        output,
        &ResponseHead::new(opaque, 0, None),
        |out| {
            out.text("msgId", "7F00000100002A9F0000000000000000");
            out.number("queueId", 0);
            out.number("queueOffset", 0);
        },
        0,
    );
}
