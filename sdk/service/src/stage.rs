//! What a part that stops is doing, and since when, for whoever waits for it.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How much of a stop others than the disk may take: name servers, clients and tasks, all parts of a process together.
/// The rest of what it has is for the files.
pub const OTHERS_PATIENCE: Duration = Duration::from_millis(2_500);

/// Held by a part: what it does when it stops.
#[derive(Debug)]
pub struct Stages(watch::Sender<Stage>);

/// One thing that a part does when it stops. Displayed as words: `it waits for clients, for 2.5 s`.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    doing: &'static str,
    since: Instant,
}

impl Stages {
    /// Those of a part that will begin with this.
    #[must_use]
    pub fn new(doing: &'static str) -> Self {
        Self(watch::Sender::new(Stage::now(doing)))
    }

    /// From now on it does this.
    pub fn enter(&self, doing: &'static str) {
        self.0.send_replace(Stage::now(doing));
    }

    /// What it does now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// For whoever waits for the part.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.0.subscribe()
    }
}

impl Stage {
    fn now(doing: &'static str) -> Self {
        Self { doing, since: Instant::now() }
    }

    /// What it does, in words: `it waits for clients`.
    #[must_use]
    pub const fn doing(&self) -> &'static str {
        self.doing
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, for {:.1} s", self.doing, self.since.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stage_says_how_long_it_lasts() {
        let stages = Stages::new("it waits for name servers");
        let watched = stages.watch();
        tokio::time::advance(Duration::from_secs(2)).await;
        stages.enter("it waits for clients");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(watched.borrow().to_string(), "it waits for clients, for 0.5 s");
        assert_eq!(stages.stage().doing(), "it waits for clients");
    }
}
