//! Messages in.

use blockhouse_model::{MessageId, properties as name};
use blockhouse_protocol::batch;
use blockhouse_protocol::codes::{request_code, response_code as code};
use bytes::BytesMut;

use super::support::{World, bodies, send_header};

#[tokio::test]
async fn a_message_is_stored_and_comes_back_with_the_brokers_properties() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let sent = client.send("t", "TAGS\u{1}a\u{2}UNIQ_KEY\u{1}K1\u{2}", b"hello").await;
    assert_eq!(sent.code, code::SUCCESS, "{:?}", sent.remark());
    assert_eq!(sent.ext.get("queueOffset"), Some("0"));
    assert_eq!(sent.ext.get("transactionId"), Some("K1"));
    assert_eq!(sent.ext.get("MSG_REGION"), Some("DefaultRegion"));
    let id = MessageId::parse(sent.ext.get("msgId").unwrap()).unwrap();
    assert_eq!(id.host.port(), 10_911);

    let pulled = client.pull("t", 0, "a").await;
    assert_eq!((pulled.code, bodies(&pulled)), (code::SUCCESS, vec!["hello".to_owned()]));
    assert_eq!(pulled.ext.get("nextBeginOffset"), Some("1"));
    let record = blockhouse_record::records(&pulled.body).next().unwrap().unwrap();
    assert_eq!(name::find(record.properties, name::CLUSTER), Some("DefaultCluster"));
    assert_eq!(record.physical_offset, id.offset);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_new_topic_is_on_disk_when_its_first_message_is_acknowledged() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for (topic, properties) in [("first", ""), ("second", ""), ("delayed", "DELAY\u{1}1\u{2}")] {
        assert_eq!(client.send(topic, properties, b"x").await.code, code::SUCCESS);
        let path = std::path::Path::new("/data/config/topics.json");
        let saved = blockhouse_disk::whole::read(&world.disk, path).unwrap().unwrap();
        assert!(String::from_utf8(saved).unwrap().contains(&format!("\"{topic}\"")));
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_batch_is_one_run_of_one_queue() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let mut body = BytesMut::new();
    for text in ["one", "two", "three"] {
        batch::push(&mut body, 0, text.as_bytes(), "").unwrap();
    }
    let header = send_header("t", "");
    let sent = client.call(request_code::SEND_BATCH_MESSAGE, |out| header.write(out), &body).await;
    assert_eq!(sent.code, code::SUCCESS, "{:?}", sent.remark());
    assert_eq!(sent.ext.get("msgId").unwrap().split(',').count(), 3);
    assert_eq!(bodies(&client.pull("t", 0, "*").await), ["one", "two", "three"]);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_delayed_message_comes_when_its_time_is_over() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    assert_eq!(client.send("t", "DELAY\u{1}1\u{2}", b"later").await.code, code::SUCCESS);
    world.broker.deliver_delayed().await;
    assert_eq!(client.pull("t", 0, "*").await.code, code::PULL_NOT_FOUND);
    world.clock.advance(std::time::Duration::from_secs(1));
    world.broker.deliver_delayed().await;
    let pulled = client.pull("t", 0, "*").await;
    assert_eq!(bodies(&pulled), ["later"]);
    let record = blockhouse_record::records(&pulled.body).next().unwrap().unwrap();
    assert_eq!(name::find(record.properties, name::DELAY), Some("1"), "as RocketMQ leaves it");
    world.server.shutdown().await;
}

#[tokio::test]
async fn what_is_not_built_yet_is_refused_with_a_sentence() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for properties in ["TRAN_MSG\u{1}true\u{2}", "TIMER_DELAY_MS\u{1}5000\u{2}"] {
        let refused = client.send("t", properties, b"x").await;
        assert_eq!(refused.code, code::REQUEST_CODE_NOT_SUPPORTED);
        assert!(refused.remark().unwrap().contains("not supported"));
    }
    let pop = client.ask(200_050, &[], b"").await;
    assert_eq!(pop.code, code::REQUEST_CODE_NOT_SUPPORTED);
    assert_eq!(client.pull("t", 0, "*").await.code, code::PULL_NOT_FOUND, "nothing was stored");
    world.server.shutdown().await;
}
