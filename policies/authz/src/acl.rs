//! RocketMQ 2.0's ACLs: what a node was told of single users, beside the files of its policies.
//!
//! An entry is a line of policy in other words. Those of all users are compiled together with the files, so that
//! one index decides.

mod entry;
mod file;
mod import;

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_hook::AclError;
use blockhouse_model::{Acl, AclEntry};

use crate::config::Mode;
pub(crate) use entry::CUSTOM;
use entry::{DEFAULT, canonical, is_default, line, resource, user_of};
pub use import::Imported;

/// Users that have an ACL.
const USERS_MAX: usize = 10_000;
/// Entries of one user.
const ENTRIES_MAX: usize = 1_000;
/// Entries of all users.
const ALL_MAX: usize = 100_000;

/// The ACLs of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclTable {
    /// By name, each with at least one entry, all as [`canonical`] writes them.
    users: BTreeMap<String, Vec<AclEntry>>,
}

/// ACLs as lines of policy, which come from no file.
#[derive(Clone, Debug, Default)]
pub struct AclLines {
    pub(crate) text: String,
    /// What each line comes from.
    pub(crate) origins: Vec<Origin>,
    /// Whether the node has no directory of policies, so that these may be all there is, or nothing.
    pub(crate) alone: bool,
}

/// What a line of policy comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// As in `ACL User:alice Topic:orders`.
    pub(crate) shown: Arc<str>,
    /// Whether it counts only if nothing else speaks of it.
    pub(crate) is_default: bool,
}

impl AclTable {
    /// Whether nobody has an ACL.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Users that have an ACL.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whose ACL it is.
    pub(crate) fn user(subject: &str) -> Result<&str, AclError> {
        user_of(subject)
    }

    pub(crate) fn find(&self, subject: &str) -> Result<Option<Acl>, AclError> {
        let user = user_of(subject)?;
        Ok(self.users.get(user).map(|entries| acl(user, entries.clone())))
    }

    /// Whether `user` has an ACL.
    pub(crate) fn has(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// The same without the ACL of `user`; `None` if it has none.
    pub(crate) fn without(&self, user: &str) -> Option<Self> {
        let mut without = self.clone();
        without.users.remove(user).map(|_| without)
    }

    pub(crate) fn list(&self, subject_filter: &str, resource_filter: &str) -> Vec<Acl> {
        let shown = |(user, entries): (&String, &Vec<AclEntry>)| {
            let whole = acl(user, Vec::new());
            let kept = entries.iter().filter(|entry| entry.resource.contains(resource_filter));
            let entries: Vec<AclEntry> = kept.cloned().collect();
            (whole.subject.contains(subject_filter) && !entries.is_empty())
                .then_some(Acl { entries, ..whole })
        };
        self.users.iter().filter_map(shown).collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = Acl> + '_ {
        self.users.iter().map(|(user, entries)| acl(user, entries.clone()))
    }

    /// Adds entries; one of a resource that the user has an entry of takes its place.
    pub(crate) fn put(&mut self, new: &Acl) -> Result<(), AclError> {
        let user = user_of(&new.subject)?;
        if new.entries.is_empty() {
            return Err(invalid("an ACL without entries says nothing"));
        }
        if new.entries.len() > ENTRIES_MAX {
            return Err(invalid(format!("more than {ENTRIES_MAX} entries")));
        }
        let mut entries = self.users.get(user).cloned().unwrap_or_default();
        for entry in &new.entries {
            let entry = canonical(user, entry).map_err(invalid)?;
            let same = |old: &&mut AclEntry| {
                (&old.policy_type, &old.resource) == (&entry.policy_type, &entry.resource)
            };
            match entries.iter_mut().find(same) {
                Some(old) => *old = entry,
                None => entries.push(entry),
            }
        }
        if entries.len() > ENTRIES_MAX {
            return Err(invalid(format!("User:{user} would have over {ENTRIES_MAX} entries")));
        }
        self.users.insert(user.to_owned(), entries);
        if self.users.len() > USERS_MAX {
            return Err(invalid(format!("there are ACLs of {USERS_MAX} users already")));
        }
        if self.users.values().map(Vec::len).sum::<usize>() > ALL_MAX {
            return Err(invalid(format!("there are {ALL_MAX} entries of ACLs already")));
        }
        Ok(())
    }

    /// Deletes the entry of a resource, or all.
    pub(crate) fn delete(
        &mut self,
        subject: &str,
        policy_type: &str,
        about: Option<&str>,
    ) -> Result<(), AclError> {
        let user = user_of(subject)?;
        let default = is_default(policy_type).map_err(invalid)?;
        let about = about.map(resource).transpose().map_err(invalid)?;
        let missing = || AclError::Missing(format!("User:{user}"));
        let entries = self.users.get_mut(user).ok_or_else(missing)?;
        match about {
            None => entries.clear(),
            Some(about) => {
                let policy_type = if default { DEFAULT } else { CUSTOM };
                entries.retain(|entry| entry.policy_type != policy_type || entry.resource != about);
            }
        }
        if entries.is_empty() {
            self.users.remove(user);
        }
        Ok(())
    }

    /// As lines of policy of a node in this cluster.
    #[must_use]
    pub fn lines(&self, mode: Mode, cluster: &str) -> AclLines {
        let mut lines = AclLines::default();
        for (user, entries) in &self.users {
            for entry in entries {
                let is_default = entry.policy_type == DEFAULT;
                // Without a rule that allows the answer is no: in this mode, it would win over those that do.
                if is_default && mode == Mode::DenyOverride && entry.decision == entry::DENY {
                    continue;
                }
                let Some(line) = line(user, entry, cluster) else { continue };
                lines.text.push_str(&line);
                lines.text.push('\n');
                let note = if is_default { " (Default)" } else { "" };
                let shown = format!("ACL User:{user} {}{note}", entry.resource).into();
                lines.origins.push(Origin { shown, is_default });
            }
        }
        lines
    }
}

fn acl(user: &str, entries: Vec<AclEntry>) -> Acl {
    Acl { subject: format!("User:{user}"), entries }
}

fn invalid(why: impl Into<String>) -> AclError {
    AclError::Invalid(why.into())
}

#[cfg(test)]
mod tests;
