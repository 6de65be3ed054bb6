//! Encoded records are read back as they were; nothing else is taken for one, and nothing panics.
#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

use std::net::SocketAddr;

use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, SysFlag, Timestamp};
use blockhouse_record::{
    Checked, Draft, Error, Stamp, View, check, encode, layout, records, stamp,
};
use proptest::prelude::*;

fn host(v6: bool, n: u32, port: u16) -> SocketAddr {
    if v6 {
        SocketAddr::new(std::net::Ipv6Addr::from(u128::from(n) << 64 | 1).into(), port)
    } else {
        SocketAddr::new(std::net::Ipv4Addr::from(n).into(), port)
    }
}

fn draft<'a>(topic: &'a str, body: &'a [u8], properties: &'a str) -> Draft<'a> {
    Draft {
        topic,
        queue: QueueId(3),
        flag: 7,
        sys_flag: SysFlag(0),
        born_timestamp: Timestamp(11),
        born_host: host(false, 0x7F00_0001, 1234),
        store_host: host(false, 0x7F00_0001, 10_911),
        reconsume_times: 2,
        prepared_offset: 0,
        body,
        properties,
        wait: true,
    }
}

fn stamped(draft: &Draft<'_>, place: Stamp) -> Vec<u8> {
    let mut bytes = Vec::new();
    let n = encode(draft, &mut bytes).unwrap();
    assert_eq!(n, bytes.len());
    stamp(&mut bytes, place);
    bytes
}

const PLACE: Stamp = Stamp {
    queue_offset: QueueOffset(5),
    physical_offset: PhysicalOffset(0x1_0000_0001),
    store_timestamp: Timestamp(1_700_000_000_000),
};

#[test]
fn a_small_record_has_rocketmqs_bytes() {
    let bytes = stamped(&draft("t", b"ab", "K\u{1}v\u{2}"), PLACE);
    assert_eq!(bytes.len(), 91 + 2 + 1 + 4);
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let expected = [
        "00000062",
        "daa320a7",
        "1e83486d",
        "00000003",
        "00000007",
        "0000000000000005",
        "0000000100000001",
        "00000000",
        "000000000000000b",
        "7f000001000004d2",
        "0000018bcfe56800",
        "7f00000100002a9f",
        "00000002",
        "0000000000000000",
        "00000002",
        "6162",
        "01",
        "74",
        "0004",
        "4b017602",
    ];
    assert_eq!(hex, expected.concat());
}

#[test]
fn topics_longer_than_127_bytes_make_version_2() {
    for (len, magic) in [(127, layout::MAGIC_V1), (128, layout::MAGIC_V2), (255, layout::MAGIC_V2)]
    {
        let topic = "t".repeat(len);
        let bytes = stamped(&draft(&topic, b"x", ""), PLACE);
        assert_eq!(bytes[4..8], magic.to_be_bytes());
        assert_eq!(View::parse(&bytes).unwrap().topic, topic);
    }
}

#[test]
fn prepared_and_rolled_back_messages_have_no_queue_offset() {
    for (flags, offset) in [
        (SysFlag::TRANSACTION_PREPARED, 0),
        (SysFlag::TRANSACTION_ROLLBACK, 0),
        (SysFlag::TRANSACTION_COMMIT, 5),
    ] {
        let mut draft = draft("t", b"", "");
        draft.sys_flag = SysFlag(flags);
        assert_eq!(View::parse(&stamped(&draft, PLACE)).unwrap().queue_offset.0, offset);
    }
}

#[test]
fn what_is_too_long_is_refused_by_name() {
    let mut out = Vec::new();
    let long = "p".repeat(layout::PROPERTIES_MAX + 1);
    assert_eq!(encode(&draft("", b"", ""), &mut out), Err(Error::Topic { max: 32_767 }));
    let refused = encode(&draft("t", b"", &long), &mut out);
    assert_eq!(refused, Err(Error::Properties { max: 32_767 }));
    assert!(out.is_empty());
}

#[test]
fn a_record_that_lost_a_sector_is_seen() {
    for filling in ["x", "é"] {
        let text = format!("A\u{1}{}\u{2}", filling.repeat(900));
        for body in [&b""[..], &[0; 700], &[7; 700]] {
            let bytes = stamped(&draft("topic", body, &text), PLACE);
            // Wherever the record begins in its sector.
            for start in (0..512).step_by(7) {
                for sector in 0..=(start + bytes.len()) / 512 {
                    let mut bad = bytes.clone();
                    let lost = |at: usize| (start + at) / 512 == sector;
                    for (_, byte) in bad.iter_mut().enumerate().filter(|(at, _)| lost(*at)) {
                        *byte = 0;
                    }
                    assert!(bad == bytes || check(&bad).is_err(), "{start}, sector {sector}");
                }
            }
        }
    }
}

