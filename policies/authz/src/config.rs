//! Section `[authz]`.

use std::path::PathBuf;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What counts if several rules match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One that denies wins over all that allow.
    #[default]
    DenyOverride,
    /// The most specific one, as in RocketMQ ACL 2.0.
    Acl2,
}

impl Mode {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DenyOverride => "deny-override",
            Self::Acl2 => "acl2",
        }
    }

    /// casbin's model of it.
    pub(crate) const fn model(self) -> &'static str {
        match self {
            Self::DenyOverride => include_str!("../../model.conf"),
            Self::Acl2 => include_str!("../../model-acl2.conf"),
        }
    }
}

/// Policies: who may do what (`docs/policies.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Ask the policies before anything is done for a request. Without them everybody may do everything.
    pub enabled: bool,
    /// The directory with the policies. A node that cannot load them does not start. Without one there are only the ACLs
    /// that RocketMQ's tools make, and before the first of them only Super users may do anything.
    pub policies: PathBuf,
    /// What counts if several rules match: `deny-override` (one that denies wins) or `acl2` (the most specific one,
    /// as in RocketMQ ACL 2.0).
    pub mode: Mode,
    /// Let others than this host change the policies over the ops listener (`blockhouse policy apply`), and ACLs
    /// (`mqadmin createAcl`).
    pub remote_changes: bool,
}

impl Config {
    /// Checks what types cannot say. Without a directory ACLs must be possible, which Super users make: `has_users`.
    ///
    /// # Errors
    /// The option that cannot be meant.
    pub fn validate(&self, has_users: bool) -> Result<(), OptionError> {
        if self.enabled && self.policies.as_os_str().is_empty() && !has_users {
            let rule = "must be a directory, since authz.enabled is true and authn.enabled is not";
            return Err(OptionError::new("policies", rule));
        }
        Ok(())
    }
}
