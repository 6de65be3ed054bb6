//! Tests put messages straight into a store.

use blockhouse_model::{QueueId, SysFlag, Timestamp};
use blockhouse_record::Draft;
use blockhouse_store::{Settled, Store};

/// Stores a message in queue 0 of a topic.
pub(crate) fn put(store: &Store, topic: &str, body: &str, properties: &str) {
    let draft = Draft {
        topic,
        queue: QueueId(0),
        flag: 0,
        sys_flag: SysFlag(0),
        born_timestamp: Timestamp(7),
        born_host: "127.0.0.1:50000".parse().unwrap(),
        store_host: "127.0.0.1:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_offset: 0,
        body: body.as_bytes(),
        properties,
        wait: true,
    };
    let ticket = store.append(&[draft], &mut Vec::new()).unwrap();
    assert_eq!(ticket.wait(), Settled::PutOk);
}
