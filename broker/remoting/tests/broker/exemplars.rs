//! What buckets of request times lead to.

use std::sync::Arc;

use blockhouse_meter::spans::{DropReason, Rules, Spans};
use blockhouse_protocol::codes::response_code as code;

use super::support::World;

#[tokio::test]
async fn a_span_that_found_no_room_is_nobodys_exemplar() {
    let rules = Rules { head: 1.0, slow: None, errors: false };
    // Nobody takes records out: there is room for a send, and for a delivery of it.
    let (spans, _records) = Spans::new(rules, 2);
    let spans = Arc::new(spans);
    let world = World::recording(&[], Some(Arc::clone(&spans))).await;
    let client = world.client().await;
    assert_eq!(client.send("t", "", b"1").await.code, code::SUCCESS);
    assert_eq!(client.pull("t", 0, "*").await.code, code::SUCCESS);
    let read = || {
        let rows = world.meter.exemplars.read().into_values();
        rows.flatten().flatten().map(|exemplar| exemplar.span).collect::<Vec<_>>()
    };
    let kept = read();
    assert_eq!((kept.len(), spans.counts.dropped.read(DropReason::Queue)), (2, 0));

    assert_eq!(client.send("t", "", b"2").await.code, code::SUCCESS);
    assert_eq!(client.pull("t", 1, "*").await.code, code::SUCCESS);
    assert_eq!((read(), spans.counts.dropped.read(DropReason::Queue)), (kept, 2));
    world.server.shutdown().await;
}
