//! What a trace is told of a call.

use std::time::Duration;

use blockhouse_hook::{Draft, Identity, Rejection, Subject, Verdict};
use blockhouse_model::{Access, Principal, RequestContext, Resource};

use crate::Failure;
use crate::binding::Mode;
use crate::contract::exported::before_send::{self as wit, Change, PropertyEdit};
use crate::interface::Interface;
use crate::plugin::Plugin;
use crate::trace::{TracedCall, cut, name, words};

/// A call whose request is traced: who asks, and when it began.
pub(super) struct Begun<'a> {
    cx: &'a RequestContext,
    at: Duration,
}

impl Plugin {
    /// `None` where nobody looks, which is told by a flag.
    pub(super) fn traced<'a>(&self, cx: &'a RequestContext) -> Option<Begun<'a>> {
        self.keeper.trace().is_on(cx).then(|| Begun { cx, at: self.now() })
    }

    /// Records a call that has ended. `fill` says what came of it.
    pub(super) fn note(
        &self,
        begun: &Begun<'_>,
        hook: Interface,
        messages: usize,
        fill: impl FnOnce(&mut TracedCall),
    ) {
        let now = self.moment();
        let took = now.monotonic.saturating_sub(begun.at).as_nanos();
        let mode = match self.binding.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        };
        let mut call = TracedCall {
            hook: hook.name(),
            plugin: self.binding.name.clone(),
            mode,
            messages,
            nanoseconds: u64::try_from(took).unwrap_or(u64::MAX),
            decision: "continue",
            ..TracedCall::default()
        };
        fill(&mut call);
        call.fails_closed = call.decision == "fail" && self.fails_closed(hook);
        self.keeper.trace().record(begun.cx, call, now);
    }
}

impl TracedCall {
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.decision = "fail";
        self.reason = cut(&failure.to_string());
    }

    fn refused(&mut self, rejection: &Rejection) {
        self.decision = "refuse";
        self.reason = cut(&rejection.reason);
    }

    pub(super) fn changed(&mut self, changes: Vec<String>) {
        if !changes.is_empty() {
            self.decision = "change";
            self.changes = changes;
        }
    }

    pub(super) fn verdict(&mut self, answer: &Result<(Verdict, Vec<String>), Failure>) {
        match answer {
            Ok((Verdict::Continue, changes)) => self.changed(words(changes.iter().cloned())),
            Ok((Verdict::Reject(rejection), _)) => self.refused(rejection),
            Err(failure) => self.failed(failure),
        }
    }

    pub(super) fn identity(&mut self, answer: &Result<Identity, Failure>) {
        match answer {
            Ok(Identity::Unknown) => self.decision = "unknown",
            Ok(Identity::Known(principal)) => {
                self.decision = "known";
                self.changes = match principal {
                    Principal::Anonymous => vec!["anonymous".to_owned()],
                    Principal::User(name) | Principal::Plugin(name) => vec![cut(name)],
                };
            }
            Ok(Identity::Refused(rejection)) => self.refused(rejection),
            Err(failure) => self.failed(failure),
        }
    }

    pub(super) fn about(&mut self, topic: &str, group: &str) {
        name(&mut self.topics, topic);
        name(&mut self.groups, group);
    }

    pub(super) fn subject(&mut self, subject: Subject<'_>) {
        match subject {
            Subject::Authorize(_, accesses) => {
                accesses.iter().for_each(|access| self.access(access));
            }
            Subject::Pull(_, pull) => self.about(pull.topic, pull.group),
            Subject::Route(_, topic) => self.about(topic, ""),
            _ => {}
        }
    }

    fn access(&mut self, access: &Access<'_>) {
        match access.resource {
            Resource::Topic(topic) => self.about(topic, ""),
            Resource::Group(group) => self.about("", group),
            Resource::Cluster | Resource::Policy | Resource::Plugin(_) | Resource::Audit => {}
        }
    }
}

/// Who asks at the points where [`super::PluginHook::ask`] serves; nobody where a connection is opened.
pub(super) const fn asker<'a>(subject: &Subject<'a>) -> Option<&'a RequestContext> {
    match subject {
        Subject::Authorize(cx, _)
        | Subject::Pull(cx, _)
        | Subject::Admin(cx, _)
        | Subject::Announced(cx, _)
        | Subject::Register(cx, _)
        | Subject::Route(cx, _) => Some(*cx),
        _ => None,
    }
}

/// The changes of a call of before send in words: names and sizes, no values.
pub(super) fn changes(changes: &[Change], run: &[Draft<'_>]) -> Vec<String> {
    words(changes.iter().map(|change| {
        let mut text = format!("message {}", change.message);
        match &change.decision {
            wit::Decision::Admit => {}
            wit::Decision::Drop => text.push_str(": dropped"),
            wit::Decision::Reroute(topic) => text.extend([": to ", topic]),
            wit::Decision::Reject(why) => text.extend([": refused, ", &why.reason]),
        }
        let before = run.get(change.message as usize).map_or(0, |message| message.body.len());
        if let Some(body) = &change.body {
            text.push_str(&format!(": body of {} bytes, was {before}", body.len()));
        }
        for edit in change.properties.iter().take(super::send::EDITS_MAX) {
            match edit {
                PropertyEdit::Set(property) => text.extend([": sets ", &property.name]),
                PropertyEdit::Delete(name) => text.extend([": deletes ", name]),
            }
        }
        text
    }))
}
