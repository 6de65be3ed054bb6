//! Java's `String.hashCode`, which RocketMQ uses for tags and index keys.

use crate::properties;

/// The start of every Java hash.
pub const HASH_SEED: i32 = 0;

/// Goes on with a hash over more text: `java_hash("ab") == java_hash_on(java_hash("a"), "b")`.
#[must_use]
pub fn java_hash_on(hash: i32, text: &str) -> i32 {
    let step = |h: i32, unit: u16| h.wrapping_mul(31).wrapping_add(i32::from(unit));
    if text.is_ascii() {
        return text.bytes().fold(hash, |h, b| step(h, u16::from(b)));
    }
    text.encode_utf16().fold(hash, step)
}

/// Java's `String.hashCode`: over UTF-16 units, wrapping.
#[must_use]
pub fn java_hash(text: &str) -> i32 {
    java_hash_on(HASH_SEED, text)
}

/// The tags code of a message: the hash of its TAGS property, 0 without one.
#[must_use]
pub fn tags_code(property_text: &str) -> i64 {
    properties::find(property_text, properties::TAGS).map_or(0, |tags| i64::from(java_hash(tags)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("TagA"), 2_598_919);
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        // A pair of surrogates counts as two units: "😀" is D83D DE00.
        assert_eq!(java_hash("😀"), 0xD83D * 31 + 0xDE00);
        assert_eq!(java_hash_on(java_hash("topic#"), "key"), java_hash("topic#key"));
        assert_eq!(tags_code("TAGS\u{1}TagA\u{2}"), 2_598_919);
        assert_eq!(tags_code("KEYS\u{1}k\u{2}"), 0);
    }
}
