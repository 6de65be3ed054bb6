//! `PULL_MESSAGE` and `LITE_PULL_MESSAGE`.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_core::pull::{Filter, Pull, PullOutcome, Pulled};
use blockhouse_core::{Broker, Caller, Refusal};
use blockhouse_meter::{Meter, QuotaKind};
use blockhouse_model::QueueOffset;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::header::pull::{PullMessage, PullMessageResponse, sys_flag};
use blockhouse_protocol::{RemotingCommand, ResponseHead, encode};
use blockhouse_store::LENT_MIN;
use blockhouse_transport::{COPY_MAX, Replies};

use crate::answers::{Answered, Answers, Later};
use crate::quota::{Exceeded, Payer};
use crate::response::{Failure, Response};
use crate::{status, subject};

pub(crate) fn handle(
    broker: &Arc<Broker>,
    meter: &Arc<Meter>,
    (caller, payer): (Caller<'_>, Option<Payer>),
    command: &RemotingCommand,
    answers: &mut Answers<'_>,
) {
    let opaque = command.opaque;
    let header = match PullMessage::parse(&command.ext) {
        Ok(header) => header,
        Err(error) => {
            let failure = Failure::from(error);
            let answered = answers.refused(command, failure.code, &failure.remark);
            answers.add(answered);
            return Response::from(failure).write(opaque, answers.replies);
        }
    };
    let subject = subject::of_pull(meter, (command, &header));
    let answered = Answered::of(command, response_code::SUCCESS, subject);
    let pulled = broker.pull(caller, &request(&header));
    let (later, outcome) = match pulled {
        Pulled::Now(outcome) => {
            pay(broker, payer.as_ref(), &outcome);
            return finish((opaque, Some(command)), outcome, answered, answers);
        }
        Pulled::Later(outcome) => (Later::of(answers, (broker, meter), command.code, 1), outcome),
        Pulled::Held(outcome) => {
            (Later::of(answers, (broker, meter), command.code, 1).held(), outcome)
        }
    };
    answers.replies.defer(async move {
        let outcome = outcome.await;
        pay(later.broker(), payer.as_ref(), &outcome);
        later.write(|answers| finish((opaque, None), outcome, answered, answers))
    });
}

/// Answers a pull, whose request is there no more if it has waited.
fn finish(
    (opaque, command): (i32, Option<&RemotingCommand>),
    outcome: Result<PullOutcome, Refusal>,
    answered: Answered,
    answers: &mut Answers<'_>,
) {
    let answered = match (refused(&outcome), command) {
        (None, _) => answered,
        (Some((code, reason)), None) => answers.refused_late(answered, code, reason),
        (Some((code, reason)), Some(command)) => {
            answers.log_refused(command, code, reason);
            answers.because(answered, reason)
        }
    };
    let span = outcome.as_ref().ok().and_then(|outcome| outcome.span);
    let bytes = bytes_of_answer(&outcome);
    let answered = answered.with(write(opaque, outcome, answers.replies)).of_bytes(bytes);
    answers.add(answered);
    if let Some(span) = span {
        answers.recorded(answered, span);
    }
}

/// Why the consumer gets nothing, if that is an error: not that there is nothing.
fn refused(outcome: &Result<PullOutcome, Refusal>) -> Option<(i32, &str)> {
    match outcome {
        Ok(outcome) => {
            Some(status::of_pull(outcome)).filter(|(code, _)| *code == response_code::SYSTEM_ERROR)
        }
        Err(refusal) => Some((status::of(refusal.kind), &refusal.reason)),
    }
}

/// Only now is it known how much the consumer gets.
fn pay(broker: &Broker, payer: Option<&Payer>, outcome: &Result<PullOutcome, Refusal>) {
    if let (Some(payer), Ok(_)) = (payer, outcome) {
        let bytes = bytes_of_answer(outcome);
        payer.pay(broker.clock().monotonic(), &[(QuotaKind::FetchBytes, bytes)]);
    }
}

fn bytes_of_answer(outcome: &Result<PullOutcome, Refusal>) -> u64 {
    outcome.as_ref().map_or(0, |outcome| bytes_of(outcome) as u64)
}

fn bytes_of(outcome: &PullOutcome) -> usize {
    outcome.slices.iter().map(bytes::Bytes::len).sum()
}

/// Holds a pull back for a while, and has the client ask again, at the same place. Nothing is looked at or asked for it
/// here, so the answer says nothing of the queue.
pub(crate) fn hold_back(
    later: Later,
    (payer, exceeded): (Payer, &Exceeded),
    command: &RemotingCommand,
    answers: &mut Answers<'_>,
) {
    let (answered, opaque) =
        (answers.answered(command, response_code::PULL_RETRY_IMMEDIATELY), command.opaque);
    let (wait, remark) = (exceeded.pull_wait(), exceeded.to_string());
    let answered = answers.because(answered, &remark);
    let offset = PullMessage::parse(&command.ext).map(|header| header.queue_offset);
    answers.replies.defer(async move {
        let offset = match offset {
            Ok(offset) => offset,
            Err(error) => {
                let failure = Failure::from(error);
                return later.write(|answers| {
                    answers.add(answers.refused_late(answered, failure.code, &failure.remark));
                    Response::from(failure).write(opaque, answers.replies);
                });
            }
        };
        tokio::time::sleep(wait).await;
        drop(payer);
        let retry = response_code::PULL_RETRY_IMMEDIATELY;
        let head = ResponseHead::new(opaque, retry, Some(&remark));
        let header = PullMessageResponse {
            suggest_which_broker_id: 0,
            next_begin_offset: offset,
            min_offset: 0,
            max_offset: offset,
            offset_delta: None,
            topic_sys_flag: None,
            group_sys_flag: None,
            forbidden_type: None,
        };
        later.write(|answers| {
            answers.add(answered);
            encode::response(answers.replies.frames(), &head, |out| header.write(out), 0);
        })
    });
}

fn request<'a>(header: &PullMessage<'a>) -> Pull<'a> {
    let has = |bit| header.sys_flag & bit != 0;
    let suspend = u64::try_from(header.suspend_timeout_millis).ok().map(Duration::from_millis);
    Pull {
        group: header.consumer_group,
        topic: header.topic,
        queue: header.queue_id,
        offset: header.queue_offset,
        messages_max: usize::try_from(header.max_msg_nums).unwrap_or(0),
        bytes_max: header.max_msg_bytes.and_then(|n| usize::try_from(n).ok()),
        commit: QueueOffset::from_i64(header.commit_offset)
            .filter(|_| has(sys_flag::COMMIT_OFFSET)),
        suspend: suspend.filter(|_| has(sys_flag::SUSPEND)),
        filter: has(sys_flag::SUBSCRIPTION).then(|| Filter {
            expression: header.subscription.unwrap_or("*"),
            kind: header.expression_type,
        }),
        sub_version: header.sub_version,
    }
}

