//! Whatever comes in, nothing panics; whatever is written is read back.

use std::collections::BTreeMap;

use blockhouse_protocol::body::registration::RegisterBrokerBody;
use blockhouse_protocol::body::topic::{TopicConfig, TopicConfigTable};
use blockhouse_protocol::encode::{self, Head};
use blockhouse_protocol::header::{pull::PullMessage, send::SendMessage};
use blockhouse_protocol::{
    Body, FrameError, LanguageCode, MessageQueue, RemotingCommand, SerializeType, batch, fastjson,
    frame,
};
use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

fn framed(kind: u8, header: &[u8], body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let len = u32::try_from(4 + header.len() + body.len()).unwrap_or(0);
    let mark = u32::from(kind) << 24 | u32::try_from(header.len()).unwrap_or(0);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&mark.to_be_bytes());
    out.extend_from_slice(header);
    out.extend_from_slice(body);
    out
}

fn split(mut buf: BytesMut) -> Result<Option<RemotingCommand>, FrameError> {
    let found = frame::split(&mut buf, frame::FRAME_LEN_MAX);
    if let Ok(Some(command)) = &found {
        // Looking at everything must not panic either.
        assert!(command.ext.iter().count() == command.ext.len());
        assert!(command.remark().is_none_or(|r| r.len() < frame::FRAME_LEN_MAX));
        SendMessage::parse(&command.ext).ok();
        PullMessage::parse(&command.ext).ok();
        assert!(buf.is_empty());
    }
    found
}

/// A text in quotes, with escapes where `escape` says so.
fn quoted(text: &str, escape: impl Fn(usize) -> bool) -> String {
    let mut out = String::from("\"");
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' if !escape(at) => out.push_str("\\n"),
            '\t' if !escape(at) => out.push_str("\\t"),
            c if c < ' ' || escape(at) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Any JSON, at most as deep as headers may nest.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(".*", inner, 0..5).prop_map(Value::from_iter),
        ]
    })
}

/// The same without members that are null.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, without_null(v)))
            .collect(),
        Value::Array(all) => all.into_iter().map(without_null).collect(),
        other => other,
    }
}

fn fields() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(".*", ".*", 0..20)
}

