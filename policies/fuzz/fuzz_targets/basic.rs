//! The header `Authorization` of the ops listener: a name and a password, nothing, or refused.
#![no_main]

#[path = "../../../sdk/ops/src/basic.rs"]
mod basic;

use basic::named;
use hyper::http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    assert!(matches!(named(&headers), Ok(None)));
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    headers.insert(header::AUTHORIZATION, value);
    match named(&headers) {
        Ok(Some(named)) => {
            assert!(!named.name.is_empty() && !named.name.contains(':'));
            assert!(named.name.len() + named.password.len() < data.len());
        }
        Ok(None) => panic!("there was one"),
        Err(()) => {}
    }
});
