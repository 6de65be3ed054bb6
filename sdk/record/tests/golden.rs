//! Records that a Java broker 5.4.0 wrote: read, and written again to the same bytes.

use blockhouse_model::PhysicalOffset;
use blockhouse_record::{Checked, Draft, Stamp, check, encode, records, stamp};

const LOG: &[u8] = include_bytes!("../../protocol/tests/data/store/commitlog/00000000000000000000");

#[test]
fn a_java_brokers_log_is_read_and_written_to_the_same_bytes() {
    let mut at = 0;
    let mut topics = Vec::new();
    for view in records(LOG) {
        let view = view.unwrap();
        assert_eq!(check(view.bytes), Ok(Checked::Message(view)));
        assert_eq!(view.physical_offset, PhysicalOffset(at as u64));
        let draft = Draft {
            topic: view.topic,
            queue: view.queue,
            flag: view.flag,
            sys_flag: view.sys_flag,
            born_timestamp: view.born_timestamp,
            born_host: view.born_host,
            store_host: view.store_host,
            reconsume_times: view.reconsume_times,
            prepared_offset: view.prepared_offset,
            body: view.body,
            properties: view.properties,
            wait: true,
        };
        let mut bytes = Vec::new();
        encode(&draft, &mut bytes).unwrap();
        stamp(
            &mut bytes,
            Stamp {
                queue_offset: view.queue_offset,
                physical_offset: view.physical_offset,
                store_timestamp: view.store_timestamp,
            },
        );
        assert_eq!(bytes, view.bytes, "record at {at}");
        at += bytes.len();
        topics.push(view.topic);
    }
    assert_eq!(at, LOG.len());
    assert!(topics.contains(&"gold_topic") && topics.contains(&"RMQ_SYS_TRANS_HALF_TOPIC"));
}