proptest! {
    #[test]
    fn any_bytes_are_split_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let mut buf = BytesMut::from(&bytes[..]);
        prop_assert!(frame::missing(&buf, frame::FRAME_LEN_MAX) <= frame::FRAME_LEN_MAX);
        while let Ok(Some(_)) = frame::split(&mut buf, frame::FRAME_LEN_MAX) {}
    }

    #[test]
    fn any_header_is_read_or_refused(kind in 0_u8..3, header in vec(any::<u8>(), 0..200)) {
        split(framed(kind, &header, b"")).ok();
    }

    #[test]
    fn damaged_headers_are_read_or_refused(
        fields in fields(),
        binary: bool,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = written(binary, &fields, Some("remark"), b"body");
        for (at, value) in damage {
            let at = 8 + at.index(bytes.len() - 8);
            bytes[at] = value;
        }
        split(bytes).ok();
    }

    #[test]
    fn whatever_is_written_is_read_back(
        fields in fields(),
        remark in proptest::option::of(".+"),
        code: i16,
        opaque: i32,
        flag: i32,
        version: i16,
        language in 0_u8..14,
        body in vec(any::<u8>(), 0..50),
    ) {
        for serialize in [SerializeType::Json, SerializeType::RocketMq] {
            let head = Head {
                code: code.into(),
                language: LanguageCode(language),
                version: version.into(),
                opaque,
                flag,
                remark: remark.as_deref(),
            };
            let mut out = BytesMut::new();
            let ext = |ext: &mut encode::ExtWriter<'_>| {
                fields.iter().for_each(|(n, v)| ext.pair(n, v));
            };
            encode::frame(&mut out, serialize, &head, ext, body.len());
            out.extend_from_slice(&body);
            prop_assert_eq!(frame::missing(&out, frame::FRAME_LEN_MAX), 0);
            prop_assert_eq!(frame::missing(&out[..out.len() - 1], frame::FRAME_LEN_MAX), 1);
            let command = split(out).unwrap().unwrap();
            prop_assert_eq!(
                (command.code, command.language, command.version, command.opaque, command.flag),
                (head.code, head.language, head.version, head.opaque, head.flag)
            );
            prop_assert_eq!(command.remark(), head.remark);
            let binary = serialize == SerializeType::RocketMq;
            let kept = fields.iter().filter(|(n, v)| !binary || !(n.is_empty() || v.is_empty()));
            prop_assert!(command.ext.iter().eq(kept.map(|(n, v)| (n.as_str(), v.as_str()))));
            prop_assert_eq!(&command.body[..], &body[..]);
            prop_assert_eq!(command.serialize, serialize);
        }
    }

    #[test]
    fn headers_are_read_as_serde_json_reads_them(
        fields in fields(),
        unknown in btree_map("x.*", json(), 0..4),
        remark in ".*",
        mask: u64,
        rotate in 0_usize..8,
        space in "[ \t\r\n]{0,3}",
    ) {
        let escape = |at: usize| mask >> (at % 64) & 1 == 1;
        let ext: Vec<_> = fields
            .iter()
            .map(|(n, v)| format!("{space}{}{space}:{space}{}", quoted(n, escape), quoted(v, escape)))
            .collect();
        let mut members = vec![
            "\"code\":310".to_owned(),
            "\"opaque\":-5".to_owned(),
            "\"flag\":\"2\"".to_owned(),
            "\"language\":\"GO\"".to_owned(),
            format!("\"remark\":{}", quoted(&remark, escape)),
            format!("\"extFields\":{{{}{space}}}", ext.join(",")),
        ];
        members.extend(unknown.iter().map(|(n, v)| format!("{}:{v:#}", quoted(n, escape))));
        let count = members.len();
        members.rotate_left(rotate % count);
        let header = format!("{{{space}{}{space}}}", members.join(","));

        let reference: Value = serde_json::from_str(&header).unwrap();
        let command = split(framed(0, header.as_bytes(), b"body")).unwrap().unwrap();
        prop_assert_eq!((command.code, command.opaque, command.flag), (310, -5, 2));
        prop_assert_eq!(command.language, LanguageCode::GO);
        prop_assert_eq!(command.remark(), reference["remark"].as_str());
        let expected = reference["extFields"].as_object().unwrap();
        prop_assert_eq!(command.ext.len(), expected.len());
        for (name, value) in expected {
            prop_assert_eq!(command.ext.get(name), value.as_str());
        }
    }

    #[test]
    fn any_text_is_standard_or_refused(text in "[{}\\[\\]:,\"\\\\ a1n]{0,40}|.*") {
        fastjson::read::<Value>(text.as_bytes()).ok();
    }

    #[test]
    fn trees_survive_both_dialects(value in json()) {
        let wanted = without_null(value.clone());
        for text in [fastjson::write(&value), fastjson::write_strict(&value)] {
            prop_assert_eq!(&serde_json::from_slice::<Value>(&text).unwrap(), &wanted);
            prop_assert_eq!(&fastjson::read::<Value>(&text).unwrap(), &wanted);
        }
        prop_assert_eq!(&fastjson::read::<Value>(value.to_string().as_bytes()).unwrap(), &wanted);
    }

    #[test]
    fn maps_with_queues_for_keys_survive_both_dialects(
        entries in vec((".*", ".*", any::<i32>(), any::<i64>()), 0..6),
    ) {
        let map: BTreeMap<MessageQueue, i64> = entries
            .into_iter()
            .map(|(broker_name, topic, queue_id, value)| {
                (MessageQueue { broker_name, queue_id, topic }, value)
            })
            .collect();
        for text in [fastjson::write(&map), fastjson::write_strict(&map)] {
            prop_assert_eq!(&fastjson::read::<BTreeMap<MessageQueue, i64>>(&text).unwrap(), &map);
        }
    }

    #[test]
    fn any_batch_is_taken_apart_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let wrong = batch::messages(&bytes).filter(Result::is_err).count();
        prop_assert!(wrong <= 1);
    }

    #[test]
    fn batches_come_back(
        all in vec((any::<i32>(), vec(any::<u8>(), 0..40), ".{0,40}"), 0..8),
    ) {
        let mut out = BytesMut::new();
        for (flag, body, properties) in &all {
            batch::push(&mut out, *flag, body, properties).unwrap();
        }
        let back = batch::messages(&out).map(Result::unwrap);
        let back = back.map(|m| (m.flag, m.body.to_vec(), m.properties.to_owned()));
        prop_assert!(back.eq(all));
    }

    #[test]
    fn any_registration_is_read_or_refused(bytes in vec(any::<u8>(), 0..200), version in 0..500) {
        RegisterBrokerBody::decode_any(&bytes, version).ok();
    }

    #[test]
    fn registrations_come_back(
        topics in btree_map(
            "[%|a-zA-Z0-9_-]{1,20}",
            (0..99_i32, 0..99_i32, 0..8_i32, btree_map("[a-z.]{1,9}", "[^ ]{0,9}", 0..3)),
            0..6,
        ),
    ) {
        let table = topics.into_iter().map(|(name, (read, write, perm, attributes))| {
            let topic = TopicConfig {
                attributes,
                perm,
                read_queue_nums: read,
                topic_name: name.clone(),
                write_queue_nums: write,
                ..TopicConfig::default()
            };
            (name, topic)
        });
        let body = RegisterBrokerBody {
            topic_config_serialize_wrapper: TopicConfigTable {
                topic_config_table: table.collect(),
                topic_queue_mapping_info_map: Some(BTreeMap::new()),
                ..TopicConfigTable::default()
            },
            ..RegisterBrokerBody::default()
        };
        for form in [body.encode(), body.encode_compressed()] {
            prop_assert_eq!(&RegisterBrokerBody::decode_any(&form, 493).unwrap(), &body);
        }
    }
}

