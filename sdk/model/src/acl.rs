//! ACLs, in RocketMQ's words.

/// What a subject may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// Whose, as `User:NAME`.
    pub subject: String,
    /// What is said of single resources.
    pub entries: Vec<AclEntry>,
}

/// What is said of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclEntry {
    /// `Custom` or `Default`; empty: `Custom`.
    pub policy_type: String,
    /// `TYPE:NAME`, `TYPE:PREFIX*`, `TYPE:*` or `*`.
    pub resource: String,
    /// The actions' names.
    pub actions: Vec<String>,
    /// Addresses and networks that it is for; empty: all.
    pub source_ips: Vec<String>,
    /// `Allow` or `Deny`.
    pub decision: String,
}
