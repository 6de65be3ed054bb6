//! The end of a process: its parts one after the other, each within what is left of the time, then everything else.

use std::time::Duration;

use anyhow::anyhow;
use blockhouse_service::Tasks;
use blockhouse_service::stage::OTHERS_PATIENCE;
use tokio::time::Instant;

use super::parts::Started;

/// How long all parts together may take to stop. Under the five seconds that operators are
/// promised, since the process has a little to do afterwards.
const PATIENCE: Duration = Duration::from_millis(4_500);
/// What a part has for its clients even if those before it took all.
const OTHERS_LEAST: Duration = Duration::from_millis(100);
/// What a part has even if those before it took all: its clients' time, and the end of its tasks.
const LEAST: Duration = Duration::from_millis(400);
/// How long the ops listener's connections have, at the very end.
const OPS_PATIENCE: Duration = Duration::from_millis(200);

/// Stops the parts, the last started first, and then everything else.
///
/// # Errors
/// The first part that could not save everything, or not in time: what it waited for, and for how long.
pub(super) async fn all(started: Vec<Started>, tasks: &Tasks) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut all = Ok(());
    for part in started.into_iter().rev() {
        let stopped = one(part, begun).await;
        if let Err(error) = &stopped {
            tracing::error!("{error:#}");
        }
        // Whatever became of those before it.
        all = all.and(stopped);
    }
    let late = tasks.stop(OPS_PATIENCE).await;
    if !late.is_empty() {
        tracing::warn!(?late, "these tasks had to be aborted");
    }
    all
}

async fn one(part: Started, begun: Instant) -> anyhow::Result<()> {
    let (name, stage) = (part.name, part.stage.clone());
    let others = OTHERS_PATIENCE.saturating_sub(begun.elapsed()).max(OTHERS_LEAST);
    let patience = PATIENCE.saturating_sub(begun.elapsed()).max(LEAST);
    let stopped = tokio::time::timeout(patience, part.stop(others)).await;
    let Ok(stopped) = stopped else {
        let doing = *stage.borrow();
        let all = begun.elapsed().as_secs_f64();
        return Err(anyhow!(
            "the parts did not stop in time ({name}, {doing}, {all:.1} s in all); the next start checks the store"
        ));
    };
    stopped.map_err(|error| error.context(format!("{name} did not stop cleanly")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use anyhow::bail;
    use blockhouse_service::Stages;

    use super::*;

    /// Takes so long, by the tests' own time: it stands still while anything can run.
    async fn takes(time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// A part that takes so long for this.
    fn part(name: &'static str, doing: &'static str, took: Duration) -> (Started, Arc<AtomicBool>) {
        let (stages, done) =
            (Stages::new("it waits for clients"), Arc::new(AtomicBool::new(false)));
        let (stage, ended) = (stages.watch(), Arc::clone(&done));
        let stop = move |_| async move {
            stages.enter(doing);
            takes(took).await;
            ended.store(true, Ordering::SeqCst);
            Ok(())
        };
        (Started::new(name, ([127, 0, 0, 1], 0).into(), stage, stop), done)
    }

    const SYNC: &str = "it waits for the disk: its whole filesystem is synced";

    #[tokio::test(start_paused = true)]
    async fn a_part_whose_disk_is_slow_is_named_with_what_it_waits_for_and_how_long() {
        let tasks = Tasks::new("test");
        let (namesrv, is_namesrv_stopped) = part("namesrv", "", Duration::from_millis(50));
        let (broker, _) = part("broker", SYNC, Duration::from_secs(3_600));
        let begun = Instant::now();
        let error = all(vec![namesrv, broker], &tasks).await.unwrap_err();
        let told = format!(
            "the parts did not stop in time (broker, {SYNC}, for 4.5 s, 4.5 s in all); the next start checks the store"
        );
        assert_eq!(format!("{error:#}"), told);
        // It has nothing to do with the disk.
        assert!(is_namesrv_stopped.load(Ordering::SeqCst));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_just_fits_is_clean() {
        let tasks = Tasks::new("test");
        let (namesrv, _) = part("namesrv", "", Duration::from_millis(90));
        let (broker, _) = part("broker", SYNC, Duration::from_millis(4_400));
        all(vec![namesrv, broker], &tasks).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn others_have_what_those_before_them_left() {
        let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let part = |name, took| {
            let (stages, seen) = (Stages::new("it waits for clients"), Arc::clone(&seen));
            let stop = move |others| async move {
                seen.lock().push((name, others));
                takes(took).await;
                Ok(())
            };
            Started::new(name, ([127, 0, 0, 1], 0).into(), stages.watch(), stop)
        };
        for (took, left) in [(1_000, 1_500), (2_450, 100), (4_000, 100)] {
            let parts =
                vec![part("namesrv", Duration::ZERO), part("broker", Duration::from_millis(took))];
            all(parts, &Tasks::new("test")).await.unwrap();
            let seen = std::mem::take(&mut *seen.lock());
            assert_eq!(
                seen,
                [("broker", OTHERS_PATIENCE), ("namesrv", Duration::from_millis(left))]
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_saved_is_told_first() {
        let tasks = Tasks::new("test");
        let failing = |name| {
            let stages = Stages::new("it waits for clients");
            let stop = move |_| async move { bail!("no room") };
            Started::new(name, ([127, 0, 0, 1], 0).into(), stages.watch(), stop)
        };
        let error = all(vec![failing("namesrv"), failing("broker")], &tasks).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "broker did not stop cleanly: no room");
    }
}