fn written(
    binary: bool,
    fields: &BTreeMap<String, String>,
    remark: Option<&str>,
    body: &[u8],
) -> BytesMut {
    let serialize = if binary { SerializeType::RocketMq } else { SerializeType::Json };
    let head =
        Head { code: 1, language: LanguageCode::JAVA, version: 1, opaque: 1, flag: 0, remark };
    let mut out = BytesMut::new();
    let ext = |ext: &mut encode::ExtWriter<'_>| fields.iter().for_each(|(n, v)| ext.pair(n, v));
    encode::frame(&mut out, serialize, &head, ext, body.len());
    out.extend_from_slice(body);
    out
}

#[test]
fn bad_frames_are_told_apart() {
    let too_long = BytesMut::from(&[0x7F, 0, 0, 0][..]);
    assert!(matches!(split(too_long), Err(FrameError::TooLong { .. })));
    let negative = BytesMut::from(&[0xFF, 0, 0, 0][..]);
    assert!(matches!(split(negative), Err(FrameError::NegativeLength(_))));
    let header = BytesMut::from(&[0, 0, 0, 10, 0, 0, 0, 7][..]);
    assert!(matches!(split(header), Err(FrameError::HeaderLongerThanFrame { .. })));
    let short = BytesMut::from(&[0, 0, 0, 3][..]);
    assert!(matches!(split(short), Err(FrameError::HeaderLongerThanFrame { .. })));
    assert_eq!(split(framed(2, b"{}", b"")).err(), Some(FrameError::UnknownSerializeType(2)));
    let nested = |depth| {
        let value = ["[".repeat(depth), "]".repeat(depth)].concat();
        split(framed(0, format!(r#"{{"x":{value},"code":1,"opaque":1}}"#).as_bytes(), b""))
    };
    assert!(nested(32).is_ok());
    assert!(matches!(nested(33), Err(FrameError::BadHeader { .. })));
    for header in [
        "",
        "{",
        "{}",
        r#"{"code":1}"#,
        r#"{"opaque":1}"#,
        r#"{"code":1,"opaque":1}x"#,
        r#"{"code":1,"opaque":1,}"#,
        r#"{"code":99999999999,"opaque":1}"#,
        r#"{"code":1,"opaque":1,"extFields":{"a":{}}}"#,
        r#"{"code":1,"opaque":1,"extFields":[]}"#,
        r#"{"code":true,"opaque":1}"#,
        "{\"code\":1,\"opaque\":1,\"remark\":\"\\x\"}",
        r#"{"code":1 "opaque":1}"#,
        r#"{"code":1,"opaque":1,"x":[1 2]}"#,
        "[1]",
        "null",
    ] {
        let found = split(framed(0, header.as_bytes(), b""));
        assert!(matches!(found, Err(FrameError::BadHeader { .. })), "{header}: {found:?}");
    }
    let not_utf8 = b"{\"code\":1,\"opaque\":1,\"remark\":\"\xff\"}";
    assert!(matches!(split(framed(0, not_utf8, b"")), Err(FrameError::BadHeader { .. })));
}

#[test]
fn lenient_headers_are_read() {
    let header = r#"{"extFields":null,"remark":null,"code":"34","opaque":7,"language":"KLINGON"}"#;
    let command = split(framed(0, header.as_bytes(), b"")).unwrap().unwrap();
    assert_eq!((command.code, command.opaque, command.version), (34, 7, 0));
    assert_eq!(command.language, LanguageCode::OTHER);
    assert_eq!(command.remark(), None);
    assert!(command.ext.is_empty());
    let header = r#"{"code":34,"opaque":7,"language":9,
        "extFields":{"n":-5,"f":1.5e3,"t":true,"z":null,"s":""}}"#;
    let command = split(framed(0, header.as_bytes(), b"")).unwrap().unwrap();
    assert_eq!(command.language, LanguageCode::GO);
    let fields = [("n", "-5"), ("f", "1.5e3"), ("t", "true"), ("s", "")];
    assert!(command.ext.iter().eq(fields));
}

#[test]
fn frames_are_cut_one_by_one_and_bodies_share_the_memory() {
    let fields = BTreeMap::from([("topic".to_owned(), "t".to_owned())]);
    let mut buf = written(false, &fields, None, b"first");
    buf.extend_from_slice(&written(true, &fields, None, b"second"));
    let whole = Bytes::copy_from_slice(&buf);
    let mut seen = Vec::new();
    let mut fed = BytesMut::new();
    for byte in whole {
        fed.extend_from_slice(&[byte]);
        if let Some(command) = frame::split(&mut fed, frame::FRAME_LEN_MAX).unwrap() {
            seen.push(command.body);
        }
    }
    assert_eq!(seen, [&b"first"[..], b"second"]);
    let body = frame::split(&mut buf, frame::FRAME_LEN_MAX).unwrap().unwrap().body;
    let next = buf.as_ptr() as usize;
    assert_eq!(body.as_ptr() as usize + body.len(), next);
}
