//! Keeps out whom the operator names: by address, principal or client, outside of hours, beyond a rate.
//!
//! It narrows what others allow and never allows anything itself. Which topics, groups and request
//! codes it looks at is the binding's scope, which the host evaluates.

mod glob;
mod hours;
mod range;

use blockhouse_plugin::{
    Access, AdminCommand, Authorize, BeforeSend, Changes, Command, Connection, ConnectionInfo,
    Context, Drafts, Node, Plugin, Rejection, Verdict, Wants, clock, kv, log,
};

use crate::glob::Glob;
use crate::hours::Hours;
use crate::range::Range;

/// RocketMQ's flow control: a producer gives up at once and does not try the next broker.
const FLOW_CONTROL: i32 = 215;

/// The binding's configuration.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    quarantine: Quarantine,
    hours: Option<Hours>,
    rate: Option<Rate>,
}

/// Who is kept out.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Quarantine {
    addresses: Vec<Range>,
    principals: Vec<String>,
    /// What clients call themselves.
    clients: Vec<Glob>,
}

/// How much a principal may send.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    messages_per_second: u32,
}

/// The plugin.
pub struct Acl(Config);

impl Plugin for Acl {
    type Config = Config;

    fn init(_node: &Node, config: Config) -> Result<Self, String> {
        if config.rate.as_ref().is_some_and(|rate| rate.messages_per_second == 0) {
            return Err("rate.messages_per_second is 0: use quarantine to keep all out".to_owned());
        }
        Ok(Self(config))
    }

    fn wants(&self) -> Wants {
        Wants { client_id: !self.0.quarantine.clients.is_empty(), ..Wants::default() }
    }
}

impl Acl {
    /// Is the request's client in quarantine, or is it outside of hours?
    fn admit(&self, cx: &Context) -> Result<(), Rejection> {
        let principal = cx.principal.user().unwrap_or("anonymous");
        if self.0.quarantine.principals.iter().any(|name| name == principal) {
            return Err(quarantined(principal));
        }
        let ip = cx.peer.ip();
        if self.0.quarantine.addresses.iter().any(|range| range.has(ip)) {
            return Err(quarantined(&ip.to_string()));
        }
        // One that has not said its id yet is not known by it.
        let client = cx.client_id.as_deref();
        if let Some(id) =
            client.filter(|id| self.0.quarantine.clients.iter().any(|c| c.matches(id)))
        {
            return Err(quarantined(id));
        }
        match &self.0.hours {
            Some(hours) if !hours.has(clock::now_ms()) => {
                Err(Rejection::new(format!("out of hours: come back {hours}")))
            }
            _ => Ok(()),
        }
    }
}

fn quarantined(who: &str) -> Rejection {
    log::write(log::Level::Warn, "quarantine", &[("who", who)]);
    Rejection::new(format!("{who} is in quarantine: ask the operator of this broker"))
}

impl Connection for Acl {
    fn opened(&mut self, connection: &ConnectionInfo) -> Verdict {
        let ip = connection.peer.ip();
        let out = self.0.quarantine.addresses.iter().any(|range| range.has(ip));
        if out { Verdict::Reject(quarantined(&ip.to_string())) } else { Verdict::Continue }
    }
}

impl Authorize for Acl {
    fn authorize(&mut self, cx: &Context, _accesses: &[Access]) -> Verdict {
        self.admit(cx).into()
    }
}

impl AdminCommand for Acl {
    fn admin_command(&mut self, cx: &Context, _command: &Command) -> Verdict {
        self.admit(cx).into()
    }
}

impl BeforeSend for Acl {
    fn before_send(&mut self, cx: &Context, drafts: &Drafts<'_>, changes: &mut Changes) {
        let Some(rate) = &self.0.rate else { return };
        let who = match cx.principal.user() {
            Some(name) => name.to_owned(),
            None => cx.peer.ip().to_string(),
        };
        let count = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
        let admitted = rate.take(&who, count);
        for draft in drafts.iter().skip(admitted as usize) {
            let limit = rate.messages_per_second;
            let reason = format!("{who} may send {limit} messages per second: send slower");
            changes.reject(draft.index(), Rejection::with_code(FLOW_CONTROL, reason));
        }
    }
}

impl Rate {
    /// How many of `count` messages are within the rate of this second. All instances of the node
    /// count together. What cannot be counted is not admitted.
    fn take(&self, who: &str, count: u32) -> u32 {
        let second = clock::now_ms() / 1000;
        // Two seconds, so that the count outlives its second however the clocks are read.
        let sum = match kv::add(&format!("rate/{second}/{who}"), i64::from(count), 2000) {
            Ok(sum) => sum,
            Err(refusal) => {
                log::error(&format!("messages cannot be counted: {}", refusal.message()));
                return 0;
            }
        };
        let before = sum.saturating_sub(i64::from(count));
        let left = i64::from(self.messages_per_second).saturating_sub(before);
        u32::try_from(left.max(0)).unwrap_or(u32::MAX).min(count)
    }
}

blockhouse_plugin::export!(Acl: connection, authorize, before_send, admin_command);

#[cfg(test)]
mod tests;