// What is lent from a map of the log must not be looked at, so not be copied either.
const _: () = assert!(LENT_MIN > COPY_MAX, "replies would copy slices that are lent");

/// Writes the answer; returns its code.
fn write(opaque: i32, outcome: Result<PullOutcome, Refusal>, replies: &mut Replies) -> i32 {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(refusal) => {
            let failure = Failure::from(refusal);
            let code = failure.code;
            Response::from(failure).write(opaque, replies);
            return code;
        }
    };
    let (code, remark) = status::of_pull(&outcome);
    let head = ResponseHead::new(opaque, code, Some(remark));
    let header = PullMessageResponse {
        suggest_which_broker_id: i64::try_from(outcome.suggested_broker).unwrap_or(0),
        next_begin_offset: outcome.next.to_i64(),
        min_offset: outcome.min.to_i64(),
        max_offset: outcome.max.to_i64(),
        offset_delta: None,
        topic_sys_flag: i32::try_from(outcome.topic_sys_flag).ok(),
        group_sys_flag: Some(outcome.group_sys_flag),
        forbidden_type: None,
    };
    let body_len = bytes_of(&outcome);
    encode::response(replies.frames(), &head, |out| header.write(out), body_len);
    for slice in outcome.slices {
        replies.slice(slice);
    }
    code
}
