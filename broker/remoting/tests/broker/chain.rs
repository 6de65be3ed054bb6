//! A request meets one chain at all of its points, whatever comes into force meanwhile.

use std::sync::{Arc, Weak};

use blockhouse_core::Broker;
use blockhouse_hook::{
    Ack, AdminCommand, Appended, Credentials, Decision, Delivery, Draft, Hook, HookChain, Identity,
    Outbound, Points, Pull, Verdict,
};
use blockhouse_model::{Access, RequestContext};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::sys_flag;
use parking_lot::Mutex;

use super::support::{World, bodies, pull_header};

type Seen = Arc<Mutex<Vec<(&'static str, u32)>>>;

/// Notes the number of its chain at each point, and puts the next chain in force there and then: no
/// swap can come at a worse time.
struct Numbered {
    number: u32,
    seen: Seen,
    broker: Weak<Broker>,
}

impl Numbered {
    fn note(&self, point: &'static str) {
        self.seen.lock().push((point, self.number));
        if let Some(broker) = self.broker.upgrade() {
            put(&broker, self.number + 1, &self.seen);
        }
    }
}

fn put(broker: &Arc<Broker>, number: u32, seen: &Seen) {
    let hook = Numbered { number, seen: Arc::clone(seen), broker: Arc::downgrade(broker) };
    broker.hooks().swap(HookChain::new(&[Arc::new(hook) as _]));
}

impl Hook for Numbered {
    fn name(&self) -> &'static str {
        "numbered"
    }

    fn points(&self) -> Points {
        Points::all()
    }

    fn authenticate(&self, _: &RequestContext, _: &Credentials<'_>) -> Identity {
        self.note("authenticate");
        Identity::Unknown
    }

    fn authorize(&self, _: &RequestContext, _: &[Access<'_>]) -> Verdict {
        self.note("authorize");
        Verdict::Continue
    }

    fn before_send(&self, _: &RequestContext, messages: &mut [Draft<'_>]) {
        self.note("before send");
        for message in messages.iter_mut().filter(|message| &*message.body == b"reroute") {
            message.decision = Decision::Reroute("elsewhere".to_owned());
        }
    }

    fn after_append(&self, _: &RequestContext, _: &[Appended<'_>]) {
        self.note("after append");
    }

    fn pull(&self, _: &RequestContext, _: &Pull<'_>) -> Verdict {
        self.note("pull");
        Verdict::Continue
    }

    fn before_deliver(
        &self,
        _: &RequestContext,
        _: &Delivery<'_>,
        _: &mut [Outbound<'_>],
    ) -> Verdict {
        self.note("before deliver");
        Verdict::Continue
    }

    fn ack(&self, _: &RequestContext, _: &Ack<'_>) {
        self.note("ack");
    }

    fn admin_command(&self, _: &RequestContext, _: &AdminCommand<'_>) -> Verdict {
        self.note("admin command");
        Verdict::Continue
    }
}

/// Where the last request came by, if it met one chain only.
fn met(seen: &Seen) -> Result<Vec<&'static str>, String> {
    let seen = std::mem::take(&mut *seen.lock());
    let mixed = seen.iter().any(|(_, number)| Some(number) != seen.first().map(|(_, n)| n));
    if mixed {
        return Err(format!("{seen:?}"));
    }
    Ok(seen.into_iter().map(|(point, _)| point).collect())
}

#[tokio::test]
async fn no_request_meets_two_chains() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let seen = Seen::default();
    put(&world.broker, 1, &seen);

    for (body, points) in [
        (b"plain".as_slice(), &["authenticate", "authorize", "before send", "after append"][..]),
        (b"reroute", &["authenticate", "authorize", "before send", "authorize", "after append"]),
    ] {
        assert_eq!(client.send("t", "KEYS\u{1}k\u{2}", body).await.code, code::SUCCESS);
        assert_eq!(met(&seen).unwrap(), points);
    }

    let header = pull_header("t", 0, "*");
    let flags = header.sys_flag | sys_flag::COMMIT_OFFSET;
    let header = blockhouse_protocol::header::pull::PullMessage { sys_flag: flags, ..header };
    let pulled = client.call(request_code::PULL_MESSAGE, |out| header.write(out), b"").await;
    assert_eq!(bodies(&pulled), ["plain"]);
    let points = ["authenticate", "authorize", "pull", "ack", "before deliver"];
    assert_eq!(met(&seen).unwrap(), points);

    let (begin, end) = (("beginTimestamp", "0"), ("endTimestamp", "9999999999999"));
    let by_key = [("topic", "t"), ("key", "k"), ("maxNum", "9"), begin, end];
    let commit =
        [("consumerGroup", "consumers"), ("topic", "t"), ("queueId", "0"), ("commitOffset", "1")];
    let topic = [("topic", "t")];
    for (request, fields, points) in [
        (request_code::QUERY_MESSAGE, &by_key[..], &["before deliver"][..]),
        (request_code::UPDATE_CONSUMER_OFFSET, &commit, &["ack"]),
        (request_code::DELETE_TOPIC_IN_BROKER, &topic, &["admin command"]),
    ] {
        let answer = client.ask(request, fields, b"").await;
        assert_eq!(answer.code, code::SUCCESS, "{request}: {:?}", answer.remark());
        assert_eq!(met(&seen).unwrap(), [&["authenticate", "authorize"], points].concat());
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_pull_that_waited_is_delivered_by_the_chain_in_force_then() {
    let world = World::new(&[]).await;
    let (client, producer) = (world.client().await, world.client().await);
    assert_eq!(producer.send("t", "", b"first").await.code, code::SUCCESS);
    let seen = Seen::default();
    put(&world.broker, 1, &seen);
    let header = pull_header("t", 1, "*");
    let header = blockhouse_protocol::header::pull::PullMessage {
        sys_flag: header.sys_flag | sys_flag::SUSPEND,
        suspend_timeout_millis: 30_000,
        ..header
    };
    let waiting = client.call(request_code::PULL_MESSAGE, |out| header.write(out), b"");
    let send = async {
        while world.broker.held().count() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(met(&seen).unwrap(), ["authenticate", "authorize", "pull"]);
        let before = Arc::downgrade(&world.broker.hooks().load_full());
        put(&world.broker, 100, &seen);
        assert!(before.upgrade().is_none(), "who waits does not keep the old chain");
        producer.send("t", "", b"second").await
    };
    let (pulled, sent) = tokio::join!(waiting, send);
    assert_eq!((sent.code, bodies(&pulled)), (code::SUCCESS, vec!["second".to_owned()]));
    let delivered = seen.lock().iter().find(|(point, _)| *point == "before deliver").copied();
    assert!(delivered.is_some_and(|(_, number)| number >= 100), "{delivered:?}");
    world.server.shutdown().await;
}
