//! Sending.

use std::sync::atomic::{AtomicUsize, Ordering};

use blockhouse_model::{names, properties};
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::send::{SendMessage, SendMessageResponse};
use blockhouse_protocol::{MessageQueue, RemotingCommand, batch};
use bytes::{Bytes, BytesMut};

use crate::client::succeeded;
use crate::{Client, Error, Outgoing};

/// Attempts of one send. RocketMQ's `retryTimesWhenSendFailed` is 2 beside the first.
const ATTEMPTS: usize = 3;

/// What the broker said to a stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStatus {
    /// Stored as the broker's configuration demands.
    Ok,
    /// Stored, but not on disk in time.
    FlushDiskTimeout,
    /// Stored, but not on a slave in time.
    FlushSlaveTimeout,
    /// Stored, but there was no slave.
    SlaveNotAvailable,
}

impl SendStatus {
    /// RocketMQ's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "SEND_OK",
            Self::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
            Self::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
            Self::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
        }
    }

    fn of(code: i32) -> Option<Self> {
        match code {
            response_code::SUCCESS => Some(Self::Ok),
            response_code::FLUSH_DISK_TIMEOUT => Some(Self::FlushDiskTimeout),
            response_code::FLUSH_SLAVE_TIMEOUT => Some(Self::FlushSlaveTimeout),
            response_code::SLAVE_NOT_AVAILABLE => Some(Self::SlaveNotAvailable),
            _ => None,
        }
    }
}

/// A message that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How.
    pub status: SendStatus,
    /// Where.
    pub queue: MessageQueue,
    /// Its place in the queue (of a batch: the first).
    pub queue_offset: i64,
    /// What users call it: its unique key (of a batch: all, comma-separated).
    pub message_id: String,
    /// Where it is stored (of a batch: all, comma-separated).
    pub offset_id: String,
}

/// Sends to the queues of a topic in turn.
pub struct Producer<'a> {
    client: &'a Client,
    group: String,
    next: AtomicUsize,
}

/// One or more messages, ready to be sent.
struct Load {
    topic: String,
    body: Bytes,
    flag: i32,
    properties: String,
    batch: bool,
    ids: String,
}

impl<'a> Producer<'a> {
    /// A producer of `group`.
    #[must_use]
    pub fn new(client: &'a Client, group: &str) -> Self {
        Self { client, group: group.to_owned(), next: AtomicUsize::new(0) }
    }

    /// Sends a message; if a broker fails, to the next queue.
    ///
    /// # Errors
    /// No broker stored it.
    pub async fn send(&self, message: &Outgoing) -> Result<Sent, Error> {
        self.send_load(&self.single(message)).await
    }

    /// Sends messages of one topic as one batch.
    ///
    /// # Errors
    /// No broker stored it, or a message's properties are too long.
    pub async fn send_batch(&self, messages: &[Outgoing]) -> Result<Sent, Error> {
        let mut body = BytesMut::new();
        let mut ids = Vec::new();
        for message in messages {
            let (id, properties) = self.keyed(message);
            batch::push(&mut body, message.flag, &message.body, &properties)?;
            ids.push(id);
        }
        let topic = messages.first().map(|m| m.topic.clone()).unwrap_or_default();
        let load = Load {
            topic,
            body: body.freeze(),
            flag: 0,
            properties: String::new(),
            batch: true,
            ids: ids.join(","),
        };
        self.send_load(&load).await
    }

    /// Sends a message without waiting for an answer. The queue is returned.
    ///
    /// # Errors
    /// No broker could be reached.
    pub async fn send_one_way(&self, message: &Outgoing) -> Result<MessageQueue, Error> {
        let load = self.single(message);
        let (queue, addr) = self.pick(&load.topic).await?;
        let connection = self.client.connection(&addr).await?;
        let pushed = connection.push_request(
            request_code::SEND_MESSAGE_V2,
            |ext| self.header(&load, &queue).write(ext),
            &load.body,
        );
        if pushed {
            Ok(queue)
        } else {
            Err(blockhouse_transport::Error::Full(connection.peer()).into())
        }
    }

