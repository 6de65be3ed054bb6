//! Every task of the process: named, owned, told to stop, and waited for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle};

/// A group of tasks that is stopped together. Clones are the same group.
///
/// Parts get a [`Tasks::child`] each, so that they can be stopped one after the other; a request to
/// stop reaches all groups below.
#[derive(Clone, Debug)]
pub struct Tasks {
    inner: Arc<Inner>,
}

/// Tells a task when to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Inner {
    name: Cow<'static, str>,
    runtime: Handle,
    requested: watch::Sender<bool>,
    next_id: AtomicU64,
    running: Mutex<HashMap<u64, Running>>,
    ended: Notify,
    /// Shared by all groups of a process: whether a task that must not panic has.
    failed: Arc<AtomicBool>,
    parent: Option<Arc<Self>>,
    children: Mutex<Vec<Weak<Self>>>,
}

#[derive(Debug)]
struct Running {
    name: Cow<'static, str>,
    abort: Option<AbortHandle>,
}

/// Takes a task off the list when its future is dropped: at its end, aborted, or panicked.
struct Entry {
    tasks: Arc<Inner>,
    id: u64,
    vital: bool,
}

impl Tasks {
    /// The root group, on the runtime that this is called in.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { inner: Inner::new(name.into(), Handle::current(), None) }
    }

    /// A group below this one.
    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.child_on(name, self.inner.runtime.clone())
    }

    /// A group below this one whose tasks run elsewhere: they get on whatever blocks the threads here.
    #[must_use]
    pub fn child_on(&self, name: impl Into<Cow<'static, str>>, runtime: Handle) -> Self {
        let parent = Arc::clone(&self.inner);
        let child = Inner::new(name.into(), runtime, Some(Arc::clone(&parent)));
        if parent.is_requested() {
            child.request();
        }
        let mut children = parent.children.lock();
        children.retain(|c| c.strong_count() > 0);
        children.push(Arc::downgrade(&child));
        drop(children);
        Self { inner: child }
    }

    /// Starts a task. A panic in it is logged and ends this task alone.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.start(name.into(), false, future)
    }

    /// Starts a task that the process cannot do without: a panic in it stops the process (the root
    /// group is asked to stop, and [`Tasks::failed`] says why).
    pub fn spawn_vital<F>(
        &self,
        name: impl Into<Cow<'static, str>>,
        future: F,
    ) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.start(name.into(), true, future)
    }

    /// Runs `work` on the blocking pool, as one of the group's tasks. It cannot be aborted.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let entry = self.inner.enter(name.into(), false);
        self.inner.runtime.spawn_blocking(move || {
            let _entry = entry;
            work()
        })
    }

    fn start<F>(&self, name: Cow<'static, str>, vital: bool, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let entry = self.inner.enter(name, vital);
        let id = entry.id;
        let task = self.inner.runtime.spawn(async move {
            let _entry = entry;
            future.await
        });
        if let Some(running) = self.inner.running.lock().get_mut(&id) {
            running.abort = Some(task.abort_handle());
        }
        task
    }

    /// What tasks of this group wait on to learn that they should stop.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown { requested: self.inner.requested.subscribe() }
    }

    /// Asks all tasks of this group and below to stop, without waiting.
    pub fn request_stop(&self) {
        self.inner.request();
    }

    /// Asks all tasks of this group and below to stop and waits until they have, for at most
    /// `patience`; the rest is aborted and waited for shortly. Returns the names of those that had
    /// to be aborted.
    pub async fn stop(&self, patience: Duration) -> Vec<String> {
        self.inner.request();
        if tokio::time::timeout(patience, self.ended()).await.is_ok() {
            return Vec::new();
        }
        let late = self.running();
        self.inner.abort();
        // Tasks in blocking code do not hear an abort: they are named, not waited for.
        let _expired = tokio::time::timeout(Duration::from_millis(200), self.ended()).await;
        late
    }

    /// Waits until no task of this group and below is left.
    pub async fn ended(&self) {
        loop {
            let changed = self.inner.ended.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.inner.count() == 0 {
                return;
            }
            changed.await;
        }
    }

    /// The names (`group/task`) of what runs in this group and below, sorted.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.inner.names(&mut names);
        names.sort_unstable();
        names
    }

    /// Whether a vital task of the process has panicked.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.inner.failed.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn new(name: Cow<'static, str>, runtime: Handle, parent: Option<Arc<Self>>) -> Arc<Self> {
        let failed = parent.as_ref().map(|p| Arc::clone(&p.failed)).unwrap_or_default();
        Arc::new(Self {
            name,
            runtime,
            requested: watch::Sender::new(false),
            next_id: AtomicU64::new(0),
            running: Mutex::default(),
            ended: Notify::new(),
            failed,
            parent,
            children: Mutex::default(),
        })
    }

    fn enter(self: &Arc<Self>, name: Cow<'static, str>, vital: bool) -> Entry {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.running.lock().insert(id, Running { name, abort: None });
        Entry { tasks: Arc::clone(self), id, vital }
    }

    fn children(&self) -> Vec<Arc<Self>> {
        self.children.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    fn request(&self) {
        self.requested.send_replace(true);
        self.children().iter().for_each(|c| c.request());
    }

    fn abort(&self) {
        let handles: Vec<_> =
            self.running.lock().values().filter_map(|r| r.abort.clone()).collect();
        handles.iter().for_each(AbortHandle::abort);
        self.children().iter().for_each(|c| c.abort());
    }

    fn count(&self) -> usize {
        let own = self.running.lock().len();
        self.children().iter().fold(own, |sum, c| sum + c.count())
    }

    fn names(&self, out: &mut Vec<String>) {
        out.extend(self.running.lock().values().map(|r| format!("{}/{}", self.name, r.name)));
        self.children().iter().for_each(|c| c.names(out));
    }

    /// Wakes those that wait for the end of this group or of one above.
    fn tell_ended(&self) {
        self.ended.notify_waiters();
        if let Some(parent) = &self.parent {
            parent.tell_ended();
        }
    }

    fn root(&self) -> &Self {
        self.parent.as_ref().map_or(self, |p| p.root())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ended = self.tasks.running.lock().remove(&self.id);
        if std::thread::panicking() {
            let name = ended.as_ref().map_or("", |r| r.name.as_ref());
            tracing::error!(group = %self.tasks.name, task = name, "a task panicked");
            if self.vital {
                self.tasks.failed.store(true, Ordering::SeqCst);
                self.tasks.root().request();
            }
        }
        self.tasks.tell_ended();
    }
}

