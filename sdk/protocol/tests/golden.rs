//! Frames captured from real clients and servers: taken apart, read by type, and written again.
//!
//! `data/index.json` lists them with the versions they came from.
#![expect(clippy::panic, reason = "that is how a test fails")]

#[path = "golden/captures.rs"]
mod captures;

use blockhouse_protocol::body::registration::{RegisterBrokerBody, body_crc32};
use blockhouse_protocol::body::route::TopicRouteData;
use blockhouse_protocol::codes::version;
use blockhouse_protocol::encode::{self, Head};
use blockhouse_protocol::header::namesrv::RegisterBroker;
use blockhouse_protocol::{Body, RemotingCommand, SerializeType, batch, fastjson, frame};
use bytes::BytesMut;
use captures::{Capture, captures, is_within};

fn split(bytes: &[u8]) -> Option<RemotingCommand> {
    let mut buf = BytesMut::from(bytes);
    let command = frame::split(&mut buf, frame::FRAME_LEN_MAX).ok()??;
    buf.is_empty().then_some(command)
}

fn write_again(command: &RemotingCommand) -> BytesMut {
    let mut out = BytesMut::new();
    let head = Head {
        code: command.code,
        language: command.language,
        version: command.version,
        opaque: command.opaque,
        flag: command.flag,
        remark: command.remark(),
    };
    let fields = |ext: &mut encode::ExtWriter<'_>| {
        command.ext.iter().for_each(|(name, value)| ext.pair(name, value));
    };
    encode::frame(&mut out, command.serialize, &head, fields, command.body.len());
    out.extend_from_slice(&command.body);
    out
}

#[test]
fn every_frame_survives_being_written_again() {
    for Capture { file, bytes, code, request, .. } in captures() {
        let command = split(&bytes).unwrap_or_else(|| panic!("{file}"));
        assert_eq!(command.is_response(), !request, "{file}");
        if request {
            assert_eq!(command.code, code, "{file}");
        }
        let again = write_again(&command);
        // Binary headers do not tell empty values from absent ones.
        let empty = bytes.windows(14).any(|w| w == b"attributes\0\0\0\0");
        if command.serialize == SerializeType::RocketMq && !empty {
            assert_eq!(again, bytes, "{file}");
        } else if command.serialize == SerializeType::Json && !command.ext.is_empty() && !request {
            // The order of fields is that of Java's hash map, the rest is the same.
            assert_eq!(again.len(), bytes.len(), "{file}");
        }
        let back = split(&again).unwrap_or_else(|| panic!("{file}"));
        assert!(back.ext.iter().eq(command.ext.iter()), "{file}");
        assert_eq!(
            (back.code, back.language, back.version, back.opaque, back.flag, back.remark()),
            (
                command.code,
                command.language,
                command.version,
                command.opaque,
                command.flag,
                command.remark()
            ),
            "{file}"
        );
        assert_eq!(back.body, command.body, "{file}");
    }
}

/// Fields that belong to every request's base in Java, or to features that have no header here.
const BASE_FIELDS: [&str; 6] = ["ReqT", "bname", "lo", "ns", "nsd", "oway"];

#[test]
fn typed_headers_write_the_fields_they_were_read_from() {
    let mut typed = 0;
    for Capture { file, bytes, code, request, .. } in captures() {
        let command = split(&bytes).unwrap_or_else(|| panic!("{file}"));
        if command.ext.is_empty() || (!request && command.code != 0) {
            continue;
        }
        let Some(written) = captures::written(code, request, &command.ext) else { continue };
        typed += 1;
        let written = written.unwrap_or_else(|e| panic!("{file}: {e}"));
        for (name, value) in command.ext.iter().filter(|(n, _)| !BASE_FIELDS.contains(n)) {
            assert_eq!(written.get(name), Some(value), "{file}: {name}");
        }
    }
    assert!(typed > 100, "{typed}");
}

#[test]
fn typed_bodies_write_what_they_were_read_from() {
    let mut typed = 0;
    for Capture { file, bytes, code, request, .. } in captures() {
        let command = split(&bytes).unwrap_or_else(|| panic!("{file}"));
        if command.body.is_empty() || (!request && command.code != 0) {
            continue;
        }
        let Some(again) = captures::body_again(code, request, &command.body) else { continue };
        typed += 1;
        let again = again.unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(
            is_within(&captures::tree(&command.body), &captures::tree(&again)),
            "{file}\n{}\n{}",
            String::from_utf8_lossy(&command.body),
            String::from_utf8_lossy(&again)
        );
    }
    assert!(typed > 50, "{typed}");
}

