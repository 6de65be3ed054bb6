//! The sample of `blockhouse-conformance` as a plugin that serves every hook.
//!
//! The rules decide; this only carries words over. What it adds are faults: ways to misbehave that a
//! test asks for, which a host must contain.

mod faults;
mod words;

use blockhouse_conformance::{Bodies, Effect, Fate, Fault, Outgoing, Rules, Who};
use blockhouse_plugin::raw::{Change, Decision, RouteAnswer};
use blockhouse_plugin::{
    Access, Ack, AdminCommand, AfterAppend, Appended, AuditSink, Authenticate, Authorize,
    BeforeDeliver, BeforeSend, BodyMode, BrokerRegistration, Changes, Command, Connection,
    ConnectionInfo, Context, Credentials, Deliveries, Delivery, Drafts, EnrichSpan, Event,
    Identity, Node, Outbound, Plugin, Principal, ProcessEvent, Progress, Pull, PullRequest,
    Registration, RouteEntry, RouteQuery, Spans, Verdict, Wants, clock, kv, log, metrics,
};

use crate::words::{rejection, spelled, verdict, word};

/// The sample.
pub struct Sample {
    rules: Rules,
    calls: u64,
    counter: Option<metrics::Counter>,
    kept: Vec<Vec<u8>>,
}

impl Sample {
    /// How to misbehave in this call, if at all; what does not need an answer is done right here.
    fn fault<'a>(
        &mut self,
        at: &str,
        subjects: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Fault> {
        let calls = self.calls;
        self.calls += 1;
        if self.rules.keep_kib > 0 {
            self.kept.push(vec![1; self.rules.keep_kib << 10]);
        }
        let fault = self.rules.fault(at, calls, subjects.into_iter())?;
        faults::perform(fault);
        Some(fault)
    }

    /// Asks the host for what it has, and tells what it says.
    fn ask_host(&self) {
        let Some(counter) = self.counter else { return };
        counter.add(1);
        let before = clock::monotonic_ns();
        let calls = kv::add("calls", 1, 0);
        let set = kv::set("last", b"authorize", 60_000);
        let last = kv::get("last");
        kv::delete("last");
        let (gone, now) = (kv::get("last").is_none(), clock::now_ms());
        let steady = clock::monotonic_ns() >= before;
        log::write(
            log::Level::Info,
            "asked",
            &[
                ("calls", &format!("{calls:?}")),
                ("set", &format!("{set:?}")),
                ("last", &format!("{last:?}")),
                ("gone", if gone { "yes" } else { "no" }),
                ("steady", if steady { "yes" } else { "no" }),
                ("now_ms", &now.to_string()),
            ],
        );
    }

    fn tell(&self, line: impl FnOnce() -> String) {
        if self.rules.tell {
            log::info(&line());
        }
    }
}

/// The verdict of a hook whose only bad answer is a long one.
fn or_long(fault: Option<Fault>, verdict: Verdict) -> Verdict {
    match fault {
        Some(Fault::Oversized) => Verdict::reject(faults::long()),
        _ => verdict,
    }
}

impl Plugin for Sample {
    type Config = Rules;

    fn init(node: &Node, rules: Rules) -> Result<Self, String> {
        let register = || metrics::Counter::register("conformance_calls", "Calls of authorize.");
        let counter = rules.ask_host.then(register).transpose()?;
        let mut sample = Self { rules, calls: 0, counter, kept: Vec::new() };
        match sample.fault("init", [node.name.as_bytes()]) {
            Some(Fault::Error) => Err("the sample was told to fail".to_owned()),
            Some(Fault::Oversized) => Err(faults::long()),
            _ => {
                sample.calls = 0;
                sample.tell(|| format!("init {} {}", node.name, node.binding));
                Ok(sample)
            }
        }
    }

    fn wants(&self) -> Wants {
        let bodies = match self.rules.bodies {
            Bodies::None => BodyMode::None,
            Bodies::Flat => BodyMode::Flat,
            Bodies::Lent => BodyMode::Lent,
        };
        Wants {
            before_send_bodies: bodies,
            before_deliver_bodies: bodies,
            enrich_span_bodies: bodies != BodyMode::None,
            batch_max: self.rules.batch_max,
            client_id: true,
            keeps_state: self.rules.fault_after > 0,
        }
    }

