//! The ACLs of a node, in RocketMQ's words, for parts that do not authorize anybody themselves.

use blockhouse_model::{Acl, RequestContext};

use crate::UserError;

/// Makes a user, or deletes one, among the users; or says whether that may be.
pub type UserStep<'a> = &'a mut dyn FnMut() -> Result<(), UserError>;

/// Why ACLs stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// There is no such user.
    #[error("there is no user {0}")]
    NoUser(String),
    /// The subject has no ACL.
    #[error("{0} has no ACL")]
    Missing(String),
    /// Not for whoever asked, or not from there.
    #[error("{0}")]
    Forbidden(String),
    /// It cannot be so.
    #[error("{0}")]
    Invalid(String),
    /// The change is not on the disk, and not in force.
    #[error("the ACLs could not be saved: {0}")]
    NotSaved(String),
}

/// Who may do what, as RocketMQ's tools say it.
pub trait Acls: Send + Sync {
    /// The ACL of a subject that is in force; `None` if it has none. Does not block: a change that is under way is
    /// not waited for.
    ///
    /// # Errors
    /// No such user.
    fn find(&self, subject: &str) -> Result<Option<Acl>, AclError>;

    /// All whose subjects and resources have these filters in them, by subject; the same. Many take their time.
    fn list(&self, subject_filter: &str, resource_filter: &str) -> Vec<Acl>;

    /// Adds entries to the subject's ACL, or to none: one of a resource that it has an entry of takes its place.
    /// Blocks until it is on the disk and in force, as all changes do.
    ///
    /// # Errors
    /// See [`AclError`].
    fn put(&self, cx: &RequestContext, acl: &Acl) -> Result<(), AclError>;

    /// Deletes the entry of a resource or, if none is given, the whole ACL.
    ///
    /// # Errors
    /// See [`AclError`].
    fn delete(
        &self,
        cx: &RequestContext,
        subject: &str,
        policy_type: &str,
        resource: Option<&str>,
    ) -> Result<(), AclError>;

    /// Has `create` make the user, who begins without an ACL: while there is one of that name, nobody is made. It is
    /// not deleted, since that is for those who may change policies ([`Self::delete`]). No other user is made or
    /// deleted, and no ACL changes, meanwhile.
    ///
    /// # Errors
    /// Those of `create`; or there is such an ACL ([`UserError::Invalid`]), and `create` was not called.
    fn create_user(&self, user: &str, create: UserStep<'_>) -> Result<(), UserError>;

    /// Has `delete` delete the user, and deletes the ACL after it, once it is known that only the disk can prevent
    /// that: who stays keeps its ACL. The ACL of a name that no user has stays. Nothing else changes meanwhile, as
    /// with [`Self::create_user`]. What the ACL is part of is not looked at before `may` has let the user go.
    ///
    /// # Errors
    /// Those of `may` and `delete`; or the ACL cannot be deleted, see [`UserError::Acl`] and [`UserError::AclLeft`].
    fn delete_user(
        &self,
        cx: &RequestContext,
        user: &str,
        may: UserStep<'_>,
        delete: UserStep<'_>,
    ) -> Result<(), UserError>;
}
