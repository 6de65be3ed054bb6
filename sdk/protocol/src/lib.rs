//! RocketMQ's remoting protocol: bytes to typed commands and back.
//!
//! Pure functions over buffers: no sockets, no tasks, no clock. What a request means, and what
//! happens on a connection, is not here.
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | taking one frame off a buffer |
//! | [`command`] | [`RemotingCommand`], language and serialize type |
//! | [`ext`] | [`ExtFields`], a header's custom fields |
//! | [`encode`] | writing requests and responses |
//! | [`codes`] | request codes, response codes, versions |
//! | [`header`] | the typed header of each request and response |
//! | [`body`] | the bodies, both ways |
//! | [`batch`] | the body of a batch send |
//! | [`fastjson`] | Java's dialect of JSON |
//! | [`signed`] | what RocketMQ's ACL signs |
//! | [`error`] | what can be wrong with input |
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod batch;
mod binary_header;
pub mod body;
pub mod codes;
pub mod command;
pub mod encode;
pub mod error;
pub mod ext;
pub mod fastjson;
pub mod frame;
pub mod header;
mod json_header;
pub mod signed;
mod text_scan;

pub use body::{Body, MessageQueue};
pub use command::{LanguageCode, RemotingCommand, SerializeType};
pub use encode::{ExtWriter, RequestHead, ResponseHead};
pub use error::{BodyError, FieldError, FrameError};
pub use ext::ExtFields;
