//! The hook at the point where a request's credentials are judged.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use blockhouse_hook::{
    ConnectionInfo, Credentials, Hook, Identity, Point, Points, Rejection, UserKind, Users, Verdict,
};
use blockhouse_model::{Principal, RequestContext};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::outcome::Counts;
use crate::users::{Account, NODE, is_name};
use crate::{Config, NodeRequests, Outcome, UserTable, signature};

/// What brokers tell name servers: `REGISTER_BROKER`, `UNREGISTER_BROKER`,
/// `REGISTER_TOPIC_IN_NAMESRV`, `QUERY_DATA_VERSION` (a sign of life) and `BROKER_HEARTBEAT`.
const NODE_REQUESTS: [i32; 5] = [103, 104, 217, 322, 904];

/// Judges every request's credentials.
pub struct Authn {
    users: Arc<UserTable>,
    required: bool,
    allow_plaintext: bool,
    rebind: bool,
    only_super_for_nodes: bool,
    counts: Arc<Counts>,
    bindings: Bindings,
}

impl Authn {
    /// A hook with these users.
    #[must_use]
    pub fn new(config: &Config, users: Arc<UserTable>) -> Self {
        Self {
            users,
            required: config.required,
            allow_plaintext: config.allow_plaintext,
            rebind: config.rebind,
            only_super_for_nodes: config.node_requests == NodeRequests::Super,
            counts: Arc::default(),
            bindings: Bindings::default(),
        }
    }

    /// What became of all attempts.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    fn judge(
        &self,
        cx: &RequestContext,
        credentials: &Credentials<'_>,
    ) -> Result<Identity, Outcome> {
        let for_nodes = self.only_super_for_nodes && NODE_REQUESTS.contains(&cx.code);
        if credentials.access_key.is_empty() {
            if let Some(name) = &cx.certificate {
                return self.certified(name, for_nodes);
            }
            if self.required || for_nodes {
                return Err(Outcome::Missing);
            }
            self.counts.add(Outcome::Anonymous);
            return Ok(Identity::Unknown);
        }
        if !cx.secure && !self.allow_plaintext && !cx.peer.ip().to_canonical().is_loopback() {
            return Err(Outcome::Plaintext);
        }
        let claimed = signature::decode(credentials.signature);
        let parts = [credentials.signed_fields, credentials.body];
        let account = self.users.prove(credentials.access_key, claimed, parts)?;
        if !self.rebind && !self.bindings.bind(cx.connection, &account, &self.users) {
            return Err(Outcome::OtherUser);
        }
        if for_nodes && account.user.kind != UserKind::Super {
            return Err(Outcome::NotSuper);
        }
        self.counts.add(Outcome::Ok);
        Ok(Identity::Known(Principal::User(Arc::clone(&account.user.name))))
    }
}

impl Authn {
    /// A certificate proves its user; who is in the table as well is what the table says.
    fn certified(&self, name: &Arc<str>, for_nodes: bool) -> Result<Identity, Outcome> {
        // That one proves himself by a secret of this process. Nobody can be made of his name; a certificate can.
        if **name == *NODE {
            return Err(Outcome::UnknownUser);
        }
        let user = self.users.find(name);
        if user.as_ref().is_some_and(|user| !user.enabled) {
            return Err(Outcome::Disabled);
        }
        if for_nodes && user.is_none_or(|user| user.kind != UserKind::Super) {
            return Err(Outcome::NotSuper);
        }
        self.counts.add(Outcome::Certificate);
        Ok(Identity::Known(Principal::User(Arc::clone(name))))
    }
}

impl Hook for Authn {
    fn name(&self) -> &'static str {
        "authn"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate).with(Point::ConnectionClosed)
    }

    fn authenticate(&self, cx: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        self.judge(cx, credentials).unwrap_or_else(|outcome| {
            self.counts.add(outcome);
            tracing::debug!(
                peer = %cx.peer,
                code = cx.code,
                user = named(credentials.access_key),
                outcome = outcome.name(),
                "not authenticated"
            );
            Identity::Refused(Rejection::new(outcome.told()).with_detail(outcome.reason()))
        })
    }

    fn reaffirm(&self, cx: &RequestContext) -> Verdict {
        let Principal::User(name) = &cx.principal else { return Verdict::Continue };
        let stands = match &cx.certificate {
            Some(_) => self.users.find(name).is_none_or(|user| user.enabled),
            None => !self.users.is_revoked(name),
        };
        if stands {
            return Verdict::Continue;
        }
        self.counts.add(Outcome::Revoked);
        tracing::debug!(peer = %cx.peer, code = cx.code, user = %name, "revoked while it waited");
        Verdict::Reject(Rejection::new(Outcome::Revoked.told()))
    }

    fn connection_closed(&self, connection: &ConnectionInfo) {
        self.bindings.forget(connection.id);
    }
}

/// What a log may say of a name that a stranger sent.
fn named(access_key: &str) -> &str {
    if is_name(access_key) { access_key } else { "(no legal name)" }
}

const SHARDS: usize = 16;

/// Whose each connection is, by its first proof.
#[derive(Default)]
struct Bindings([Mutex<FxHashMap<u64, Arc<str>>>; SHARDS]);

impl Bindings {
    fn shard(&self, connection: u64) -> &Mutex<FxHashMap<u64, Arc<str>>> {
        // Always one of them.
        let at = usize::try_from(connection % SHARDS as u64).unwrap_or(0);
        self.0.get(at).unwrap_or(&self.0[0])
    }

    /// Whether the connection is, or now becomes, that user's. Who was revoked has none any more.
    fn bind(&self, connection: u64, account: &Account, users: &UserTable) -> bool {
        match self.shard(connection).lock().entry(connection) {
            Entry::Occupied(bound) if Arc::ptr_eq(bound.get(), &account.user.name) => true,
            Entry::Occupied(mut bound) => {
                let is_free = users.is_revoked(bound.get());
                if is_free {
                    bound.insert(Arc::clone(&account.user.name));
                }
                is_free
            }
            Entry::Vacant(free) => {
                free.insert(Arc::clone(&account.user.name));
                true
            }
        }
    }

    fn forget(&self, connection: u64) {
        self.shard(connection).lock().remove(&connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_leaves_nothing_behind() {
        let bindings = Bindings::default();
        for id in 0..100 {
            let shard = bindings.shard(id);
            shard.lock().insert(id, "u".into());
        }
        (0..100).for_each(|id| bindings.forget(id));
        assert!(bindings.0.iter().all(|shard| shard.lock().is_empty()));
    }
}
