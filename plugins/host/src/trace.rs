//! The plugin calls of single requests, for an operator who asks: off, it costs a look at a flag.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blockhouse_model::{Principal, RequestContext};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Most requests of one trace.
const COUNT_MAX: usize = 100;
/// Longest time of one trace, in seconds.
const SECONDS_MAX: u64 = 600;
/// Requests that are looked at until it is known whether they match.
const PENDING_MAX: usize = 128;
/// Calls that are kept of one request.
const CALLS_MAX: usize = 32;
/// Names and changes that are kept of one call.
const WORDS_MAX: usize = 8;
/// Bytes of one text.
const TEXT_MAX: usize = 256;
/// Requests of one answer.
const ANSWER_MAX: usize = 20;
/// A request with no call for so long has made its last: nobody tells when one has ended.
const SETTLED: Duration = Duration::from_millis(500);
/// A trace that nobody reads ends.
const ABANDONED: Duration = Duration::from_secs(10);

/// Which requests are to be shown. What is absent does not matter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceRequest {
    /// One of its calls is about this topic.
    pub topic: Option<String>,
    /// One of its calls is about this group.
    pub group: Option<String>,
    /// It comes from this user, or from `anonymous`.
    pub principal: Option<String>,
    /// It calls this plugin.
    pub plugin: Option<String>,
    /// How many are shown.
    pub count: usize,
    /// For how long they are looked for.
    pub seconds: u64,
}

impl TraceRequest {
    /// What is wrong with it, if something is.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=COUNT_MAX).contains(&self.count) {
            return Err(format!("`count` must be 1 to {COUNT_MAX}"));
        }
        if !(1..=SECONDS_MAX).contains(&self.seconds) {
            return Err(format!("`seconds` must be 1 to {SECONDS_MAX}"));
        }
        let names = [&self.topic, &self.group, &self.principal, &self.plugin];
        if names.into_iter().flatten().any(|name| name.len() > TEXT_MAX) {
            return Err(format!("a name is over {TEXT_MAX} bytes"));
        }
        Ok(())
    }
}

/// What a trace has found since the reader asked last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traced {
    /// Whether no more will come.
    pub ended: bool,
    /// The requests, in the order in which they matched.
    pub requests: Vec<TracedRequest>,
}

/// A request, or a run of sends of one connection that went through the hooks together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedRequest {
    /// What the reader asks after, the next time.
    pub cursor: u64,
    /// Its number on this node.
    pub number: u64,
    /// When its first call ended, in milliseconds since 1970.
    pub at_ms: i64,
    /// Where it came from.
    pub peer: SocketAddr,
    /// The connection's number.
    pub connection: u64,
    /// The request code.
    pub code: i32,
    /// Who it came from.
    pub principal: String,
    /// Time in plugins, all calls together.
    pub nanoseconds: u64,
    /// The calls, as they ended.
    pub calls: Vec<TracedCall>,
    /// Further calls, for which there was no room.
    pub calls_left_out: usize,
}

/// One call of a plugin. Names, sizes and decisions; never a body or a property's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedCall {
    /// The hook.
    pub hook: &'static str,
    /// The binding.
    pub plugin: String,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// Messages of the call.
    pub messages: usize,
    /// How long it took, waiting for an instance included.
    pub nanoseconds: u64,
    /// `continue`, `refuse`, `change` or `fail`; at authenticate also `unknown` and `known`.
    pub decision: &'static str,
    /// Why it was refused, or how it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether the failure refuses the request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fails_closed: bool,
    /// What it changed, message by message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The topics that it was about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// The groups that it was about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// At most so much of a text as is kept.
pub(crate) fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default().to_owned()
}

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) monotonic: Duration,
    pub(crate) at_ms: i64,
}

/// The one trace of a process; another takes its place.
#[derive(Default)]
pub(crate) struct Trace {
    is_on: AtomicBool,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    /// 0 while there has been none.
    id: u64,
    wanted: TraceRequest,
    ends: Duration,
    /// When the reader asked last.
    asked: Duration,
    matched: u64,
    requests: VecDeque<Seen>,
}

struct Seen {
    shown: TracedRequest,
    /// When its last call ended.
    last: Duration,
    /// What is still to be seen of it: the topic, the group, the plugin.
    missing: [bool; 3],
}

impl Seen {
    const fn is_matched(&self) -> bool {
        self.shown.cursor > 0
    }

    fn add(&mut self, call: TracedCall, wanted: &TraceRequest) {
        let found = |name: &Option<String>, among: &[String]| {
            name.as_ref().is_some_and(|name| among.contains(name))
        };
        let plugin = std::slice::from_ref(&call.plugin);
        self.missing[0] &= !found(&wanted.topic, &call.topics);
        self.missing[1] &= !found(&wanted.group, &call.groups);
        self.missing[2] &= !found(&wanted.plugin, plugin);
        self.shown.nanoseconds = self.shown.nanoseconds.saturating_add(call.nanoseconds);
        if self.shown.calls.len() < CALLS_MAX {
            self.shown.calls.push(call);
        } else {
            self.shown.calls_left_out += 1;
        }
    }
}

