//! Ways of showing metrics.

use blockhouse_model::Access;

/// A way of showing metrics, at a path of its own.
pub struct View {
    /// The path.
    pub path: &'static str,
    /// What the caller must be allowed to do. The hooks decide.
    pub access: Access<'static>,
    /// Makes the page of what the caller's `Accept` says. It may wait for the disk.
    pub show: Show,
}

/// Makes a page, or says why it cannot be made.
pub type Show = Box<dyn Fn(&str) -> Result<Page, String> + Send + Sync>;

/// Metrics at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The format.
    pub content_type: &'static str,
    /// All of them.
    pub body: Vec<u8>,
}
