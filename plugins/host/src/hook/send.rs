//! Before send: messages of one topic and one producer group in columns, sparse changes back.

use std::borrow::Cow;

use blockhouse_hook::{Decision, Draft, Outcome, Subject};
use blockhouse_model::{RequestContext, names, properties};

use super::{ANSWER_SLACK, CALL_BYTES, PluginHook, convert, exported, rejection, trace};
use crate::Failure;
use crate::contract::exported::before_send::{self as wit, Change, PropertyEdit};
use crate::guest::{Guest, Shown, Wants};
use crate::interface::Interface;
use crate::said::Said;

/// Property edits of one message.
pub(super) const EDITS_MAX: usize = 64;
/// Bytes of a message's property text.
const PROPERTIES_MAX: usize = 32_767;

impl PluginHook {
    /// Has the plugin decide on all messages that are in its scope and still to be stored.
    pub(super) fn shape(&self, cx: &RequestContext, messages: &mut [Draft<'_>]) {
        let mut rest = messages;
        while let Some(first) = rest.first() {
            let is_ours = first.decision == Decision::Admit
                && self.plugin.scope.covers_topic(first.topic)
                && self.plugin.scope.covers_group(first.producer_group);
            let len = if is_ours { run(rest, self.plugin.wants().batch_max) } else { 1 };
            let (now, later) = rest.split_at_mut(len);
            if is_ours {
                self.shape_run(cx, now);
            }
            rest = later;
        }
    }

    fn shape_run(&self, cx: &RequestContext, run: &mut [Draft<'_>]) {
        let wants = self.plugin.wants();
        let traced = self.plugin.traced(cx);
        let (asked, took) =
            self.plugin.timed(Interface::BeforeSend, run.len(), |guest, deadline| {
                let changes = ask(guest, cx, deadline, wants, run)?;
                check(&changes, run)?;
                Ok(changes)
            });
        self.plugin.noted(Interface::BeforeSend, took, run.len(), &asked, |changes| word(changes));
        if let Some(begun) = traced {
            self.plugin.note(&begun, Interface::BeforeSend, run.len(), |call| {
                run.iter().take(1).for_each(|m| call.about(m.topic, m.producer_group));
                match &asked {
                    Ok(changes) => call.changed(trace::changes(changes, run)),
                    Err(failure) => call.failed(failure),
                }
            });
        }
        match asked {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => {
                self.count(&changes);
                if self.plugin.is_shadow() {
                    changes.iter().for_each(|change| self.would_change(cx, change, run));
                } else {
                    changes.into_iter().for_each(|change| apply(change, run));
                }
            }
            Err(failure) => self.failed_run(cx, &failure, run),
        }
    }

    fn failed_run(&self, cx: &RequestContext, failure: &Failure, run: &mut [Draft<'_>]) {
        self.plugin.would_refuse(Interface::BeforeSend, run.len());
        if self.plugin.fails_closed(Interface::BeforeSend) {
            let decision = Decision::Reject(self.unavailable(failure));
            run.iter_mut().for_each(|message| message.decision = decision.clone());
        } else if let Some(first) = run.first() {
            let reason = format!("{failure} ({} messages)", run.len());
            self.tell(Subject::Send(cx, first.topic), Outcome::Failed, &reason);
        }
    }

    /// Counts what is not "go on".
    fn count(&self, changes: &[Change]) {
        let mut counts = [0; Said::ALL.len()];
        changes.iter().filter_map(said).for_each(|said| counts[said as usize] += 1);
        for (said, count) in Said::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            self.plugin.said(Interface::BeforeSend, said, count);
        }
    }

    fn would_change(&self, cx: &RequestContext, change: &Change, run: &[Draft<'_>]) {
        let Some(message) = run.get(change.message as usize) else { return };
        let (outcome, reason) = match &change.decision {
            wit::Decision::Admit => (Outcome::Edited, ""),
            wit::Decision::Drop => (Outcome::Dropped, ""),
            wit::Decision::Reroute(topic) => (Outcome::Rerouted, topic.as_str()),
            wit::Decision::Reject(why) => (Outcome::Refused, why.reason.as_str()),
        };
        self.tell(Subject::Send(cx, message.topic), outcome, reason);
    }
}

const fn said(change: &Change) -> Option<Said> {
    match &change.decision {
        wit::Decision::Admit if change.body.is_none() && change.properties.is_empty() => None,
        wit::Decision::Admit => Some(Said::Rewrite),
        wit::Decision::Drop => Some(Said::Drop),
        wit::Decision::Reroute(_) => Some(Said::Reroute),
        wit::Decision::Reject(_) => Some(Said::Reject),
    }
}

/// What the plugin said, in a word.
fn word(changes: &[Change]) -> &'static str {
    let refuses = |change: &Change| matches!(change.decision, wit::Decision::Reject(_));
    match changes {
        [] => "continue",
        some if some.iter().any(refuses) => "refuse",
        _ => "change",
    }
}

/// How many messages from the first on go into one call.
fn run(messages: &[Draft<'_>], batch_max: usize) -> usize {
    let Some(first) = messages.first() else { return 0 };
    let mut bytes = 0;
    let more = messages.iter().take(batch_max).take_while(|message| {
        bytes += message.body.len() + message.properties.len();
        message.decision == Decision::Admit
            && message.topic == first.topic
            && message.producer_group == first.producer_group
            && bytes <= CALL_BYTES
    });
    more.count().max(1)
}

fn ask(
    guest: &mut Guest,
    cx: &RequestContext,
    deadline: u32,
    wants: Wants,
    run: &[Draft<'_>],
) -> Result<Vec<Change>, Failure> {
    let shown = wants.before_send;
    let exports = exported(guest.exports.before_send.as_ref())?;
    let Some(first) = run.first() else { return Ok(Vec::new()) };
    let lent = match shown {
        Shown::Lent => guest.lend(run.iter().map(|message| &*message.body)),
        Shown::None | Shown::Flat => None,
    };
    let columns = &mut guest.columns;
    columns.clear();
    let mut body_end = 0;
    for message in run {
        let queue = message.queue.map_or(-1, |queue| i32::try_from(queue.0).unwrap_or(-1));
        columns.queues.push(queue);
        columns.properties.extend_from_slice(message.properties.as_bytes());
        body_end += message.body.len();
        columns.ends.push(u32::try_from(columns.properties.len()).unwrap_or(u32::MAX));
        columns.ends.push(u32::try_from(body_end).unwrap_or(u32::MAX));
        if shown == Shown::Flat {
            columns.bodies.extend_from_slice(&message.body);
        }
    }
    let drafts = wit::Drafts {
        topic: first.topic,
        producer_group: first.producer_group,
        queues: &columns.queues,
        ends: &columns.ends,
        properties: &columns.properties,
        bodies: &columns.bodies,
    };
    let one = if let [only] = run { Some(&*only.properties) } else { None };
    let cx = convert::of_message(cx, deadline, wants, one);
    let answer = exports.call_before_send(&mut guest.store, cx, drafts, lent);
    if shown == Shown::Lent {
        guest.store.data_mut().lent.clear();
    }
    answer.map_err(|e| Failure::of(&e))
}

/// Whether the guest may say that.
fn check(changes: &[Change], run: &[Draft<'_>]) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let illegal = |problem: String| Err(Failure::Answer(problem));
    let indices: Vec<u32> = changes.iter().map(|change| change.message).collect();
    convert::check_indices(&indices, run.len())?;
    let given: usize =
        run.iter().map(|message| message.body.len() + message.properties.len()).sum();
    let mut answered = 0;
    for change in changes {
        answered += change.body.as_ref().map_or(0, Vec::len);
        if change.properties.len() > EDITS_MAX {
            return illegal(format!("more than {EDITS_MAX} property edits of one message"));
        }
        for edit in &change.properties {
            let (name, value) = match edit {
                PropertyEdit::Set(property) => (&property.name, Some(&property.value)),
                PropertyEdit::Delete(name) => (name, None),
            };
            answered += name.len() + value.map_or(0, String::len);
            if !is_text(name) || !value.is_none_or(|value| is_text(value)) {
                return illegal(
                    "a property's name or value is empty or has control bytes".to_owned(),
                );
            }
        }
        match &change.decision {
            wit::Decision::Reroute(topic) if names::check_topic(topic).is_err() => {
                return illegal("the topic of a reroute has no legal name".to_owned());
            }
            wit::Decision::Reject(why) => drop(rejection(why)?),
            _ => {}
        }
        if let Some(message) = run.get(change.message as usize)
            && edited(&message.properties, &change.properties).len() > PROPERTIES_MAX
        {
            return illegal(format!("properties over {PROPERTIES_MAX} bytes"));
        }
    }
    if answered > 2 * given + ANSWER_SLACK {
        return illegal(format!("{answered} bytes for {given}"));
    }
    Ok(())
}

/// Not empty, and without the bytes that separate properties.
fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.contains(['\u{1}', '\u{2}'])
}

fn edited<'a>(text: &'a str, edits: &[PropertyEdit]) -> Cow<'a, str> {
    if edits.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut text = text.to_owned();
    for edit in edits {
        match edit {
            PropertyEdit::Set(property) => {
                properties::set(&mut text, &property.name, &property.value);
            }
            PropertyEdit::Delete(name) => properties::remove(&mut text, name),
        }
    }
    Cow::Owned(text)
}

fn apply(change: Change, run: &mut [Draft<'_>]) {
    let Some(message) = run.get_mut(change.message as usize) else { return };
    if !change.properties.is_empty() {
        message.properties =
            Cow::Owned(edited(&message.properties, &change.properties).into_owned());
    }
    if let Some(body) = change.body {
        message.body = Cow::Owned(body);
    }
    message.decision = match change.decision {
        wit::Decision::Admit => Decision::Admit,
        wit::Decision::Drop => Decision::Drop,
        wit::Decision::Reroute(topic) => Decision::Reroute(topic),
        wit::Decision::Reject(why) => match rejection(&why) {
            Ok(rejection) => Decision::Reject(rejection),
            // Checked before; were it not, nothing must get through.
            Err(failure) => Decision::Reject(blockhouse_hook::Rejection::new(failure.to_string())),
        },
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::imported::types;

    fn draft(topic: &'static str, size: usize) -> Draft<'static> {
        Draft {
            topic,
            producer_group: "g",
            queue: None,
            body: Cow::Owned(vec![0; size]),
            properties: Cow::Borrowed("A\u{1}1\u{2}"),
            decision: Decision::Admit,
        }
    }

    fn change(message: u32) -> Change {
        Change { message, decision: wit::Decision::Admit, body: None, properties: vec![] }
    }

    fn set(name: &str, value: &str) -> PropertyEdit {
        PropertyEdit::Set(wit::Property { name: name.to_owned(), value: value.to_owned() })
    }

    #[test]
    fn a_call_has_one_topic_and_not_too_many_bytes() {
        let mut messages = vec![draft("a", 10), draft("a", 10), draft("b", 10)];
        assert_eq!(run(&messages, 32), 2);
        assert_eq!(run(&messages, 1), 1);
        messages[1].decision = Decision::Drop;
        assert_eq!(run(&messages, 32), 1);
        let large = vec![draft("a", CALL_BYTES), draft("a", 10)];
        assert_eq!(run(&large, 32), 1, "one larger message goes alone");
    }

    #[test]
    fn what_is_not_legal_is_a_failure() {
        let messages = [draft("a", 10), draft("a", 10)];
        let refused = |change: Change| check(&[change], &messages).is_err();
        assert!(!refused(change(1)));
        assert!(refused(change(2)));
        assert!(check(&[change(0), change(0)], &messages).is_err());
        assert!(refused(Change { body: Some(vec![0; ANSWER_SLACK + 100]), ..change(0) }));
        let with = |edit: PropertyEdit| Change { properties: vec![edit], ..change(0) };
        assert!(!refused(with(set("K", "v"))));
        for (name, value) in [("", "v"), ("K", ""), ("K\u{1}", "v"), ("K", "v\u{2}X\u{1}y")] {
            assert!(refused(with(set(name, value))), "{name:?} {value:?}");
        }
        assert!(refused(with(PropertyEdit::Delete(String::new()))));
        assert!(refused(with(set("K", &"v".repeat(PROPERTIES_MAX)))));
        assert!(refused(Change { properties: vec![set("K", "v"); 65], ..change(0) }));
        let decided = |decision| Change { decision, ..change(0) };
        assert!(refused(decided(wit::Decision::Reroute("no topic!".to_owned()))));
        assert!(!refused(decided(wit::Decision::Reroute("other".to_owned()))));
        let success = types::Rejection { code: Some(0), reason: String::new() };
        assert!(refused(decided(wit::Decision::Reject(success))));
    }

    #[test]
    fn edits_are_made_in_order() {
        let mut messages = [draft("a", 1)];
        let edits = vec![set("A", "2"), set("B", "3"), PropertyEdit::Delete("A".to_owned())];
        apply(Change { body: Some(b"x".to_vec()), properties: edits, ..change(0) }, &mut messages);
        assert_eq!(messages[0].properties, "B\u{1}3\u{2}");
        assert_eq!(&*messages[0].body, b"x");
    }
}
