//! The points, translated: what a native hook sees becomes what the guest is given, and what the
//! guest answers becomes a verdict.

mod audit;
mod convert;
mod deliver;
mod noted;
mod queue;
mod send;
mod span;
mod trace;

use std::sync::Arc;

use blockhouse_hook::{
    Ack, AdminCommand, Appended, AuditEvent, BrokerRegistration, ConnectionInfo, Credentials,
    Decided, Delivery, Draft, Hook, Identity, Lifecycle, Outbound, Outcome, Point, Points, Pull,
    Rejection, RouteEntry, SpanRecord, Subject, Verdict,
};
use blockhouse_model::{Access, RequestContext, Resource};

use crate::Failure;
use crate::contract::exported::{
    admin_command, authenticate, authorize, broker_registration, connection, pull, route_query,
};
use crate::contract::imported::types;
use crate::guest::Guest;
use crate::interface::Interface;
use crate::plugin::Plugin;
use crate::said::Said;
use crate::state::LentBodies;
pub(crate) use audit::Audits;
use convert::{address, context, identity, rejection, verdict};
pub(crate) use queue::Event;

/// Bytes of one call; one larger message goes alone.
const CALL_BYTES: usize = 1 << 20;
/// What an answer may have beyond twice what was given.
const ANSWER_SLACK: usize = 64 << 10;

/// A plugin as a hook.
pub(crate) struct PluginHook {
    plugin: Arc<Plugin>,
    points: Points,
}

impl PluginHook {
    pub(crate) fn of(plugin: &Arc<Plugin>) -> Arc<Self> {
        let hooks = plugin.hooks();
        let points = hooks.iter().fold(Points::NONE, |points, hook| hook.points(points));
        let mut points = points.with(Point::Lifecycle);
        if plugin.fails_closed(Interface::AuditSink) && hooks.contains(&Interface::AuditSink) {
            // Nothing is administered that cannot be told.
            points = points.with(Point::AdminCommand);
        }
        Arc::new(Self { plugin: Arc::clone(plugin), points })
    }

    /// Why a request is refused when the plugin fails. The reason is in log and audit, not here.
    fn unavailable(&self, failure: &Failure) -> Rejection {
        let name = &self.plugin.binding.name;
        let reason = format!("the plugin {name} cannot decide on this now; try again later");
        Rejection { failure: Some(failure.to_string().into()), ..Rejection::new(reason) }
    }

    /// What a failure does: a refusal, or nothing, of which only this hook can tell.
    fn failed(
        &self,
        interface: Interface,
        subject: Subject<'_>,
        failure: &Failure,
        messages: usize,
    ) -> Option<Rejection> {
        self.plugin.would_refuse(interface, messages);
        if self.plugin.fails_closed(interface) {
            return Some(self.unavailable(failure));
        }
        self.tell(subject, Outcome::Failed, &failure.to_string());
        None
    }

    /// Tells the audit what the chain cannot see, since nothing comes of it.
    fn tell(&self, subject: Subject<'_>, outcome: Outcome, reason: &str) {
        let (by, shadow) = (self.name(), self.plugin.is_shadow());
        if let Some(auditor) = self.plugin.keeper.auditor() {
            auditor.tell(subject, Decided { outcome, by, shadow, reason });
        }
    }

    /// Asks the guest for a verdict, and makes one of its failure.
    fn ask(
        &self,
        interface: Interface,
        subject: Subject<'_>,
        ask: impl FnOnce(&mut Guest, u32) -> Result<Verdict, Failure>,
    ) -> Verdict {
        self.ask_noting(interface, subject, |guest, deadline| {
            ask(guest, deadline).map(|verdict| (verdict, Vec::new()))
        })
    }

    /// Calls the guest for a verdict, which nothing comes of yet. Spans and traces have the call.
    fn answer(
        &self,
        interface: Interface,
        subject: Subject<'_>,
        ask: impl FnOnce(&mut Guest, u32) -> Result<(Verdict, Vec<String>), Failure>,
    ) -> Result<Verdict, Failure> {
        let traced = trace::asker(&subject).and_then(|cx| self.plugin.traced(cx));
        let (answer, took) = self.plugin.timed(interface, 1, ask);
        self.plugin.noted(interface, took, 1, &answer, |answer| match answer {
            (Verdict::Reject(_), _) => "refuse",
            (Verdict::Continue, changes) if changes.is_empty() => "continue",
            (Verdict::Continue, _) => "change",
        });
        if let Some(begun) = traced {
            self.plugin.note(&begun, interface, 1, |call| {
                call.subject(subject);
                call.verdict(&answer);
            });
        }
        answer.map(|(verdict, _)| verdict)
    }

