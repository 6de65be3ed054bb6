//! Which requests and answers are let through.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request};

use super::{Address, BYTES_MAX, Failure};

/// Headers of one request.
const HEADERS_MAX: usize = 64;
/// Headers that say how a request is sent and to whom: they are the host's.
const OWN: [HeaderName; 12] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A header's name and value.
pub(crate) type Header = (String, Vec<u8>);

/// What a plugin wants sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: String,
    pub(crate) address: Address,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

impl Outgoing {
    /// The request as it is sent.
    pub(super) fn request(self) -> Result<Request<Full<Bytes>>, Failure> {
        let of_headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        if self.headers.len() > HEADERS_MAX || of_headers + self.body.len() > BYTES_MAX {
            return Err(Failure::OverLimit);
        }
        let wrong = |what: &str| Failure::Network(format!("the request is not legal: {what}"));
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| wrong("its method"))?;
        if method == Method::CONNECT || method == Method::TRACE {
            return Err(wrong("its method"));
        }
        let mut request = Request::new(Full::new(Bytes::from(self.body)));
        *request.method_mut() = method;
        *request.uri_mut() = self.address.target().parse().map_err(|_| wrong("its address"))?;
        let headers = request.headers_mut();
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("a header"))?;
            if OWN.contains(&name) {
                return Err(wrong(&format!("the header {name} is the host's to set")));
            }
            let value = HeaderValue::from_bytes(&value).map_err(|_| wrong("a header"))?;
            headers.append(name, value);
        }
        let host = self.address.authority().parse().map_err(|_| wrong("its address"))?;
        headers.insert(header::HOST, host);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(method: &str, headers: &[(&str, &[u8])], body: usize) -> Outgoing {
        let own = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec());
        Outgoing {
            method: method.to_owned(),
            address: Address::parse("https://a.example:444/x?y").unwrap(),
            headers: headers.iter().map(own).collect(),
            body: vec![0; body],
        }
    }

    #[test]
    fn the_host_says_where_a_request_goes_and_where_it_ends() {
        let request = outgoing("POST", &[("X-A", b"1"), ("x-a", b"2")], 3).request().unwrap();
        assert_eq!((request.method().as_str(), &*request.uri().to_string()), ("POST", "/x?y"));
        assert_eq!(request.headers()["host"], "a.example:444");
        assert_eq!(request.headers().get_all("x-a").iter().count(), 2);
        for name in ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "te", "upgrade"] {
            let refused = outgoing("GET", &[(name, b"x")], 0).request().unwrap_err();
            assert!(matches!(refused, Failure::Network(_)), "{name}");
        }
    }

    #[test]
    fn no_second_request_hides_in_one() {
        for (method, name, value) in [
            ("GET", "a\r\nhost", &b"x"[..]),
            ("GET", "a:b", b"x"),
            ("GET", "", b"x"),
            ("GET", "a", b"x\r\nhost: evil"),
            ("GET", "a", b"x\n"),
            ("GET", "a", b"\0"),
            ("GET / HTTP/1.1\r\n", "a", b"x"),
            ("", "a", b"x"),
            ("CONNECT", "a", b"x"),
            ("TRACE", "a", b"x"),
        ] {
            let refused = outgoing(method, &[(name, value)], 0).request();
            assert!(matches!(refused, Err(Failure::Network(_))), "{method:?} {name:?} {value:?}");
        }
    }

    #[test]
    fn requests_are_bounded() {
        assert!(outgoing("PUT", &[], BYTES_MAX).request().is_ok());
        let refused = |headers: usize, body| {
            outgoing("PUT", &vec![("a", &b"b"[..]); headers], body).request().unwrap_err()
        };
        assert_eq!(refused(0, BYTES_MAX + 1), Failure::OverLimit);
        assert_eq!(refused(1, BYTES_MAX), Failure::OverLimit);
        assert_eq!(refused(HEADERS_MAX + 1, 0), Failure::OverLimit);
    }
}
