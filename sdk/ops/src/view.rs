//! Ways of showing metrics.

use std::io::Write as _;

use blockhouse_model::Access;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::routes::with_type;

/// Longest header of a kind that is looked at. Nobody means a longer one: it counts as none.
const HEADER_MAX: usize = 2_048;
/// Below this, packing saves nothing.
const PACK_MIN: usize = 1_024;

/// A way of showing metrics, at a path of its own.
pub struct View {
    /// The path.
    pub path: &'static str,
    /// What the caller must be allowed to do. The hooks decide.
    pub access: Access<'static>,
    /// Makes the page of what the caller's `Accept` says. It may wait for the disk.
    pub show: Show,
}

/// Makes a page, or says why it cannot be made.
pub type Show = Box<dyn Fn(&str) -> Result<Page, String> + Send + Sync>;

/// Metrics at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The format.
    pub content_type: &'static str,
    /// All of them.
    pub body: Vec<u8>,
}

/// What a scraper says it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Formats.
    pub(crate) accept: String,
    /// Whether pages may be packed by gzip.
    gzip: bool,
}

impl Wanted {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let gzip = takes_gzip(&all(headers, header::ACCEPT_ENCODING));
        Self { accept: all(headers, header::ACCEPT), gzip }
    }

    /// A page, packed where that is wanted and saves something. Takes its time for large ones.
    pub(crate) fn packed(&self, content_type: &'static str, page: Vec<u8>) -> Response<Bytes> {
        let packed = (self.gzip && page.len() >= PACK_MIN).then(|| gzip(&page)).flatten();
        let is_packed = packed.is_some();
        let body = packed.unwrap_or(page).into();
        let mut response = with_type(StatusCode::OK, content_type, body);
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        if is_packed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// All lines of a header as one.
fn all(headers: &HeaderMap, name: HeaderName) -> String {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let mut all = lines.collect::<Vec<_>>().join(",");
    if all.len() > HEADER_MAX {
        all.clear();
    }
    all
}

fn takes_gzip(accept: &str) -> bool {
    accept.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_nothing = |quality: &str| quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0);
        is_gzip && !parts.any(|part| part.strip_prefix("q=").is_some_and(is_nothing))
    })
}

/// The fastest way: names repeat so much that a tenth is left all the same.
fn gzip(page: &[u8]) -> Option<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::with_capacity(page.len() / 8), Compression::fast());
    packed.write_all(page).and_then(|()| packed.finish()).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn gzip_is_taken_by_whoever_says_so() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "GZIP ; q=1", "br,gzip;q=x"] {
            assert!(takes_gzip(yes), "{yes}");
        }
        for no in ["", "identity", "*", "gzip;q=0", "gzip; q=0.0", "x-gzip2"] {
            assert!(!takes_gzip(no), "{no}");
        }
    }

    #[test]
    fn large_pages_are_packed_and_small_ones_are_not() {
        let wanted = Wanted { gzip: true, ..Wanted::default() };
        let text = "rocketmq_messages_in_total{topic=\"orders\"} 1\n".repeat(1_000);
        let response = wanted.packed("text/plain", text.clone().into_bytes());
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(response.body().len() < text.len() / 10, "{}", response.body().len());
        let mut unpacked = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&**response.body());
        assert_eq!(decoder.read_to_string(&mut unpacked).unwrap(), text.len());
        assert_eq!(unpacked, text);
        let small = wanted.packed("text/plain", b"a 1\n".to_vec());
        assert!(!small.headers().contains_key(header::CONTENT_ENCODING));
        let plain = Wanted::default().packed("text/plain", text.clone().into_bytes());
        assert_eq!(plain.body(), text.as_bytes());
        assert_eq!(plain.headers()[header::VARY], "accept, accept-encoding");
    }

    #[test]
    fn lines_of_a_header_are_one_and_bounded() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, HeaderValue::from_static("a/b"));
        headers.append(header::ACCEPT, HeaderValue::from_static("c/d"));
        assert_eq!(Wanted::of(&headers).accept, "a/b,c/d");
        headers.append(header::ACCEPT, HeaderValue::from_str(&"x".repeat(HEADER_MAX)).unwrap());
        assert_eq!(Wanted::of(&headers).accept, "");
    }
}
