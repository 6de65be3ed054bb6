//! A request meets one chain at all of its points, whatever comes into force meanwhile.

use std::sync::Arc;

use blockhouse_hook::{
    AdminCommand, BrokerRegistration, Credentials, Hook, HookChain, Hooks, Identity, Points,
    RouteEntry, Verdict,
};
use blockhouse_model::{Access, RequestContext};
use blockhouse_protocol::codes::request_code as code;
use parking_lot::Mutex;

use crate::bench::{BROKER_FIELDS, Bench, two_topics};

type Seen = Arc<Mutex<Vec<(&'static str, u32)>>>;

/// Notes the number of its chain at each point, and puts the next chain in force there and then: no
/// swap can come at a worse time.
struct Numbered {
    number: u32,
    seen: Seen,
    hooks: Arc<Hooks>,
}

impl Numbered {
    fn put(number: u32, seen: &Seen, hooks: &Arc<Hooks>) {
        let hook = Self { number, seen: Arc::clone(seen), hooks: Arc::clone(hooks) };
        hooks.swap(HookChain::new(&[Arc::new(hook) as _]));
    }

    fn note(&self, point: &'static str) -> Verdict {
        self.seen.lock().push((point, self.number));
        Self::put(self.number + 1, &self.seen, &self.hooks);
        Verdict::Continue
    }
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
        self.note("authorize")
    }
    fn admin_command(&self, _: &RequestContext, _: &AdminCommand<'_>) -> Verdict {
        self.note("admin")
    }
    fn broker_registration(&self, _: &RequestContext, _: &BrokerRegistration<'_>) -> Verdict {
        self.note("registration")
    }
    fn route_query(&self, _: &RequestContext, _: &str, _: &mut Vec<RouteEntry>) -> Verdict {
        self.note("route")
    }
}

#[test]
fn no_request_meets_two_chains() {
    let bench = Bench::new();
    let seen = Seen::default();
    Numbered::put(1, &seen, &bench.hooks);
    let registration = two_topics(1);
    for (request, fields, body, last) in [
        (code::REGISTER_BROKER, BROKER_FIELDS, registration.as_bytes(), "registration"),
        (code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"", "route"),
        (code::WIPE_WRITE_PERM_OF_BROKER, &[("brokerName", "a")], b"", "admin"),
    ] {
        assert_eq!(bench.ask(request, fields, body).code, 0, "{request}");
        let met = std::mem::take(&mut *seen.lock());
        let points: Vec<&str> = met.iter().map(|(point, _)| *point).collect();
        assert_eq!(points, ["authenticate", "authorize", last]);
        assert!(met.iter().all(|(_, number)| *number == met[0].1), "{met:?}");
    }
    bench.hooks.swap(HookChain::new(&[]));
}
