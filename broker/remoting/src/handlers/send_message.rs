//! `SEND_MESSAGE`, `SEND_MESSAGE_V2`, `SEND_BATCH_MESSAGE`: a run of them at once.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::send::{Accepted, BatchItem, Content, Send, Sent, Times, Traced};
use blockhouse_core::{Broker, Caller, Refusal};
use blockhouse_meter::Meter;
use blockhouse_meter::flight::Subject;
use blockhouse_meter::spans::{Stages, Ticks};
use blockhouse_model::{MessageId, QueueId, SysFlag};
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::send::SendMessage;
use blockhouse_protocol::{ExtWriter, RemotingCommand, ResponseHead, batch, encode};
use blockhouse_store::Settled;
use blockhouse_transport::Replies;

use crate::answers::{Answered, Answers, Later};
use crate::quota::InFlight;
use crate::response::{Failure, Response};
use crate::traced::Finish;
use crate::{status, subject};

/// A run of at most so many requests shares its write with the runs of other connections.
const ALONE_MAX: usize = 2;

/// What the client is told of one request.
enum Outcome<'a> {
    Stored(Accepted<'a>),
    Failed(Failure),
    /// The header could not be read: RocketMQ answers without the fields of a send.
    Unread(Failure),
}

/// Stores a run of sends and answers them together.
pub(crate) fn handle(
    broker: &Arc<Broker>,
    meter: &Arc<Meter>,
    caller: Caller<'_>,
    (run, in_flight): (Vec<RemotingCommand>, Option<InFlight>),
    answers: &mut Answers<'_>,
) {
    let mut sends = Vec::with_capacity(run.len());
    let parsed: Vec<Result<(), Failure>> =
        run.iter().map(|command| parse(command).map(|send| sends.push(send))).collect();
    let Sent { outcomes, placed, placement, new_topic, times, traced } =
        broker.send(caller, &sends);
    let code = caller.cx.code;
    let stages = times.map(|times| stages(answers.asked().began(), &times, caller));
    let subject = subject::of_sends(meter, &sends);
    let subject = Subject { stages: stages.unwrap_or_default(), ..subject };
    drop(sends);
    let outcomes = merge(parsed, outcomes);
    let told = Told { broker, meter, subject };
    let Some(placement) = placement else {
        let settled = Settled::PutOk;
        let traced = traced.as_ref();
        let answer = Answer { told, settled, placed: &placed, traced, late: false };
        return answer.write_all(&run, outcomes, answers);
    };
    // A connection that sends one message at a time is seldom alone: the write waits until the
    // others that are ready have placed theirs, and one serves all.
    let ticket =
        if run.len() > ALONE_MAX { Ok(broker.store().settle(placement)) } else { Err(placement) };
    if let Ok(ticket) = &ticket
        && !new_topic
        && let Some(settled) = ticket.try_settled()
    {
        let traced = traced.as_ref();
        let answer = Answer { told, settled, placed: &placed, traced, late: false };
        return answer.write_all(&run, outcomes, answers);
    }
    let outcomes: Vec<Outcome<'static>> = outcomes.map(Outcome::into_owned).collect();
    let later = Later::of(answers, (broker, meter), code, run.len());
    answers.replies.defer(async move {
        let broker = later.broker();
        let ticket = match ticket {
            Ok(ticket) => ticket,
            Err(placement) => {
                tokio::task::yield_now().await;
                broker.store().settle(placement)
            }
        };
        let mut settled = ticket.settled().await;
        if new_topic && !broker.keep_new_topics().await && settled == Settled::PutOk {
            settled = Settled::FlushDiskTimeout;
        }
        drop(in_flight);
        later.write(|answers| {
            let traced = traced.as_ref();
            let told = Told { broker, meter: later.meter(), subject };
            let answer = Answer { told, settled, placed: &placed, traced, late: true };
            answer.write_all(&run, outcomes.into_iter(), answers);
        })
    });
}

/// What the time went to until the messages had their places, from when their burst was read.
fn stages(began: Duration, times: &Times, caller: Caller<'_>) -> Stages {
    let since = |from: Duration, to: Duration| Ticks::of(to.saturating_sub(from));
    Stages {
        admit: since(began, times.shaped),
        hooked: !caller.hooks.is_empty(),
        append: since(times.shaped, times.placed),
        flush: Ticks::default(),
    }
}

