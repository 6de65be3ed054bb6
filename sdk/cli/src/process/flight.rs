//! The flight recorder of the process: what it keeps, who may look, and when a copy is kept.

use std::panic;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::RealDisk;
use blockhouse_flight::reader::files;
use blockhouse_flight::{
    Breach, DIR, FlightRecorder, LatencyWatch, NAMESRV_DIR, Select, copies, find,
};
use blockhouse_hook::{AdminCommand, Auditor};
use blockhouse_meter::{CopyCause, Meter};
use blockhouse_model::{Access, Action, Clock, RequestContext, Resource};
use blockhouse_ops::{Call, Change, Handler, Reply, Row};
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_service::DumpSignals;
use hyper::StatusCode;
use hyper::http::Method;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::ops::{is_known_or_near, tell};
use super::{Role, Shared};
use crate::options::Config;

/// Most records of one answer, which the tools take in full.
pub(crate) const ANSWER_MAX: usize = 20_000;
/// Most bytes of a question.
const QUESTION_MAX: usize = 64 << 10;
/// Between two copies that panics cause: clients may know how to cause panics.
const PANIC_PAUSE: Duration = Duration::from_secs(60);
/// Nobody waits for this.
const UNWATCHED: Duration = Duration::from_secs(3_600);

/// The recorder of the process.
pub(super) struct Recording {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    auditor: Arc<Auditor>,
    meter: Arc<Meter>,
}

/// Begins to record, if that is wanted. Without room for its file a node runs without.
pub(super) fn start(
    config: &Config,
    role: Role,
    shared: &Shared,
) -> anyhow::Result<Option<Arc<Recording>>> {
    if !config.flight.enabled {
        return Ok(None);
    }
    let dir = config.node.data.join(if role.has_broker() { DIR } else { NAMESRV_DIR });
    match FlightRecorder::start(&config.flight, &RealDisk, &dir, &*shared.clock) {
        Ok(recorder) => shared.meter.record_flight(Arc::new(recorder)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            tracing::warn!("no flight recorder: another process works on {}", dir.display());
            return Ok(None);
        }
        Err(error) => {
            tracing::warn!("no flight recorder: {}: {error}", dir.display());
            return Ok(None);
        }
    }
    let recording = Arc::new(Recording {
        dir,
        clock: Arc::clone(&shared.clock),
        auditor: Arc::clone(&shared.auditor),
        meter: Arc::clone(&shared.meter),
    });
    keep_copies(&recording, LatencyWatch::new(&config.flight), shared)?;
    Ok(Some(recording))
}

/// Copies at SIGUSR2, at panics, and when requests become slow.
fn keep_copies(
    recording: &Arc<Recording>,
    mut watch: Option<LatencyWatch>,
    shared: &Shared,
) -> anyhow::Result<()> {
    let mut signals = DumpSignals::listen()?;
    let panicked = tell_of_panics();
    let (recording, tasks) = (Arc::clone(recording), shared.tasks.child("flight"));
    let mut shutdown = tasks.shutdown();
    let blocking = tasks.clone();
    let mut look = tokio::time::interval(watch.as_ref().map_or(UNWATCHED, LatencyWatch::window));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tasks.spawn("copies", async move {
        let mut quiet_until = Duration::ZERO;
        loop {
            let cause = tokio::select! {
                () = signals.next() => CopyCause::Signal,
                () = panicked.notified() => CopyCause::Panic,
                _ = look.tick(), if watch.is_some() => CopyCause::Latency,
                () = shutdown.requested() => return,
            };
            let now = recording.clock.monotonic();
            match cause {
                CopyCause::Latency if !recording.is_slow(&mut watch, now) => continue,
                CopyCause::Panic if now < quiet_until => continue,
                CopyCause::Panic => quiet_until = now + PANIC_PAUSE,
                _ => {}
            }
            let recording = Arc::clone(&recording);
            // What came of it is in the log.
            let copied = blocking.spawn_blocking("copy", move || recording.copy(cause).is_ok());
            let _done = copied.await;
        }
    });
    Ok(())
}

/// A panic ends a task, not the process: what led to it would soon be written over.
fn tell_of_panics() -> Arc<Notify> {
    let told = Arc::new(Notify::new());
    let (weak, before) = (Arc::downgrade(&told), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        before(info);
        if let Some(told) = weak.upgrade() {
            told.notify_one();
        }
    }));
    told
}

