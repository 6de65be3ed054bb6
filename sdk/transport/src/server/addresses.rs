//! How many connections each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts open connections by the address that they come from.
#[derive(Debug)]
pub(super) struct Addresses {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, open: Mutex::default() })
    }

    /// One more connection of `address`; `None` if it has too many.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut open = self.open.lock();
        let count = open.entry(address).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { addresses: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_is_forgotten_with_the_last() {
        let addresses = Addresses::new(2);
        let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let first = addresses.enter(a).unwrap();
        let second = addresses.enter("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(addresses.enter(a).is_none() && addresses.enter(b).is_some());
        drop(first);
        drop(addresses.enter(a).unwrap());
        drop(second);
        assert!(addresses.open.lock().is_empty());
    }
}