/// Answers sends that are not even looked at.
pub(crate) fn refuse(
    (broker, meter): (&Broker, &Meter),
    run: &[RemotingCommand],
    remark: &str,
    answers: &mut Answers<'_>,
) {
    let failed = |_: &RemotingCommand| {
        Outcome::Failed(Failure::new(response_code::SYSTEM_BUSY, remark.to_owned()))
    };
    let (settled, subject) = (Settled::PutOk, Subject::default());
    let told = Told { broker, meter, subject };
    let asked = answers.asked();
    let traced = broker.spans().map(|_| Traced::unseen(asked.began(), asked.peer()));
    let traced = traced.as_ref();
    let answer = Answer { told, settled, placed: &[], traced, late: false };
    answer.write_all(run, run.iter().map(failed), answers);
}

fn parse(command: &RemotingCommand) -> Result<Send<'_>, Failure> {
    let header = SendMessage::parse(&command.ext)?;
    let content = if command.code == request_code::SEND_BATCH_MESSAGE || header.batch {
        Content::Batch(parse_batch(&command.body)?)
    } else {
        Content::One(&command.body)
    };
    Ok(Send {
        producer_group: header.producer_group,
        topic: header.topic,
        default_topic: header.default_topic,
        default_topic_queues: u32::try_from(header.default_topic_queue_nums).unwrap_or(0),
        queue: QueueId::from_i32(header.queue_id),
        sys_flag: SysFlag(header.sys_flag),
        flag: header.flag,
        born_timestamp: header.born_timestamp,
        properties: header.properties,
        reconsume_times: header.reconsume_times,
        max_reconsume_times: header.max_reconsume_times,
        unit_mode: header.unit_mode,
        content,
    })
}

fn parse_batch(body: &[u8]) -> Result<Vec<BatchItem<'_>>, Failure> {
    let items: Result<Vec<_>, _> = batch::messages(body)
        .map(|message| {
            message.map(|m| BatchItem { flag: m.flag, body: m.body, properties: m.properties })
        })
        .collect();
    let items = items.map_err(|e| Failure::new(response_code::MESSAGE_ILLEGAL, e.to_string()))?;
    if items.is_empty() {
        return Err(Failure::new(response_code::MESSAGE_ILLEGAL, "the batch has no messages"));
    }
    Ok(items)
}

/// Puts the core's outcomes in the places of the requests that could be parsed.
fn merge<'a>(
    parsed: Vec<Result<(), Failure>>,
    outcomes: Vec<Result<Accepted<'a>, Refusal>>,
) -> impl Iterator<Item = Outcome<'a>> {
    let mut outcomes = outcomes.into_iter();
    parsed.into_iter().map(move |parsed| match parsed {
        Err(failure) => Outcome::Unread(failure),
        Ok(()) => match outcomes.next() {
            Some(Ok(accepted)) => Outcome::Stored(accepted),
            Some(Err(refusal)) => Outcome::Failed(refusal.into()),
            None => Outcome::Failed(Failure::new(response_code::SYSTEM_ERROR, "no outcome")),
        },
    })
}

impl Outcome<'_> {
    fn into_owned(self) -> Outcome<'static> {
        match self {
            Self::Failed(failure) => Outcome::Failed(failure),
            Self::Unread(failure) => Outcome::Unread(failure),
            Self::Stored(accepted) => Outcome::Stored(Accepted {
                queue: accepted.queue,
                placed: accepted.placed,
                unique_key: accepted.unique_key.into_owned().into(),
            }),
        }
    }
}

/// Who answers a run, and what all of it is about.
struct Told<'a> {
    broker: &'a Broker,
    meter: &'a Meter,
    subject: Subject,
}

/// What all answers of a run share.
struct Answer<'a> {
    told: Told<'a>,
    settled: Settled,
    placed: &'a [blockhouse_store::Placed],
    /// What is recorded of the run.
    traced: Option<&'a Traced>,
    /// Whether it waited for the disk.
    late: bool,
}