impl Recording {
    /// Whether requests have become slow since the last look; the log says which.
    fn is_slow(&self, watch: &mut Option<LatencyWatch>, now: Duration) -> bool {
        let breach = watch.as_mut().and_then(|watch| watch.look(now, &self.meter.latencies));
        if let Some(Breach { request, p99, requests }) = breach {
            let (request, code) = (request_code::name(request), request);
            let p99_ms = u64::try_from(p99.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                request,
                code,
                p99_ms,
                requests,
                "requests have become slow: the flight recorder keeps a copy"
            );
        }
        breach.is_some()
    }

    fn copy(&self, cause: CopyCause) -> std::io::Result<PathBuf> {
        let copied = copies::copy(&RealDisk, &self.dir, self.clock.now().0, cause);
        match &copied {
            Ok(path) => {
                self.meter.flight_copies.add(cause);
                tracing::info!("flight recorder: copied to {}", path.display());
            }
            Err(error) => tracing::error!("flight recorder: no copy: {error}"),
        }
        copied
    }

    fn found(&self, call: &Call) -> Reply {
        let select = match serde_json::from_slice::<Select>(&call.body) {
            Ok(select) => Select { limit: select.limit.min(ANSWER_MAX), ..select },
            Err(error) => {
                let text = format!("the request is not understood: {error}");
                return Reply::refusal(StatusCode::BAD_REQUEST, "request", &text);
            }
        };
        let names = [request_code::name, response_code::name];
        let found = files(&RealDisk, &self.dir)
            .and_then(|paths| find(&RealDisk, &paths, &select, names))
            .map_err(|error| error.to_string());
        let told = found.and_then(|found| serde_json::to_value(found).map_err(|e| e.to_string()));
        self.answer(call, "flight-dump", told)
    }

    fn copied(&self, call: &Call) -> Reply {
        let copied = self.copy(CopyCause::Command).map_err(|error| error.to_string());
        let told = copied.map(|path| json!({ "path": path.display().to_string() }));
        self.answer(call, "flight-copy", told)
    }

    fn answer(&self, call: &Call, name: &str, told: Result<serde_json::Value, String>) -> Reply {
        let failed = told.as_ref().err().map(String::as_str);
        let command = AdminCommand { name, target: "flight" };
        tell(&self.auditor, call.caller.as_ref(), command, failed);
        match told {
            Ok(value) => Reply::ok(value),
            Err(why) => Reply::refusal(StatusCode::INTERNAL_SERVER_ERROR, "failed", &why),
        }
    }
}

/// All rows; without a recorder they say that there is none.
pub(super) fn rows(recording: Option<&Arc<Recording>>) -> Vec<Row> {
    let row = |path, action, make: fn(&Recording, &Call) -> Reply| {
        let recording = recording.cloned();
        let make = Box::new(move |call: &Call| match &recording {
            Some(recording) => make(recording, call),
            None => off(),
        });
        let (refuse, judge) = (Box::new(refuse), Box::new(|_: &Call| None));
        let change = Change { body_max: QUESTION_MAX, refuse, judge, make };
        Row {
            path,
            method: Method::POST,
            access: Access { action, resource: Resource::Cluster },
            handler: Handler::Change(Arc::new(change)),
        }
    };
    vec![
        row("/v1/flight/dump", Action::Get, Recording::found),
        row("/v1/flight/copy", Action::Update, Recording::copied),
    ]
}

fn off() -> Reply {
    let text = "this node has no flight recorder (flight.enabled, or the log says why)";
    Reply::refusal(StatusCode::CONFLICT, "off", text)
}

/// Who sends what from where is not for everybody.
fn refuse(context: &RequestContext) -> Option<String> {
    let ip = context.peer.ip().to_canonical();
    (!is_known_or_near(context)).then(|| {
        format!(
            "the flight recorder is read from this host only, and you ask from {ip}: run the command there, or ask over TLS as a user (ops.tls, authn.enabled)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_any_thread_is_told_and_the_hook_before_is_asked_first() {
        let seen = Arc::new(Notify::new());
        let first = Arc::clone(&seen);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |_| first.notify_one()));
        let told = tell_of_panics();
        assert!(std::thread::spawn(|| panic!("expected by the test")).join().is_err());
        let patience = Duration::from_secs(30);
        for notified in [&seen, &told] {
            tokio::time::timeout(patience, notified.notified()).await.unwrap();
        }
        drop(told);
        // Nobody listens any more, and nothing happens but what did before.
        assert!(std::thread::spawn(|| panic!("expected by the test")).join().is_err());
        tokio::time::timeout(patience, seen.notified()).await.unwrap();
        panic::set_hook(before);
    }
}
