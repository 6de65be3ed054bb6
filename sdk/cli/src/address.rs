//! Addresses of brokers and name servers, as the command line names them.

use std::net::{IpAddr, Ipv6Addr};

/// An address as it was given.
pub(crate) fn one(text: &str) -> Result<String, String> {
    check(text)?;
    Ok(text.to_owned())
}

/// Addresses as they were given, with `;` between them; as clients, this takes `,` as well.
pub(crate) fn list(text: &str) -> Result<String, String> {
    let mut all = text.split([';', ',']).map(str::trim).filter(|one| !one.is_empty()).peekable();
    if all.peek().is_none() {
        return Err("it names no server: write HOST:PORT".to_owned());
    }
    all.try_for_each(check)?;
    Ok(text.to_owned())
}

/// A broker's name or address as it was given.
pub(crate) fn broker(text: &str) -> Result<String, String> {
    if text.parse::<IpAddr>().is_ok() || text.contains(':') {
        one(text)
    } else {
        Ok(text.to_owned())
    }
}

fn check(text: &str) -> Result<(), String> {
    if text.contains("://") {
        return Err(format!("{text} is a URL: write HOST:PORT"));
    }
    if text.is_empty() || text.contains('/') {
        return Err(format!("{text:?} is no address: write HOST:PORT"));
    }
    let bare = text.parse::<Ipv6Addr>().is_ok();
    let Some((host, port)) = text.rsplit_once(':').filter(|_| !bare && !text.ends_with(']')) else {
        let host = if bare { format!("[{text}]") } else { text.to_owned() };
        return Err(format!(
            "{text} has no port: write {host}:9876 for a name server, {host}:10911 for a broker, if \
             they listen where they usually do"
        ));
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '[', ']', ' ', '\t']),
    };
    if !is_host {
        return Err(format!("{host:?} is no host: write HOST:PORT, an IPv6 address in brackets"));
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => Err(format!("{port:?} is no port from 1 to 65535: write HOST:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for text in ["127.0.0.1:9876", "localhost:1", "name-server.example:65535", "[::1]:9876"] {
            assert_eq!(one(text).as_deref(), Ok(text));
        }
        for (text, part) in [
            ("127.0.0.1", "127.0.0.1 has no port: write 127.0.0.1:9876 for a name server"),
            ("here", "here has no port"),
            ("::1", "::1 has no port: write [::1]:9876"),
            ("[::1]", "[::1] has no port: write [::1]:9876"),
            ("/nofile", "\"/nofile\" is no address: write HOST:PORT"),
            ("", "\"\" is no address"),
            ("http://a:9876", "is a URL"),
            (":9876", "\"\" is no host"),
            ("a b:1", "\"a b\" is no host"),
            ("[x]:1", "\"[x]\" is no host"),
            ("a:b:1", "brackets"),
            ("a:", "\"\" is no port"),
            ("a:0", "\"0\" is no port from 1 to 65535"),
            ("a:65536", "is no port"),
            ("a:http", "is no port"),
        ] {
            let told = one(text).unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
    }

    #[test]
    fn lists_have_addresses_only() {
        for text in ["a:1", "a:1;b:2", " a:1 ; b:2;", "a:1,b:2"] {
            assert_eq!(list(text).as_deref(), Ok(text));
        }
        assert!(list("a:1;b").unwrap_err().starts_with("b has no port"));
        assert!(list(" ; ").unwrap_err().contains("no server"));
    }

    #[test]
    fn a_broker_has_a_name_or_an_address() {
        assert_eq!(broker("broker-a").as_deref(), Ok("broker-a"));
        assert_eq!(broker("10.0.0.5:10911").as_deref(), Ok("10.0.0.5:10911"));
        assert!(broker("10.0.0.5").unwrap_err().contains("no port"));
        assert!(broker("a:x").unwrap_err().contains("is no port"));
    }
}
