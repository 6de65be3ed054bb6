//! The custom fields of a header, kept as ranges of the header's own text.

/// Most custom fields that a header may have. RocketMQ's own requests have up to about 25.
pub const FIELDS_MAX: usize = 1_024;

/// A range of the header's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The range from `start` to `end`. Headers are at most 2^24 bytes long.
    #[inline]
    pub(crate) fn between(start: usize, end: usize) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(start), end: place(end) }
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The text; nothing if the range is not inside.
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }

    /// The same of text that is not yet known to be UTF-8.
    pub(crate) fn of_bytes(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }
}

/// Name and value of one field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// The custom fields (`extFields`) of a request or response: texts by name.
///
/// Holds the header's text (escapes undone in place) and the places of names and values in it.
/// Looking a field up is a linear scan, which for the usual dozen fields is faster than building a
/// map.
#[derive(Clone, Debug, Default)]
pub struct ExtFields {
    text: String,
    pairs: Vec<Pair>,
}

impl ExtFields {
    pub(crate) const fn new(text: String, pairs: Vec<Pair>) -> Self {
        Self { text, pairs }
    }

    /// The text that the ranges refer to.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How many fields there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of `name`. Of several the last, as in Java's map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let wanted = name.as_bytes();
        let found =
            self.pairs.iter().rev().find(|p| p.name.of_bytes(self.text.as_bytes()) == wanted)?;
        Some(found.value.of(&self.text))
    }

    /// The same with the names as bytes, which saves looking for the ends of characters.
    pub(crate) fn iter_raw(&self) -> impl Iterator<Item = (&[u8], &str)> {
        self.pairs.iter().map(|p| (p.name.of_bytes(self.text.as_bytes()), p.value.of(&self.text)))
    }

    /// Name and value of one field, by its place; empty beyond the last.
    pub(crate) fn nth(&self, at: usize) -> (&str, &str) {
        let pair = self.pairs.get(at);
        pair.map(|p| (p.name.of(&self.text), p.value.of(&self.text))).unwrap_or_default()
    }

    /// The same in bytes, which saves looking for the ends of characters.
    pub(crate) fn nth_raw(&self, at: usize) -> (&[u8], &[u8]) {
        let (text, pair) = (self.text.as_bytes(), self.pairs.get(at));
        pair.map(|p| (p.name.of_bytes(text), p.value.of_bytes(text))).unwrap_or_default()
    }

    /// Names and values in the order they came in.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|p| (p.name.of(&self.text), p.value.of(&self.text)))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for ExtFields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut text = String::new();
        let mut put = |part: &str| {
            let start = text.len();
            text.push_str(part);
            Span::between(start, text.len())
        };
        let pairs = pairs
            .into_iter()
            .map(|(n, v)| Pair { name: put(n.as_ref()), value: put(v.as_ref()) })
            .collect();
        Self { text, pairs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_fields_wins() {
        let ext: ExtFields = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(ext.get("a"), Some("3"));
        assert_eq!(ext.get("b"), Some("2"));
        assert_eq!(ext.get("c"), None);
        assert_eq!(ext.len(), 3);
        assert_eq!(ext.iter().next(), Some(("a", "1")));
    }
}