impl Shutdown {
    /// Whether stopping was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Returns when stopping is asked for, at once if it was.
    pub async fn requested(&mut self) {
        // The sender lives in the group; a group that is gone wants nothing to go on.
        let _closed = self.requested.wait_for(|requested| *requested).await;
    }

    /// Waits for `period`, or less if stopping is asked for; `false` then.
    pub async fn wait(&mut self, period: Duration) -> bool {
        tokio::time::timeout(period, self.requested()).await.is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_request_to_stop_reaches_the_groups_below_and_stop_waits_for_them() {
        let root = Tasks::new("process");
        let child = root.child("part");
        let mut shutdown = child.shutdown();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        child.spawn("work", async move {
            shutdown.requested().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            flag.store(true, Ordering::SeqCst);
        });
        assert_eq!(root.running(), ["part/work"]);
        assert_eq!(root.stop(PATIENCE).await, Vec::<String>::new());
        assert!(done.load(Ordering::SeqCst));
        assert!(root.child("late").shutdown().is_requested());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_aborted_and_named() {
        let tasks = Tasks::new("process");
        tasks.spawn("deaf", std::future::pending::<()>());
        assert_eq!(tasks.stop(PATIENCE).await, ["process/deaf"]);
        assert_eq!(tasks.running(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_panic_ends_one_task_unless_it_is_vital() {
        let root = Tasks::new("process");
        let child = root.child("part");
        assert!(child.spawn("plain", async { panic!("expected by the test") }).await.is_err());
        assert!(!root.failed() && !root.shutdown().is_requested());
        let vital = child.spawn_vital("vital", async { panic!("expected by the test") });
        assert!(vital.await.is_err());
        assert!(root.failed() && root.shutdown().is_requested());
    }

    #[tokio::test]
    async fn blocking_work_is_waited_for() {
        let tasks = Tasks::new("process");
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
        tasks.spawn_blocking("files", move || wait.recv().is_ok());
        assert_eq!(tasks.running(), ["process/files"]);
        drop(go);
        tasks.ended().await;
        assert_eq!(tasks.running(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_early_when_stopping_is_asked_for() {
        let tasks = Tasks::new("process");
        let mut shutdown = tasks.shutdown();
        assert!(shutdown.wait(Duration::from_millis(5)).await);
        tasks.request_stop();
        assert!(!shutdown.wait(Duration::from_secs(3_600)).await);
    }
}
