//! The two ids of a message: where it is stored, and what its producer called it.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::PhysicalOffset;

/// Where a message is stored: the broker's address and the record's place in its log.
///
/// As text (RocketMQ's *offset message id*): upper-case hex of ip (4 or 16 bytes), port (i32) and
/// offset (i64), so 32 or 56 characters. Clients derive the broker's address from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// The broker that holds the message (RocketMQ: storeHost).
    pub host: SocketAddr,
    /// The record's place.
    pub offset: PhysicalOffset,
}

impl MessageId {
    /// The longest text form.
    pub const TEXT_LEN_MAX: usize = 56;

    /// Appends the text form.
    pub fn write_to(&self, out: &mut String) {
        match self.host.ip() {
            IpAddr::V4(ip) => push_hex(out, &ip.octets()),
            IpAddr::V6(ip) => push_hex(out, &ip.octets()),
        }
        push_hex(out, &u32::from(self.host.port()).to_be_bytes());
        push_hex(out, &self.offset.0.to_be_bytes());
    }

    /// Reads the text form; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = from_hex(text)?;
        let (ip, rest) = match bytes.len() {
            16 => {
                let (ip, rest) = bytes.split_first_chunk::<4>()?;
                (IpAddr::from(*ip), rest)
            }
            28 => {
                let (ip, rest) = bytes.split_first_chunk::<16>()?;
                (IpAddr::from(*ip), rest)
            }
            _ => return None,
        };
        let (port, offset) = rest.split_first_chunk::<4>()?;
        let port = u16::try_from(u32::from_be_bytes(*port)).ok()?;
        let offset = PhysicalOffset(u64::from_be_bytes(offset.try_into().ok()?));
        Some(Self { host: SocketAddr::new(ip, port), offset })
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::with_capacity(Self::TEXT_LEN_MAX);
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

/// Appends upper-case hex.
pub fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for b in bytes {
        out.push(char::from(DIGITS[usize::from(b >> 4)]));
        out.push(char::from(DIGITS[usize::from(b & 15)]));
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() > MessageId::TEXT_LEN_MAX || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.as_bytes().chunks_exact(2).map(|p| Some(digit(p[0])? << 4 | digit(p[1])?)).collect()
}

/// Makes a unique key for a message that came without one, in RocketMQ's shape: 32 hex digits of
/// ip, process id, a zero class-loader hash, milliseconds of the month, and a counter.
#[must_use]
pub fn unique_key(ip: [u8; 4], pid: u16, ms_of_month: u32, counter: u16) -> String {
    let mut key = String::with_capacity(32);
    push_hex(&mut key, &ip);
    let _infallible = write!(key, "{pid:04X}{:08X}{ms_of_month:08X}{counter:04X}", 0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_keep_their_value_as_text() {
        for host in ["127.0.0.1:10911", "[::1]:10911"] {
            let id = MessageId { host: host.parse().unwrap(), offset: PhysicalOffset(0x1234) };
            assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        }
        let v4 = MessageId { host: "127.0.0.1:10911".parse().unwrap(), offset: PhysicalOffset(7) };
        assert_eq!(v4.to_string(), "7F00000100002A9F0000000000000007");
        assert_eq!(MessageId::parse("7F0000010000"), None);
        assert_eq!(MessageId::parse("ZZ00000100002A9F0000000000000007"), None);
    }
}
