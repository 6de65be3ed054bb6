//! HTTP's Basic: the name and the password in a request's header.

use base64ct::{Base64, Encoding as _};
use hyper::http::{HeaderMap, header};
use zeroize::Zeroizing;

/// Longest `Authorization`: the longest name and secret are far below it.
const HEADER_MAX: usize = 1_024;

/// A name and a password.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) password: Zeroizing<String>,
}

/// The name and password of a request; `None` if it has none.
pub(crate) fn named(headers: &HeaderMap) -> Result<Option<Named>, ()> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| text.len() <= HEADER_MAX).ok_or(())?;
    let (scheme, rest) = text.split_once(' ').ok_or(())?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(());
    }
    let bytes = Zeroizing::new(Base64::decode_vec(rest.trim()).map_err(|_| ())?);
    let text = std::str::from_utf8(&bytes).map_err(|_| ())?;
    let (name, password) = text.split_once(':').ok_or(())?;
    if name.is_empty() {
        return Err(());
    }
    let password = Zeroizing::new(password.to_owned());
    Ok(Some(Named { name: name.to_owned(), password }))
}

#[cfg(test)]
mod tests {
    use hyper::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Result<Option<(String, String)>, ()> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(value).map_err(|_| ())?);
        let pair = |named: Named| (named.name, named.password.to_string());
        named(&headers).map(|named| named.map(pair))
    }

    #[test]
    fn basic_is_read_and_nothing_else() {
        assert!(matches!(named(&HeaderMap::new()), Ok(None)));
        let basic = |text: &str| format!("basic {}", Base64::encode_string(text.as_bytes()));
        let pair = |a: &str, b: &str| Ok(Some((a.to_owned(), b.to_owned())));
        assert_eq!(read(basic("ann:a:b").as_bytes()), pair("ann", "a:b"));
        assert_eq!(read(basic("ann:").as_bytes()), pair("ann", ""));
        let long = basic(&"x:y".repeat(HEADER_MAX));
        for bad in ["", "Basic", "Basic %", "Bearer abc", &basic("ann"), &basic(":b"), &long] {
            assert_eq!(read(bad.as_bytes()), Err(()), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_header_is_it_is_a_name_with_a_password_or_refused(
            scheme in "(?i:basic)|[a-z]{0,6}",
            bytes in prop::collection::vec(prop_oneof![Just(b':'), any::<u8>()], 0..40),
            raw in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let header = format!("{scheme} {}", Base64::encode_string(&bytes));
            let parts = str::from_utf8(&bytes).ok().and_then(|text| text.split_once(':'));
            let parts = parts.filter(|(name, _)| !name.is_empty());
            let parts = parts.filter(|_| scheme.eq_ignore_ascii_case("basic"));
            let expected = parts.map(|(name, password)| Some((name.to_owned(), password.to_owned())));
            prop_assert_eq!(read(header.as_bytes()), expected.ok_or(()));
            if let Ok(found) = read(&raw) {
                prop_assert!(found.is_some_and(|(name, _)| !name.is_empty()));
            }
        }
    }
}