    fn single(&self, message: &Outgoing) -> Load {
        let (ids, properties) = self.keyed(message);
        Load {
            topic: message.topic.clone(),
            body: message.body.clone(),
            flag: message.flag,
            properties,
            batch: false,
            ids,
        }
    }

    /// The message's unique key, a new one if it has none, and its properties with it.
    fn keyed(&self, message: &Outgoing) -> (String, String) {
        let mut text = message.properties.clone();
        if let Some(key) = properties::find(&text, properties::UNIQUE_KEY) {
            return (key.to_owned(), text);
        }
        let key = self.client.unique_key();
        properties::push(&mut text, properties::UNIQUE_KEY, &key);
        (key, text)
    }

    async fn send_load(&self, load: &Load) -> Result<Sent, Error> {
        let mut attempt = 1;
        loop {
            match self.attempt(load).await {
                Err(e) if attempt < ATTEMPTS && e.is_worth_a_retry() => {
                    tracing::debug!(error = %e, attempt, "send failed, trying the next queue");
                    self.client.forget_route(&load.topic);
                    attempt += 1;
                }
                settled => return settled,
            }
        }
    }

    async fn attempt(&self, load: &Load) -> Result<Sent, Error> {
        let (queue, addr) = self.pick(&load.topic).await?;
        let code = if load.batch {
            request_code::SEND_BATCH_MESSAGE
        } else {
            request_code::SEND_MESSAGE_V2
        };
        let header = self.header(load, &queue);
        let timeout = self.client.timeout();
        let answer =
            self.client.ask(&addr, code, |ext| header.write(ext), &load.body, timeout).await?;
        sent(load, queue, &addr, answer)
    }

    /// The next queue of the topic, and its broker. A topic that does not exist yet is created by
    /// the broker from the template topic, where that is allowed.
    async fn pick(&self, topic: &str) -> Result<(MessageQueue, String), Error> {
        let route = match self.client.route(topic).await {
            Err(Error::NoRoute(topic)) => {
                let template = self.client.route(names::AUTO_CREATE_TOPIC).await;
                template.map_err(|_| Error::NoRoute(topic))?
            }
            route => route?,
        };
        let none = || Error::NoQueue { topic: topic.to_owned(), what: "writeable" };
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let at = turn.checked_rem(route.writeable.len()).ok_or_else(none)?;
        let queue = MessageQueue { topic: topic.to_owned(), ..route.writeable[at].clone() };
        let addr = route.address(&queue).ok_or_else(none)?.to_owned();
        Ok((queue, addr))
    }

    fn header<'h>(&'h self, load: &'h Load, queue: &'h MessageQueue) -> SendMessage<'h> {
        SendMessage {
            producer_group: &self.group,
            topic: &load.topic,
            default_topic: names::AUTO_CREATE_TOPIC,
            default_topic_queue_nums: 4,
            queue_id: queue.queue_id,
            sys_flag: 0,
            born_timestamp: self.client.clock().now().0,
            flag: load.flag,
            properties: &load.properties,
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: load.batch,
            broker_name: Some(&queue.broker_name),
        }
    }
}

fn sent(
    load: &Load,
    queue: MessageQueue,
    addr: &str,
    answer: RemotingCommand,
) -> Result<Sent, Error> {
    let Some(status) = SendStatus::of(answer.code) else {
        return Err(match succeeded(addr, answer) {
            Err(e) => e,
            Ok(_) => Error::NoQueue { topic: load.topic.clone(), what: "writeable" },
        });
    };
    let header = SendMessageResponse::parse(&answer.ext)?;
    Ok(Sent {
        status,
        queue: MessageQueue { queue_id: header.queue_id, ..queue },
        queue_offset: header.queue_offset,
        message_id: load.ids.clone(),
        offset_id: header.msg_id.to_owned(),
    })
}
