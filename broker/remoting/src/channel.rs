//! A remoting connection as the core sees a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::clients::channel::Call;
use blockhouse_core::clients::{CallError, ClientChannel, ClientEvent, ClientReply, ClientRequest};
use blockhouse_model::MessageId;
use blockhouse_protocol::codes::request_code as code;
use blockhouse_protocol::{ExtWriter, RemotingCommand};
use blockhouse_transport::Connection;
use bytes::Bytes;

pub(crate) struct Channel(pub(crate) Arc<Connection>);

impl ClientChannel for Channel {
    fn id(&self) -> u64 {
        self.0.id()
    }

    fn peer(&self) -> SocketAddr {
        self.0.peer()
    }

    fn push(&self, event: ClientEvent) -> bool {
        match event {
            ClientEvent::ConsumerIdsChanged { group } => {
                let write = |out: &mut ExtWriter<'_>| out.text("consumerGroup", &group);
                self.0.push_request(code::NOTIFY_CONSUMER_IDS_CHANGED, write, &[])
            }
            // Groups are moved on the broker: their next pull tells them.
            _ => false,
        }
    }

    fn call(&self, request: ClientRequest, timeout: Duration) -> Call {
        let connection = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = match request {
                ClientRequest::RunningInfo { group, client_id, stacks } => {
                    let write = |out: &mut ExtWriter<'_>| {
                        out.text("consumerGroup", &group);
                        out.text("clientId", &client_id);
                        out.boolean("jstackEnable", stacks);
                    };
                    connection.call(code::GET_CONSUMER_RUNNING_INFO, write, &[], timeout).await
                }
                ClientRequest::ConsumeDirectly { group, client_id, message_id, topic, record } => {
                    let write = |out: &mut ExtWriter<'_>| {
                        out.text("consumerGroup", &group);
                        out.text("clientId", &client_id);
                        out.text("msgId", &message_id);
                        out.text("topic", &topic);
                    };
                    debug_assert!(MessageId::parse(&message_id).is_some());
                    connection.call(code::CONSUME_MESSAGE_DIRECTLY, write, &record, timeout).await
                }
                ClientRequest::ConsumerStatus { group, topic } => {
                    let write = |out: &mut ExtWriter<'_>| {
                        out.text("topic", &topic);
                        out.text("group", &group);
                    };
                    connection
                        .call(code::GET_CONSUMER_STATUS_FROM_CLIENT, write, &[], timeout)
                        .await
                }
                _ => return Err(CallError::Unsupported),
            };
            answer.map(|answer| reply(&answer)).map_err(|error| failed(&error))
        })
    }

    fn close(&self) {
        self.0.close();
    }
}

fn reply(answer: &RemotingCommand) -> ClientReply {
    let remark = answer.remark().map(str::to_owned);
    ClientReply { status: answer.code, remark, body: Bytes::clone(&answer.body) }
}

const fn failed(error: &blockhouse_transport::Error) -> CallError {
    match error {
        blockhouse_transport::Error::Timeout { .. } => CallError::Timeout,
        blockhouse_transport::Error::Full(_) => CallError::Busy,
        _ => CallError::Closed,
    }
}
