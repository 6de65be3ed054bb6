//! What a request goes to. An address is taken apart here and nowhere else: what is compared with
//! the operator's list is what the connection is made to and what the request line says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an address.
const LEN_MAX: usize = 4 << 10;

/// Where a connection is made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name, in lower case.
    Name(String),
    /// An internet address. A mapped one is the one that it stands for.
    Ip(IpAddr),
}

/// An address without anything that two readers could take for different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Begins with `/`.
    path: String,
    /// What follows the `?`.
    query: Option<String>,
}

impl Address {
    /// Takes `text` apart; `None` if it is no address, or one that could be read in two ways: with
    /// a user, a fragment, `.` or `..`, empty segments, escapes of what separates, an unusual
    /// spelling of a number, a name that ends with a dot.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > LEN_MAX || !text.is_ascii() {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        let (host, port) = authority_of(authority)?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        if !is_path(path) || !query.is_none_or(is_query) {
            return None;
        }
        let (path, query) = (path.to_owned(), query.map(str::to_owned));
        Some(Self { tls, host, port, path, query })
    }

    /// Whether `self`, as an operator or a manifest lists it, includes `other`: itself, and all
    /// that is below it if it ends with `/`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let place = |address: &Self| (address.tls, address.host.clone(), address.port);
        let below = self.path.ends_with('/') && other.path.starts_with(&self.path);
        place(self) == place(other) && (below || self.path == other.path)
    }

    /// The host and, where it is not the usual one, the port: the header `host`.
    pub(crate) fn authority(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Ip(IpAddr::V4(ip)) => ip.to_string(),
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        };
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// The path and the query, as in the request line.
    pub(crate) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

fn authority_of(text: &str) -> Option<(Host, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        let ip: Ipv6Addr = ip.parse().ok()?;
        (Host::Ip(IpAddr::V6(ip).to_canonical()), port)
    } else {
        let (name, port) = text.split_at_checked(text.find(':').unwrap_or(text.len()))?;
        (host_of(name)?, port)
    };
    if port.is_empty() {
        return Some((host, None));
    }
    let digits = port.strip_prefix(':')?;
    let plain = (1..=5).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0');
    plain.then(|| digits.parse().ok().map(|port| (host, Some(port))))?
}

fn host_of(name: &str) -> Option<Host> {
    let name = name.to_ascii_lowercase();
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return None;
    }
    // Resolvers take `127.1`, `0x7f000001` and `2130706433` for internet addresses.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        return name.parse::<Ipv4Addr>().ok().map(|ip| Host::Ip(ip.into()));
    }
    Some(Host::Name(name))
}

fn is_path(path: &str) -> bool {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    // Some servers cut off what follows a `;` before they look for dots.
    let is_segment = |segment: &str| {
        let name = segment.split(';').next().unwrap_or_default();
        !name.is_empty() && name != "." && name != ".."
    };
    let separates = |byte: u8| matches!(byte, b'/' | b'\\' | b'.' | b';' | b'%' | b'?' | b'#');
    (path == "/" || inner.split('/').all(is_segment))
        && is_text(path, |byte| byte >= b' ' && byte != 0x7f && !separates(byte))
}

fn is_query(query: &str) -> bool {
    is_text(query, |_| true)
}

