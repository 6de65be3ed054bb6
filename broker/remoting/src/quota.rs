//! Quotas: how much of the broker each user and each address may take in a second, and how much each user at once.
//!
//! Whoever asks is bounded twice, as a user and by the address. A bound is a bucket that holds one second's worth. A send
//! that finds it empty is refused, a pull waits for it. What was handed out is paid afterwards, since only then is it
//! known how much it is: a bucket may owe, and the next pull waits for that as well.

mod config;
mod seat;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_meter::QuotaKind;
use blockhouse_model::{Principal, RequestContext};
use blockhouse_protocol::codes::request_code as code;

use blockhouse_transport::Connection;
pub use config::{Config, Override, Rates, Share};
use seat::Seats;
pub(crate) use seat::{Full, InFlight, Seat};
use table::{Slot, Table};

/// The longest that a pull waits for its quota before the answer is to ask again: well below the time that clients give
/// a pull that may not be held.
const PULL_WAIT_MAX: Duration = Duration::from_secs(5);

/// The quotas of a broker, and what is used of them.
#[derive(Debug)]
pub(crate) struct Quotas {
    user: Share,
    address: Rates,
    /// Of users, by their names.
    overrides: HashMap<String, Share>,
    anonymous: Option<Share>,
    table: Table,
    seats: Arc<Seats>,
    /// Whether there is a bound on what anybody holds: without one nobody has a seat.
    has_seats: bool,
    /// With a key of this process: nobody can choose whose bucket is theirs.
    hasher: RandomState,
}

/// Who pays for a request, as long as it takes: a user, an address, or both.
#[derive(Debug)]
pub(crate) struct Payer {
    quotas: Arc<Quotas>,
    accounts: [Option<Account>; 2],
    /// Counted until this is dropped: until the request is answered.
    _in_flight: Option<InFlight>,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    whose: Whose,
    rates: Rates,
    tag: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    User,
    Address,
}

#[derive(Hash)]
enum Name<'a> {
    Anonymous,
    User(&'a str),
    Address(IpAddr),
}

/// Why a request is not carried out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) kind: QuotaKind,
    whose: Whose,
    wait: Duration,
}

impl Exceeded {
    /// How long a pull is held.
    pub(crate) fn pull_wait(&self) -> Duration {
        self.wait.min(PULL_WAIT_MAX)
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.whose {
            Whose::User => "user",
            Whose::Address => "address",
        };
        let millis = self.wait.as_nanos().div_ceil(1_000_000);
        write!(
            f,
            "the quota of {} of this {whose} is used up: come back in {millis} ms",
            self.kind.name()
        )
    }
}

/// Whether requests of this code are never refused: without them a group would fall apart, and come back with more.
pub(crate) const fn is_free(request: i32) -> bool {
    matches!(
        request,
        code::HEART_BEAT
            | code::UNREGISTER_CLIENT
            | code::UPDATE_CONSUMER_OFFSET
            | code::GET_CONSUMER_LIST_BY_GROUP
            | code::LOCK_BATCH_MQ
            | code::UNLOCK_BATCH_MQ
            | code::CONSUMER_SEND_MSG_BACK
    )
}

impl Quotas {
    /// `None` where they are off.
    pub(crate) fn new(config: &Config) -> Option<Arc<Self>> {
        config.enabled.then(|| {
            let mut named = config.overrides.iter().flat_map(|one| {
                one.principals.iter().map(|principal| (principal.as_str(), one.share()))
            });
            let of_user = |(principal, share): (&str, Share)| {
                principal.strip_prefix("user:").map(|name| (name.to_owned(), share))
            };
            let of_nobody = |(principal, share)| (principal == "anonymous").then_some(share);
            let mut shares = config.overrides.iter().map(Override::share).chain([config.user]);
            Arc::new(Self {
                user: config.user,
                address: config.address,
                overrides: named.clone().filter_map(of_user).collect(),
                anonymous: named.find_map(of_nobody),
                table: Table::default(),
                seats: Arc::default(),
                has_seats: shares.any(|share| !share.numbers().are_none()),
                hasher: RandomState::new(),
            })
        })
    }

