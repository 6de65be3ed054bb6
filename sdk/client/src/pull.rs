//! Pulling from one queue, and offsets.

use std::time::Duration;

use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::offset::{
    GetMaxOffset, GetMinOffset, OffsetResponse, QueryConsumerOffset, SearchOffset,
    UpdateConsumerOffset,
};
use blockhouse_protocol::header::pull::{PullMessage, PullMessageResponse, sys_flag};
use blockhouse_protocol::{ExtWriter, MessageQueue};

use crate::client::succeeded;
use crate::{Client, Error, Received};

/// What to pull.
#[derive(Clone, Debug)]
pub struct Pull<'a> {
    /// Who pulls.
    pub group: &'a str,
    /// From which queue.
    pub queue: &'a MessageQueue,
    /// From where.
    pub offset: i64,
    /// How many messages at most.
    pub max: i32,
    /// Tags, `*` or `A || B`.
    pub filter: &'a str,
    /// How long the broker may hold the request until there is something.
    pub hold: Option<Duration>,
}

/// What a pull brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The messages; none if nothing is there, or nothing that the filter takes.
    pub messages: Vec<Received>,
    /// Where to pull next.
    pub next: i64,
    /// The queue's first offset.
    pub min: i64,
    /// The offset after the queue's last.
    pub max: i64,
}

impl Client {
    async fn address_of(&self, queue: &MessageQueue) -> Result<String, Error> {
        let route = self.route(&queue.topic).await?;
        let addr = route.address(queue).map(str::to_owned);
        addr.ok_or_else(|| Error::NoBroker(queue.broker_name.clone()))
    }

    /// Pulls once.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses. An offset outside the queue is no error: `next`
    /// says where to go on.
    pub async fn pull(&self, pull: &Pull<'_>) -> Result<Pulled, Error> {
        let addr = self.address_of(pull.queue).await?;
        let hold = pull.hold.unwrap_or(Duration::ZERO);
        let suspend = if pull.hold.is_some() { sys_flag::SUSPEND } else { 0 };
        let header = PullMessage {
            consumer_group: pull.group,
            topic: &pull.queue.topic,
            queue_id: pull.queue.queue_id,
            queue_offset: pull.offset,
            max_msg_nums: pull.max,
            sys_flag: sys_flag::SUBSCRIPTION | suspend,
            commit_offset: 0,
            suspend_timeout_millis: i64::try_from(hold.as_millis()).unwrap_or(0),
            subscription: Some(pull.filter),
            sub_version: 0,
            expression_type: Some("TAG"),
            max_msg_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
            broker_name: Some(&pull.queue.broker_name),
        };
        let (code, timeout) = (request_code::PULL_MESSAGE, hold + self.timeout());
        let answer = self.ask(&addr, code, |ext| header.write(ext), b"", timeout).await?;
        let answer = match answer.code {
            response_code::SUCCESS
            | response_code::PULL_NOT_FOUND
            | response_code::PULL_RETRY_IMMEDIATELY
            | response_code::PULL_OFFSET_MOVED => answer,
            _ => succeeded(&addr, answer)?,
        };
        let header = PullMessageResponse::parse(&answer.ext)?;
        let mut messages = Vec::new();
        if answer.code == response_code::SUCCESS {
            for record in blockhouse_record::records(&answer.body) {
                messages.push(Received::of(&record?, &pull.queue.broker_name));
            }
        }
        Ok(Pulled {
            messages,
            next: header.next_begin_offset,
            min: header.min_offset,
            max: header.max_offset,
        })
    }

    /// Asks the queue's broker for one offset.
    async fn offset(
        &self,
        queue: &MessageQueue,
        code: i32,
        ext: impl FnOnce(&mut ExtWriter<'_>),
    ) -> Result<i64, Error> {
        let addr = self.address_of(queue).await?;
        let answer = self.call(&addr, code, ext, b"").await?;
        Ok(OffsetResponse::parse(&answer.ext)?.offset)
    }

    /// A queue's first offset.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn min_offset(&self, queue: &MessageQueue) -> Result<i64, Error> {
        let header = GetMinOffset { topic: &queue.topic, queue_id: queue.queue_id };
        self.offset(queue, request_code::GET_MIN_OFFSET, |ext| header.write(ext)).await
    }

    /// The offset after a queue's last.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn max_offset(&self, queue: &MessageQueue) -> Result<i64, Error> {
        let header =
            GetMaxOffset { topic: &queue.topic, queue_id: queue.queue_id, committed: true };
        self.offset(queue, request_code::GET_MAX_OFFSET, |ext| header.write(ext)).await
    }

    /// The offset of the first message stored at or after `timestamp`.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn offset_at(&self, queue: &MessageQueue, timestamp: i64) -> Result<i64, Error> {
        let header = SearchOffset {
            topic: &queue.topic,
            queue_id: queue.queue_id,
            timestamp,
            boundary_type: None,
        };
        self.offset(queue, request_code::SEARCH_OFFSET_BY_TIMESTAMP, |ext| header.write(ext)).await
    }

    /// What a group has committed; `None` if nothing.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn committed(&self, group: &str, queue: &MessageQueue) -> Result<Option<i64>, Error> {
        let header = QueryConsumerOffset {
            consumer_group: group,
            topic: &queue.topic,
            queue_id: queue.queue_id,
            set_zero_if_not_found: Some(false),
            broker_name: Some(&queue.broker_name),
        };
        let code = request_code::QUERY_CONSUMER_OFFSET;
        match self.offset(queue, code, |ext| header.write(ext)).await {
            Err(e) if e.code() == Some(response_code::QUERY_NOT_FOUND) => Ok(None),
            offset => offset.map(Some),
        }
    }

    /// Commits a group's offset and waits until the broker has it.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn commit(&self, group: &str, queue: &MessageQueue, to: i64) -> Result<(), Error> {
        let header = UpdateConsumerOffset {
            consumer_group: group,
            topic: &queue.topic,
            queue_id: queue.queue_id,
            commit_offset: to,
            broker_name: Some(&queue.broker_name),
        };
        let addr = self.address_of(queue).await?;
        let code = request_code::UPDATE_CONSUMER_OFFSET;
        self.call(&addr, code, |ext| header.write(ext), b"").await?;
        Ok(())
    }
}
