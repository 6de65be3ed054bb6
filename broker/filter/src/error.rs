use std::sync::Arc;

/// Why an expression was refused. The text can be a remark to a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing but separators.
    #[error("the expression holds no tag")]
    NoTag,
    /// Longer than any real expression.
    #[error("the expression is longer than {0} bytes")]
    TooLong(usize),
    /// More tags than any real subscription has.
    #[error("the expression holds more than {0} tags")]
    TooManyTags(usize),
    /// An expression type that this broker does not evaluate.
    #[error("the broker does not support consumer to filter message by {0}")]
    Unsupported(Arc<str>),
}