#[test]
fn damage_is_seen() {
    let bytes = stamped(&draft("topic", b"some body", "A\u{1}b\u{2}"), PLACE);
    assert!(matches!(check(&bytes), Ok(Checked::Message(_))));
    for cut in 0..bytes.len() {
        assert!(check(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut bad = bytes.clone();
    bad[88] ^= 0x10;
    assert_eq!(check(&bad), Err(Error::Crc));
    for torn in 90..bytes.len() {
        let mut bad = bytes.clone();
        bad[torn..].fill(0);
        assert!(check(&bad).is_err(), "zeros from {torn} on");
    }
    let mut longer = bytes.clone();
    longer[3] += 1;
    longer.push(0);
    assert_eq!(check(&longer), Err(Error::Field("total size")));
    let mut filler = vec![0, 0, 1, 0];
    filler.extend_from_slice(&layout::MAGIC_BLANK.to_be_bytes());
    assert_eq!(check(&filler), Ok(Checked::Filler));
}

proptest! {
    #[test]
    fn records_keep_their_value(
        topic in "[a-zA-Z%|_-]{1,300}",
        body in prop::collection::vec(any::<u8>(), 0..2_000),
        properties in "\\PC{0,200}",
        (queue, flag, sys, reconsume) in (0..i32::MAX, any::<i32>(), 0..16i32, any::<i32>()),
        (born_v6, store_v6, ip, port) in any::<(bool, bool, u32, u16)>(),
        (prepared, born) in any::<(i64, i64)>(),
        (offset, physical, stored) in (0..i64::MAX, 0..i64::MAX, any::<i64>()),
    ) {
        let draft = Draft {
            topic: &topic,
            queue: QueueId::from_i32(queue).unwrap(),
            flag,
            sys_flag: SysFlag(sys),
            born_timestamp: Timestamp(born),
            born_host: host(born_v6, ip, port),
            store_host: host(store_v6, !ip, !port),
            reconsume_times: reconsume,
            prepared_offset: prepared,
            body: &body,
            properties: &properties,
            wait: true,
        };
        let place = Stamp {
            queue_offset: QueueOffset::from_i64(offset).unwrap(),
            physical_offset: PhysicalOffset::from_i64(physical).unwrap(),
            store_timestamp: Timestamp(stored),
        };
        let bytes = stamped(&draft, place);
        let Ok(Checked::Message(view)) = check(&bytes) else { panic!("not a record") };
        prop_assert_eq!(view.topic, draft.topic);
        prop_assert_eq!(view.body, draft.body);
        prop_assert_eq!(view.properties, draft.properties);
        prop_assert_eq!(view.queue, draft.queue);
        prop_assert_eq!((view.flag, view.reconsume_times), (flag, reconsume));
        prop_assert_eq!((view.born_host, view.store_host), (draft.born_host, draft.store_host));
        prop_assert_eq!((view.prepared_offset, view.born_timestamp.0), (prepared, born));
        prop_assert_eq!(view.physical_offset, place.physical_offset);
        prop_assert_eq!(view.store_timestamp, place.store_timestamp);
        let head = &bytes[..layout::HEAD_LEN];
        prop_assert_eq!(blockhouse_record::view::store_timestamp(head), Some(Timestamp(stored)));
        let twice = [bytes.as_slice(), bytes.as_slice()].concat();
        let all: Vec<_> = records(&twice).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(all, vec![view, view]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), v2: bool) {
        let seen = records(&bytes).count();
        prop_assert!(seen <= bytes.len());
        // With a right magic number and size, so that what follows is looked at.
        if bytes.len() > 8 {
            let len = u32::try_from(bytes.len()).unwrap();
            bytes[..4].copy_from_slice(&len.to_be_bytes());
            let magic = if v2 { layout::MAGIC_V2 } else { layout::MAGIC_V1 };
            bytes[4..8].copy_from_slice(&magic.to_be_bytes());
        }
        if let Ok(view) = View::parse(&bytes) {
            prop_assert_eq!(view.bytes.len(), bytes.len());
        }
        let mut short = bytes.clone();
        stamp(&mut short, PLACE);
        prop_assert_eq!(short.len(), bytes.len());
    }
}
