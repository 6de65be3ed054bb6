//! From a request line to an answer, without sockets.

use std::sync::Arc;

use blockhouse_hook::{AdminCommand, Hooks, Point, Verdict};
use blockhouse_model::{Access, RequestContext};
use blockhouse_service::Tasks;
use hyper::body::Bytes;
use hyper::http::request;
use hyper::http::{HeaderValue, Method, Response, StatusCode, header};

use crate::row::Judges;
use crate::view::Wanted;
use crate::{Call, Change, Door, Handler, Reply, Row, View};

/// What the listener shows.
pub struct Parts {
    /// Who has to be ready.
    pub checks: Vec<Check>,
    /// What is wrong now.
    pub complaints: Box<dyn Fn() -> Vec<Complaint> + Send + Sync>,
    /// What is not as it might be expected though all is well; told where the process is ready.
    pub notes: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Ways of showing metrics.
    pub views: Vec<View>,
    /// The control API.
    pub rows: Vec<Row>,
    /// Decide who may use the control API.
    pub hooks: Arc<Hooks>,
    /// Who comes in.
    pub door: Door,
    /// Own the listener's tasks, and know whether a vital one has died.
    pub tasks: Tasks,
}

/// Whether a part can serve.
pub struct Check {
    /// The part.
    pub name: &'static str,
    /// What it waits for, if it is not ready.
    pub ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// What is wrong with a process that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The part and what is wrong with it.
    pub text: String,
    /// Whether only a restart ends it.
    pub lasting: bool,
}

/// What becomes of a request.
pub(crate) enum Answer {
    Ready(Response<String>),
    /// What waits for the disk is to be asked beside the workers: which of the views, and how.
    View(usize, Wanted),
    /// The same for one of the rows.
    Look(usize, Call),
    /// The body is to be read, and this to be made.
    Change(Arc<Change>, Call),
}

