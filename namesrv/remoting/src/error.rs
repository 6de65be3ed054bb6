//! Why a request was not carried out.

use std::io;
use std::path::PathBuf;

use blockhouse_hook::{AclError, Rejection, UserError};
use blockhouse_protocol::{BodyError, FieldError};
use blockhouse_route::{KvError, MEMBERS_MAX, PLACES_MAX};

/// Why a request was not carried out. The text becomes the remark to the client, except where
/// [`status`](crate::status) says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A header field is missing or malformed.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// The body cannot be read.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// The body is longer than the code allows.
    #[error("the body of {len} bytes is longer than the {max} bytes that request {name} may have")]
    BodyTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
        /// The request's name.
        name: &'static str,
    },
    /// A name is missing or too long.
    #[error("the header field {field} is empty or longer than {max} bytes")]
    Name {
        /// The field.
        field: &'static str,
        /// The limit.
        max: usize,
    },
    /// Broker ids count from 0.
    #[error("the header field brokerId is negative: {0}")]
    BrokerId(i64),
    /// No such request here.
    #[error(" request type {0} not supported")]
    UnknownCode(i32),
    /// Users stay as they are.
    #[error("{0}")]
    User(#[from] UserError),
    /// ACLs stay as they are.
    #[error("{0}")]
    Acl(#[from] AclError),
    /// A hook said no.
    #[error("{}", .0.reason)]
    Refused(Rejection),
    /// Nobody has proved who he is, or somebody else.
    #[error("{}", .0.reason)]
    NotAuthenticated(Rejection),
    /// `bodyCrc32` is not that of the body.
    #[error("crc32 not match")]
    Checksum,
    /// A broker that is not known must report all its topics first.
    #[error("register broker failed")]
    FullReportFirst,
    /// The route table has as much as there may be.
    #[error(
        "the name server knows {MEMBERS_MAX} brokers, or {PLACES_MAX} topics of brokers, and takes no more: let those \
         leave that are none"
    )]
    Full,
    /// A topic is not served by any broker.
    #[error(
        "No topic route info in name server for the topic: {0}\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
    )]
    NoRoute(String),
    /// There is no such KV entry.
    #[error("No config item, Namespace: {namespace} Key: {key}")]
    NoKey {
        /// Where it was looked for.
        namespace: String,
        /// What was looked for.
        key: String,
    },
    /// There is no such KV namespace.
    #[error("No config item, Namespace: {0}")]
    NoNamespace(String),
    /// The KV entry cannot be taken.
    #[error("{0}")]
    Kv(#[from] KvError),
    /// The KV configuration was changed, but not saved.
    #[error("the change is in force but could not be saved: {0}")]
    NotSaved(io::Error),
    /// Brokers have not had the time to report since the start.
    #[error("name server not ready")]
    NotReady,
    /// Switched off by an option.
    #[error("disable")]
    Disabled,
    /// An option that only the start can set.
    #[error("Can not update config in black list.")]
    FixedOption,
    /// No such option.
    #[error("{0} is not an option of this name server")]
    UnknownOption(String),
    /// A value that the option cannot have.
    #[error("{name} cannot be {value:?}")]
    OptionValue {
        /// The option.
        name: &'static str,
        /// What was given.
        value: String,
    },
    /// The body is not properties text.
    #[error("string2Properties error")]
    Properties,
}

/// Why the name server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The KV configuration cannot be read from disk.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the filesystem said.
        source: io::Error,
    },
    /// Another process keeps its KV configuration there.
    #[error("{0} is in use by another name server: give each its own --data directory")]
    InUse(PathBuf),
    /// The lock cannot be taken.
    #[error("cannot lock {path}: {source}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the filesystem said.
        source: io::Error,
    },
    /// Neither the KV configuration nor its backup is whole.
    #[error("{path} and its .bak are not a KV configuration: repair or remove them")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}
