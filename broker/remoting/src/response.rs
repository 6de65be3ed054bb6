//! What handlers return, and how it is written.

use std::borrow::Cow;
use std::pin::Pin;

use blockhouse_core::{Forbidden, Refusal, RefusalKind};
use blockhouse_protocol::codes::response_code as code;
use blockhouse_protocol::{BodyError, ExtWriter, FieldError, ResponseHead, encode};
use blockhouse_transport::Replies;
use bytes::Bytes;

use crate::status;

/// What a handler that waits returns.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;

type WriteFields = Box<dyn FnOnce(&mut ExtWriter<'_>) + Send>;

/// A request's answer.
pub(crate) struct Response {
    pub(crate) code: i32,
    pub(crate) remark: Option<Cow<'static, str>>,
    fields: Option<WriteFields>,
    body: Bytes,
}

impl Response {
    /// Success, and nothing to say.
    pub(crate) fn ok() -> Self {
        Self { code: code::SUCCESS, remark: None, fields: None, body: Bytes::new() }
    }

    /// Success, with header fields.
    pub(crate) fn fields(write: impl FnOnce(&mut ExtWriter<'_>) + Send + 'static) -> Self {
        Self { fields: Some(Box::new(write)), ..Self::ok() }
    }

    /// Success, with a body.
    pub(crate) fn body(body: impl Into<Bytes>) -> Self {
        Self::ok().with_body(body)
    }

    pub(crate) fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) fn with_remark(self, remark: impl Into<Cow<'static, str>>) -> Self {
        Self { remark: Some(remark.into()), ..self }
    }

    /// Appends the frame.
    pub(crate) fn write(self, opaque: i32, replies: &mut Replies) {
        let head = ResponseHead::new(opaque, self.code, self.remark.as_deref());
        let fields = self.fields.unwrap_or_else(|| Box::new(|_| {}));
        encode::response(replies.frames(), &head, fields, self.body.len());
        replies.slice(self.body);
    }
}

/// A request that failed, before or in the core.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    pub(crate) remark: Cow<'static, str>,
    /// What forbids a pull; RocketMQ tells consumers in a field of its own.
    pub(crate) forbidden: Option<Forbidden>,
}

impl Failure {
    pub(crate) fn new(code: i32, remark: impl Into<Cow<'static, str>>) -> Self {
        Self { code, remark: remark.into(), forbidden: None }
    }

    /// What a code that we do not serve is answered with.
    pub(crate) fn unsupported(request: i32) -> Self {
        let name = blockhouse_protocol::codes::request_code::name(request);
        let remark = format!("request code {request} ({name}) is not supported by this broker");
        Self::new(code::REQUEST_CODE_NOT_SUPPORTED, remark)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let forbidden = match refusal.kind {
            RefusalKind::NoPermission(what) => Some(what),
            _ => None,
        };
        Self { code: status::of(refusal.kind), remark: refusal.reason, forbidden }
    }
}

impl From<FieldError> for Failure {
    // RocketMQ answers a header that it cannot decode with SYSTEM_ERROR.
    fn from(error: FieldError) -> Self {
        Self::new(code::SYSTEM_ERROR, error.to_string())
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Self::new(code::SYSTEM_ERROR, error.to_string())
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        let fields = failure.forbidden.and_then(status::forbidden_type).map(|kind| {
            let write: WriteFields = Box::new(move |out| out.number("forbiddenType", kind));
            write
        });
        Self { code: failure.code, remark: Some(failure.remark), fields, body: Bytes::new() }
    }
}