fn is_look(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

impl Parts {
    /// What everybody may know: whoever restarts processes and sends clients elsewhere has no name, and
    /// must not depend on what may be wrong.
    pub(crate) fn open(&self, head: &request::Parts) -> Option<Response<String>> {
        match head.uri.path() {
            "/healthz" | "/readyz" if !is_look(&head.method) => Some(not_allowed("GET, HEAD")),
            "/healthz" => Some(self.health()),
            "/readyz" => Some(self.readiness()),
            _ => None,
        }
    }

    pub(crate) fn answer(&self, head: &request::Parts, context: &RequestContext) -> Answer {
        if let Some(response) = self.open(head) {
            return Answer::Ready(response);
        }
        let Some(at) = self.views.iter().position(|view| view.path == head.uri.path()) else {
            return self.row(head, context);
        };
        if !is_look(&head.method) {
            self.unknown(head, context);
            return Answer::Ready(not_allowed("GET, HEAD"));
        }
        let denied = self.views.get(at).and_then(|view| self.denied(&[view.access], context));
        denied.map_or_else(|| Answer::View(at, Wanted::of(&head.headers)), Answer::Ready)
    }

    /// The answer to who may see the metrics so. It may wait for the disk.
    pub(crate) fn shown(&self, view: usize, wanted: &Wanted) -> Response<Bytes> {
        match self.views.get(view).map(|view| (view.show)(&wanted.accept)) {
            Some(Ok(page)) => wanted.packed(page.content_type, page.body),
            Some(Err(problem)) => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, problem + "\n").map(Bytes::from)
            }
            None => plain(StatusCode::NOT_FOUND, String::new()).map(Bytes::from),
        }
    }

    /// What a row gives to who may look. It may wait for the disk.
    pub(crate) fn looked(&self, row: usize, call: &Call) -> Response<String> {
        match self.rows.get(row).map(|row| &row.handler) {
            Some(Handler::Look(look)) => rendered(&look(call)),
            _ => plain(StatusCode::NOT_FOUND, String::new()),
        }
    }

    fn denied(
        &self,
        accesses: &[Access<'_>],
        context: &RequestContext,
    ) -> Option<Response<String>> {
        match self.hooks.load().authorize(context, accesses) {
            Verdict::Continue => None,
            Verdict::Reject(rejection) => {
                Some(plain(StatusCode::FORBIDDEN, format!("{}\n", rejection.reason)))
            }
        }
    }

    fn health(&self) -> Response<String> {
        if self.tasks.failed() {
            let text = "a part that the process needs has died; see the log\n";
            return plain(StatusCode::SERVICE_UNAVAILABLE, text.to_owned());
        }
        let complaints = (self.complaints)();
        let lines = complaints.iter().map(|complaint| format!("{}\n", complaint.text));
        if complaints.iter().any(|complaint| complaint.lasting) {
            return plain(StatusCode::SERVICE_UNAVAILABLE, lines.collect());
        }
        plain(StatusCode::OK, std::iter::once("ok\n".to_owned()).chain(lines).collect())
    }

    fn readiness(&self) -> Response<String> {
        let stopping = self.tasks.shutdown().is_requested().then(|| "process: stopping".to_owned());
        let waiting = self.checks.iter().filter_map(|check| {
            (check.ready)().err().map(|reason| format!("{}: {reason}", check.name))
        });
        let reasons: Vec<String> = stopping.into_iter().chain(waiting).collect();
        if reasons.is_empty() {
            let notes = (self.notes)().into_iter().map(|note| note + "\n");
            let lines = std::iter::once("ready\n".to_owned()).chain(notes);
            return plain(StatusCode::OK, lines.collect());
        }
        plain(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
    }

    fn row(&self, head: &request::Parts, context: &RequestContext) -> Answer {
        let path = head.uri.path();
        let rows = self.rows.iter().enumerate();
        let at_path: Vec<(usize, &Row, &str)> =
            rows.filter_map(|(at, row)| Some((at, row, row.at(path)?))).collect();
        if at_path.is_empty() {
            self.unknown(head, context);
            let text = "nothing here; try /healthz, /readyz, /metrics or /v1/info\n";
            return Answer::Ready(plain(StatusCode::NOT_FOUND, text.to_owned()));
        }
        let found = at_path.iter().find(|(_, row, _)| row.method == head.method);
        let Some((at, row, name)) = found else {
            self.unknown(head, context);
            let methods: Vec<&str> =
                at_path.iter().map(|(_, row, _)| row.method.as_str()).collect();
            return Answer::Ready(not_allowed(&methods.join(", ")));
        };
        let query = head.uri.query().unwrap_or_default();
        if let Some(denied) = self.denied(&row.accesses(name, query), context) {
            return Answer::Ready(denied);
        }
        let (name, query) = ((*name).to_owned(), query.to_owned());
        let judges = Judges(Some(Arc::clone(&self.hooks)));
        let call = Call { name, query, body: Bytes::new(), caller: Some(context.clone()), judges };
        let change = match &row.handler {
            Handler::Look(_) => return Answer::Look(*at, call),
            Handler::Change(change) => change,
        };
        // A page in a browser on this host could send it without its user's knowledge.
        let browser = head.headers.contains_key(header::ORIGIN);
        let browser = browser.then(|| "changes are not taken from browsers".to_owned());
        let refuse = || self.only_super(context).or_else(|| (change.refuse)(context));
        match browser.or_else(refuse) {
            Some(why) => {
                // By the route, not by what stands in its place for a name.
                let name = &format!("{} {}", row.method, row.path);
                let command = AdminCommand { name, target: "" };
                self.hooks.load().not_changed(context, &command, &why);
                let refusal = Reply::refusal(StatusCode::FORBIDDEN, "forbidden", &why);
                Answer::Ready(rendered(&refusal))
            }
            None => Answer::Change(Arc::clone(change), call),
        }
    }

    /// Tells of a request that no row is for.
    fn unknown(&self, head: &request::Parts, context: &RequestContext) {
        let hooks = self.hooks.load();
        if hooks.has(Point::AuditSink) {
            let what = format!("{} {}", head.method, head.uri.path());
            hooks.unknown(|| context.clone(), &what);
        }
    }

    /// Where users are asked who they are and no policies say what they may, Super users make changes.
    fn only_super(&self, context: &RequestContext) -> Option<String> {
        let is_free = self.door.sign.is_none() || self.hooks.load().decides_who_may();
        (!is_free && !(self.door.is_super)(&context.principal))
            .then(|| "changes are for Super users to make".to_owned())
    }
}

pub(crate) fn rendered(reply: &Reply) -> Response<String> {
    with_type(reply.status, "application/json", format!("{:#}\n", reply.body))
}

fn not_allowed(methods: &str) -> Response<String> {
    let text = format!("use {methods} here\n");
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, text);
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

pub(crate) fn plain(status: StatusCode, text: String) -> Response<String> {
    with_type(status, "text/plain; version=0.0.4; charset=utf-8", text)
}

pub(crate) fn with_type<T>(status: StatusCode, content_type: &'static str, body: T) -> Response<T> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use blockhouse_model::{Action, ManualClock, Resource, Timestamp};

    use super::*;

    fn door() -> Door {
        Door::open(Arc::new(ManualClock::at(Timestamp(0))))
    }

    #[tokio::test]
    async fn a_vital_task_that_died_makes_the_process_unhealthy_and_unready() {
        let tasks = Tasks::new("process");
        let parts = Parts {
            checks: Vec::new(),
            complaints: Box::new(Vec::new),
            notes: Box::new(Vec::new),
            views: vec![View {
                path: "/metrics",
                access: Access { action: Action::Get, resource: Resource::Cluster },
                show: Box::new(|_| Err("no metrics".to_owned())),
            }],
            rows: Vec::new(),
            hooks: Arc::new(Hooks::none()),
            door: door(),
            tasks: tasks.child("ops"),
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let context = RequestContext::new(peer, 1, 0);
        let status = |path: &'static str| {
            let head = hyper::http::Request::get(path).body(()).unwrap().into_parts().0;
            match parts.answer(&head, &context) {
                Answer::Ready(response) => response.status(),
                Answer::View(at, wanted) => parts.shown(at, &wanted).status(),
                Answer::Look(..) | Answer::Change(..) => panic!("it is a page"),
            }
        };
        assert_eq!([status("/healthz"), status("/readyz")], [StatusCode::OK; 2]);
        assert_eq!(status("/metrics"), StatusCode::INTERNAL_SERVER_ERROR);
        let vital = tasks.spawn_vital("vital", async { panic!("expected by the test") });
        assert!(vital.await.is_err());
        assert_eq!([status("/healthz"), status("/readyz")], [StatusCode::SERVICE_UNAVAILABLE; 2]);
    }

    #[tokio::test]
    async fn what_passes_is_told_and_what_lasts_makes_the_process_unhealthy() {
        let lasting = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = Arc::clone(&lasting);
        let parts = Parts {
            checks: Vec::new(),
            complaints: Box::new(move || {
                let lasting = seen.load(std::sync::atomic::Ordering::SeqCst);
                vec![Complaint { text: "store: bad".to_owned(), lasting }]
            }),
            notes: Box::new(Vec::new),
            views: Vec::new(),
            rows: Vec::new(),
            hooks: Arc::new(Hooks::none()),
            door: door(),
            tasks: Tasks::new("process"),
        };
        let answer = parts.health();
        assert_eq!((answer.status(), answer.body().as_str()), (StatusCode::OK, "ok\nstore: bad\n"));
        lasting.store(true, std::sync::atomic::Ordering::SeqCst);
        let answer = parts.health();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.body(), "store: bad\n");
    }
}
