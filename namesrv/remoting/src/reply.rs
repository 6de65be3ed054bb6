//! What a handler gives.

use std::fmt;

use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::{ResponseHead, encode};
use blockhouse_transport::Replies;
use bytes::Bytes;

use crate::{Error, status};

/// What became of a request.
pub(crate) type Outcome = Result<Reply, Error>;

/// A successful answer.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) remark: Option<&'static str>,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// The KV configuration must be on disk before this is sent.
    pub(crate) after_save: bool,
    /// What is to be done first, where it may block; its outcome is the answer.
    pub(crate) work: Option<Work>,
}

/// Work that waits for the disk.
pub(crate) struct Work(Box<dyn FnOnce() -> Outcome + Send>);

impl Work {
    pub(crate) fn new(work: impl FnOnce() -> Outcome + Send + 'static) -> Self {
        Self(Box::new(work))
    }

    pub(crate) fn run(self) -> Outcome {
        (self.0)()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

impl Reply {
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    pub(crate) fn body(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    pub(crate) fn after(work: Work) -> Self {
        Self { work: Some(work), ..Self::default() }
    }

    pub(crate) fn field(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    pub(crate) fn optional(self, name: &'static str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }
}

/// Writes the answer to the request `opaque`.
pub(crate) fn write(outcome: Outcome, opaque: i32, replies: &mut Replies) {
    match outcome {
        Ok(reply) => {
            let head = ResponseHead::new(opaque, response_code::SUCCESS, reply.remark);
            let fields = |out: &mut encode::ExtWriter<'_>| {
                for (name, value) in &reply.fields {
                    out.text(name, value);
                }
            };
            encode::response(replies.frames(), &head, fields, reply.body.len());
            replies.slice(reply.body);
        }
        Err(error) => {
            let (code, remark) = (status::response_code(&error), error.to_string());
            let head = ResponseHead::new(opaque, code, Some(&remark));
            encode::response(replies.frames(), &head, |_| {}, 0);
        }
    }
}