fn capture(name: &str) -> RemotingCommand {
    let found = captures().into_iter().find(|c| c.file == name);
    found.and_then(|c| split(&c.bytes)).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn routes_are_written_byte_by_byte_as_java_does() {
    for (file, version, standard) in [
        ("105_get_routeinfo_by_topic.response.bin", version::V5_4_0, false),
        ("105_get_routeinfo_by_topic.standard.response.bin", version::V4_9_3, true),
        ("105_get_routeinfo_by_topic.old.response.bin", version::V4_9_3, false),
    ] {
        let body = capture(file).body;
        let route = TopicRouteData::decode(&body).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(route.encode_for(version, standard), body, "{file}");
    }
}

#[test]
fn bodies_in_a_fixed_order_are_written_byte_by_byte_as_java_does() {
    for file in [
        "106_get_broker_cluster_info.response.bin",
        "38_get_consumer_list_by_group.response.bin",
        "41_lock_batch_mq.request.bin",
        "41_lock_batch_mq.response.bin",
        "34_heart_beat.request.bin",
        "46_check_client_config.request.bin",
        "200_update_and_create_subscriptiongroup.request.bin",
        "204_get_producer_connection_list.response.bin",
        "308_query_correction_offset.response.bin",
        "315_view_broker_stats_data.response.bin",
        "321_query_consume_queue.response.bin",
        "328_get_all_producer_info.response.bin",
        "345_query_subscription_by_consumer.response.bin",
        "351_get_topic_config.response.bin",
        "901_get_broker_member_group.response.bin",
    ] {
        let command = capture(file);
        let code = file.split('_').next().and_then(|code| code.parse().ok()).unwrap_or(0);
        let again = captures::body_again(code, !command.is_response(), &command.body);
        let again = again.unwrap_or_else(|| panic!("{file}"));
        assert_eq!(again.unwrap_or_else(|e| panic!("{file}: {e}")), command.body, "{file}");
    }
}

#[test]
fn registrations_are_read_in_both_forms() {
    for file in ["103_register_broker.request.bin", "103_register_broker.compressed.request.bin"] {
        let command = capture(file);
        let header = RegisterBroker::parse(&command.ext).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(header.body_crc32, body_crc32(&command.body), "{file}");
        // A known fault of RocketMQ 5.
        assert!(!header.compressed, "{file}");
        let body = RegisterBrokerBody::decode_any(&command.body, command.version);
        let body = body.unwrap_or_else(|e| panic!("{file}: {e}"));
        let topics = &body.topic_config_serialize_wrapper.topic_config_table;
        assert!(topics.contains_key("BenchmarkTest"), "{file}");
        assert!(topics.values().all(|t| !t.topic_name.is_empty() && t.perm > 0), "{file}");
        let again = RegisterBrokerBody::decode_any(&body.encode_compressed(), version::CURRENT);
        let again = again.unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(again.topic_config_serialize_wrapper.topic_config_table, *topics, "{file}");
    }
}

#[test]
fn batches_are_taken_apart() {
    for Capture { file, bytes, code, request, .. } in captures() {
        if code != 320 || !request {
            continue;
        }
        let command = split(&bytes).unwrap_or_else(|| panic!("{file}"));
        let mut again = BytesMut::new();
        for message in batch::messages(&command.body) {
            let message = message.unwrap_or_else(|e| panic!("{file}: {e}"));
            let pushed = batch::push(&mut again, message.flag, message.body, message.properties);
            pushed.unwrap_or_else(|e| panic!("{file}: {e}"));
        }
        assert_eq!(again, command.body, "{file}");
    }
}

#[test]
fn the_answer_to_an_older_dialect_is_not_strict_json() {
    let old = capture("105_get_routeinfo_by_topic.old.response.bin").body;
    assert!(serde_json::from_slice::<serde_json::Value>(&old).is_err());
    assert!(fastjson::standard(&old).is_ok());
}
