//! RocketMQ's properties text: `key=value` lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most lines that are read.
const LINES_MAX: usize = 1_000;

/// Reads properties text: comments and empty lines are passed over, of several values of a key
/// the last counts. `None` if a line has no key, or there are too many.
pub(crate) fn parse(text: &str) -> Option<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if at >= LINES_MAX {
            return None;
        }
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        let key = key.trim();
        if key.is_empty() {
            return None;
        }
        properties.insert(key.to_owned(), value.trim().to_owned());
    }
    Some(properties)
}

/// Writes properties text, sorted by key.
pub(crate) fn render(properties: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in properties {
        let _infallible = writeln!(text, "{key}={value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_or_refused(
            text in prop_oneof!["[a-c=:#! \t\r\n]{0,60}", any::<String>()],
        ) {
            if let Some(read) = parse(&text) {
                prop_assert!(read.keys().all(|key| !key.is_empty()));
                let written = render(&read);
                // A key may be a comment's first character by itself; such a line is passed over.
                let plain = read.keys().all(|key| !key.starts_with(['#', '!']));
                prop_assert!(!plain || parse(&written) == Some(read));
            }
        }
    }

    #[test]
    fn lines_are_read_and_written() {
        let read = parse("# comment\n\n a = 1 \r\nb:2\nc\n!x\na=3=4\n").unwrap();
        assert_eq!(render(&read), "a=3=4\nb=2\nc=\n");
        assert_eq!(parse("=1"), None);
        assert_eq!(parse(&"a=1\n".repeat(LINES_MAX + 1)), None);
    }
}
