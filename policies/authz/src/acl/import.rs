//! ACLs of a RocketMQ as a file of policies.

use std::collections::BTreeSet;

use blockhouse_model::{Acl, AclEntry};

use super::entry::{ALLOW, DEFAULT, DENY, canonical, rendered, user_of};

/// Lines of policy that say what ACLs say, as far as they can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The lines, without duplicates.
    pub lines: Vec<String>,
    /// What is not taken over, or means something else, a sentence each.
    pub notes: Vec<String>,
}

impl Imported {
    /// Translates ACLs.
    #[must_use]
    pub fn of(acls: &[Acl]) -> Self {
        let (mut imported, mut seen) = (Self::default(), BTreeSet::new());
        for acl in acls {
            let subject = &acl.subject;
            let user = match user_of(subject) {
                Ok(user) => user,
                Err(why) => {
                    imported.note(format!("{subject:?} is not taken over: {why}"));
                    continue;
                }
            };
            let mut entries = Vec::new();
            for entry in &acl.entries {
                match canonical(user, entry) {
                    Ok(entry) => entries.push(entry),
                    Err(why) => {
                        let resource = &entry.resource;
                        imported.note(format!("{subject} {resource:?} is not taken over: {why}"));
                    }
                }
            }
            for entry in &entries {
                imported.take(user, entry, &entries, &mut seen);
            }
        }
        imported
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn take(
        &mut self,
        user: &str,
        entry: &AclEntry,
        all: &[AclEntry],
        seen: &mut BTreeSet<String>,
    ) {
        let about = format!("User:{user} {}", entry.resource);
        if entry.resource.starts_with("Namespace:") {
            return self.note(format!("{about} is not taken over: it decides nothing in RocketMQ; a rule for it would here"));
        }
        match (&*entry.policy_type, &*entry.decision) {
            (DEFAULT, DENY) => {
                return self.note(format!(
                    "{about}: a Default that denies is not taken over: without a rule that allows the answer is no"
                ));
            }
            (DEFAULT, _) => self.note(format!(
                "{about}: a Default counts here as any other rule, and not only if no other one speaks of it"
            )),
            _ => {}
        }
        let resource = if entry.resource.starts_with("Cluster:") && entry.resource != "Cluster:*" {
            self.note(format!("{about}: a node is of one cluster: it becomes Cluster:*"));
            "Cluster:*"
        } else {
            &entry.resource
        };
        let inner = all.iter().find(|inner| {
            entry.decision == DENY
                && inner.decision == ALLOW
                && inner.resource != entry.resource
                && covers(&entry.resource, &inner.resource)
        });
        if let Some(inner) = inner {
            self.note(format!(
                "{about}: it denies, and {} allows, which is more specific and wins in RocketMQ: here only with authz.mode = \"acl2\"",
                inner.resource
            ));
        }
        match rendered(user, entry, resource) {
            Ok(line) if seen.insert(line.clone()) => self.lines.push(line),
            Ok(_) => {}
            Err(why) => self.note(format!("{about} is not taken over: {why}")),
        }
    }
}

/// Whether all that `inner` is about is of `outer`.
fn covers(outer: &str, inner: &str) -> bool {
    outer.strip_suffix('*').is_some_and(|prefix| inner.starts_with(prefix))
}