    fn health(&mut self) -> Result<(), String> {
        match self.fault("health", []) {
            Some(Fault::Error) => Err("the sample was told to be ill".to_owned()),
            _ => Ok(()),
        }
    }

    fn config_changed(&mut self, _node: &Node, rules: Rules) -> Result<(), String> {
        if self.fault("config-changed", []) == Some(Fault::Error) {
            return Err("the sample was told to keep its rules".to_owned());
        }
        self.rules = rules;
        self.tell(|| "config changed".to_owned());
        Ok(())
    }

    fn process_changed(&mut self, event: ProcessEvent) {
        self.fault("process-changed", []);
        self.tell(|| match event {
            ProcessEvent::Started => "started".to_owned(),
            ProcessEvent::Stopping => "stopping".to_owned(),
        });
    }

    fn drain(&mut self) {
        self.fault("drain", []);
        self.tell(|| "drained".to_owned());
    }
}

impl Connection for Sample {
    fn opened(&mut self, connection: &ConnectionInfo) -> Verdict {
        let ip = connection.peer.ip().to_string();
        let fault = self.fault("opened", [ip.as_bytes()]);
        or_long(fault, verdict(self.rules.connect(&ip)))
    }

    fn closed(&mut self, connection: &ConnectionInfo) {
        self.fault("closed", []);
        self.tell(|| format!("closed {}", connection.peer.socket()));
    }
}

impl Authenticate for Sample {
    fn authenticate(&mut self, _cx: &Context, credentials: &Credentials<'_>) -> Identity {
        let (key, signature) = (credentials.access_key(), credentials.signature());
        if self.fault("authenticate", [key.as_bytes()]) == Some(Fault::Oversized) {
            return Identity::Known(Principal::User(faults::long()));
        }
        match self.rules.identify(key, signature, &credentials.body()) {
            Who::Unknown => Identity::Unknown,
            Who::Known(user) => Identity::Known(Principal::User(user)),
            Who::Refused(refusal) => Identity::Refused(rejection(refusal)),
        }
    }
}

impl Authorize for Sample {
    fn authorize(&mut self, cx: &Context, accesses: &[Access]) -> Verdict {
        self.ask_host();
        let accesses: Vec<_> = accesses.iter().map(spelled).collect();
        let fault = self.fault("authorize", accesses.iter().map(|access| access.as_bytes()));
        or_long(fault, verdict(self.rules.authorize(cx.principal.user(), accesses)))
    }
}

impl BeforeSend for Sample {
    fn before_send(&mut self, _cx: &Context, drafts: &Drafts<'_>, changes: &mut Changes) {
        let bodies: Vec<_> = drafts.iter().map(|draft| draft.body()).collect();
        let fault = self.fault("before-send", bodies.iter().map(|body| &**body));
        for (draft, body) in drafts.iter().zip(&bodies) {
            if let Some(effect) = self.rules.send(body, |name| draft.property(name).is_some()) {
                change(changes, draft.index(), effect);
            }
        }
        if let Some(fault) = fault {
            faults::spoil_changes(fault, changes, bodies.len());
        }
    }
}

fn change(changes: &mut Changes, message: u32, effect: Effect) {
    match effect.fate {
        Fate::Admit => {}
        Fate::Reject(refusal) => changes.reject(message, rejection(refusal)),
        Fate::Drop => changes.drop_message(message),
        Fate::Reroute(topic) => changes.reroute(message, topic),
    }
    if let Some(body) = effect.body {
        changes.set_body(message, body);
    }
    for (name, value) in effect.set {
        changes.set_property(message, name, value);
    }
    for name in effect.delete {
        changes.delete_property(message, name);
    }
}

impl AfterAppend for Sample {
    fn after_append(&mut self, _cx: &Context, messages: &Appended<'_>) {
        let topic = messages.topic();
        self.fault("after-append", [topic.as_bytes()]);
        for message in messages.iter() {
            let (queue, offset) = (message.queue, message.queue_offset);
            self.tell(|| format!("appended {topic}/{queue}/{offset} {}", message.body_size()));
        }
    }
}

impl Pull for Sample {
    fn pull(&mut self, _cx: &Context, request: &PullRequest) -> Verdict {
        let fault = self.fault("pull", [request.group.as_bytes()]);
        or_long(fault, verdict(self.rules.pull(&request.group)))
    }
}

