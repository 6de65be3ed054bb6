//! Requests of guests to addresses that the operator lists.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_package::{Asks, Capability};

use super::publish::asked;
use super::under_way::UnderWay;
use crate::contract::imported::http as wit;
use crate::http::{Address, Client, Failure, Header, Outgoing};
use crate::state::State;

/// Where a plugin may send requests, and how.
pub(crate) struct Http {
    granted: Vec<Address>,
    /// What the manifest asks for; `None` where that is whatever is granted.
    asked: Option<Vec<Address>>,
    client: Arc<Client>,
    under_way: UnderWay,
}

impl Http {
    pub(crate) fn new(granted: &[String], asks: Option<&Asks>, client: Arc<Client>) -> Self {
        let addresses =
            |texts: &[String]| texts.iter().filter_map(|text| Address::parse(text)).collect();
        Self {
            granted: addresses(granted),
            asked: asked(asks, Capability::Http).map(|texts| addresses(&texts)),
            client,
            under_way: UnderWay::default(),
        }
    }

    fn covers(&self, address: &Address) -> bool {
        let listed = |list: &[Address]| list.iter().any(|one| one.covers(address));
        listed(&self.granted) && self.asked.as_deref().is_none_or(listed)
    }

    fn send(&self, request: wit::Request, left: Duration) -> Result<wit::Response, Failure> {
        let address = Address::parse(&request.url).ok_or(Failure::NotGranted)?;
        if !self.covers(&address) {
            return Err(Failure::NotGranted);
        }
        let _place = self.under_way.enter().ok_or(Failure::OverLimit)?;
        let own = |header: wit::Header| -> Header { (header.name, header.value) };
        let outgoing = Outgoing {
            method: request.method,
            address,
            headers: request.headers.into_iter().map(own).collect(),
            body: request.body,
        };
        let timeout = left.min(Duration::from_millis(request.timeout_ms.into()));
        let answer = self.client.send(outgoing, timeout)?;
        let told = |(name, value): Header| wit::Header { name, value };
        Ok(wit::Response {
            status: answer.status,
            headers: answer.headers.into_iter().map(told).collect(),
            body: answer.body,
        })
    }
}

impl wit::Host for State {
    fn send(&mut self, request: wit::Request) -> Result<wit::Response, wit::Failure> {
        let Some(http) = &self.shared.http else { return Err(wit::Failure::NotGranted) };
        http.send(request, self.left()).map_err(|failure| match failure {
            Failure::NotGranted => wit::Failure::NotGranted,
            Failure::OverLimit => wit::Failure::OverLimit,
            Failure::TimedOut => wit::Failure::TimedOut,
            Failure::Network(words) => wit::Failure::Network(words),
        })
    }
}
