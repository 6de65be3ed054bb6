//! What splitting, parsing and answering a send costs. Not run by default:
//! `cargo test --release -p blockhouse-protocol --test timing -- --ignored --nocapture`

use std::hint::black_box;
use std::time::{Duration, Instant};

use blockhouse_protocol::header::send::{SendMessage, SendMessageResponse};
use blockhouse_protocol::{RequestHead, ResponseHead, SerializeType, encode, frame};
use bytes::BytesMut;

/// Calls per measured stretch: short enough to fit between two interruptions.
const BURST: u32 = 64;
const STRETCHES: u32 = 5_000;

const SEND: SendMessage<'_> = SendMessage {
    producer_group: "bench_producer",
    topic: "bench_topic",
    default_topic: "TBW102",
    default_topic_queue_nums: 4,
    queue_id: 3,
    sys_flag: 0,
    born_timestamp: 1_795_460_228_835,
    flag: 0,
    properties: "KEYS\u{1}key-1\u{2}UNIQ_KEY\u{1}7F0000010000000000000000000000021DF430946E\u{2}\
                 WAIT\u{1}true\u{2}TAGS\u{1}a\u{2}",
    reconsume_times: 0,
    unit_mode: false,
    max_reconsume_times: None,
    batch: false,
    broker_name: Some("broker-a"),
};

const ANSWER: SendMessageResponse<'_> = SendMessageResponse {
    msg_id: "7F00000100009FCF00000000000009B7E",
    queue_id: 3,
    queue_offset: 10,
    transaction_id: None,
    batch_uniq_id: None,
    recall_handle: None,
    msg_region: Some("DefaultRegion"),
    trace_on: Some("true"),
};

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn clock() -> Instant {
    Instant::now()
}

/// The fastest of many stretches, per call: what the work costs when nothing comes between.
fn fastest(mut stretch: impl FnMut() -> Duration) -> u128 {
    let best = (0..STRETCHES).map(|_| stretch().as_nanos()).min();
    best.map_or(0, |best| best / u128::from(BURST))
}

fn parse_cost(serialize: SerializeType) -> u128 {
    let mut one = BytesMut::new();
    let head = RequestHead { serialize, ..RequestHead::new(310, 1_422) };
    encode::request(&mut one, &head, |ext| SEND.write(ext), &[7; 1_024]);
    fastest(|| {
        let mut buf = BytesMut::with_capacity(one.len() * 64);
        (0..BURST).for_each(|_| buf.extend_from_slice(&one));
        let (mut parsed, start) = (0, clock());
        while let Ok(Some(command)) = frame::split(&mut buf, frame::FRAME_LEN_MAX) {
            let header = black_box(SendMessage::parse(&command.ext));
            parsed += u32::from(header.is_ok_and(|h| h.topic.len() == SEND.topic.len()));
        }
        let spent = start.elapsed();
        assert_eq!(parsed, BURST);
        spent
    })
}

fn answer_cost() -> u128 {
    let mut out = BytesMut::with_capacity(1 << 20);
    fastest(|| {
        out.clear();
        let start = clock();
        for opaque in 0..BURST {
            let head = ResponseHead::new(opaque.cast_signed(), 0, None);
            encode::response(black_box(&mut out), &head, |ext| ANSWER.write(ext), 0);
        }
        start.elapsed()
    })
}

/// What something of known cost takes, to tell machines apart.
fn yardstick() -> u128 {
    fastest(|| {
        let (mut sum, start) = (1_u64, clock());
        for _ in 0..BURST * 100 {
            sum = black_box(sum.wrapping_mul(3));
        }
        start.elapsed()
    })
}

#[test]
#[ignore = "a measurement"]
fn a_send_is_parsed_and_answered_in_time() {
    println!("100 dependent multiplications through memory: {} ns", yardstick());
    for serialize in [SerializeType::Json, SerializeType::RocketMq] {
        println!("split and parse of a 1 KiB send, {serialize:?}: {} ns", parse_cost(serialize));
    }
    println!("its response: {} ns", answer_cost());
}
