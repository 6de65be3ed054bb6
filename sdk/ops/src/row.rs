//! Rows of the control API.

use std::sync::Arc;

use blockhouse_hook::{Hooks, Verdict};
use blockhouse_model::{Access, RequestContext, Resource};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::http::Method;
use serde_json::{Value, json};

/// Most plugins that a request is about, unless it is about all.
const PLUGINS_MAX: usize = 64;
/// Where a request says in its query which plugins it is about.
const PLUGIN: &str = "plugin";

/// One thing that the control API can do.
pub struct Row {
    /// The path, from `/v1/`; a part of it may be `*`, which is any text without `/`.
    pub path: &'static str,
    /// The method.
    pub method: Method,
    /// What the caller must be allowed to do. The hooks decide. Of plugins it is asked for those that the request
    /// names, in the path's `*` or as `plugin` in the query; for all if it names none.
    pub access: Access<'static>,
    /// Does it.
    pub handler: Handler,
}

/// What a row does.
pub enum Handler {
    /// Looks at something, beside the workers: it may wait, for a change that waits for the disk.
    Look(Box<dyn Fn(&Call) -> Reply + Send + Sync>),
    /// Changes something.
    Change(Arc<Change>),
}

/// Says why a caller may not do something, if he may not.
pub type Refuse = Box<dyn Fn(&RequestContext) -> Option<String> + Send + Sync>;

/// Answers a change that is not to be made, if its body says so.
pub type Judge = Box<dyn Fn(&Call) -> Option<Reply> + Send + Sync>;

/// A change: made beside the workers, one at a time, once the whole body is there.
pub struct Change {
    /// Most bytes of the body.
    pub body_max: usize,
    /// Why this caller may not, whoever he is; asked before the body is read.
    pub refuse: Refuse,
    /// The answer to a body that is not understood, or to a caller who may not do what it says ([`Call::denied`]);
    /// asked before the audit is told that the change is made. May block.
    pub judge: Judge,
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
    pub(crate) judges: Judges,
}

/// Those who decide what a caller may do.
#[derive(Clone, Default)]
pub(crate) struct Judges(pub(crate) Option<Arc<Hooks>>);

impl std::fmt::Debug for Judges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Judges")
    }
}

impl Call {
    /// The value of `key` in the query, as it stands there.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&str> {
        parameters(&self.query, key).next()
    }

    /// The plugins that the query names.
    pub fn plugins(&self) -> impl Iterator<Item = &str> {
        parameters(&self.query, PLUGIN)
    }

    /// The answer to a caller who may not do this, of what the row could not ask for since the body, or the node,
    /// says what it is about. Whoever is not known, or has nobody to judge him, may not.
    #[must_use]
    pub fn denied(&self, access: Access<'_>) -> Option<Reply> {
        let why = match (&self.judges.0, &self.caller) {
            (Some(hooks), Some(caller)) => match hooks.load().authorize(caller, &[access]) {
                Verdict::Continue => return None,
                Verdict::Reject(rejection) => rejection.reason,
            },
            _ => "nobody says that you may".into(),
        };
        Some(Reply::refusal(StatusCode::FORBIDDEN, "forbidden", &why))
    }

    /// Whether the caller may do this: for what is left out of an answer because he may not see it, which is no
    /// refusal, and is not told as one.
    #[must_use]
    pub fn may(&self, access: Access<'_>) -> bool {
        let (Some(hooks), Some(caller)) = (&self.judges.0, &self.caller) else { return false };
        hooks.load().may(caller, &[access])
    }
}

/// The values of `key`, as they stand there.
fn parameters<'a>(query: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(name, _)| *name == key).map(|(_, value)| value)
}

/// Whether a plugin can be called so. What can be no name is about no plugin in particular.
fn is_plugin_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
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

    /// What a request must be allowed to do, with what stands for the `*`, and its query.
    pub(crate) fn accesses<'a>(&self, name: &'a str, query: &'a str) -> Vec<Access<'a>> {
        let Access { action, resource: Resource::Plugin("") } = self.access else {
            return vec![self.access];
        };
        let of_path = (!name.is_empty()).then_some(name).into_iter();
        let mut names: Vec<&str> =
            of_path.chain(parameters(query, PLUGIN)).take(PLUGINS_MAX + 1).collect();
        let is_of_all = names.is_empty() || names.len() > PLUGINS_MAX;
        if is_of_all || !names.iter().all(|name| is_plugin_name(name)) {
            names = vec![""];
        }
        let access = |name| Access { action, resource: Resource::Plugin(name) };
        names.into_iter().map(access).collect()
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
    fn a_request_is_about_the_plugins_that_it_names_or_about_all() {
        let row = |path, resource| Row {
            path,
            method: Method::GET,
            access: Access { action: Action::Get, resource },
            handler: Handler::Look(Box::new(|_| Reply::ok(Value::Null))),
        };
        let asked = |row: &Row, name: &str, query: &str| -> Vec<String> {
            let accesses = row.accesses(name, query);
            accesses.iter().map(|access| format!("{:?}", access.resource)).collect()
        };
        let deploy = row("/v1/plugins/deploy", Resource::Plugin(""));
        assert_eq!(
            asked(&deploy, "", "plugin=a&x=1&plugin=b-2"),
            ["Plugin(\"a\")", "Plugin(\"b-2\")"]
        );
        let many = "plugin=a&".repeat(PLUGINS_MAX + 1);
        for query in
            ["", "x=a", "plugin=", "plugin=a,cluster", "plugin=a&plugin=A", "plugin=%61", &many]
        {
            assert_eq!(asked(&deploy, "", query), ["Plugin(\"\")"], "{query}");
        }
        let logs = row("/v1/plugins/*/logs", Resource::Plugin(""));
        assert_eq!(asked(&logs, "a", ""), ["Plugin(\"a\")"]);
        assert_eq!(asked(&logs, "a", "plugin=b"), ["Plugin(\"a\")", "Plugin(\"b\")"]);
        assert_eq!(asked(&logs, "a,b", ""), ["Plugin(\"\")"]);
        assert_eq!(asked(&row("/v1/info", Resource::Cluster), "", "plugin=a"), ["Cluster"]);
    }

    #[test]
    fn nobody_may_do_what_nobody_is_asked_for() {
        let access = Access { action: Action::Get, resource: Resource::Plugin("a") };
        let status = |call: Call| call.denied(access).map(|reply| reply.status);
        assert_eq!(status(Call::default()), Some(StatusCode::FORBIDDEN));
        assert!(!Call::default().may(access));
        let judges = Judges(Some(Arc::new(Hooks::none())));
        assert_eq!(
            status(Call { judges: judges.clone(), ..Call::default() }),
            Some(StatusCode::FORBIDDEN)
        );
        let caller = Some(RequestContext::new(([127, 0, 0, 1], 1).into(), 1, 0));
        let call = Call { judges, caller, ..Call::default() };
        assert!(call.may(access));
        assert_eq!(status(call), None);
    }

    #[test]
    fn parameters_are_found_by_name() {
        let call = Call { query: "a=1&after=7&b".to_owned(), ..Call::default() };
        assert_eq!((call.parameter("after"), call.parameter("b")), (Some("7"), None));
    }
}
