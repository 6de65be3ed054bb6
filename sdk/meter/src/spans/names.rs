//! Topics and groups as numbers, so that a record has a fixed size.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::meter::REST;

/// So many different names are kept; clients make names up.
pub const NAMES_MAX: usize = 16_384;

/// A topic or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameId(u32);

impl NameId {
    /// The name that is not told apart any more.
    const OTHER: Self = Self(0);
}

/// Names that records have. Only asked for what is recorded.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Names {
    pub(super) fn id(&self, text: &str) -> NameId {
        if let Some(id) = self.0.read().ids.get(text) {
            return NameId(*id);
        }
        let mut known = self.0.write();
        if let Some(id) = known.ids.get(text) {
            return NameId(*id);
        }
        let Some(id) =
            u32::try_from(known.texts.len() + 1).ok().filter(|_| known.texts.len() < NAMES_MAX)
        else {
            return NameId::OTHER;
        };
        let text: Arc<str> = text.into();
        known.texts.push(Arc::clone(&text));
        known.ids.insert(text, id);
        NameId(id)
    }

    pub(super) fn text(&self, id: NameId) -> Arc<str> {
        let known = self.0.read();
        let text = (id.0 as usize).checked_sub(1).and_then(|at| known.texts.get(at));
        text.map_or_else(|| REST.into(), Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_up_to_a_number() {
        let names = Names::default();
        let ids: Vec<NameId> = (0..NAMES_MAX).map(|n| names.id(&n.to_string())).collect();
        assert_eq!(names.id("17"), ids[17]);
        assert_eq!(&*names.text(ids[17]), "17");
        assert_eq!((names.id("one more"), &*names.text(NameId::OTHER)), (NameId::OTHER, "_other"));
        assert_eq!(names.0.read().texts.len(), NAMES_MAX);
    }
}
