//! ACLs of a node that change while it runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockhouse_hook::{AclError, UserError};
use blockhouse_model::Acl;

use super::{Keeper, State, report};
use crate::acl::AclTable;
use crate::hook::InForce;
use crate::policies::Policies;
use crate::problem::Refused;
use crate::words::Kind;
use crate::{AclLines, Report};

/// Whether there is a user of that name.
pub type KnownUsers = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl Keeper {
    /// The ACL of a subject that is in force. A change that is under way is not waited for.
    ///
    /// # Errors
    /// No such user.
    pub fn acl(&self, subject: &str) -> Result<Option<Acl>, AclError> {
        let found = self.acls.load().find(subject)?;
        if found.is_none() {
            self.check_user(subject)?;
        }
        Ok(found)
    }

    /// All in force whose subjects and resources have these filters in them.
    #[must_use]
    pub fn acls(&self, subject_filter: &str, resource_filter: &str) -> Vec<Acl> {
        self.acls.load().list(subject_filter, resource_filter)
    }

    /// Adds entries to the ACL of a user, or to none.
    ///
    /// # Errors
    /// What is wrong with it; what was in force stays in force.
    pub fn put_acl(&self, acl: &Acl) -> Result<Report, AclError> {
        self.counted(|| {
            check_asked(acl)?;
            // With the lock, so that nobody has an ACL who is deleted in this moment.
            self.change_acls(|acls| {
                self.check_user(&acl.subject)?;
                acls.put(acl)
            })
        })
    }

    /// Deletes the entry of a resource or, if none is given, the whole ACL.
    ///
    /// # Errors
    /// What is wrong with it; what was in force stays in force.
    pub fn delete_acl(
        &self,
        subject: &str,
        policy_type: &str,
        resource: Option<&str>,
    ) -> Result<Report, AclError> {
        self.counted(|| self.change_acls(|acls| acls.delete(subject, policy_type, resource)))
    }

    /// Has `create` make a user, unless an ACL of that name would be the new user's: one that is left of another, or
    /// that of somebody who has no account.
    ///
    /// # Errors
    /// Those of `create`; or there is such an ACL, and `create` was not called.
    pub fn create_user(
        &self,
        user: &str,
        create: impl FnOnce() -> Result<(), UserError>,
    ) -> Result<(), UserError> {
        // Until it is made, nobody gives the name an ACL.
        let _held = self.state.lock();
        if !(self.is_known)(user) && self.acls.load().has(user) {
            return Err(UserError::Invalid(format!(
                "there is an ACL of User:{user}, left of another user or for who has no account: delete it first \
                 (mqadmin deleteAcl -s User:{user}), or the new user would have its rights"
            )));
        }
        create()
    }

    /// Has `delete` delete a user, and deletes its ACL after it. If the disk fails in between, the user is gone and
    /// the ACL is left, until [`Self::delete_acl`]. The ACL of who is no user stays: it may be that of a certificate.
    ///
    /// Whether it `may` be is asked first: to load the set anew costs something, and what is wrong with it is not for
    /// everybody.
    ///
    /// # Errors
    /// Those of `may` and `delete`; or the ACL cannot be deleted.
    pub fn delete_user(
        &self,
        user: &str,
        may: impl FnOnce() -> Result<(), UserError>,
        delete: impl FnOnce() -> Result<(), UserError>,
    ) -> Result<Option<Report>, UserError> {
        let mut state = self.state.lock();
        may()?;
        let without = if (self.is_known)(user) { self.acls.load().without(user) } else { None };
        let Some(without) = without else { return delete().map(|()| None) };
        let set = self.prepare(&state, without).map_err(|error| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            UserError::Acl(error)
        })?;
        delete()?;
        self.counted(|| self.put(&mut state, set)).map(Some).map_err(UserError::AclLeft)
    }

    fn check_user(&self, subject: &str) -> Result<(), AclError> {
        let user = AclTable::user(subject)?;
        if (self.is_known)(user) { Ok(()) } else { Err(AclError::NoUser(user.to_owned())) }
    }

    fn change_acls(
        &self,
        change: impl FnOnce(&mut AclTable) -> Result<(), AclError>,
    ) -> Result<Report, AclError> {
        let mut state = self.state.lock();
        let mut acls = AclTable::clone(&self.acls.load());
        change(&mut acls)?;
        let set = self.prepare(&state, acls)?;
        self.put(&mut state, set)
    }

    /// What a set with these ACLs would be.
    fn prepare(&self, state: &State, acls: AclTable) -> Result<(AclTable, Policies), AclError> {
        let policies = Policies::load_with(&state.files, &self.lines(&acls), self.mode)
            .map_err(|refused| AclError::Invalid(told(&refused)))?;
        Ok((acls, policies))
    }

    fn put(
        &self,
        state: &mut State,
        (acls, policies): (AclTable, Policies),
    ) -> Result<Report, AclError> {
        let generation = state.record.generation + 1;
        // On disk first, as with files.
        acls.write(self.disk.as_ref(), &self.acl_path, generation)
            .map_err(|error| AclError::NotSaved(error.to_string()))?;
        state.record.generation = generation;
        let set = InForce::new(generation, policies);
        let report = report(&set, &state.record);
        self.hook.put_in_force(set);
        self.acls.store(Arc::new(acls));
        Ok(report)
    }

    /// The ACLs as lines of this node.
    pub(super) fn lines(&self, acls: &AclTable) -> AclLines {
        lines(acls, self.mode, &self.cluster, self.dir.as_os_str().is_empty())
    }
}

/// Old files of ACLs may have entries of namespaces, which decide nothing; new ones are refused.
fn check_asked(acl: &Acl) -> Result<(), AclError> {
    let is_namespace = |text: &str| {
        text.split_once(':').is_some_and(|(word, _)| Kind::parse(word) == Some(Kind::Namespace))
    };
    if acl.entries.iter().any(|entry| is_namespace(&entry.resource)) {
        let why = "no ACL decides on a Namespace: write Topic:NAMESPACE%* and Group:NAMESPACE%*, or a rule in the \
                   files";
        return Err(AclError::Invalid(why.to_owned()));
    }
    Ok(())
}

/// The ACLs as lines of a node.
pub(super) fn lines(acls: &AclTable, mode: crate::Mode, cluster: &str, alone: bool) -> AclLines {
    let mut lines = acls.lines(mode, cluster);
    lines.alone = alone;
    lines
}

/// What whoever makes ACLs may know of the set that they are part of.
fn told(refused: &Refused) -> String {
    format!("the policies of this node would not load with it: {refused}")
}
