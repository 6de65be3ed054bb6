//! Before deliver: a mask of what goes out, and other bodies for some of it.

use blockhouse_hook::{Delivery, Outbound, Outcome, Subject, Verdict};
use blockhouse_model::RequestContext;
use bytes::Bytes;

use super::{ANSWER_SLACK, CALL_BYTES, PluginHook, context, convert, exported};
use crate::Failure;
use crate::contract::exported::before_deliver::{self as wit, Answer};
use crate::guest::{Guest, Shown, Wants};
use crate::interface::Interface;
use crate::said::Said;

impl PluginHook {
    /// Has the plugin look at what goes out. What it does in one call stays done if a later call of
    /// the same delivery refuses it: then nothing of it goes out.
    pub(super) fn screen(
        &self,
        cx: &RequestContext,
        delivery: &Delivery<'_>,
        messages: &mut [Outbound<'_>],
    ) -> Verdict {
        let wants = self.plugin.wants();
        let mut rest = messages;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(run(rest, wants.batch_max));
            let traced = self.plugin.traced(cx);
            let (asked, took) =
                self.plugin.timed(Interface::BeforeDeliver, now.len(), |guest, deadline| {
                    let answer = ask(guest, cx, (deadline, wants), delivery, now)?;
                    check(&answer, now)?;
                    Ok(answer)
                });
            self.plugin.noted(Interface::BeforeDeliver, took, now.len(), &asked, |answer| {
                word(answer, now)
            });
            if let Some(begun) = traced {
                self.plugin.note(&begun, Interface::BeforeDeliver, now.len(), |call| {
                    call.about(delivery.topic, delivery.group);
                    match &asked {
                        Ok(answer) => call.changed(changes(answer, now)),
                        Err(failure) => call.failed(failure),
                    }
                });
            }
            match asked {
                Ok(answer) => {
                    let shadow = self.plugin.is_shadow();
                    let (hidden, rewritten) = apply(answer, now, shadow);
                    self.plugin.said(Interface::BeforeDeliver, Said::Hide, hidden);
                    self.plugin.said(Interface::BeforeDeliver, Said::Rewrite, rewritten);
                    let changed = hidden + rewritten;
                    if shadow && changed > 0 {
                        let reason = format!("{changed} changes of {} messages", now.len());
                        self.tell(Subject::Deliver(cx, delivery), Outcome::Edited, &reason);
                    }
                }
                Err(failure) => {
                    let subject = Subject::Deliver(cx, delivery);
                    let hook = Interface::BeforeDeliver;
                    if let Some(rejection) = self.failed(hook, subject, &failure, now.len()) {
                        return Verdict::Reject(rejection);
                    }
                }
            }
            rest = later;
        }
        Verdict::Continue
    }
}

