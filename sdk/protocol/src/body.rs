//! The bodies of requests and responses, named as in Java.
//!
//! Members are declared in the order in which Java's library writes them (that of their names), so
//! that what we write is what Java writes. Absent members get their defaults.

pub mod acl;
pub mod client;
pub mod group;
pub mod heartbeat;
mod java_enum;
pub mod list;
pub mod message;
pub mod offset;
mod queue;
pub mod registration;
pub mod route;
pub mod stats;
pub mod topic;
pub mod user;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::BodyError;
use crate::fastjson;

pub(crate) use java_enum::java_enum;
pub use queue::MessageQueue;

/// A body in JSON.
pub trait Body: Serialize + DeserializeOwned {
    /// Reads it, in strict JSON or Java's dialect.
    ///
    /// # Errors
    /// The text is not JSON, or not of this shape.
    fn decode(text: &[u8]) -> Result<Self, BodyError> {
        fastjson::read(text)
    }

    /// Writes it in Java's dialect.
    fn encode(&self) -> Bytes {
        fastjson::write(self)
    }
}

impl<T: Serialize + DeserializeOwned> Body for T {}