/// Whether there is nothing in `text` but what an address may have as it is, and escapes of bytes
/// that `may_be_escaped`.
fn is_text(text: &str, may_be_escaped: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let legal = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                match (digit(), digit()) {
                    (Some(high), Some(low)) => {
                        u8::try_from(16 * high + low).is_ok_and(&may_be_escaped)
                    }
                    _ => false,
                }
            }
            b'?' | b'/' => true,
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte),
        };
        if !legal {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(grant: &str, url: &str) -> bool {
        let grant = Address::parse(grant).unwrap();
        Address::parse(url).is_some_and(|url| grant.covers(&url))
    }

    #[test]
    fn a_grant_covers_what_is_below_it() {
        for url in [
            "https://audit.example/v1/",
            "https://audit.example/v1/events?day=1&x=%2f..",
            "https://audit.example:443/v1/events",
            "HTTPS://Audit.EXAMPLE/v1/events",
            "https://audit.example/v1/a%20b/c",
            "https://audit.example/v1/...",
            "https://audit.example/v1/a..b",
        ] {
            assert!(covers("https://audit.example/v1/", url), "{url}");
        }
        assert!(covers("http://127.0.0.1:8080/", "http://127.0.0.1:8080"));
        assert!(covers("http://[::1]:80/", "http://[0:0:0:0:0:0:0:1]/x"));
        assert!(covers("http://127.0.0.1/", "http://[::ffff:127.0.0.1]/x"));
        assert!(covers("https://audit.example/hook", "https://audit.example/hook?a"));
    }

    #[test]
    fn nothing_gets_past_a_grant() {
        for url in [
            // another place
            "http://audit.example/v1/x",
            "https://audit.example:8443/v1/x",
            "https://audit.example.evil.example/v1/x",
            "https://evil.example/https://audit.example/v1/x",
            "https://audit.example./v1/x",
            "ftp://audit.example/v1/x",
            "//audit.example/v1/x",
            "audit.example/v1/x",
            // another path
            "https://audit.example/",
            "https://audit.example",
            "https://audit.example/v1",
            "https://audit.example/v10/x",
            "https://audit.example/V1/x",
            "https://audit.example?/v1/",
            // users
            "https://audit.example@evil.example/v1/x",
            "https://user@audit.example/v1/x",
            "https://user:secret@audit.example/v1/x",
            "https://evil.example\\@audit.example/v1/x",
            "https://audit.example\\@evil.example/v1/x",
            "https://audit.example:443@evil.example/v1/x",
            "https://audit.example#@evil.example/v1/x",
            "https://audit.example%40evil.example/v1/x",
            // up and out
            "https://audit.example/v1/../secret",
            "https://audit.example/v1/..",
            "https://audit.example/v1/./x",
            "https://audit.example/v1/%2e%2e/secret",
            "https://audit.example/v1/.%2E/secret",
            "https://audit.example/v1/..%2fsecret",
            "https://audit.example/v1/..%5csecret",
            "https://audit.example/v1/..\\secret",
            "https://audit.example/v1/..;/secret",
            "https://audit.example/v1/..;a=b/secret",
            "https://audit.example/v1/;/secret",
            "https://audit.example/v1/%252e%252e/secret",
            "https://audit.example/v1/..%00/secret",
            "https://audit.example/v1/..%3b/secret",
            "https://audit.example/v1//secret",
            "https://audit.example//v1/x",
            "https://audit.example/%76%31/x",
            // another request in it
            "https://audit.example/v1/x HTTP/1.1\r\nhost: evil.example",
            "https://audit.example/v1/x%0d%0ahost:evil",
            "https://audit.example/v1/x\ty",
            "https://audit.example/v1/x#y",
            "https://audit.example/v1/\u{ff0e}\u{ff0e}/x",
            "https://audit.example/v1/%",
            "https://audit.example/v1/%2",
            "https://audit.example/v1/%zz",
            "https://audit.example/v1/x?\u{0}",
            " https://audit.example/v1/x",
            "https://audit.example /v1/x",
            // ports
            "https://audit.example:/v1/x",
            "https://audit.example:+443/v1/x",
            "https://audit.example:0443/v1/x",
            "https://audit.example:65979/v1/x",
            "https://audit.example:443:443/v1/x",
            // names
            "https:///v1/x",
            "https://audit..example/v1/x",
            "https://\u{430}udit.example/v1/x",
            "https://[audit.example]/v1/x",
        ] {
            assert!(!covers("https://audit.example/v1/", url), "{url}");
        }
    }

    #[test]
    fn numbers_are_internet_addresses_in_one_spelling() {
        for url in [
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://127.0.0.1.1/",
            "http://[::1%25lo]/",
            "http://[::1/",
            "http://[::1]x/",
            "http://::1/",
        ] {
            assert_eq!(Address::parse(url), None, "{url}");
        }
        assert!(!covers("http://127.0.0.1/", "http://localhost/"));
    }

    #[test]
    fn what_is_sent_is_what_was_compared() {
        let parse = |text| Address::parse(text).unwrap();
        let address = parse("HTTPS://A.Example:443/x?y=/../z");
        assert_eq!(
            (address.authority(), address.target()),
            ("a.example".into(), "/x?y=/../z".into())
        );
        assert_eq!(parse("http://a?b").target(), "/?b");
        assert_eq!(parse("http://[::1]:8080").authority(), "[::1]:8080");
        assert_eq!(parse("http://[::ffff:1.2.3.4]").authority(), "1.2.3.4");
        assert_eq!(Address::parse(&format!("http://a/{}", "x".repeat(LEN_MAX))), None);
    }
}
