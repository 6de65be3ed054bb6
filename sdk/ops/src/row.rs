//! Rows of the control API.

use std::sync::Arc;

use blockhouse_model::{Access, RequestContext};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::http::Method;
use serde_json::{Value, json};

/// One thing that the control API can do.
pub struct Row {
    /// The path, from `/v1/`; a part of it may be `*`, which is any text without `/`.
    pub path: &'static str,
    /// The method.
    pub method: Method,
    /// What the caller must be allowed to do. The hooks decide.
    pub access: Access<'static>,
    /// Does it.
    pub handler: Handler,
}

/// What a row does.
pub enum Handler {
    /// Looks at something. Runs on a worker: it must not block.
    Look(Box<dyn Fn(&Call) -> Reply + Send + Sync>),
    /// Changes something.
    Change(Arc<Change>),
}

/// Says why a caller may not do something, if he may not.
pub type Refuse = Box<dyn Fn(&RequestContext) -> Option<String> + Send + Sync>;

/// A change: made beside the workers, one at a time, once the whole body is there.
pub struct Change {
    /// Most bytes of the body.
    pub body_max: usize,
    /// Why this caller may not, whoever he is; asked before the body is read.
    pub refuse: Refuse,
    /// Makes it. May block.
    pub make: Box<dyn Fn(&Call) -> Reply + Send + Sync>,
}

/// What a caller says.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// What stands in the path where the row has its `*`.
    pub name: String,
    /// What stands behind the `?`.
    pub query: String,
    /// The body of a change.
    pub body: Bytes,
    /// Who asks, and from where.
    pub caller: Option<RequestContext>,
}

impl Call {
    /// The value of `key` in the query, as it stands there.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next()
    }
}

impl Row {
    /// Whether this is its path; gives what stands for the `*`, empty without one.
    pub(crate) fn at<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (mut parts, mut found) = (path.split('/'), "");
        for expected in self.path.split('/') {
            let part = parts.next()?;
            if expected == "*" && !part.is_empty() {
                found = part;
            } else if expected != part {
                return None;
            }
        }
        parts.next().is_none().then_some(found)
    }
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

    /// A refusal: a sentence for people and a word for programs.
    #[must_use]
    pub fn refusal(status: StatusCode, kind: &str, error: &str) -> Self {
        Self { status, body: json!({ "error": error, "kind": kind }) }
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_model::{Action, Resource};

    use super::*;

    #[test]
    fn a_star_is_one_part_of_a_path() {
        let row = |path| Row {
            path,
            method: Method::GET,
            access: Access { action: Action::Get, resource: Resource::Cluster },
            handler: Handler::Look(Box::new(|_| Reply::ok(Value::Null))),
        };
        let logs = row("/v1/plugins/*/logs");
        assert_eq!(logs.at("/v1/plugins/a-b/logs"), Some("a-b"));
        for path in
            ["/v1/plugins//logs", "/v1/plugins/a/b/logs", "/v1/plugins/a", "/v1/plugins/a/logs/"]
        {
            assert_eq!(logs.at(path), None, "{path}");
        }
        assert_eq!(row("/v1/info").at("/v1/info"), Some(""));
    }

    #[test]
    fn parameters_are_found_by_name() {
        let call = Call { query: "a=1&after=7&b".to_owned(), ..Call::default() };
        assert_eq!((call.parameter("after"), call.parameter("b")), (Some("7"), None));
    }
}
