//! The sample as a native hook.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::SocketAddr;

use blockhouse_hook::{
    Ack, AdminCommand, Appended, AuditEvent, BrokerRegistration, ConnectionInfo, Credentials,
    Decision, Delivery, Draft, Hook, Identity, Lifecycle, Outbound, Points, Pull, Rejection,
    RouteEntry, SpanRecord, Verdict,
};
use blockhouse_model::{Access, Action, Principal, RequestContext, Resource, properties};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{Effect, Fate, Outgoing, Refusal, Rules, Who};

/// The rules, and what was observed.
#[derive(Debug, Default)]
pub struct Native {
    rules: Rules,
    told: Mutex<Vec<String>>,
}

impl Native {
    /// A hook with these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, told: Mutex::default() }
    }

    /// What was observed so far, in the words in which the plugin logs it.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        self.told.lock().clone()
    }

    fn tell(&self, line: &impl Display) {
        if self.rules.tell {
            self.told.lock().push(line.to_string());
        }
    }
}

impl Hook for Native {
    fn name(&self) -> &'static str {
        "conformance"
    }

    fn points(&self) -> Points {
        Points::all()
    }

    fn connection_opened(&self, connection: &ConnectionInfo) -> Verdict {
        verdict(self.rules.connect(&connection.peer.ip().to_canonical().to_string()))
    }

    fn connection_closed(&self, connection: &ConnectionInfo) {
        // As the plugin sees it: a mapped IPv4 address is one of IPv4.
        let peer = SocketAddr::new(connection.peer.ip().to_canonical(), connection.peer.port());
        self.tell(&format_args!("closed {peer}"));
    }

    fn authenticate(&self, _cx: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        let Credentials { access_key, signature, body, .. } = credentials;
        match self.rules.identify(access_key, signature, body) {
            Who::Unknown => Identity::Unknown,
            Who::Known(user) => Identity::Known(Principal::User(user.into())),
            Who::Refused(refusal) => Identity::Refused(rejection(refusal)),
        }
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        let user = match &cx.principal {
            Principal::User(name) | Principal::Plugin(name) => Some(&**name),
            Principal::Anonymous => None,
        };
        verdict(self.rules.authorize(user, accesses.iter().map(spelled)))
    }

    fn before_send(&self, _cx: &RequestContext, messages: &mut [Draft<'_>]) {
        for draft in messages {
            let has = |name: &str| properties::has(&draft.properties, name);
            if let Some(effect) = self.rules.send(&draft.body, has) {
                apply(draft, effect);
            }
        }
    }

    fn after_append(&self, _cx: &RequestContext, messages: &[Appended<'_>]) {
        for message in messages {
            let Appended { topic, queue, queue_offset, body_len, .. } = message;
            self.tell(&format_args!("appended {topic}/{queue}/{queue_offset} {body_len}"));
        }
    }

    fn pull(&self, _cx: &RequestContext, pull: &Pull<'_>) -> Verdict {
        verdict(self.rules.pull(pull.group))
    }

    fn before_deliver(
        &self,
        _cx: &RequestContext,
        _delivery: &Delivery<'_>,
        messages: &mut [Outbound<'_>],
    ) -> Verdict {
        for message in messages {
            let body = message.body.as_deref().unwrap_or(message.stored_body);
            match self.rules.deliver(properties::find(message.properties, "TAGS"), body) {
                Outgoing::Keep => {}
                Outgoing::Hide => message.keep = false,
                Outgoing::Body(body) => message.body = Some(Bytes::from(body)),
            }
        }
        Verdict::Continue
    }

    fn ack(&self, _cx: &RequestContext, ack: &Ack<'_>) {
        let Ack { group, topic, queue, offset } = ack;
        self.tell(&format_args!("acked {group} {topic}/{queue}/{offset}"));
    }

    fn admin_command(&self, _cx: &RequestContext, command: &AdminCommand<'_>) -> Verdict {
        verdict(self.rules.command(command.name))
    }

    fn broker_registration(
        &self,
        _cx: &RequestContext,
        registration: &BrokerRegistration<'_>,
    ) -> Verdict {
        verdict(self.rules.register(registration.broker))
    }

    fn route_query(
        &self,
        _cx: &RequestContext,
        topic: &str,
        route: &mut Vec<RouteEntry>,
    ) -> Verdict {
        match self.rules.route(topic, &route.iter().map(|entry| entry.broker.as_str())) {
            Ok(None) => Verdict::Continue,
            Ok(Some(places)) => {
                *route = places.into_iter().filter_map(|place| route.get(place).cloned()).collect();
                Verdict::Continue
            }
            Err(refusal) => Verdict::Reject(rejection(refusal)),
        }
    }

    fn lifecycle(&self, event: Lifecycle) {
        match event {
            Lifecycle::Started => self.tell(&"started"),
            Lifecycle::Stopping => self.tell(&"stopping"),
        }
    }

    fn enrich_span(&self, spans: &mut [SpanRecord]) {
        for span in spans {
            let attributes = self.rules.attributes(|name| properties::find(&span.properties, name));
            for (name, value) in attributes {
                // What is over a bound is dropped and counted by the span.
                let _dropped = span.add(name, value);
            }
        }
    }

    fn audit(&self, events: &[AuditEvent]) {
        for event in events {
            let AuditEvent { sequence, kind, outcome, principal, action, resource, .. } = event;
            let principal = match principal {
                Principal::User(name) | Principal::Plugin(name) => format!("user:{name}"),
                Principal::Anonymous => "anonymous".to_owned(),
            };
            self.tell(&format_args!(
                "audit {sequence} {kind:?} {outcome:?} {principal} {action} {resource}"
            ));
        }
    }
}

fn apply(draft: &mut Draft<'_>, effect: Effect) {
    draft.decision = match effect.fate {
        Fate::Admit => Decision::Admit,
        Fate::Reject(refusal) => Decision::Reject(rejection(refusal)),
        Fate::Drop => Decision::Drop,
        Fate::Reroute(topic) => Decision::Reroute(topic),
    };
    if let Some(body) = effect.body {
        draft.body = Cow::Owned(body);
    }
    for (name, value) in &effect.set {
        properties::set(draft.properties.to_mut(), name, value);
    }
    for name in &effect.delete {
        properties::remove(draft.properties.to_mut(), name);
    }
}

fn rejection(refusal: Refusal) -> Rejection {
    Rejection { code: refusal.code, ..Rejection::new(refusal.reason) }
}

fn verdict(result: Result<(), Refusal>) -> Verdict {
    match result {
        Ok(()) => Verdict::Continue,
        Err(refusal) => Verdict::Reject(rejection(refusal)),
    }
}

fn spelled(access: &Access<'_>) -> String {
    let action = match access.action {
        Action::Pub => "pub",
        Action::Sub => "sub",
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Get => "get",
        Action::List => "list",
    };
    match access.resource {
        Resource::Cluster | Resource::Policy | Resource::Plugin(_) | Resource::Audit => {
            format!("{action} cluster")
        }
        Resource::Topic(name) => format!("{action} topic:{name}"),
        Resource::Group(name) => format!("{action} group:{name}"),
    }
}
