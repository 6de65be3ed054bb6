//! Tag expressions: `*`, or tags joined by `||`.

use crate::Error;

/// The expression that wants everything.
pub const ALL: &str = "*";
/// The longest expression that is read.
pub const EXPRESSION_LEN_MAX: usize = 64 * 1024;
/// The most tags of one subscription.
pub const TAGS_MAX: usize = 4_096;

/// The tags of an expression, in its order, without repetitions; `None` if it wants everything.
///
/// # Errors
/// An expression of separators only (RocketMQ refuses `||`, too), or one beyond the limits.
pub fn parse(expression: &str) -> Result<Option<Vec<&str>>, Error> {
    if expression.is_empty() || expression == ALL {
        return Ok(None);
    }
    if expression.len() > EXPRESSION_LEN_MAX {
        return Err(Error::TooLong(EXPRESSION_LEN_MAX));
    }
    if expression.split("||").all(str::is_empty) {
        return Err(Error::NoTag);
    }
    let mut tags: Vec<&str> = Vec::new();
    for tag in expression.split("||").map(trim).filter(|tag| !tag.is_empty()) {
        if tags.len() == TAGS_MAX {
            return Err(Error::TooManyTags(TAGS_MAX));
        }
        tags.push(tag);
    }
    let mut seen = std::collections::HashSet::with_capacity(tags.len());
    tags.retain(|tag| seen.insert(*tag));
    Ok(Some(tags))
}

/// Java's `trim`: everything up to U+0020, and nothing else.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_a_star_or_nothing() {
        assert_eq!(parse("*"), Ok(None));
        assert_eq!(parse(""), Ok(None));
        // A star among tags is a tag, as in RocketMQ.
        assert_eq!(parse("*||a"), Ok(Some(vec!["*", "a"])));
        // Only the bare star counts: a blank or padded one is a tag list.
        assert_eq!(parse(" "), Ok(Some(vec![])));
    }

    #[test]
    fn tags_are_trimmed_and_single() {
        assert_eq!(parse("A || B||A|| |C"), Ok(Some(vec!["A", "B", "|C"])));
        assert_eq!(parse("A|B"), Ok(Some(vec!["A|B"])));
        // A no-break space is not trimmed by Java.
        assert_eq!(parse("A||\u{a0}B"), Ok(Some(vec!["A", "\u{a0}B"])));
    }

    #[test]
    fn separators_alone_and_endless_lists_are_refused() {
        assert_eq!(parse("||"), Err(Error::NoTag));
        assert_eq!(parse("||||"), Err(Error::NoTag));
        assert_eq!(
            parse(&"x".repeat(EXPRESSION_LEN_MAX + 1)),
            Err(Error::TooLong(EXPRESSION_LEN_MAX))
        );
        let many = (0..=TAGS_MAX).map(|i| i.to_string()).collect::<Vec<_>>().join("||");
        assert_eq!(parse(&many), Err(Error::TooManyTags(TAGS_MAX)));
    }
}