fn user(principal: &Principal) -> &str {
    match principal {
        Principal::Anonymous => "anonymous",
        Principal::User(name) | Principal::Plugin(name) => name,
    }
}

impl Session {
    fn is_over(&self, now: Duration) -> bool {
        now >= self.ends || now >= self.asked + ABANDONED
    }

    fn is_full(&self) -> bool {
        self.matched >= self.wanted.count as u64
    }

    fn record(&mut self, cx: &RequestContext, call: TracedCall, now: Moment) {
        let at = match self.requests.iter().position(|seen| seen.shown.number == cx.request) {
            Some(at) => at,
            None if self.is_full() => return,
            None => self.begin(cx, now),
        };
        let Some(seen) = self.requests.get_mut(at) else { return };
        // Known from the call after authenticate on.
        user(&cx.principal).clone_into(&mut seen.shown.principal);
        seen.last = now.monotonic;
        seen.add(call, &self.wanted);
        let is_theirs = self.wanted.principal.as_ref().is_none_or(|p| *p == seen.shown.principal);
        if !seen.is_matched() && is_theirs && seen.missing == [false; 3] && !self.is_full() {
            self.matched += 1;
            if let Some(seen) = self.requests.get_mut(at) {
                seen.shown.cursor = self.matched;
            }
            if self.is_full() {
                self.requests.retain(Seen::is_matched);
            }
        }
    }

    fn begin(&mut self, cx: &RequestContext, now: Moment) -> usize {
        let pending = self.requests.iter().filter(|seen| !seen.is_matched()).count();
        if pending >= PENDING_MAX
            && let Some(oldest) = self.requests.iter().position(|seen| !seen.is_matched())
        {
            self.requests.remove(oldest);
        }
        let TraceRequest { topic, group, plugin, .. } = &self.wanted;
        self.requests.push_back(Seen {
            shown: TracedRequest {
                cursor: 0,
                number: cx.request,
                at_ms: now.at_ms,
                peer: cx.peer,
                connection: cx.connection,
                code: cx.code,
                principal: String::new(),
                nanoseconds: 0,
                calls: Vec::new(),
                calls_left_out: 0,
            },
            last: now.monotonic,
            missing: [topic.is_some(), group.is_some(), plugin.is_some()],
        });
        self.requests.len() - 1
    }
}

impl Trace {
    /// Whether calls of this request are recorded.
    pub(crate) fn is_on(&self, cx: &RequestContext) -> bool {
        self.is_on.load(Ordering::Relaxed) && cx.request != 0
    }

    /// Begins anew, whatever was recorded before. Gives what its reader asks with.
    pub(crate) fn begin(&self, wanted: TraceRequest, now: Duration) -> u64 {
        let mut session = self.session.lock();
        let (id, ends) = (session.id + 1, now + Duration::from_secs(wanted.seconds));
        *session = Session { id, wanted, ends, asked: now, ..Session::default() };
        self.is_on.store(true, Ordering::Relaxed);
        id
    }

    pub(crate) fn record(&self, cx: &RequestContext, call: TracedCall, now: Moment) {
        let mut session = self.session.lock();
        if session.is_over(now.monotonic) {
            self.is_on.store(false, Ordering::Relaxed);
            return;
        }
        session.record(cx, call, now);
    }

    /// What was found after `cursor`; `None` if another trace has taken the place of this one. What
    /// was read once is forgotten.
    pub(crate) fn read(&self, id: u64, cursor: u64, now: Duration) -> Option<Traced> {
        let mut session = self.session.lock();
        if id == 0 || session.id != id {
            return None;
        }
        let is_over = session.is_over(now);
        session.asked = now;
        session.requests.retain(|seen| !seen.is_matched() || seen.shown.cursor > cursor);
        let mut matched: Vec<&Seen> = session.requests.iter().filter(|s| s.is_matched()).collect();
        matched.sort_by_key(|seen| seen.shown.cursor);
        let settled = |seen: &&&Seen| is_over || now >= seen.last + SETTLED;
        let found = matched.iter().take_while(settled).take(ANSWER_MAX);
        let requests: Vec<TracedRequest> = found.map(|seen| seen.shown.clone()).collect();
        let ended = requests.len() == matched.len() && (is_over || session.is_full());
        if ended || is_over {
            self.is_on.store(false, Ordering::Relaxed);
        }
        if is_over {
            // It stays over, though its reader has come back.
            session.ends = Duration::ZERO;
        }
        Some(Traced { ended, requests })
    }
}

