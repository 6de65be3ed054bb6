//! Rows of the control API.

use blockhouse_model::Access;
use hyper::StatusCode;
use hyper::http::Method;
use serde_json::Value;

/// One thing that the control API can do.
pub struct Row {
    /// The path, from `/v1/`.
    pub path: &'static str,
    /// The method.
    pub method: Method,
    /// What the caller must be allowed to do. The hooks decide.
    pub access: Access<'static>,
    /// Does it. Runs on a worker: it must not block.
    pub handler: Box<dyn Fn() -> Reply + Send + Sync>,
}

/// What a row answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
}

impl Reply {
    /// 200 and a body.
    #[must_use]
    pub const fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
