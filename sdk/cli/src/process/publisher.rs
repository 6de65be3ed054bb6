//! Messages of plugins, stored by this node's broker like those of clients.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use blockhouse_core::send::{Content, Send, Sent};
use blockhouse_core::{Broker, Caller};
use blockhouse_host::{Outgoing, PublishError, Publisher};
use blockhouse_model::{Principal, RequestContext, SysFlag};
use blockhouse_protocol::codes::request_code;
use blockhouse_service::Tasks;
use blockhouse_store::{Settled, Ticket};

/// The topic after whose settings a new one is made, as RocketMQ's clients ask for.
const DEFAULT_TOPIC: &str = "TBW102";
/// Queues of a new topic, as RocketMQ's clients ask for.
const DEFAULT_TOPIC_QUEUES: u32 = 4;

/// The way into the broker, which starts after the plugins.
pub(super) struct ToBroker {
    broker: OnceLock<Weak<Broker>>,
    tasks: Tasks,
}

impl ToBroker {
    pub(super) fn new(tasks: Tasks) -> Self {
        Self { broker: OnceLock::new(), tasks }
    }

    /// The broker is there.
    pub(super) fn open(&self, broker: &Arc<Broker>) {
        self.broker.get_or_init(|| Arc::downgrade(broker));
    }

    /// The broker, while it is there.
    pub(super) fn broker(&self) -> Option<Arc<Broker>> {
        self.broker.get().and_then(Weak::upgrade)
    }

    /// Waits for the disk, and for new topics to be saved, as a client's request does.
    fn wait(
        &self,
        broker: Arc<Broker>,
        ticket: Ticket,
        new_topic: bool,
        timeout: Duration,
    ) -> Option<Settled> {
        if let Some(settled) = ticket.try_settled()
            && !new_topic
        {
            return Some(settled);
        }
        let (done, outcome) = sync_channel(1);
        // The calling thread may be one of a runtime's, which must not block on a future.
        let task = self.tasks.spawn("plugin-publish", async move {
            let mut settled = ticket.settled().await;
            if new_topic && !broker.keep_new_topics().await && settled == Settled::PutOk {
                settled = Settled::FlushDiskTimeout;
            }
            // Where nobody waits any more, nobody is told.
            let _gone = done.send(settled);
        });
        match outcome.recv_timeout(timeout) {
            Ok(settled) => Some(settled),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                None
            }
        }
    }
}

fn refused(words: &str) -> PublishError {
    PublishError::Refused(words.to_owned())
}

impl Publisher for ToBroker {
    fn publish(&self, message: &Outgoing<'_>, timeout: Duration) -> Result<(), PublishError> {
        let broker = self.broker().ok_or_else(|| refused("the broker is not there"))?;
        if message.body.len() > usize::try_from(broker.config().max_message_size).unwrap_or(0) {
            return Err(PublishError::TooLarge);
        }
        let cx = RequestContext {
            principal: Principal::plugin(message.binding),
            request: broker.hooks().number(1),
            ..RequestContext::new(broker.identity().store_host, 0, request_code::SEND_MESSAGE_V2)
        };
        let send = Send {
            producer_group: message.binding,
            topic: message.topic,
            default_topic: DEFAULT_TOPIC,
            default_topic_queues: DEFAULT_TOPIC_QUEUES,
            queue: None,
            sys_flag: SysFlag(0),
            flag: 0,
            born_timestamp: broker.clock().now().0,
            properties: message.properties,
            reconsume_times: 0,
            max_reconsume_times: None,
            unit_mode: false,
            content: Content::One(message.body),
        };
        let Sent { outcomes, placement, new_topic, .. } = {
            let hooks = broker.hooks().load();
            broker.send(Caller { cx: &cx, hooks: &hooks }, &[send])
        };
        if let Some(Err(refusal)) = outcomes.into_iter().next() {
            return Err(PublishError::Refused(refusal.reason.into_owned()));
        }
        // A hook may have dropped it, which its sender is not told: neither is a client.
        let Some(placement) = placement else { return Ok(()) };
        let ticket = broker.store().settle(placement);
        match self.wait(broker, ticket, new_topic, timeout) {
            Some(Settled::PutOk | Settled::FlushSlaveTimeout | Settled::SlaveNotAvailable) => {
                Ok(())
            }
            Some(Settled::Failed) => Err(refused("the store failed to write")),
            Some(Settled::FlushDiskTimeout) | None => {
                Err(refused("it is not known to be on disk, and may be there later"))
            }
        }
    }
}