/// Adds a name, if there is room for it.
pub(crate) fn name(names: &mut Vec<String>, name: &str) {
    if !name.is_empty() && names.len() < WORDS_MAX && !names.iter().any(|known| known == name) {
        names.push(cut(name));
    }
}

/// Puts `texts` into words, as many as are kept.
pub(crate) fn words(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = texts.take(WORDS_MAX + 1).map(|text| cut(&text)).collect();
    if words.len() > WORDS_MAX {
        words.truncate(WORDS_MAX);
        words.push("...".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment { monotonic: Duration::from_millis(ms), at_ms: 0 }
    }

    fn cx(number: u64) -> RequestContext {
        let peer = ([127, 0, 0, 1], 1).into();
        RequestContext { request: number, ..RequestContext::new(peer, 1, 310) }
    }

    fn call(topic: &str, plugin: &str) -> TracedCall {
        let topics = if topic.is_empty() { vec![] } else { vec![topic.to_owned()] };
        TracedCall { plugin: plugin.to_owned(), topics, nanoseconds: 5, ..TracedCall::default() }
    }

    fn wanted(count: usize) -> TraceRequest {
        TraceRequest { count, seconds: 30, ..TraceRequest::default() }
    }

    fn numbers(traced: &Traced) -> Vec<(u64, usize)> {
        traced.requests.iter().map(|request| (request.number, request.calls.len())).collect()
    }

    #[test]
    fn calls_before_the_one_that_matches_are_shown_too() {
        let trace = Trace::default();
        assert!(!trace.is_on(&cx(1)));
        let only = TraceRequest { topic: Some("orders".to_owned()), ..wanted(1) };
        let id = trace.begin(only, at(0).monotonic);
        assert!(trace.is_on(&cx(1)) && !trace.is_on(&cx(0)), "nobody's requests have no number");
        for (number, topic) in [(1, ""), (2, ""), (1, "others"), (2, "orders"), (3, "orders")] {
            trace.record(&cx(number), call(topic, "a"), at(10));
        }
        trace.record(&cx(2), call("", "b"), at(20));
        let early = trace.read(id, 0, at(400).monotonic).unwrap();
        assert_eq!((early.ended, numbers(&early)), (false, vec![]), "it may go on");
        let traced = trace.read(id, 0, at(600).monotonic).unwrap();
        assert_eq!((traced.ended, numbers(&traced)), (true, vec![(2, 3)]));
        assert_eq!(traced.requests[0].nanoseconds, 15);
        assert!(!trace.is_on(&cx(1)));
    }

    #[test]
    fn it_ends_with_its_time_and_with_its_reader() {
        let trace = Trace::default();
        let id = trace.begin(wanted(9), at(0).monotonic);
        trace.record(&cx(1), call("", "a"), at(9_000));
        trace.record(&cx(2), call("", "a"), at(10_000));
        assert!(!trace.is_on(&cx(3)), "nobody has asked for ten seconds");
        let late = trace.read(id, 0, at(11_000).monotonic).unwrap();
        assert_eq!((late.ended, numbers(&late)), (true, vec![(1, 1)]));
        let id = trace.begin(wanted(9), at(20_000).monotonic);
        for second in [25, 30, 35, 40, 45] {
            assert!(!trace.read(id, 0, at(second * 1_000).monotonic).unwrap().ended);
        }
        assert!(trace.read(id, 0, at(50_000).monotonic).unwrap().ended);
        assert_eq!(trace.read(id - 1, 0, at(50_000).monotonic), None, "another took its place");
    }

    #[test]
    fn everything_in_it_is_bounded() {
        let trace = Trace::default();
        let nothing = TraceRequest { topic: Some("none".to_owned()), ..wanted(1) };
        trace.begin(nothing, at(0).monotonic);
        (1..1_000).for_each(|number| trace.record(&cx(number), call("t", "a"), at(1)));
        assert_eq!(trace.session.lock().requests.len(), PENDING_MAX);
        let id = trace.begin(wanted(100), at(0).monotonic);
        for number in 1..1_000 {
            (0..40).for_each(|_| trace.record(&cx(number), call("t", "a"), at(1)));
        }
        let traced = trace.read(id, 0, at(1_000).monotonic).unwrap();
        assert_eq!((traced.ended, traced.requests.len()), (false, ANSWER_MAX));
        let request = &traced.requests[0];
        assert_eq!((request.calls.len(), request.calls_left_out), (CALLS_MAX, 8));
        let last = trace.read(id, 80, at(1_000).monotonic).unwrap();
        assert_eq!((last.ended, last.requests.len()), (true, 20));
        assert_eq!(words((0..99).map(|n| n.to_string())).len(), WORDS_MAX + 1);
        assert_eq!(cut(&"é".repeat(500)).len(), TEXT_MAX);
    }
}