impl Answer<'_> {
    fn write_all<'a>(
        &self,
        run: &[RemotingCommand],
        outcomes: impl Iterator<Item = Outcome<'a>>,
        answers: &mut Answers<'_>,
    ) {
        let mut ids = String::with_capacity(MessageId::TEXT_LEN_MAX);
        let mut finish = Finish::begin(self.told.broker, self.traced, self.late);
        for (command, outcome) in run.iter().zip(outcomes) {
            let result = match &outcome {
                Outcome::Stored(_) => status::of_settled(self.settled),
                Outcome::Failed(failure) | Outcome::Unread(failure) => failure.code,
            };
            let mut answered = Answered::of(command, result, self.subject(command, &outcome));
            if let Outcome::Failed(failure) | Outcome::Unread(failure) = &outcome {
                answers.log_refused(command, failure.code, &failure.remark);
                answered = answers.because(answered, &failure.remark);
            }
            answers.add(answered);
            if let Some(finish) = &mut finish {
                let span = match &outcome {
                    Outcome::Stored(accepted) => {
                        finish.answered(command, result, self.places(accepted))
                    }
                    Outcome::Failed(_) => finish.answered(command, result, &[]),
                    Outcome::Unread(_) => None,
                };
                if let Some(span) = span {
                    answers.recorded(answered, span);
                }
            }
            if command.is_one_way() {
                continue;
            }
            let replies = &mut *answers.replies;
            match outcome {
                Outcome::Stored(accepted) if self.settled != Settled::Failed => {
                    self.stored(command.opaque, &accepted, &mut ids, replies);
                }
                Outcome::Stored(_) => self.failed(
                    command.opaque,
                    &Failure::new(status::of_settled(self.settled), "the store failed to write"),
                    replies,
                ),
                Outcome::Failed(failure) => self.failed(command.opaque, &failure, replies),
                Outcome::Unread(failure) => Response::from(failure).write(command.opaque, replies),
            }
        }
    }

    /// What a request was about: of one that failed, as it says itself.
    fn subject(&self, command: &RemotingCommand, outcome: &Outcome<'_>) -> Subject {
        let Told { meter, subject, .. } = &self.told;
        if meter.flight().is_none() {
            return Subject::default();
        }
        let Outcome::Stored(accepted) = outcome else { return subject::of_send(meter, command) };
        let placed = self.places(accepted);
        let first = self.traced.and_then(|traced| traced.records.first());
        Subject {
            queue: Some(accepted.queue.0),
            messages: u32::try_from(placed.len()).unwrap_or(u32::MAX),
            bytes: placed.iter().map(|place| u64::from(place.size)).sum(),
            trace_id: first.map_or(0, |(_, record)| record.picked.own.trace_id),
            ..*subject
        }
    }

    fn places(&self, accepted: &Accepted<'_>) -> &[blockhouse_store::Placed] {
        self.placed.get(accepted.placed.clone()).unwrap_or_default()
    }

    fn stored(
        &self,
        opaque: i32,
        accepted: &Accepted<'_>,
        ids: &mut String,
        replies: &mut Replies,
    ) {
        let placed = self.places(accepted);
        ids.clear();
        for place in placed {
            if !ids.is_empty() {
                ids.push(',');
            }
            let host = self.told.broker.identity().store_host;
            MessageId { host, offset: place.physical_offset }.write_to(ids);
        }
        // A message that a hook dropped is answered as if it were stored, at offset -1.
        let queue_offset = placed.first().map_or(-1, |place| place.queue_offset.to_i64());
        let head = ResponseHead::new(opaque, status::of_settled(self.settled), None);
        let fields = |out: &mut ExtWriter<'_>| {
            out.text("msgId", ids);
            out.number("queueId", accepted.queue.to_i32().into());
            out.number("queueOffset", queue_offset);
            if !accepted.unique_key.is_empty() {
                out.text("transactionId", &accepted.unique_key);
            }
            self.region(out);
        };
        encode::response(replies.frames(), &head, fields, 0);
    }

    fn failed(&self, opaque: i32, failure: &Failure, replies: &mut Replies) {
        let head = ResponseHead::new(opaque, failure.code, Some(&failure.remark));
        encode::response(replies.frames(), &head, |out| self.region(out), 0);
    }

    /// Clients that trace read these from every answer to a send, also from a refusal.
    fn region(&self, out: &mut ExtWriter<'_>) {
        out.text("MSG_REGION", &self.told.broker.config().region_id);
        out.boolean("TRACE_ON", self.told.broker.config().trace_on);
    }
}
