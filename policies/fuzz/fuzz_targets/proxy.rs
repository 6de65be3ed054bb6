//! A header of the PROXY protocol: once decided, more bytes change nothing, and it is never longer than
//! what is read.
#![no_main]

use blockhouse_transport::proxy::header::{HEADER_MAX, Parsed, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = parse(data);
    if let Ok(Parsed::Complete { len, .. }) = whole {
        assert!(len <= data.len() && len <= HEADER_MAX);
        assert_eq!(parse(&data[..len]), whole);
        assert_eq!(parse(&data[..len - 1]), Ok(Parsed::Incomplete));
    }
    for cut in [data.len() / 2, data.len().saturating_sub(1)] {
        let part = parse(&data[..cut]);
        assert!(part == Ok(Parsed::Incomplete) || part == whole);
    }
});
