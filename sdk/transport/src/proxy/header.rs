//! A header of the PROXY protocol, version 1 or 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header that is read: fields behind the addresses are passed over, and bounded by this.
pub const HEADER_MAX: usize = 2 * 1024;
/// Longest line of version 1, with its end.
const LINE_MAX: usize = 107;
/// How version 2 begins.
const MAGIC: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// How version 1 begins.
const WORD: &[u8] = b"PROXY ";
/// Magic, version and command, family and transport, length.
const FIXED: usize = 16;

/// What the bytes received so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, all of them.
    Incomplete,
    /// A header.
    Complete {
        /// Its bytes.
        len: usize,
        /// The client; `None` if the balancer speaks for itself or does not know.
        source: Option<SocketAddr>,
    },
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// They begin with neither version's first bytes.
    #[error("no header of the PROXY protocol")]
    NoHeader,
    /// A line that ends too late, or not as it should.
    #[error("a line of the PROXY protocol that is too long or has no end")]
    Line,
    /// Words that are none of the protocol's.
    #[error("a line of the PROXY protocol that says nothing")]
    Words,
    /// A version or command that does not exist.
    #[error("an unknown version or command of the PROXY protocol")]
    Command,
    /// A family that is not TCP over IP.
    #[error("a client that is not connected by TCP")]
    Family,
    /// The length does not fit what it should hold, or is too large.
    #[error("a header of the PROXY protocol of a wrong length")]
    Length,
}

/// Reads what `bytes` begin with.
///
/// # Errors
/// They are no header, whatever would follow.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Bad> {
    let begins = |whole: &[u8]| {
        let len = whole.len().min(bytes.len());
        bytes[..len] == whole[..len]
    };
    if begins(MAGIC) {
        binary(bytes)
    } else if begins(WORD) {
        line(bytes)
    } else {
        Err(Bad::NoHeader)
    }
}

fn line(bytes: &[u8]) -> Result<Parsed, Bad> {
    let seen = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        return if seen.len() < LINE_MAX { Ok(Parsed::Incomplete) } else { Err(Bad::Line) };
    };
    let line = seen[..end].strip_suffix(b"\r").ok_or(Bad::Line)?;
    let text = line.strip_prefix(WORD).and_then(|rest| str::from_utf8(rest).ok());
    let source = words(text.ok_or(Bad::Words)?)?;
    Ok(Parsed::Complete { len: end + 1, source })
}

/// What stands behind the first word: the family, then both addresses, then both ports.
fn words(text: &str) -> Result<Option<SocketAddr>, Bad> {
    let mut words = text.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let mut address = || {
        let word = words.next().ok_or(Bad::Words)?;
        let parsed = match family {
            "TCP4" => word.parse::<Ipv4Addr>().map(IpAddr::from).ok(),
            "TCP6" => word.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
            _ => None,
        };
        parsed.ok_or(Bad::Words)
    };
    let (source, _destination) = (address()?, address()?);
    let mut port = || port(words.next().ok_or(Bad::Words)?);
    let (source_port, _destination_port) = (port()?, port()?);
    if words.next().is_some() {
        return Err(Bad::Words);
    }
    Ok(Some(SocketAddr::new(source, source_port)))
}

/// Digits only, and none too many: `parse` alone would take a sign.
fn port(word: &str) -> Result<u16, Bad> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (word == "0" || !word.starts_with('0'));
    plain.then(|| word.parse().ok()).flatten().ok_or(Bad::Words)
}

fn binary(bytes: &[u8]) -> Result<Parsed, Bad> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Parsed::Incomplete);
    };
    let [.., command, family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + len > HEADER_MAX {
        return Err(Bad::Length);
    }
    let speaks_for_itself = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Bad::Command),
    };
    let addresses = match family {
        // Not said, or a socket of the balancer's own machine.
        0x00 | 0x31 | 0x32 => 0,
        0x11 => 12,
        0x21 => 36,
        _ if speaks_for_itself => 0,
        _ => return Err(Bad::Family),
    };
    if !speaks_for_itself && len < addresses {
        return Err(Bad::Length);
    }
    let Some(fields) = rest.get(..len) else { return Ok(Parsed::Incomplete) };
    let source = if speaks_for_itself {
        None
    } else {
        match family {
            0x11 => source::<4, 4>(fields),
            0x21 => source::<16, 16>(fields),
            _ => None,
        }
    };
    Ok(Parsed::Complete { len: FIXED + len, source })
}

