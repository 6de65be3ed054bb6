//! Java's properties, as in `tls.properties` and `broker.conf`: all of it is read, in order.
#![no_main]

#[path = "../../../sdk/cli/src/java_conf/properties.rs"]
mod properties;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let entries = properties::parse(text);
    let lines = text.lines().count();
    assert!(entries.iter().all(|entry| (1..=lines).contains(&entry.line)));
    assert!(entries.is_sorted_by(|one, next| one.line < next.line));
    let read: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
    // An escape of six bytes stands for three at most.
    assert!(read <= 3 * text.len());
});
