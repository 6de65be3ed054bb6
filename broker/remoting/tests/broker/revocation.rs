//! What is taken back counts for pulls that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blockhouse_hook::{Hook, Point, Points, Rejection, Verdict};
use blockhouse_model::{Access, RequestContext};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::{PullMessage, sys_flag};

use super::support::{Client, World, bodies, pull_header};

/// Knows and allows everybody, until it is told otherwise.
#[derive(Default)]
struct Guard {
    disabled: AtomicBool,
    withdrawn: AtomicBool,
}

impl Hook for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate).with(Point::Authorize)
    }

    fn reaffirm(&self, _: &RequestContext) -> Verdict {
        verdict(&self.disabled, "disabled")
    }

    fn authorize(&self, cx: &RequestContext, _: &[Access<'_>]) -> Verdict {
        if cx.code != request_code::PULL_MESSAGE {
            return Verdict::Continue;
        }
        verdict(&self.withdrawn, "withdrawn")
    }
}

fn verdict(refuses: &AtomicBool, why: &'static str) -> Verdict {
    if refuses.load(Ordering::SeqCst) {
        return Verdict::Reject(Rejection::new(why));
    }
    Verdict::Continue
}

impl Guard {
    fn switches(&self) -> [(&AtomicBool, &'static str); 2] {
        [(&self.disabled, "disabled"), (&self.withdrawn, "withdrawn")]
    }
}

async fn held_pull(client: &Client) -> RemotingCommand {
    let header = pull_header("t", 1, "*");
    let header = PullMessage {
        sys_flag: header.sys_flag | sys_flag::SUSPEND,
        suspend_timeout_millis: 100_000,
        ..header
    };
    client.call(request_code::PULL_MESSAGE, |out| header.write(out), b"").await
}

async fn until_held(world: &World) {
    while world.broker.held().count() == 0 {
        tokio::task::yield_now().await;
    }
}

async fn scene() -> (World, Arc<Guard>, Client, Client) {
    let guard = Arc::new(Guard::default());
    let world = World::new(&[Arc::clone(&guard) as _]).await;
    let (consumer, producer) = (world.client().await, world.client().await);
    assert_eq!(producer.send("t", "", b"first").await.code, code::SUCCESS);
    (world, guard, consumer, producer)
}

#[tokio::test]
async fn a_pull_that_waits_ends_with_a_refusal_when_it_is_taken_back() {
    for which in [0, 1] {
        let (world, guard, consumer, _producer) = scene().await;
        let revoke = async {
            until_held(&world).await;
            guard.switches()[which].0.store(true, Ordering::SeqCst);
            world.broker.hooks().ask_again();
        };
        // Nothing is sent, and its own time is not over: only the question ends it.
        let (answer, ()) = tokio::join!(held_pull(&consumer), revoke);
        let why = guard.switches()[which].1;
        assert_eq!((answer.code, answer.remark()), (code::NO_PERMISSION, Some(why)));
        assert_eq!(world.broker.held().count(), 0);
        world.server.shutdown().await;
    }
}

#[tokio::test]
async fn a_pull_that_waits_is_asked_anew_before_it_is_delivered() {
    for which in [0, 1] {
        let (world, guard, consumer, producer) = scene().await;
        // Nobody says that something has changed: the hours of a policy are over.
        let send = async {
            until_held(&world).await;
            guard.switches()[which].0.store(true, Ordering::SeqCst);
            producer.send("t", "", b"second").await
        };
        let (answer, sent) = tokio::join!(held_pull(&consumer), send);
        assert_eq!((sent.code, answer.code), (code::SUCCESS, code::NO_PERMISSION));
        assert!(answer.body.is_empty());
        world.server.shutdown().await;
    }
}

#[tokio::test]
async fn a_pull_that_may_go_on_goes_on_waiting() {
    let (world, _guard, consumer, producer) = scene().await;
    let ask_and_send = async {
        until_held(&world).await;
        for _ in 0..3 {
            world.broker.hooks().ask_again();
            // It leaves and enters again: let it.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(world.broker.held().count(), 1, "answered though nothing came");
        }
        producer.send("t", "", b"second").await
    };
    let (answer, _) = tokio::join!(held_pull(&consumer), ask_and_send);
    assert_eq!(bodies(&answer), ["second"]);
    world.server.shutdown().await;
}
