//! Which groups have consumed a message, and what they still have to do before it.

use blockhouse_client::admin::Lag;
use blockhouse_client::{Client, Received};
use blockhouse_model::names;
use serde::Serialize;

use crate::cluster::Table;
use crate::utc::time;

/// A group that consumes the message's topic.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ByGroup {
    group: String,
    state: State,
    /// Messages of its queue that the group has to consume first.
    before: i64,
    /// When the last message was stored that the group has consumed of the queue; 0 if that is not known.
    consumed_up_to: i64,
    /// Members that are connected.
    members: usize,
    /// Messages that wait in the group's retry topic: this one may be among them.
    retries: i64,
}

/// What a group has done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    /// Its progress has passed it.
    Consumed,
    /// It was pulled, and is not done with.
    Pulled,
    /// It was not pulled.
    Waits,
    /// The group has no progress in its queue.
    NeverHere,
}

impl State {
    const fn words(self) -> &'static str {
        match self {
            Self::Consumed => "consumed",
            Self::Pulled => "pulled, not done",
            Self::Waits => "not pulled",
            Self::NeverHere => "no progress in its queue",
        }
    }

    /// By the offsets that a group has committed and pulled.
    const fn of(offset: i64, committed: i64, pulled: i64) -> Self {
        if committed > offset {
            Self::Consumed
        } else if pulled > offset {
            Self::Pulled
        } else {
            Self::Waits
        }
    }
}

/// All groups that consume the message's topic.
pub(super) async fn by_groups(client: &Client, message: &Received) -> anyhow::Result<Vec<ByGroup>> {
    let mut found = Vec::new();
    for group in client.groups_of_topic(&message.topic).await? {
        let lags = client.progress(&group, Some(&message.topic)).await?;
        // A message that was found by its id does not say the name of its broker.
        let place = lags.iter().find(|lag| {
            let (queue, of) = (&lag.queue, &message.queue);
            queue.queue_id == of.queue_id
                && (of.broker_name.is_empty() || queue.broker_name == of.broker_name)
        });
        let offset = message.queue_offset;
        let (state, before, consumed_up_to) = place.map_or((State::NeverHere, 0, 0), |lag| {
            let offsets = &lag.offsets;
            let state = State::of(offset, offsets.consumer_offset, offsets.pull_offset);
            (state, (offset - offsets.consumer_offset).max(0), offsets.last_timestamp)
        });
        let members = client.consumers(&group).await?.map_or(0, |c| c.connection_set.len());
        let retry = client.progress(&group, Some(&names::retry_topic(&group))).await;
        let retries = retry.map_or(0, |lags| lags.iter().map(Lag::messages).sum());
        found.push(ByGroup { group, state, before, consumed_up_to, members, retries });
    }
    Ok(found)
}

/// For people.
pub(super) fn as_text(groups: &[ByGroup]) -> String {
    if groups.is_empty() {
        return "no group consumes its topic\n".to_owned();
    }
    let mut table =
        Table::new(&["group", "this message", "before it", "consumed up to", "members", "retries"]);
    for of in groups {
        let up_to = if of.consumed_up_to > 0 { time(of.consumed_up_to) } else { "-".to_owned() };
        let [before, members, retries] =
            [of.before.to_string(), of.members.to_string(), of.retries.to_string()];
        table.row([of.group.clone(), of.state.words().to_owned(), before, up_to, members, retries]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_done_with_once_progress_has_passed_it() {
        let states = [(8, 9), (7, 8), (7, 7), (3, 3)]
            .map(|(committed, pulled)| State::of(7, committed, pulled));
        assert_eq!(states, [State::Consumed, State::Pulled, State::Waits, State::Waits]);
    }
}
