//! ACLs as brokers and name servers are asked for them.

use blockhouse_hook::{AclError, Acls, AdminCommand};
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

    fn forget(&self, cx: &RequestContext, user: &str) -> Result<(), AclError> {
        let subject = format!("User:{user}");
        if self.keeper.acl(&subject)?.is_none() {
            return Ok(());
        }
        let command = AdminCommand { name: "acl-delete", target: &subject };
        self.change_for(cx, command, |keeper| keeper.delete_acl(&subject, "", None)).map(drop)
    }
}
