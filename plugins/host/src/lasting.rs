//! What a binding keeps when another version of its plugin takes over.

use std::sync::Arc;

use crate::imports::Kv;
use crate::ring::Ring;

/// What all versions of one binding share. It is empty after a restart.
#[derive(Clone, Default)]
pub(crate) struct Lasting {
    /// Its last lines.
    pub(crate) ring: Arc<Ring>,
    /// What it stored.
    pub(crate) kv: Arc<Kv>,
}
