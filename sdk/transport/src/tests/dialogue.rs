//! Requests, replies, pushes and calls.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::support::{CLOSE, DEFER, ECHO, PANIC, Piped, one_way, piped, request};
use crate::{Error, Limits};

#[tokio::test]
async fn a_pipelined_burst_is_handed_on_at_once_and_answered_by_one_write() {
    let Piped { service, mut peer, writes, .. } = piped(Limits::default());
    let burst: Vec<u8> = (0..10).flat_map(|i| request(ECHO, i, b"body")).collect();
    peer.send(&burst).await;
    for i in 0..10 {
        assert_eq!(peer.answer().await, (i, "body".into()));
    }
    assert_eq!(*service.bursts.lock(), [10]);
    assert_eq!(writes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn large_bodies_leave_as_slices_of_one_vectored_write() {
    let Piped { mut peer, writes, .. } = piped(Limits::default());
    let body = vec![b'b'; 5000];
    let burst: Vec<u8> = (0..3).flat_map(|i| request(ECHO, i, &body)).collect();
    // Grow the read buffer first, so that the burst is read at once.
    for _ in 0..4 {
        peer.send(&request(ECHO, 9, &vec![0; 30_000])).await;
        peer.answer().await;
    }
    let before = writes.load(Ordering::SeqCst);
    peer.send(&burst).await;
    for i in 0..3 {
        assert_eq!(peer.answer().await, (i, body.clone().into()));
    }
    assert_eq!(writes.load(Ordering::SeqCst) - before, 1);
}

#[tokio::test]
async fn a_request_may_arrive_byte_by_byte() {
    let Piped { service, mut peer, .. } = piped(Limits::default());
    for byte in request(ECHO, 7, b"slowly") {
        peer.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(peer.answer().await, (7, "slowly".into()));
    assert_eq!(*service.bursts.lock(), [1]);
}

#[tokio::test]
async fn a_deferred_reply_does_not_hold_up_later_ones() {
    let Piped { service, mut peer, .. } = piped(Limits::default());
    peer.send(&[request(DEFER, 1, b"late"), request(ECHO, 2, b"soon")].concat()).await;
    assert_eq!(peer.answer().await, (2, "soon".into()));
    peer.send(&request(ECHO, 3, b"next")).await;
    assert_eq!(peer.answer().await, (3, "next".into()));
    service.gate.add_permits(1);
    assert_eq!(peer.answer().await, (1, "late".into()));
}

#[tokio::test]
async fn one_way_requests_are_carried_out_and_not_answered() {
    let Piped { service, mut peer, .. } = piped(Limits::default());
    service.gate.add_permits(1);
    let burst = [one_way(ECHO, 1, b"a"), one_way(DEFER, 2, b"b"), request(ECHO, 3, b"c")];
    peer.send(&burst.concat()).await;
    assert_eq!(peer.answer().await, (3, "c".into()));
    peer.send(&request(ECHO, 4, b"d")).await;
    assert_eq!(peer.answer().await, (4, "d".into()));
    assert_eq!(service.served.load(Ordering::SeqCst), 4);
    assert_eq!(service.gate.available_permits(), 0, "the deferred work was done");
}

#[tokio::test]
async fn pushes_reach_the_other_side_between_replies() {
    let Piped { connection, mut peer, .. } = piped(Limits::default());
    assert!(connection.push(&one_way(40, 5, b"notice")));
    let pushed = peer.receive().await.unwrap();
    assert_eq!((pushed.code, pushed.opaque, pushed.is_one_way()), (40, 5, true));
    assert!(connection.push_request(41, |ext| ext.text("group", "g"), b""));
    let pushed = peer.receive().await.unwrap();
    assert_eq!((pushed.code, pushed.ext.get("group")), (41, Some("g")));
}

#[tokio::test]
async fn a_call_gets_the_answer_with_its_opaque() {
    let Piped { connection, mut peer, .. } = piped(Limits::default());
    let second = Duration::from_secs(1);
    let calls = async {
        tokio::join!(
            connection.call(307, |_| {}, b"first", second),
            connection.call(307, |_| {}, b"second", second),
        )
    };
    let answers = async {
        let (one, two) = (peer.receive().await.unwrap(), peer.receive().await.unwrap());
        for asked in [&two, &one] {
            let mut out = bytes::BytesMut::new();
            let head = blockhouse_protocol::ResponseHead::new(asked.opaque, 0, None);
            blockhouse_protocol::encode::response(&mut out, &head, |_| {}, asked.body.len());
            out.extend_from_slice(&asked.body);
            peer.send(&out).await;
        }
    };
    let ((one, two), ()) = tokio::join!(calls, answers);
    assert_eq!(one.unwrap().body, "first");
    assert_eq!(two.unwrap().body, "second");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_answer_times_out_and_a_late_answer_is_ignored() {
    let Piped { connection, mut peer, .. } = piped(Limits::default());
    let timeout = Duration::from_millis(700);
    let error = connection.call(307, |_| {}, b"", timeout).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { code: 307, after, .. } if after == timeout));
    let asked = peer.receive().await.unwrap();
    let mut late = bytes::BytesMut::new();
    let head = blockhouse_protocol::ResponseHead::new(asked.opaque, 0, None);
    blockhouse_protocol::encode::response(&mut late, &head, |_| {}, 0);
    peer.send(&late).await;
    peer.send(&request(ECHO, 1, b"still here")).await;
    assert_eq!(peer.answer().await, (1, "still here".into()));
}

#[tokio::test]
async fn calls_fail_and_pushes_are_refused_when_the_connection_ends() {
    let Piped { connection, peer, service, .. } = piped(Limits::default());
    let call = connection.call(307, |_| {}, b"", Duration::from_secs(60));
    let (answer, alive) = tokio::join!(call, async {
        tokio::task::yield_now().await;
        peer.hang_up()
    });
    assert!(matches!(answer, Err(Error::Closed(_))));
    connection.ended().await;
    assert!(alive.is_some() && !connection.push(b"late"));
    assert!(matches!(
        connection.call(307, |_| {}, b"", Duration::from_secs(1)).await,
        Err(Error::Closed(_))
    ));
    assert_eq!(service.closed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_connection_knows_who_spoke_last() {
    let Piped { connection, mut peer, .. } = piped(Limits::default());
    let mut out = bytes::BytesMut::new();
    let mut head = blockhouse_protocol::RequestHead::new(ECHO, 1);
    (head.language, head.version) = (blockhouse_protocol::LanguageCode::GO, 399);
    blockhouse_protocol::encode::request(&mut out, &head, |_| {}, b"");
    peer.send(&out).await;
    peer.answer().await;
    assert_eq!((connection.language(), connection.version()), (9, 399));
}

#[tokio::test]
async fn a_panic_of_the_service_ends_only_that_connection() {
    let Piped { service, connection, mut peer, .. } = piped(Limits::default());
    peer.send(&request(PANIC, 1, b"")).await;
    assert!(peer.receive().await.is_none());
    connection.ended().await;
    assert_eq!(service.closed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_was_read_when_this_side_closes_is_answered() {
    let Piped { service, connection, endpoint, mut peer, .. } = piped(Limits::default());
    let one = request(ECHO, 0, b"");
    let close = request(CLOSE, 0, b"");
    assert_eq!(one.len(), close.len());
    // Far enough for reads of more frames than a burst has.
    let flood = [one.repeat(150), close, one.repeat(2_000)].concat();
    peer.send(&flood).await;
    let mut answers = 0;
    while peer.receive().await.is_some() {
        answers += 1;
    }
    connection.ended().await;
    let read = usize::try_from(endpoint.counts.bytes.read()[0]).unwrap() / one.len();
    assert!(*service.bursts.lock().iter().max().unwrap() == 256, "more was read than one burst");
    assert_eq!(answers, read - 1, "all but the one that closed it");
}