    /// Who pays for what this client asks.
    pub(crate) fn payer(self: &Arc<Self>, cx: &RequestContext) -> Payer {
        let share = self.share(&cx.principal);
        let user = share.and_then(|share| match &cx.principal {
            Principal::User(name) => Some((Name::User(name), share.rates())),
            Principal::Anonymous => Some((Name::Anonymous, share.rates())),
            Principal::Plugin(_) => None,
        });
        let address = Some((Name::Address(network(cx.peer.ip())), self.address));
        let account = |whose, named: Option<(Name<'_>, Rates)>| {
            let (name, rates) = named.filter(|(_, rates)| !rates.are_none())?;
            Some(Account { whose, rates, tag: self.hasher.hash_one(name) })
        };
        let accounts = [account(Whose::User, user), account(Whose::Address, address)];
        Payer { quotas: Arc::clone(self), accounts, _in_flight: None }
    }

    /// The bounds of a user; `None` where there are none.
    fn share(&self, principal: &Principal) -> Option<Share> {
        match principal {
            Principal::User(name) => Some(*self.overrides.get(&**name).unwrap_or(&self.user)),
            // Where nobody has a name, nobody is `anonymous` alone: addresses are told apart.
            Principal::Anonymous => self.anonymous,
            Principal::Plugin(_) => None,
        }
    }

    /// The seat of a connection whose user is bounded in what is held at once.
    ///
    /// # Errors
    /// The user has as many connections as there may be.
    pub(crate) fn seat(
        &self,
        connection: &Connection,
        principal: &Principal,
    ) -> Result<Option<Arc<Seat>>, Full> {
        if !self.has_seats {
            return Ok(None);
        }
        let numbers = self.share(principal).map(|share| share.numbers());
        match numbers.filter(|numbers| !numbers.are_none()) {
            Some(numbers) => self.seats.of(connection, principal, numbers).map(Some),
            None => Ok(None),
        }
    }
}

/// Who has one address of IPv6 has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

impl Payer {
    /// The same, with requests that are in flight as long as it is there.
    pub(crate) fn with(self, in_flight: Option<InFlight>) -> Self {
        Self { _in_flight: in_flight, ..self }
    }

    /// Takes this much of every bucket, or nothing.
    pub(crate) fn take(&self, now: Duration, amounts: &[(QuotaKind, u64)]) -> Result<(), Exceeded> {
        self.look(now, amounts)?;
        self.pay(now, amounts);
        Ok(())
    }

    /// Says which bucket does not have this much, the one that takes longest.
    fn look(&self, now: Duration, amounts: &[(QuotaKind, u64)]) -> Result<(), Exceeded> {
        let exceeded = |account: Account, slot: &Slot| {
            let short = amounts.iter().filter_map(move |(kind, amount)| {
                let wait = slot.wait(*kind, account.rates.cost(*kind, *amount)?, now);
                (!wait.is_zero()).then_some(Exceeded { kind: *kind, whose: account.whose, wait })
            });
            short.max_by_key(|exceeded| exceeded.wait)
        };
        let all = self.accounts(now).filter_map(|(account, slot)| exceeded(account, slot));
        all.max_by_key(|exceeded| exceeded.wait).map_or(Ok(()), Err)
    }

    /// Pays for what was given already.
    pub(crate) fn pay(&self, now: Duration, amounts: &[(QuotaKind, u64)]) {
        for (account, slot) in self.accounts(now) {
            for (kind, amount) in amounts {
                if let Some(cost) = account.rates.cost(*kind, *amount) {
                    slot.pay(*kind, cost, now);
                }
            }
        }
    }

