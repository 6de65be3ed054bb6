//! ACLs as brokers and name servers are asked for them.

use blockhouse_hook::{AclError, Acls, AdminCommand, UserError, UserStep};
use blockhouse_model::{Acl, RequestContext};

use super::{Policies, rows};

impl Policies {
    /// Policies are changed from where `authz.remote_changes` says, by whatever way.
    fn changed_from(&self, cx: &RequestContext) -> Result<(), AclError> {
        rows::refuse(cx, self.remote_changes).map_or(Ok(()), |why| Err(AclError::Forbidden(why)))
    }
}

impl Acls for Policies {
    fn find(&self, subject: &str) -> Result<Option<Acl>, AclError> {
        self.keeper.acl(subject)
    }

    fn list(&self, subject_filter: &str, resource_filter: &str) -> Vec<Acl> {
        self.keeper.acls(subject_filter, resource_filter)
    }

    fn put(&self, cx: &RequestContext, acl: &Acl) -> Result<(), AclError> {
        self.changed_from(cx)?;
        let command = AdminCommand { name: "acl-put", target: &acl.subject };
        self.change_for(cx, command, |keeper| keeper.put_acl(acl)).map(drop)
    }

    fn delete(
        &self,
        cx: &RequestContext,
        subject: &str,
        policy_type: &str,
        resource: Option<&str>,
    ) -> Result<(), AclError> {
        self.changed_from(cx)?;
        let command = AdminCommand { name: "acl-delete", target: subject };
        self.change_for(cx, command, |keeper| keeper.delete_acl(subject, policy_type, resource))
            .map(drop)
    }

    fn create_user(&self, user: &str, create: UserStep<'_>) -> Result<(), UserError> {
        self.keeper.create_user(user, create)
    }

    fn delete_user(
        &self,
        cx: &RequestContext,
        user: &str,
        may: UserStep<'_>,
        delete: UserStep<'_>,
    ) -> Result<(), UserError> {
        let subject = format!("User:{user}");
        let command = AdminCommand { name: "acl-delete", target: &subject };
        let made = self.keeper.delete_user(user, may, delete);
        match &made {
            Ok(Some(report)) => self.came_of(cx, &command, Ok::<_, &UserError>(report)),
            Err(error @ (UserError::Acl(_) | UserError::AclLeft(_))) => {
                self.came_of(cx, &command, Err(error));
            }
            // Without an ACL nothing was done here.
            Ok(None) | Err(_) => {}
        }
        made.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Barrier};

    use blockhouse_authn::{Config as Authn, UserTable};
    use blockhouse_authz::{Config, Keeper, Parts};
    use blockhouse_disk::{Disk, MemDisk, whole};
    use blockhouse_hook::{Auditor, UserChange, UserKind, Users};
    use blockhouse_model::{AclEntry, ManualClock, Principal};

    use super::*;

    struct Node {
        users: Arc<UserTable>,
        policies: Policies,
    }

    /// A node with the Super users `a` and `b`, who have ACLs.
    fn node() -> Node {
        let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
        whole::replace(&*disk, Path::new("/etc/a"), b"a:a-long-secret\n").unwrap();
        let config = Authn {
            enabled: true,
            key_file: "/etc/key".to_owned(),
            initial_user_file: "/etc/a".to_owned(),
            ..Authn::default()
        };
        let users = UserTable::open(&config, Arc::clone(&disk), Path::new("/data")).unwrap();
        let users = Arc::new(users);
        let secret = Some("another-secret");
        let b = UserChange { name: "b", secret, kind: Some(UserKind::Super), enabled: None };
        users.create(&Principal::User("a".into()), &b).unwrap();
        let clock = Arc::new(ManualClock::default());
        let known = Arc::clone(&users);
        let parts = Parts {
            disk,
            record: "/data/blockhouse/security/policies.json".into(),
            clock: Arc::clone(&clock) as _,
            is_super: Arc::new(|_| false),
            is_known: Arc::new(move |name| known.find(name).is_some()),
            cluster: "c".into(),
        };
        let config = Config { enabled: true, ..Config::default() };
        let keeper = Keeper::start(&config, parts).unwrap();
        let policies =
            Policies { keeper, auditor: Arc::new(Auditor::new(clock)), remote_changes: false };
        let node = Node { users, policies };
        for subject in ["User:a", "User:b"] {
            let entry = AclEntry {
                resource: "Topic:t".to_owned(),
                actions: vec!["Pub".to_owned()],
                decision: "Allow".to_owned(),
                ..AclEntry::default()
            };
            let acl = Acl { subject: subject.to_owned(), entries: vec![entry] };
            node.policies.put(&by("a"), &acl).unwrap();
        }
        node
    }

    fn by(user: &str) -> RequestContext {
        let principal = Principal::User(user.into());
        RequestContext { principal, ..RequestContext::new(([127, 0, 0, 1], 1).into(), 1, 0) }
    }

    impl Node {
        fn delete(&self, user: &str) -> Result<(), UserError> {
            let (cx, users) = (by(user), &self.users);
            let mut may = || users.may_delete(&cx.principal, user);
            self.policies
                .delete_user(&cx, user, &mut may, &mut || users.delete(&cx.principal, user))
        }

        fn has_acl(&self, user: &str) -> bool {
            self.policies.find(&format!("User:{user}")).is_ok_and(|acl| acl.is_some())
        }
    }

    #[test]
    fn of_the_last_two_super_users_who_go_at_once_one_stays_with_its_acl() {
        for _ in 0..50 {
            let (node, start) = (node(), Barrier::new(2));
            let gone = std::thread::scope(|scope| {
                let threads = ["a", "b"].map(|user| {
                    let (node, start) = (&node, &start);
                    scope.spawn(move || {
                        start.wait();
                        node.delete(user).is_ok()
                    })
                });
                threads.map(|thread| thread.join().unwrap())
            });
            assert!(gone[0] != gone[1], "one is deleted, and the last one is not: {gone:?}");
            for (user, gone) in ["a", "b"].into_iter().zip(gone) {
                assert_eq!(node.users.find(user).is_none(), gone, "{user}");
                assert_eq!(node.has_acl(user), !gone, "{user}");
            }
        }
    }
}
