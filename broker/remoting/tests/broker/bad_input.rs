//! Requests that break a rule: an answer that names the field, and nothing stored.

use blockhouse_protocol::codes::{request_code, response_code as code};

use super::support::{World, send_header};

#[tokio::test]
async fn names_with_path_meaning_and_foreign_characters_are_refused() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for topic in ["../x", "a/b", "a.b", "é", " "] {
        let refused = client.send(topic, "", b"x").await;
        assert_eq!(refused.code, code::INVALID_PARAMETER, "{topic:?}");
        assert!(refused.remark().unwrap().contains("topic"), "{topic:?}");
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn bodies_and_properties_have_limits() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let long = format!("a\u{1}{}\u{2}", "v".repeat(32_767));
    assert_eq!(client.send("t", &long, b"x").await.code, code::MESSAGE_ILLEGAL);
    let refused = client.send("t", "", &vec![b'x'; 4 * 1024 * 1024 + 1]).await;
    assert_eq!(refused.code, code::MESSAGE_ILLEGAL);
    assert!(refused.remark().unwrap().contains("maxMessageSize"));
    assert_eq!(client.send("t", "", b"").await.code, code::MESSAGE_ILLEGAL);
    let max = client.ask(request_code::GET_MAX_OFFSET, &[("topic", "t"), ("queueId", "0")], b"");
    assert_eq!(max.await.ext.get("offset"), Some("0"), "nothing was stored");
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_missing_field_is_named_and_a_cut_batch_stores_nothing() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let refused = client.ask(request_code::SEND_MESSAGE_V2, &[("a", "p"), ("e", "0")], b"x").await;
    assert_eq!(refused.code, code::SYSTEM_ERROR);
    assert!(refused.remark().unwrap().contains("topic"), "{:?}", refused.remark());

    let mut body = bytes::BytesMut::new();
    blockhouse_protocol::batch::push(&mut body, 0, b"whole", "").unwrap();
    body.extend_from_slice(b"\0\0\0\x20cut");
    let header = send_header("t", "");
    let refused =
        client.call(request_code::SEND_BATCH_MESSAGE, |out| header.write(out), &body).await;
    assert_eq!(refused.code, code::MESSAGE_ILLEGAL);
    let max = client.ask(request_code::GET_MAX_OFFSET, &[("topic", "t"), ("queueId", "0")], b"");
    assert_eq!(max.await.ext.get("offset"), Some("0"));
    world.server.shutdown().await;
}

#[tokio::test]
async fn unknown_codes_are_answered_and_neighbours_are_not_lost() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let (unknown, sent) = tokio::join!(client.ask(9_999, &[], b""), client.send("t", "", b"x"));
    assert_eq!(unknown.code, code::REQUEST_CODE_NOT_SUPPORTED);
    assert!(unknown.remark().unwrap().contains("9999"));
    assert_eq!(sent.code, code::SUCCESS);
    world.server.shutdown().await;
}

#[tokio::test]
async fn broken_bodies_are_answered() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for body in [&b"{"[..], b"[]", b"\xFF", b"{\"consumerDataSet\":[{\"groupName\":3}]}"] {
        let refused = client.ask(request_code::HEART_BEAT, &[], body).await;
        assert_eq!(refused.code, code::SYSTEM_ERROR, "{body:?}");
    }
    world.server.shutdown().await;
}