    fn accounts(&self, now: Duration) -> impl Iterator<Item = (Account, &Slot)> {
        let accounts = self.accounts.iter().flatten();
        accounts.map(move |account| (*account, self.quotas.table.slot(account.tag, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[(QuotaKind, u64)] = &[(QuotaKind::Requests, 1)];

    fn quotas(text: &str) -> Arc<Quotas> {
        Quotas::new(&serde_json::from_str(text).unwrap()).unwrap()
    }

    fn client(user: &str, ip: &str) -> RequestContext {
        let mut cx = RequestContext::new(format!("{ip}:1").parse().unwrap(), 1, 310);
        if !user.is_empty() {
            cx.principal = Principal::User(user.into());
        }
        cx
    }

    /// How many requests of a client pass at this moment.
    fn passes(quotas: &Arc<Quotas>, cx: &RequestContext, now: Duration) -> usize {
        (0..1_000).take_while(|_| quotas.payer(cx).take(now, REQUEST).is_ok()).count()
    }

    const START: Duration = Duration::from_secs(1_000);

    #[test]
    fn each_has_a_seconds_worth_and_then_as_much_as_comes_back() {
        let quotas = quotas(r#"{"enabled":true,"user":{"requests":10}}"#);
        let (alice, bob) = (client("alice", "10.0.0.1"), client("bob", "10.0.0.1"));
        assert_eq!(passes(&quotas, &alice, START), 10);
        let refused = quotas.payer(&alice).take(START, REQUEST).unwrap_err();
        let told = "the quota of requests of this user is used up: come back in 100 ms";
        assert_eq!(refused.to_string(), told);
        assert_eq!(passes(&quotas, &bob, START), 10, "another's is another's");
        assert_eq!(passes(&quotas, &alice, START + Duration::from_millis(99)), 0);
        assert_eq!(passes(&quotas, &alice, START + Duration::from_millis(300)), 3);
        assert_eq!(passes(&quotas, &alice, START + Duration::from_secs(60)), 10, "no more is kept");
        // Nobody has the name, so only the address could be bounded, and is not.
        assert_eq!(passes(&quotas, &client("", "10.0.0.1"), START), 1_000);
    }

    #[test]
    fn an_address_is_bounded_whoever_is_there_and_some_have_bounds_of_their_own() {
        let quotas = quotas(
            r#"{"enabled":true,"user":{"requests":20},"address":{"requests":30},
                "override":[{"principals":["user:batch","anonymous"],"requests":5},
                            {"principals":["user:free"]}]}"#,
        );
        assert_eq!(passes(&quotas, &client("batch", "10.0.0.1"), START), 5);
        assert_eq!(passes(&quotas, &client("", "10.0.0.1"), START), 5);
        assert_eq!(passes(&quotas, &client("", "10.0.0.2"), START), 0, "nobody is one");
        assert_eq!(passes(&quotas, &client("alice", "10.0.0.1"), START), 20);
        // The address has paid for all of them.
        assert_eq!(passes(&quotas, &client("bob", "10.0.0.1"), START), 0);
        let refused = quotas.payer(&client("free", "10.0.0.1")).take(START, REQUEST).unwrap_err();
        assert!(refused.to_string().contains("this address"), "{refused}");
        assert_eq!(passes(&quotas, &client("free", "10.0.0.3"), START), 30);
        // What was refused is paid by nobody.
        assert_eq!(passes(&quotas, &client("bob", "10.0.0.4"), START), 20);
        let ipv6 = [client("c", "[2001:db8::1]"), client("d", "[2001:db8::2:1]")];
        assert_eq!(passes(&quotas, &ipv6[0], START) + passes(&quotas, &ipv6[1], START), 30);
    }

    #[test]
    fn what_is_larger_than_a_second_passes_and_is_paid_later() {
        let quotas = quotas(r#"{"enabled":true,"user":{"produce_bytes":1000}}"#);
        let payer = quotas.payer(&client("alice", "10.0.0.1"));
        let large = [(QuotaKind::ProduceBytes, 3_000)];
        assert_eq!(payer.take(START, &large), Ok(()));
        let byte = [(QuotaKind::ProduceBytes, 1)];
        let wait = payer.take(START, &byte).unwrap_err().wait;
        assert_eq!(wait, Duration::from_millis(2_001));
        assert!(payer.take(START + wait - Duration::from_millis(1), &byte).is_err());
        assert_eq!(payer.take(START + wait, &byte), Ok(()));
    }

    #[test]
    fn threads_take_no_more_than_there_is_by_much() {
        let quotas = quotas(r#"{"enabled":true,"user":{"requests":500}}"#);
        let taken: usize = std::thread::scope(|scope| {
            let each = |_| scope.spawn(|| passes(&quotas, &client("alice", "10.0.0.1"), START));
            let threads: Vec<_> = (0..4).map(each).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // Whoever looked before another one paid may have passed as well, once each.
        assert!((500..=503).contains(&taken), "{taken}");
        assert_eq!(passes(&quotas, &client("alice", "10.0.0.1"), START), 0);
    }
}