impl BeforeDeliver for Sample {
    fn before_deliver(
        &mut self,
        _cx: &Context,
        _delivery: &Delivery,
        messages: &Outbound<'_>,
        deliveries: &mut Deliveries,
    ) {
        let bodies: Vec<_> = messages.iter().map(|message| message.body()).collect();
        let fault = self.fault("before-deliver", bodies.iter().map(|body| &**body));
        for (message, body) in messages.iter().zip(&bodies) {
            match self.rules.deliver(message.tag(), body) {
                Outgoing::Keep => {}
                Outgoing::Hide => deliveries.hide(message.index()),
                Outgoing::Body(body) => deliveries.set_body(message.index(), body),
            }
        }
        if let Some(fault) = fault {
            faults::spoil_deliveries(fault, deliveries, bodies.len());
        }
    }
}

impl Ack for Sample {
    fn ack(&mut self, _cx: &Context, progress: &Progress) {
        let Progress { group, topic, queue, offset } = progress;
        self.fault("ack", [group.as_bytes()]);
        self.tell(|| format!("acked {group} {topic}/{queue}/{offset}"));
    }
}

impl AdminCommand for Sample {
    fn admin_command(&mut self, _cx: &Context, command: &Command) -> Verdict {
        let fault = self.fault("admin-command", [command.name.as_bytes()]);
        or_long(fault, verdict(self.rules.command(&command.name)))
    }
}

impl BrokerRegistration for Sample {
    fn broker_registration(&mut self, _cx: &Context, registration: &Registration) -> Verdict {
        let fault = self.fault("broker-registration", [registration.broker.as_bytes()]);
        or_long(fault, verdict(self.rules.register(&registration.broker)))
    }
}

impl RouteQuery for Sample {
    fn route_query(&mut self, _cx: &Context, topic: &str, route: &[RouteEntry]) -> RouteAnswer {
        match self.fault("route-query", [topic.as_bytes()]) {
            Some(Fault::IndexBeyond) => return RouteAnswer::Keep(vec![words::index(route.len())]),
            Some(Fault::IndexTwice) => return RouteAnswer::Keep(vec![0, 0]),
            Some(Fault::Oversized) => return RouteAnswer::Keep(vec![0; faults::LONG / 4]),
            _ => {}
        }
        match self.rules.route(topic, &route.iter().map(|entry| entry.broker.as_str())) {
            Ok(None) => RouteAnswer::Continue,
            Ok(Some(places)) => RouteAnswer::Keep(places.into_iter().map(words::index).collect()),
            Err(refusal) => RouteAnswer::Reject(rejection(refusal)),
        }
    }
}

impl EnrichSpan for Sample {
    fn enrich_span(&mut self, spans: &mut Spans<'_>) {
        let names: Vec<_> = spans.iter().map(|(_, span, _)| span.name.as_bytes()).collect();
        let (fault, count) = (self.fault("enrich-span", names.iter().copied()), names.len());
        for (index, _, message) in spans.iter() {
            for (name, value) in self.rules.attributes(|name| message.property(name)) {
                spans.add(index, name, value);
            }
        }
        if let Some(fault) = fault {
            faults::spoil_spans(fault, spans, count);
        }
    }
}

impl AuditSink for Sample {
    fn audit(&mut self, events: &[Event]) -> Result<(), String> {
        match self.fault("audit", events.iter().map(|event| event.action.as_bytes())) {
            Some(Fault::Error) => return Err("the sample was told to take nothing".to_owned()),
            Some(Fault::Oversized) => return Err(faults::long()),
            _ => {}
        }
        for event in events {
            self.tell(|| {
                let Event { sequence, principal, action, resource, .. } = event;
                let (kind, outcome) = (word(&event.kind), word(&event.outcome));
                format!("audit {sequence} {kind} {outcome} {principal} {action} {resource}")
            });
        }
        Ok(())
    }
}

/// A change that admits a message as it is; faults make it illegal.
fn admitted(message: u32) -> Change {
    Change { message, decision: Decision::Admit, body: None, properties: Vec::new() }
}

blockhouse_plugin::export!(
    Sample: connection, authenticate, authorize, before_send, after_append, pull, before_deliver,
    ack, admin_command, broker_registration, route_query, enrich_span, audit_sink
);

#[cfg(test)]
mod tests;