    /// As [`Self::ask`], where the guest may also change something: what, is told in words.
    fn ask_noting(
        &self,
        interface: Interface,
        subject: Subject<'_>,
        ask: impl FnOnce(&mut Guest, u32) -> Result<(Verdict, Vec<String>), Failure>,
    ) -> Verdict {
        match self.answer(interface, subject, ask) {
            Ok(Verdict::Continue) => Verdict::Continue,
            Ok(Verdict::Reject(why)) => {
                self.plugin.said(interface, Said::Reject, 1);
                if self.plugin.is_shadow() {
                    self.tell(subject, Outcome::Refused, &why.reason);
                    return Verdict::Continue;
                }
                Verdict::Reject(why)
            }
            Err(failure) => {
                let refusal = self.failed(interface, subject, &failure, 1);
                refusal.map_or(Verdict::Continue, Verdict::Reject)
            }
        }
    }

    fn covers(&self, cx: &RequestContext, topic: &str, group: &str) -> bool {
        let scope = &self.plugin.scope;
        scope.covers(cx) && scope.covers_topic(topic) && scope.covers_group(group)
    }

    /// Whether what is asked for is in scope: a topic that is, where there are topics, and a group
    /// that is, where there are groups.
    fn covers_accesses(&self, accesses: &[Access<'_>]) -> bool {
        let scope = &self.plugin.scope;
        let has = |fits: &dyn Fn(&Resource<'_>) -> bool| accesses.iter().any(|a| fits(&a.resource));
        (scope.any_topic()
            || has(&|r| matches!(r, Resource::Topic(topic) if scope.covers_topic(topic))))
            && (scope.any_group()
                || has(&|r| matches!(r, Resource::Group(group) if scope.covers_group(group))))
    }
}

/// The exports that the blueprint found; a hook is only called where there are some.
fn exported<T: Clone>(exports: Option<&T>) -> Result<T, Failure> {
    exports.cloned().ok_or(Failure::NotLoaded)
}

impl Hook for PluginHook {
    fn name(&self) -> &str {
        &self.plugin.binding.name
    }

    fn points(&self) -> Points {
        self.points
    }

    fn connection_opened(&self, info: &ConnectionInfo) -> Verdict {
        self.ask(Interface::Connection, Subject::Opened(info), |guest, _| {
            let exports = exported(guest.exports.connection.as_ref())?;
            verdict(exports.call_opened(&mut guest.store, told(info)))
        })
    }

    fn connection_closed(&self, info: &ConnectionInfo) {
        // It only observes: a failure has been counted and changes nothing.
        let _counted = self.plugin.call(Interface::Connection, 1, |guest, _| {
            let exports = exported(guest.exports.connection.as_ref())?;
            exports.call_closed(&mut guest.store, told(info)).map_err(|e| Failure::of(&e))
        });
    }

    fn authenticate(&self, cx: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        if !self.plugin.scope.covers(cx) {
            return Identity::Unknown;
        }
        let wants = self.plugin.wants();
        let traced = self.plugin.traced(cx);
        let answer = self.plugin.call(Interface::Authenticate, 1, |guest, deadline| {
            let exports = exported(guest.exports.authenticate.as_ref())?;
            let asked = authenticate::Credentials {
                access_key: credentials.access_key,
                signature: credentials.signature,
                signed_fields: credentials.signed_fields,
                body_size: u32::try_from(credentials.body.len()).unwrap_or(u32::MAX),
            };
            let body = guest.lend([credentials.body]);
            let answer = exports.call_authenticate(
                &mut guest.store,
                context(cx, deadline, wants),
                asked,
                body,
            );
            guest.store.data_mut().lent.clear();
            identity(answer.map_err(|e| Failure::of(&e))?)
        });
        if let Some(begun) = traced {
            self.plugin.note(&begun, Interface::Authenticate, 1, |call| call.identity(&answer));
        }
        let subject = Subject::Authenticate(cx, credentials.access_key);
        match answer {
            Ok(Identity::Unknown) => Identity::Unknown,
            Ok(identity) => {
                let is_refused = matches!(identity, Identity::Refused(_));
                let said = if is_refused { Said::Reject } else { Said::Identify };
                self.plugin.said(Interface::Authenticate, said, 1);
                if !self.plugin.is_shadow() {
                    return identity;
                }
                match &identity {
                    Identity::Refused(why) => self.tell(subject, Outcome::Refused, &why.reason),
                    _ => self.tell(subject, Outcome::Allowed, ""),
                }
                Identity::Unknown
            }
            Err(failure) => {
                let refusal = self.failed(Interface::Authenticate, subject, &failure, 1);
                refusal.map_or(Identity::Unknown, Identity::Refused)
            }
        }
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        if !self.plugin.scope.covers(cx) || !self.covers_accesses(accesses) {
            return Verdict::Continue;
        }
        let wants = self.plugin.wants();
        self.ask(Interface::Authorize, Subject::Authorize(cx, accesses), |guest, deadline| {
            authorized_by(guest, context(cx, deadline, wants), accesses)
        })
    }

    fn may(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> bool {
        // A shadow has no say, and what it would say of what is only shown is not compared with anything.
        let is_asked = !self.plugin.is_shadow() && self.plugin.scope.covers(cx);
        if !is_asked || !self.covers_accesses(accesses) {
            return true;
        }
        let wants = self.plugin.wants();
        let subject = Subject::Authorize(cx, accesses);
        let answer = self.answer(Interface::Authorize, subject, |guest, deadline| {
            authorized_by(guest, context(cx, deadline, wants), accesses)
                .map(|said| (said, Vec::new()))
        });
        match answer {
            Ok(verdict) => verdict == Verdict::Continue,
            Err(_counted) => !self.plugin.fails_closed(Interface::Authorize),
        }
    }

    fn before_send(&self, cx: &RequestContext, messages: &mut [Draft<'_>]) {
        if self.plugin.scope.covers(cx) {
            self.shape(cx, messages);
        }
    }

    fn after_append(&self, cx: &RequestContext, messages: &[Appended<'_>]) {
        if !self.plugin.scope.covers(cx) {
            return;
        }
        let batch_max = self.plugin.wants().batch_max;
        for run in messages.chunk_by(|a, b| a.topic == b.topic) {
            if !run.first().is_some_and(|first| self.plugin.scope.covers_topic(first.topic)) {
                continue;
            }
            let mut rest = run;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(queue::run(rest, batch_max));
                self.plugin.keeper.queue(&self.plugin, Event::appended(cx, now));
                rest = later;
            }
        }
    }

    fn pull(&self, cx: &RequestContext, pull: &Pull<'_>) -> Verdict {
        if !self.covers(cx, pull.topic, pull.group) {
            return Verdict::Continue;
        }
        let wants = self.plugin.wants();
        self.ask(Interface::Pull, Subject::Pull(cx, pull), |guest, deadline| {
            let exports = exported(guest.exports.pull.as_ref())?;
            let asked = pull::PullRequest {
                group: pull.group,
                topic: pull.topic,
                queue: pull.queue.0,
                offset: pull.offset.0,
                messages_max: u32::try_from(pull.messages_max).unwrap_or(u32::MAX),
            };
            verdict(exports.call_pull(&mut guest.store, context(cx, deadline, wants), asked))
        })
    }

    fn before_deliver(
        &self,
        cx: &RequestContext,
        delivery: &Delivery<'_>,
        messages: &mut [Outbound<'_>],
    ) -> Verdict {
        if !self.covers(cx, delivery.topic, delivery.group) {
            return Verdict::Continue;
        }
        self.screen(cx, delivery, messages)
    }

    fn ack(&self, cx: &RequestContext, ack: &Ack<'_>) {
        if self.covers(cx, ack.topic, ack.group) {
            self.plugin.keeper.queue(&self.plugin, Event::ack(cx, ack));
        }
    }

    fn admin_command(&self, cx: &RequestContext, command: &AdminCommand<'_>) -> Verdict {
        if self.plugin.fails_closed(Interface::AuditSink) && self.plugin.audits.is_full() {
            let name = self.name();
            return Verdict::Reject(Rejection::new(format!(
                "the audit {name} is behind, and nothing is administered until it has caught up"
            )));
        }
        // It may stand here for its audit sink alone.
        let is_asked = self.plugin.hooks().contains(&Interface::AdminCommand);
        if !is_asked || !self.plugin.scope.covers(cx) {
            return Verdict::Continue;
        }
        let wants = self.plugin.wants();
        self.ask(Interface::AdminCommand, Subject::Admin(cx, command), |guest, deadline| {
            let exports = exported(guest.exports.admin_command.as_ref())?;
            let asked = admin_command::Command { name: command.name, target: command.target };
            let cx = context(cx, deadline, wants);
            verdict(exports.call_admin_command(&mut guest.store, cx, asked))
        })
    }

    fn broker_registration(
        &self,
        cx: &RequestContext,
        registration: &BrokerRegistration<'_>,
    ) -> Verdict {
        if !self.plugin.scope.covers(cx) {
            return Verdict::Continue;
        }
        let wants = self.plugin.wants();
        let subject = Subject::Register(cx, registration);
        self.ask(Interface::BrokerRegistration, subject, |guest, deadline| {
            let exports = exported(guest.exports.broker_registration.as_ref())?;
            let told = broker_registration::Registration {
                cluster: registration.cluster,
                broker: registration.broker,
                broker_id: registration.broker_id,
                address: registration.address,
                topics: u32::try_from(registration.topics).unwrap_or(u32::MAX),
            };
            let cx = context(cx, deadline, wants);
            verdict(exports.call_broker_registration(&mut guest.store, cx, told))
        })
    }

    fn route_query(
        &self,
        cx: &RequestContext,
        topic: &str,
        route: &mut Vec<RouteEntry>,
    ) -> Verdict {
        if !self.plugin.scope.covers(cx) || !self.plugin.scope.covers_topic(topic) {
            return Verdict::Continue;
        }
        let mut kept = None;
        let (wants, subject) = (self.plugin.wants(), Subject::Route(cx, topic));
        let verdict = self.ask_noting(Interface::RouteQuery, subject, |guest, deadline| {
            let exports = exported(guest.exports.route_query.as_ref())?;
            let entries: Vec<_> = route.iter().map(convert::route_entry).collect();
            let cx = context(cx, deadline, wants);
            let answer = exports.call_route_query(&mut guest.store, cx, topic, &entries);
            match answer.map_err(|e| Failure::of(&e))? {
                route_query::Answer::Continue => Ok((Verdict::Continue, Vec::new())),
                route_query::Answer::Reject(why) => {
                    Ok((Verdict::Reject(rejection(&why)?), Vec::new()))
                }
                route_query::Answer::Keep(indices) => {
                    convert::check_indices(&indices, entries.len())?;
                    let told = format!("{} of {} brokers", indices.len(), entries.len());
                    kept = Some(indices);
                    Ok((Verdict::Continue, vec![told]))
                }
            }
        });
        if let Some(indices) = kept {
            self.plugin.said(Interface::RouteQuery, Said::Select, 1);
            if self.plugin.is_shadow() {
                let reason = format!("{} of {} brokers", indices.len(), route.len());
                self.tell(subject, Outcome::Edited, &reason);
            } else {
                let all = std::mem::take(route);
                route.extend(indices.iter().filter_map(|i| all.get(*i as usize).cloned()));
            }
        }
        verdict
    }

    fn lifecycle(&self, event: Lifecycle) {
        // Instances are told of the stop by `Host::close`, after their last call. `Host::process_started` has told
        // them of the start, within a bound for all plugins, where there is a host.
        if event == Lifecycle::Started {
            let until = self.plugin.now().saturating_add(crate::set::FIRST_WORDS);
            let _told = self.plugin.process_started(until);
        }
    }

    fn enrich_span(&self, spans: &mut [SpanRecord]) {
        self.enrich(spans);
    }

    fn audit(&self, events: &[AuditEvent]) {
        self.put_aside(events);
    }

    fn wants_client_id(&self) -> bool {
        self.plugin.wants().client_id
    }
}

fn authorized_by(
    guest: &mut Guest,
    cx: types::Context<'_>,
    accesses: &[Access<'_>],
) -> Result<Verdict, Failure> {
    let exports = exported(guest.exports.authorize.as_ref())?;
    let accesses: Vec<authorize::Access<'_>> = accesses.iter().map(convert::access).collect();
    verdict(exports.call_authorize(&mut guest.store, cx, &accesses))
}

fn told(info: &ConnectionInfo) -> connection::ConnectionInfo {
    connection::ConnectionInfo {
        id: info.id,
        peer: address(info.peer),
        local: address(info.local),
        secure: info.secure,
    }
}

impl Guest {
    /// Lends bodies for one call, if the plugin is granted them and there is something to read.
    fn lend<'a>(
        &mut self,
        bodies: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<wasmtime::component::Resource<LentBodies>> {
        let state = self.store.data_mut();
        if !state.shared.grants.message_bodies {
            return None;
        }
        state.lent.clear();
        for body in bodies {
            state.lent.bytes.extend_from_slice(body);
            state.lent.ends.push(u32::try_from(state.lent.bytes.len()).unwrap_or(u32::MAX));
        }
        (!state.lent.bytes.is_empty()).then(|| wasmtime::component::Resource::new_borrow(0))
    }
}
