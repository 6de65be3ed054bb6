//! Groups and delay levels whose saved progress is ahead of the messages, as a power cut can leave
//! it: the log's end was not on disk yet, the progress was. Left so, the messages that come next
//! would count as consumed, or as set free, before anybody saw them.
//!
//! Only the bounds that the store knows after its recovery are asked, no queue's files: a queue
//! whose messages are expired keeps its end. A queue that the store does not know begins at 0, and
//! so does progress in it; RocketMQ keeps such progress.

use anyhow::Context as _;
use blockhouse_meta::Meta;
use blockhouse_meta::ahead::SetBack;
use blockhouse_store::Store;
use tracing::warn;

/// Sets such progress back to the ends of its queues, durably, and says so. Before the first message
/// is taken.
pub(crate) fn set_back(store: &Store, meta: &Meta) -> anyhow::Result<()> {
    let end = |topic: &str, queue| Some(store.max_offset(topic, queue));
    let [groups, levels] = meta.set_back(&end).context("progress ahead of the messages")?;
    for (what, back) in [("of consumer groups", groups), ("of delay levels", levels)] {
        if let SetBack { count, first: Some(first), .. } = back {
            warn!(
                "{count} offsets {what} were ahead of the messages, which a power cut can leave: set \
                 back to the ends of their queues. The first: {first}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
