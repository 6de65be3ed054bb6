//! Takes what opentelemetry-otlp means for HTTP the way that is configured: that crate says neither what a
//! collector rejects of a request, nor asks for headers before each.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;

use super::{Requests, Signal, Taken};

/// What became of the request that was carried last.
#[derive(Clone, Default)]
pub(super) struct Outcome(Arc<Mutex<Option<Result<Taken, String>>>>);

impl Outcome {
    /// Forgets that of a request that somebody gave up.
    pub(super) fn forget(&self) {
        self.0.lock().take();
    }

    /// What is known of a request that the exporter says `exported` of.
    pub(super) fn of(&self, exported: Result<(), String>) -> Result<Taken, String> {
        let carried = self.0.lock().take();
        carried.unwrap_or_else(|| exported.map(|()| Taken::default()))
    }
}

/// A way for requests of one kind to one collector.
pub(super) struct Carrier<S> {
    requests: Requests,
    outcome: Outcome,
    kind: PhantomData<fn(S)>,
}

impl<S> Carrier<S> {
    /// A carrier, and what it tells of the last request.
    pub(super) fn new(requests: Requests) -> (Self, Outcome) {
        let outcome = Outcome::default();
        (Self { requests, outcome: outcome.clone(), kind: PhantomData }, outcome)
    }
}

impl<S> fmt::Debug for Carrier<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl<S: Signal> HttpClient for Carrier<S> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.requests.send::<S>(request.into_body()).await;
        *self.outcome.0.lock() = Some(sent);
        Ok(Response::new(Bytes::new()))
    }
}