/// Address and port of the source: addresses of source and destination, then their ports.
fn source<const N: usize, const M: usize>(fields: &[u8]) -> Option<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = fields.split_first_chunk::<N>()?;
    let (_destination, rest) = rest.split_first_chunk::<M>()?;
    let (port, _) = rest.split_first_chunk::<2>()?;
    Some(SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete(len: usize, source: &str) -> Result<Parsed, Bad> {
        Ok(Parsed::Complete { len, source: Some(source.parse().unwrap()) })
    }

    fn v2(command: u8, family: u8, fields: &[u8]) -> Vec<u8> {
        let len = u16::try_from(fields.len()).unwrap().to_be_bytes();
        [MAGIC, &[command, family], &len, fields].concat()
    }

    #[test]
    fn lines_of_version_1() {
        let good = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n\x16\x03\x01";
        assert_eq!(parse(good), complete(good.len() - 3, "192.0.2.7:56324"));
        let six = b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n";
        assert_eq!(parse(six), complete(six.len(), "[2001:db8::7]:1"));
        let unknown = b"PROXY UNKNOWN ffff::1 whatever\r\n";
        assert_eq!(parse(unknown), Ok(Parsed::Complete { len: unknown.len(), source: None }));
        for bad in [
            "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 \r\n",
            "PROXY TCP4  192.0.2.7 10.0.0.1 56324 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 +5 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 05 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
            "PROXY TCP4 192.0.2.07 10.0.0.1 1 443\r\n",
            "PROXY TCP4 ::1 ::1 1 443\r\n",
            "PROXY TCP6 192.0.2.7 10.0.0.1 1 443\r\n",
            "PROXY UDP4 192.0.2.7 10.0.0.1 1 443\r\n",
            "PROXY \r\n",
            "PROXY UNKNOWNS\r\n",
            "proxy TCP4 192.0.2.7 10.0.0.1 1 443\r\n",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let endless = [WORD, &[b' '; LINE_MAX]].concat();
        assert_eq!(parse(&endless), Err(Bad::Line));
    }

    #[test]
    fn headers_of_version_2() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 0x04, 1, 0xbb];
        let header = v2(0x21, 0x11, &four);
        let with_more = [&header[..], b"\x16\x03"].concat();
        assert_eq!(parse(&with_more), complete(header.len(), "192.0.2.7:56324"));
        let with_fields = v2(0x21, 0x11, &[&four[..], &[4, 0, 1, 0]].concat());
        assert_eq!(parse(&with_fields), complete(with_fields.len(), "192.0.2.7:56324"));
        let mut six = [0; 36];
        (six[15], six[33]) = (1, 9);
        assert_eq!(parse(&v2(0x21, 0x21, &six)), complete(52, "[::1]:9"));
        let own = Ok(Parsed::Complete { len: 16, source: None });
        assert_eq!(parse(&v2(0x20, 0, &[])), own);
        assert_eq!(parse(&v2(0x21, 0, &[])), own);
        for (bad, why) in [
            (v2(0x21, 0x11, &four[..11]), Bad::Length),
            (v2(0x21, 0x21, &six[..35]), Bad::Length),
            (v2(0x21, 0x12, &four), Bad::Family),
            (v2(0x21, 0x41, &four), Bad::Family),
            (v2(0x22, 0x11, &four), Bad::Command),
            (v2(0x11, 0x11, &four), Bad::Command),
            (v2(0x21, 0x11, &[0; HEADER_MAX]), Bad::Length),
        ] {
            assert_eq!(parse(&bad), Err(why), "{bad:?}");
        }
        assert_eq!(parse(b"\0\0\0\x40{"), Err(Bad::NoHeader));
    }

    fn header() -> impl Strategy<Value = (Vec<u8>, Option<SocketAddr>)> {
        let address = prop_oneof![
            any::<Ipv4Addr>().prop_map(IpAddr::V4),
            any::<Ipv6Addr>().prop_map(IpAddr::V6)
        ];
        let fields = proptest::collection::vec(any::<u8>(), 0..64);
        (address, any::<u16>(), any::<bool>(), fields).prop_map(|(ip, port, is_line, fields)| {
            let source = Some(SocketAddr::new(ip, port));
            let bytes = match (is_line, ip) {
                (true, IpAddr::V4(ip)) => format!("PROXY TCP4 {ip} 1.2.3.4 {port} 9\r\n").into(),
                (true, IpAddr::V6(ip)) => format!("PROXY TCP6 {ip} ::1 {port} 9\r\n").into(),
                (false, IpAddr::V4(ip)) => {
                    let at = [&ip.octets()[..], &[9; 4], &port.to_be_bytes(), &[0; 2], &fields];
                    v2(0x21, 0x11, &at.concat())
                }
                (false, IpAddr::V6(ip)) => {
                    let at = [&ip.octets()[..], &[9; 16], &port.to_be_bytes(), &[0; 2], &fields];
                    v2(0x21, 0x21, &at.concat())
                }
            };
            (bytes, source)
        })
    }

    proptest! {
        #[test]
        fn a_header_is_read_whatever_follows_and_every_part_of_it_is_incomplete(
            (bytes, source) in header(),
            more in proptest::collection::vec(any::<u8>(), 0..32),
        ) {
            let len = bytes.len();
            prop_assert_eq!(parse(&[&bytes[..], &more].concat()), Ok(Parsed::Complete { len, source }));
            for cut in 0..len {
                prop_assert_eq!(parse(&bytes[..cut]), Ok(Parsed::Incomplete));
            }
        }

        #[test]
        fn any_bytes_end_in_a_decision_that_more_bytes_do_not_change(
            (good, _) in header(),
            at in 0..200_usize,
            wrong in any::<u8>(),
            noise in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = [&good[..], &noise].concat();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = wrong;
            }
            let mut decided = None;
            for end in 0..=bytes.len() {
                let parsed = parse(&bytes[..end]);
                match decided {
                    Some(decision) => prop_assert_eq!(parsed, decision),
                    None if parsed != Ok(Parsed::Incomplete) => decided = Some(parsed),
                    None => {}
                }
            }
        }
    }
}
