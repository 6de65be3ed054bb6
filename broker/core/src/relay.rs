//! Questions of operators that a client answers.

use std::time::Duration;

use blockhouse_model::{Group, MessageId, Topic};
use blockhouse_record::View;

use crate::clients::{CallError, ClientReply, ClientRequest, Member};
use crate::refusal::{Refusal, RefusalKind};
use crate::{Broker, Caller};

/// How long a client may take. RocketMQ: `Broker2Client` waits as long.
const PATIENCE: Duration = Duration::from_secs(10);

impl Broker {
    /// How is this consumer?
    ///
    /// # Errors
    /// It is not connected or does not answer.
    pub async fn running_info(
        &self,
        group: &str,
        client_id: &str,
        stacks: bool,
    ) -> Result<ClientReply, Refusal> {
        let member = self.member(group, client_id)?;
        let request = ClientRequest::RunningInfo {
            group: Group::trusted(group),
            client_id: client_id.to_owned(),
            stacks,
        };
        ask(&member, request).await
    }

    /// Has this consumer consume a stored message now, whatever its place.
    ///
    /// # Errors
    /// There is no such message, or the consumer is not connected or does not answer.
    pub async fn consume_directly(
        &self,
        caller: Caller<'_>,
        group: &str,
        client_id: &str,
        message_id: &str,
        topic: &str,
    ) -> Result<ClientReply, Refusal> {
        let id = MessageId::parse(message_id).ok_or_else(|| {
            let reason = format!("msgId[{message_id}] is not an offset id");
            Refusal::new(RefusalKind::SystemError, reason)
        })?;
        let record = self.message_at(caller, group, id.offset).await?;
        let view = View::parse(&record).map_err(|error| {
            Refusal::new(RefusalKind::SystemError, format!("the message cannot be read: {error}"))
        })?;
        caller.authorize_stored(view.topic)?;
        let member = self.member(group, client_id)?;
        let request = ClientRequest::ConsumeDirectly {
            group: Group::trusted(group),
            client_id: client_id.to_owned(),
            message_id: message_id.to_owned(),
            topic: topic.to_owned(),
            record,
        };
        ask(&member, request).await
    }

    /// How far are the members of a group in a topic, by their own word? One answer per member
    /// that gave one; `only` asks a single member.
    ///
    /// # Errors
    /// None of the group is connected.
    pub async fn consumer_status(
        &self,
        group: &str,
        topic: &str,
        only: Option<&str>,
    ) -> Result<Vec<(String, ClientReply)>, Refusal> {
        let mut members = self.clients().members(group);
        members.retain(|member| only.is_none_or(|id| *member.client_id == *id));
        if members.is_empty() {
            return Err(offline(group, only.unwrap_or("*")));
        }
        let mut answers = Vec::with_capacity(members.len());
        for member in members {
            let request = ClientRequest::ConsumerStatus {
                group: Group::trusted(group),
                topic: Topic::trusted(topic),
            };
            if let Ok(reply) = ask(&member, request).await {
                answers.push((member.client_id.to_string(), reply));
            }
        }
        Ok(answers)
    }

    fn member(&self, group: &str, client_id: &str) -> Result<Member, Refusal> {
        self.clients().member(group, client_id).ok_or_else(|| offline(group, client_id))
    }
}

fn offline(group: &str, client_id: &str) -> Refusal {
    // RocketMQ answers this with SYSTEM_ERROR, and its tools print the remark.
    let reason = format!("The Consumer <{group}> <{client_id}> not online");
    Refusal::new(RefusalKind::SystemError, reason)
}

async fn ask(member: &Member, request: ClientRequest) -> Result<ClientReply, Refusal> {
    member.channel.call(request, PATIENCE).await.map_err(|error| {
        let kind = match error {
            CallError::Timeout => RefusalKind::ConsumeTimeout,
            _ => RefusalKind::SystemError,
        };
        Refusal::new(kind, format!("consumer <{}>: {error}", member.client_id))
    })
}