fn run(messages: &[Outbound<'_>], batch_max: usize) -> usize {
    let mut bytes = 0;
    let more = messages.iter().take(batch_max).take_while(|message| {
        bytes += shown_body(message).len() + message.properties.len();
        bytes <= CALL_BYTES
    });
    more.count().max(1)
}

/// The body as it is delivered so far.
fn shown_body<'a>(message: &'a Outbound<'_>) -> &'a [u8] {
    message.body.as_deref().unwrap_or(message.stored_body)
}

fn ask(
    guest: &mut Guest,
    cx: &RequestContext,
    (deadline, wants): (u32, Wants),
    delivery: &Delivery<'_>,
    messages: &[Outbound<'_>],
) -> Result<Answer, Failure> {
    let shown = wants.before_deliver;
    let exports = exported(guest.exports.before_deliver.as_ref())?;
    let lent = match shown {
        Shown::Lent => guest.lend(messages.iter().map(shown_body)),
        Shown::None | Shown::Flat => None,
    };
    let columns = &mut guest.columns;
    columns.clear();
    let mut body_end = 0;
    for message in messages {
        let body = shown_body(message);
        columns.numbers.push(message.queue_offset.0);
        columns.properties.extend_from_slice(message.properties.as_bytes());
        body_end += body.len();
        columns.ends.push(u32::try_from(columns.properties.len()).unwrap_or(u32::MAX));
        columns.ends.push(u32::try_from(body_end).unwrap_or(u32::MAX));
        if shown == Shown::Flat {
            columns.bodies.extend_from_slice(body);
        }
    }
    let to =
        wit::Delivery { group: delivery.group, topic: delivery.topic, queue: delivery.queue.0 };
    let outbound = wit::Outbound {
        queue_offsets: &columns.numbers,
        ends: &columns.ends,
        properties: &columns.properties,
        bodies: &columns.bodies,
    };
    let cx = context(cx, deadline, wants);
    let answer = exports.call_before_deliver(&mut guest.store, cx, to, outbound, lent);
    if shown == Shown::Lent {
        guest.store.data_mut().lent.clear();
    }
    answer.map_err(|e| Failure::of(&e))
}

fn check(answer: &Answer, messages: &[Outbound<'_>]) -> Result<(), Failure> {
    let mask = messages.len().div_ceil(8);
    if !answer.keep.is_empty() && answer.keep.len() != mask {
        let problem = format!("a mask of {} bytes, not {mask}", answer.keep.len());
        return Err(Failure::Answer(problem));
    }
    let indices: Vec<u32> = answer.bodies.iter().map(|body| body.message).collect();
    convert::check_indices(&indices, messages.len())?;
    let given: usize = messages.iter().map(|m| shown_body(m).len() + m.properties.len()).sum();
    let answered: usize = answer.bodies.iter().map(|body| body.body.len()).sum();
    if answered > 2 * given + ANSWER_SLACK {
        return Err(Failure::Answer(format!("{answered} bytes for {given}")));
    }
    Ok(())
}

fn keeps(answer: &Answer, message: usize) -> bool {
    answer.keep.get(message / 8).is_none_or(|byte| byte & 1 << (message % 8) != 0)
}

/// What the plugin said, in a word.
fn word(answer: &Answer, messages: &[Outbound<'_>]) -> &'static str {
    let hides = (0..messages.len()).any(|i| messages[i].keep && !keeps(answer, i));
    if hides || !answer.bodies.is_empty() { "change" } else { "continue" }
}

/// What becomes of the messages, in words.
fn changes(answer: &Answer, messages: &[Outbound<'_>]) -> Vec<String> {
    let hidden = (0..messages.len()).filter(|i| messages[*i].keep && !keeps(answer, *i)).count();
    let counts = [("left out", hidden), ("with another body", answer.bodies.len())];
    let told = counts.iter().filter(|(_, count)| *count > 0);
    told.map(|(what, count)| format!("{count} of {} {what}", messages.len())).collect()
}

/// Does what the guest says, or counts what it would have done. Gives how many messages it hid, and
/// how many got another body.
fn apply(answer: Answer, messages: &mut [Outbound<'_>], shadow: bool) -> (usize, usize) {
    let (mut hidden, mut rewritten) = (0, 0);
    for (i, message) in messages.iter_mut().enumerate() {
        if !keeps(&answer, i) && message.keep {
            hidden += 1;
            message.keep = shadow;
        }
    }
    for replacement in answer.bodies {
        if let Some(message) = messages.get_mut(replacement.message as usize) {
            rewritten += 1;
            if !shadow {
                message.body = Some(Bytes::from(replacement.body));
            }
        }
    }
    (hidden, rewritten)
}

#[cfg(test)]
mod tests {
    use blockhouse_model::QueueOffset;

    use super::*;

    fn outbound() -> Vec<Outbound<'static>> {
        (0..10)
            .map(|n| Outbound {
                queue_offset: QueueOffset(n),
                properties: "",
                stored_body: b"body",
                body: None,
                keep: true,
            })
            .collect()
    }

    fn answer(keep: &[u8], bodies: &[(u32, &[u8])]) -> Answer {
        let bodies = bodies
            .iter()
            .map(|(message, body)| wit::Replacement { message: *message, body: body.to_vec() })
            .collect();
        Answer { keep: keep.to_vec(), bodies }
    }

    #[test]
    fn the_mask_is_little_endian_and_spare_bits_are_not_looked_at() {
        let mut messages = outbound();
        assert_eq!(apply(answer(&[0b1111_1110, 0b1111_1101], &[]), &mut messages, false), (2, 0));
        let kept: Vec<bool> = messages.iter().map(|m| m.keep).collect();
        assert_eq!(kept.iter().filter(|keep| !**keep).count(), 2);
        assert!(!kept[0] && !kept[9]);
    }

    #[test]
    fn shadow_counts_and_changes_nothing() {
        let mut messages = outbound();
        assert_eq!(apply(answer(&[0, 0], &[(1, b"x")]), &mut messages, true), (10, 1));
        assert!(messages.iter().all(|m| m.keep && m.body.is_none()));
    }

    #[test]
    fn what_is_not_legal_is_a_failure() {
        let messages = outbound();
        assert_eq!(check(&answer(&[], &[(9, b"x")]), &messages), Ok(()));
        assert!(check(&answer(&[1], &[]), &messages).is_err());
        assert!(check(&answer(&[], &[(10, b"x")]), &messages).is_err());
        assert!(check(&answer(&[], &[(1, b"x"), (1, b"y")]), &messages).is_err());
        assert!(check(&answer(&[], &[(1, &[0; ANSWER_SLACK + 81])]), &messages).is_err());
    }
}
