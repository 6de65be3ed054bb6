//! What a connection may take: hostile frames, slow readers, silence, the budget.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use blockhouse_protocol::codes::response_code::SYSTEM_BUSY;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::support::{DEFER, ECHO, FILL, Piped, all_wait, one_way, piped, piped_through, request};
use crate::Limits;
use crate::budget::Charge;

#[tokio::test]
async fn requests_before_a_bad_frame_are_answered_and_then_the_connection_is_closed() {
    let too_long = (17_u32 << 20).to_be_bytes();
    let negative = (-1_i32).to_be_bytes();
    let header_too_long = [0, 0, 0, 8, 0, 0, 0, 100, 1, 2, 3, 4];
    let unknown_type = [0, 0, 0, 8, 9, 0, 0, 4, 1, 2, 3, 4];
    let no_json = [0, 0, 0, 8, 0, 0, 0, 4, b'n', b'o', b'!', b'!'];
    let bad: [&[u8]; 5] = [&too_long, &negative, &header_too_long, &unknown_type, &no_json];
    for bad in bad {
        let Piped { service, connection, mut peer, .. } = piped(Limits::default());
        let good = request(ECHO, 1, b"good");
        peer.send(&[&good, bad, &request(ECHO, 2, b"after")].concat()).await;
        assert_eq!(peer.answer().await, (1, "good".into()));
        assert!(peer.receive().await.is_none(), "{bad:?}");
        connection.ended().await;
        assert_eq!(service.served.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_read_from_and_closed_when_it_takes_nothing_for_long() {
    let limits = Limits { outbox_bytes: 64 * 1024, ..Limits::default() };
    let Piped { service, connection, mut peer, .. } = piped_through(16 * 1024, limits);
    // The first reply fills pipe and outbox; the second request stays unread.
    peer.send(&request(FILL, 1, b"200000")).await;
    all_wait().await;
    peer.send(&request(ECHO, 2, b"")).await;
    all_wait().await;
    assert_eq!(service.served.load(Ordering::SeqCst), 1);
    // Pushes are bounded too.
    while connection.push(&[0; 16 * 1024]) {}
    let begun = Instant::now();
    connection.ended().await;
    let took = begun.elapsed();
    assert!((Duration::from_secs(55)..Duration::from_secs(80)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_of_one_burst_wait_for_room_like_those_of_many() {
    let limits = Limits { outbox_bytes: 64 * 1024, ..Limits::default() };
    let Piped { service, endpoint, mut peer, .. } = piped_through(16 * 1024, limits);
    let burst: Vec<u8> = (0..20).flat_map(|i| request(FILL, i, b"50000")).collect();
    peer.send(&burst).await;
    all_wait().await;
    // The outbox was not full before the second, and the pipe takes less than one.
    assert_eq!(service.served.load(Ordering::SeqCst), 2);
    assert!(endpoint.budget.used() < 120_000, "{}", endpoint.budget.used());
    peer.send(&request(ECHO, 20, b"behind them")).await;
    for i in 0..20 {
        let (opaque, body) = peer.answer().await;
        assert_eq!((opaque, body.len()), (i, 50_000));
    }
    assert_eq!(peer.answer().await, (20, "behind them".into()));
    assert_eq!(service.served.load(Ordering::SeqCst), 21);
}

#[tokio::test]
async fn a_large_answer_is_written_in_parts_and_others_have_their_turns_between() {
    let limits = Limits { outbox_bytes: 16 << 20, ..Limits::default() };
    let Piped { endpoint, mut peer, .. } = piped_through(16 << 20, limits);
    let (counts, mut before, mut most) = (Arc::clone(&endpoint.counts), 0, 0);
    let mut other = JoinSet::new();
    other.spawn(std::future::poll_fn(move |cx| {
        let written = counts.bytes.read()[1];
        most = most.max(written - before);
        before = written;
        cx.waker().wake_by_ref();
        if written < 8_000_000 { Poll::Pending } else { Poll::Ready(most) }
    }));
    peer.send(&request(FILL, 1, b"8000000")).await;
    let most = other.join_next().await.unwrap().unwrap();
    assert!((1..=256 << 10).contains(&most), "{most}");
    assert_eq!(peer.answer().await.1.len(), 8_000_000);
}

#[tokio::test]
async fn others_are_answered_between_two_bursts_of_one_that_asks_for_much() {
    let limits = || Limits { outbox_bytes: 64 << 20, ..Limits::default() };
    let mut reader = piped_through(32 << 20, limits());
    let mut sender = piped_through(1 << 20, limits());
    let asked: Vec<u8> = (0..256).flat_map(|i| request(FILL, i, b"65536")).collect();
    reader.peer.send(&asked).await;
    let service = Arc::clone(&reader.service);
    let mut others = JoinSet::new();
    others.spawn(async move {
        let mut seen = Vec::new();
        for opaque in 0..3 {
            sender.peer.send(&request(ECHO, opaque, b"a message")).await;
            assert_eq!(sender.peer.answer().await.0, opaque);
            seen.push(service.served.load(Ordering::SeqCst));
        }
        seen
    });
    for opaque in 0..256 {
        assert_eq!(reader.peer.answer().await.0, opaque);
    }
    let seen = others.join_next().await.unwrap().unwrap();
    // 256 KiB are four answers, and a round trip takes some turns.
    assert!(seen[2] <= 64, "answered in between: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_only_slow_gets_everything() {
    let limits = Limits { outbox_bytes: 64 * 1024, ..Limits::default() };
    let Piped { connection, mut peer, .. } = piped_through(16 * 1024, limits);
    peer.send(&request(FILL, 1, b"200000")).await;
    peer.send(&request(ECHO, 2, b"second")).await;
    let mut taken = Vec::new();
    while taken.len() < 200_000 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut some = vec![0; 20_000];
        let n = tokio::io::AsyncReadExt::read(&mut peer.stream, &mut some).await.unwrap();
        taken.extend_from_slice(&some[..n]);
    }
    assert!(!connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_after_the_idle_time() {
    let Piped { connection, mut peer, .. } = piped(Limits::default());
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(100)).await;
    peer.send(&one_way(ECHO, 1, b"")).await;
    connection.ended().await;
    let took = begun.elapsed();
    assert!((Duration::from_secs(205)..Duration::from_secs(260)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_answered_with_system_busy_after_the_wait() {
    let Piped { service, endpoint, mut peer, .. } = piped(Limits::default());
    let mut elsewhere = Charge::new(Arc::clone(&endpoint.budget));
    elsewhere.set(endpoint.limits.in_flight_bytes);
    let begun = Instant::now();
    peer.send(&[one_way(ECHO, 1, b""), request(ECHO, 2, b"x"), request(ECHO, 3, b"y")].concat())
        .await;
    for opaque in [2, 3] {
        let busy = peer.receive().await.unwrap();
        assert_eq!((busy.code, busy.opaque), (SYSTEM_BUSY, opaque));
        assert!(busy.remark().unwrap().contains("waited 200ms"), "{:?}", busy.remark());
    }
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(service.served.load(Ordering::SeqCst), 1, "the one-way request is never refused");
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_as_soon_as_the_budget_has_room() {
    let Piped { endpoint, mut peer, .. } = piped(Limits::default());
    let mut elsewhere = Charge::new(Arc::clone(&endpoint.budget));
    elsewhere.set(endpoint.limits.in_flight_bytes);
    let begun = Instant::now();
    peer.send(&request(ECHO, 2, b"x")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    elsewhere.set(0);
    assert_eq!(peer.answer().await, (2, "x".into()));
    assert!(begun.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn deferred_requests_and_unsent_replies_are_charged_and_given_back() {
    let Piped { service, endpoint, mut peer, connection, .. } =
        piped_through(16 * 1024, Limits::default());
    peer.send(&request(DEFER, 1, &vec![1; 100_000])).await;
    all_wait().await;
    assert!(endpoint.budget.used() >= 80_000, "{}", endpoint.budget.used());
    service.gate.add_permits(1);
    all_wait().await;
    assert!(endpoint.budget.used() >= 80_000, "unsent: {}", endpoint.budget.used());
    peer.answer().await;
    all_wait().await;
    assert_eq!(endpoint.budget.used(), 0);
    peer.send(&request(FILL, 2, b"300000")).await;
    all_wait().await;
    assert!(endpoint.budget.used() > 200_000);
    let _alive = peer.hang_up();
    connection.ended().await;
    assert_eq!(endpoint.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_frame_is_refused_by_its_header_and_its_body_passed_over() {
    let Piped { service, endpoint, mut peer, .. } = piped(Limits::default());
    let long = request(ECHO, 1, &vec![b'l'; 600_000]);
    peer.send(&long[..200_000]).await;
    all_wait().await;
    let mut elsewhere = Charge::new(Arc::clone(&endpoint.budget));
    elsewhere.set(endpoint.limits.in_flight_bytes);
    peer.send(&long[200_000..400_000]).await;
    let busy = peer.receive().await.unwrap();
    assert_eq!((busy.code, busy.opaque), (SYSTEM_BUSY, 1));
    elsewhere.set(0);
    peer.send(&long[400_000..]).await;
    peer.send(&request(ECHO, 2, b"next")).await;
    assert_eq!(peer.answer().await, (2, "next".into()));
    assert_eq!(service.served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn more_deferred_requests_than_allowed_are_refused() {
    let limits = Limits { deferred_max: 3, ..Limits::default() };
    let Piped { service, mut peer, .. } = piped(limits);
    let burst: Vec<u8> = (1..=5).flat_map(|i| request(DEFER, i, b"")).collect();
    peer.send(&burst).await;
    for opaque in [4, 5] {
        let busy = peer.receive().await.unwrap();
        assert_eq!((busy.code, busy.opaque), (SYSTEM_BUSY, opaque));
    }
    peer.send(&request(ECHO, 6, b"")).await;
    assert_eq!(peer.receive().await.unwrap().code, SYSTEM_BUSY);
    service.gate.add_permits(3);
    let mut answered = vec![peer.answer().await.0, peer.answer().await.0, peer.answer().await.0];
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3]);
    peer.send(&request(ECHO, 7, b"again")).await;
    assert_eq!(peer.answer().await, (7, "again".into()));
}

#[tokio::test(start_paused = true)]
async fn one_way_requests_that_wait_are_bounded_by_reading_no_more() {
    let limits = Limits { deferred_max: 3, ..Limits::default() };
    let Piped { service, mut peer, .. } = piped(limits);
    let flood: Vec<u8> = (0..2_000).flat_map(|i| one_way(DEFER, i, b"")).collect();
    peer.send(&flood).await;
    all_wait().await;
    let waiting = service.served.load(Ordering::SeqCst);
    assert!(waiting < 6 + 256, "{waiting}");
    service.gate.add_permits(2_000);
    all_wait().await;
    peer.send(&request(ECHO, 1, b"behind them")).await;
    assert_eq!(peer.answer().await, (1, "behind them".into()));
    assert_eq!(service.served.load(Ordering::SeqCst), 2_001);
}

#[tokio::test]
async fn a_flood_is_handled_in_bounded_bursts() {
    let Piped { service, mut peer, .. } = piped(Limits::default());
    let flood: Vec<u8> = (0..2_000).flat_map(|i| request(ECHO, i, b"")).collect();
    peer.send(&flood).await;
    for i in 0..2_000 {
        assert_eq!(peer.answer().await.0, i);
    }
    assert!(service.bursts.lock().iter().all(|n| *n <= 256));
}
