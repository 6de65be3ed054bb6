//! Whether the files of queues still have what the table of queues says.

use std::sync::Arc;

use crate::queue::Queue;
use crate::queues::Queues;

/// How many queues are looked at at least. Looking at each of 100,000 would take longer than all else
/// of a start.
const LOOKED_AT: usize = 4_096;

/// Looks at the last entry of each queue, or of some if there are very many, and of each if one of
/// those is lost. Gives empty queues for those whose end is lost: they have to be built anew.
pub(crate) fn lost_tails(queues: &Queues) -> Vec<Arc<Queue>> {
    let all = queues.list(None);
    let step = all.len().div_ceil(LOOKED_AT).max(1);
    if !all.iter().step_by(step).any(|queue| is_lost(queues, queue)) {
        return Vec::new();
    }
    let lost: Vec<_> = all.iter().filter(|queue| is_lost(queues, queue)).collect();
    lost.into_iter()
        .map(|queue| {
            tracing::error!(
                "{} {}: the files of the queue do not reach to its end at {}",
                queue.topic,
                queue.id,
                queue.max()
            );
            queues.replace(queue)
        })
        .collect()
}

/// What cannot be read is not known to be lost.
fn is_lost(queues: &Queues, queue: &Queue) -> bool {
    if queue.min() >= queue.max() {
        return false;
    }
    let ends = queues.files.ends_with_entry(queue, queue.max());
    queues.files.forget(queue);
    match ends {
        Ok(ends) => !ends,
        Err(e) => {
            tracing::warn!("{} {}: {e}", queue.topic, queue.id);
            false
        }
    }
}
