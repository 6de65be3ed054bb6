//! Authentication of the process: its users, its hook, and who it is to name servers.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use blockhouse_authn::{Authn, Credential, UserTable};
use blockhouse_authz::{KnownUsers, SuperUsers};
use blockhouse_disk::{Disk, RealDisk};
use blockhouse_hook::{Hook, User, UserKind, Users};
use blockhouse_protocol::signed::Signer;

use super::{Role, Shared};
use crate::cluster::signer_of;
use crate::options::Config;

/// What authentication gives to the parts of a process.
#[derive(Default)]
pub(super) struct Authenticated {
    /// The users, if requests are authenticated.
    pub(super) users: Option<Arc<dyn Users>>,
    /// Who the broker is to name servers.
    pub(super) signer: Option<Arc<Signer>>,
    /// What judges requests. It stands before all other hooks.
    pub(super) hook: Option<Arc<dyn Hook>>,
}

impl Authenticated {
    /// Who may do everything: nobody where there are no users.
    pub(super) fn super_users(&self) -> SuperUsers {
        let users = self.users.clone();
        let is_super = |user: User| user.enabled && user.kind == UserKind::Super;
        Arc::new(move |name| {
            users.as_ref().and_then(|users| users.find(name)).is_some_and(is_super)
        })
    }

    /// Who may have an ACL: everybody where there are no users, since certificates name some as well.
    pub(super) fn known_users(&self) -> KnownUsers {
        let users = self.users.clone();
        Arc::new(move |name| users.as_ref().is_none_or(|users| users.find(name).is_some()))
    }
}

/// Opens the users.
pub(super) fn start(config: &Config, role: Role, shared: &Shared) -> anyhow::Result<Authenticated> {
    let (authn, node) = (&config.authn, &config.node);
    let mut started = Authenticated::default();
    if role.has_broker() && !authn.node_user_file.is_empty() {
        let credential = Credential::read(&RealDisk, Path::new(&authn.node_user_file))
            .context("authn.node_user_file")?;
        started.signer = Some(signer_of(&credential));
    }
    if !authn.enabled {
        return Ok(started);
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let users = UserTable::open(authn, disk, &node.data).context("authentication")?;
    let users = Arc::new(users);
    users.when_changed(shared.ask_again());
    if users.list("").is_empty() {
        tracing::warn!(
            "authentication is on and there are no users: every request is refused; \
             authn.initial_user_file makes the first"
        );
    }
    let own_name_server = role == Role::Standalone && node.namesrv.is_empty();
    if started.signer.is_none() && own_name_server {
        started.signer = Some(signer_of(&users.in_process()?));
    }
    let hook = Authn::new(authn, Arc::clone(&users));
    let counts = hook.counts();
    shared.meter.watch_authentications(Box::new(move || counts.read().collect()));
    started.users = Some(users);
    started.hook = Some(Arc::new(hook));
    Ok(started)
}
