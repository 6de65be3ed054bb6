//! Looks that wait, for a disk that hangs or a change that waits for it: only so many of each route.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Reply;
use crate::listener::failed;

/// Looks of a route that are under way at a time, each on a thread. One that waits holds its place when its client
/// has gone.
const AT_A_TIME: usize = 4;
/// How long a look waits for a place.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which of the routes.
#[derive(Clone, Copy)]
pub(crate) enum Route {
    View(usize),
    Row(usize),
}

/// The places of all routes: those of one that hangs are no others'.
pub(crate) struct Looks {
    views: Box<[Arc<Semaphore>]>,
    rows: Box<[Arc<Semaphore>]>,
}

impl Looks {
    pub(crate) fn new(views: usize, rows: usize) -> Self {
        let places = |count| (0..count).map(|_| Arc::new(Semaphore::new(AT_A_TIME))).collect();
        Self { views: places(views), rows: places(rows) }
    }

    /// Looks beside the workers.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        route: Route,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Reply> {
        let places = match route {
            Route::View(at) => self.views.get(at),
            Route::Row(at) => self.rows.get(at),
        };
        let place = timeout(PATIENCE, Arc::clone(places.ok_or_else(failed)?).acquire_owned()).await;
        // It is never closed.
        let Ok(Ok(place)) = place else { return Err(busy()) };
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            look()
        });
        looked.await.map_err(|_| failed())
    }
}

fn busy() -> Reply {
    let text = format!(
        "{AT_A_TIME} looks at this wait already, for a disk that hangs or a change that takes its time; /healthz and \
         the log say more"
    );
    Reply::refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", &text)
}
