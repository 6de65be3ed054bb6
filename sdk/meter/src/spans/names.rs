//! Topics and groups as numbers, so that a record has a fixed size.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::meter::REST;

/// So many different names are kept. Clients make names up: when there are more, all are forgotten, so
/// that nobody can keep others' names out for good.
pub const NAMES_MAX: usize = 16_384;

/// What is kept of a name, in bytes: no topic and no group may have a longer one, but requests can say what they like.
const NAME_LEN_MAX: usize = 255;

/// A topic, a group or a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameId(u32);

/// Names that records have. Only asked for what is recorded.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<Arc<str>, NameId>,
    texts: Vec<Arc<str>>,
    /// The number of the first text: those before it are forgotten.
    first: u32,
}

impl Names {
    pub(super) fn id(&self, text: &str) -> NameId {
        let text = text.get(..text.floor_char_boundary(NAME_LEN_MAX)).unwrap_or_default();
        if let Some(id) = self.0.read().ids.get(text) {
            return *id;
        }
        let mut known = self.0.write();
        if let Some(id) = known.ids.get(text) {
            return *id;
        }
        if known.texts.len() >= NAMES_MAX {
            known.first = known.next();
            known.texts.clear();
            known.ids.clear();
        }
        let (id, text): (_, Arc<str>) = (NameId(known.next()), text.into());
        known.texts.push(Arc::clone(&text));
        known.ids.insert(text, id);
        id
    }

    /// The name; [`REST`] if it is forgotten.
    pub(super) fn text(&self, id: NameId) -> Arc<str> {
        let known = self.0.read();
        let text = known.texts.get(id.0.wrapping_sub(known.first) as usize);
        text.map_or_else(|| REST.into(), Arc::clone)
    }
}

impl Known {
    fn next(&self) -> u32 {
        self.first.wrapping_add(u32::try_from(self.texts.len()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_up_to_a_number_and_then_begin_anew() {
        let names = Names::default();
        let ids: Vec<NameId> = (0..NAMES_MAX).map(|n| names.id(&n.to_string())).collect();
        assert_eq!(names.id("17"), ids[17]);
        assert_eq!(&*names.text(ids[17]), "17");
        let more = names.id("one more");
        assert_eq!((&*names.text(more), &*names.text(ids[17])), ("one more", "(other)"));
        assert_eq!(&*names.text(names.id("17")), "17");
        assert_eq!(names.0.read().texts.len(), 2);
        let long = names.text(names.id(&"ä".repeat(1_000_000)));
        assert_eq!(&*long, "ä".repeat(NAME_LEN_MAX / 2));
    }
}
