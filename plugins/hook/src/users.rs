//! The users of a node, for parts that do not authenticate anybody themselves.

use std::fmt;
use std::io;
use std::sync::Arc;

use blockhouse_model::{Principal, RequestContext};

use crate::{AclError, Acls, HookChain};

/// What a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserKind {
    /// May administer Super users; policies do not limit it.
    Super,
    /// Everybody else.
    Normal,
}

impl UserKind {
    /// RocketMQ's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Super => "Super",
            Self::Normal => "Normal",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Super, Self::Normal].into_iter().find(|kind| kind.name().eq_ignore_ascii_case(word))
    }
}

/// A user, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The access key.
    pub name: Arc<str>,
    /// What it is.
    pub kind: UserKind,
    /// Whether it may do anything at all.
    pub enabled: bool,
}

impl User {
    /// RocketMQ's word for whether it may do anything.
    #[must_use]
    pub const fn status_name(&self) -> &'static str {
        if self.enabled { "enable" } else { "disable" }
    }

    /// Whether a user of that word is enabled.
    #[must_use]
    pub fn status(word: &str) -> Option<bool> {
        let is = |name: &str| name.eq_ignore_ascii_case(word);
        if is("enable") { Some(true) } else { is("disable").then_some(false) }
    }
}

/// A new user, or what is to change of one. Its `Debug` leaves the secret out.
#[derive(Clone, Copy)]
pub struct UserChange<'a> {
    /// Whose.
    pub name: &'a str,
    /// A secret, for a new user always.
    pub secret: Option<&'a str>,
    /// Normal, if a new user has none.
    pub kind: Option<UserKind>,
    /// A new user is enabled, if nothing is said.
    pub enabled: Option<bool>,
}

impl<'a> UserChange<'a> {
    /// A change in RocketMQ's words. What is not said is not changed; tools send empty texts as well.
    ///
    /// # Errors
    /// A word that is none.
    pub fn said(
        name: &'a str,
        secret: Option<&'a str>,
        kind: Option<&str>,
        status: Option<&str>,
    ) -> Result<Self, UserError> {
        let is_said = |text: &&str| !text.is_empty();
        let unknown = |rule: &str| UserError::Invalid(rule.to_owned());
        let kind = kind
            .filter(is_said)
            .map(|word| {
                UserKind::of(word).ok_or_else(|| unknown("userType must be Super or Normal"))
            })
            .transpose()?;
        let enabled = status
            .filter(is_said)
            .map(|word| {
                User::status(word).ok_or_else(|| unknown("userStatus must be enable or disable"))
            })
            .transpose()?;
        Ok(Self { name, secret: secret.filter(|text| !text.is_empty()), kind, enabled })
    }
}

impl fmt::Debug for UserChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserChange")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// Why users stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is one of that name.
    #[error("user {0} exists already")]
    Exists(String),
    /// There is none of that name.
    #[error("there is no user {0}")]
    Missing(String),
    /// Not for whoever asked.
    #[error("{0}")]
    Forbidden(&'static str),
    /// It cannot be so.
    #[error("{0}")]
    Invalid(String),
    /// The change is not on the disk, and not in force.
    #[error("the users could not be saved: {0}")]
    NotSaved(#[from] io::Error),
    /// The user's ACL cannot be deleted, without which the user is not.
    #[error("the ACL of that name cannot be deleted, so nothing has changed: {0}")]
    Acl(AclError),
    /// The user is gone, and its ACL is not. As long as it is there, no user of that name is made.
    #[error("the user is deleted, but its ACL is not: {0}; delete it with deleteAcl")]
    AclLeft(AclError),
}

/// Those who may sign.
pub trait Users: Send + Sync {
    /// The user of that name.
    fn find(&self, name: &str) -> Option<User>;

    /// All whose names have `filter` in them, by name.
    fn list(&self, filter: &str) -> Vec<User>;

    /// Makes a user. Blocks until it is on the disk, as all changes do.
    ///
    /// # Errors
    /// See [`UserError`].
    fn create(&self, by: &Principal, user: &UserChange<'_>) -> Result<(), UserError>;

    /// Changes a user.
    ///
    /// # Errors
    /// See [`UserError`].
    fn update(&self, by: &Principal, change: &UserChange<'_>) -> Result<(), UserError>;

    /// Whether [`Self::delete`] would delete the user now: asked before what is needed for it costs something.
    ///
    /// # Errors
    /// The refusal of [`Self::delete`].
    fn may_delete(&self, by: &Principal, name: &str) -> Result<(), UserError>;

    /// Deletes a user. Its ACL is deleted with it by [`Self::delete_beside`].
    ///
    /// # Errors
    /// See [`UserError`].
    fn delete(&self, by: &Principal, name: &str) -> Result<(), UserError>;

    /// Makes a user for whoever administers them: with the node's ACLs, if it has some, in one step, so that nobody
    /// gets an ACL that was another's.
    ///
    /// # Errors
    /// Those of [`Self::create`] and of [`Acls::create_user`].
    fn create_beside(
        &self,
        acls: Option<&dyn Acls>,
        by: &Principal,
        user: &UserChange<'_>,
    ) -> Result<(), UserError> {
        let mut create = || self.create(by, user);
        match acls {
            Some(acls) => acls.create_user(user.name, &mut create),
            None => create(),
        }
    }

    /// Deletes a user and, in one step, its ACL.
    ///
    /// # Errors
    /// Those of [`Self::delete`] and of [`Acls::delete_user`].
    fn delete_beside(
        &self,
        acls: Option<&dyn Acls>,
        cx: &RequestContext,
        name: &str,
    ) -> Result<(), UserError> {
        let mut may = || self.may_delete(&cx.principal, name);
        let mut delete = || self.delete(&cx.principal, name);
        match acls {
            Some(acls) => acls.delete_user(cx, name, &mut may, &mut delete),
            None => delete(),
        }
    }

    /// Lets those administer users who may: where no policies say who they are, only Super users do.
    ///
    /// # Errors
    /// `by` may not.
    fn administered(&self, by: &Principal, hooks: &HookChain) -> Result<(), UserError> {
        if hooks.decides_who_may() || self.is_super(by) {
            return Ok(());
        }
        Err(UserError::Forbidden("users are for Super users to administer"))
    }

    /// Whether it is a Super user that is enabled.
    fn is_super(&self, who: &Principal) -> bool {
        let Principal::User(name) = who else { return false };
        self.find(name).is_some_and(|user| user.enabled && user.kind == UserKind::Super)
    }
}
