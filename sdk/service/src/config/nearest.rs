//! The name that was probably meant.

/// The candidate with the fewest changed characters, if it is similar enough to be worth a word.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let distance = |candidate: &str| {
        let whole = changes(word, candidate);
        // A right name in a wrong or missing section is nearly right.
        if last(word) == last(candidate) { whole.min(2) } else { whole }
    };
    let best = candidates.map(|c| (distance(c), c)).min()?;
    (best.0 <= 2 + word.len() / 5).then_some(best.1)
}

/// How many characters have to be added, removed or replaced.
fn changes(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        assert_eq!(changes("flush", "flush"), 0);
        assert_eq!(changes("flsh", "flush"), 1);
        assert_eq!(changes("kitten", "sitting"), 3);
        assert_eq!(changes("", "abc"), 3);
    }

    #[test]
    fn a_right_name_in_a_wrong_section_is_found_and_nonsense_is_not() {
        let names = ["store.flush_interval_ms", "node.name", "node.cluster"];
        let find = |word| nearest(word, names.into_iter());
        assert_eq!(find("broker.flush_interval_ms"), Some("store.flush_interval_ms"));
        assert_eq!(find("node.nmae"), Some("node.name"));
        assert_eq!(find("completely.different"), None);
    }
}
