//! Pulls that wait for the disk.

use std::sync::Arc;
use std::thread::available_parallelism;

use blockhouse_hook::{Delivery, Hook, Outbound, Point, Points, Verdict};
use blockhouse_model::RequestContext;
use parking_lot::{Condvar, Mutex};

use super::support::{World, bodies};

/// Keeps those who read inside until they are let go.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    most: usize,
    let_go: usize,
}

impl Hook for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::BeforeDeliver)
    }

    fn before_deliver(
        &self,
        _: &RequestContext,
        _: &Delivery<'_>,
        _: &mut [Outbound<'_>],
    ) -> Verdict {
        let mut state = self.state.lock();
        state.inside += 1;
        state.most = state.most.max(state.inside);
        self.changed.notify_all();
        self.changed.wait_while(&mut state, |state| state.let_go == 0);
        state.let_go -= 1;
        state.inside -= 1;
        self.changed.notify_all();
        Verdict::Continue
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_pulls_read_the_disk_at_a_time_and_all_have_their_turn() {
    let gate = Arc::new(Gate::default());
    let world = World::new(&[Arc::clone(&gate) as _]).await;
    world.client().await.send("t", "", b"cold").await;
    world.disk.cool_down(true);
    let at_once = available_parallelism().unwrap().get();
    let pulls = 4 * at_once;
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..pulls {
        let client = world.client().await;
        answers.spawn(async move { bodies(&client.pull("t", 0, "*").await) });
    }
    let letting_go = Arc::clone(&gate);
    let porter = tokio::task::spawn_blocking(move || {
        for left in (1..=pulls).rev() {
            let mut state = letting_go.state.lock();
            let due = left.min(at_once);
            letting_go.changed.wait_while(&mut state, |s| s.inside < due || s.let_go > 0);
            state.let_go = 1;
            letting_go.changed.notify_all();
        }
    });
    while let Some(answer) = answers.join_next().await {
        assert_eq!(answer.unwrap(), ["cold"]);
    }
    porter.await.unwrap();
    assert_eq!(gate.state.lock().most, at_once);
    world.server.shutdown().await;
}
