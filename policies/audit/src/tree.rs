//! The hash tree over the records (RFC 9162, section 2.1), as much of it as is needed to go on.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// Keeps a leaf from being taken for a node.
const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];

/// The leaf of a record, which is given without its line end.
#[must_use]
pub(crate) fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update(LEAF).chain_update(record).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update(NODE).chain_update(left).chain_update(right).finalize().into()
}

/// A tree of which only the roots of its full subtrees are kept, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// A tree of `size` leaves out of the roots of its full subtrees; `None` if their number is wrong.
    #[must_use]
    pub(crate) fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// How many leaves.
    #[must_use]
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its full subtrees, the largest first.
    #[must_use]
    pub(crate) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds a leaf at the end.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut full = self.size;
        while full & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node(&left, &hash);
            full >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word for word.
    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node(&root(&many[..split]), &root(&many[split..]))
            }
        }
    }

    #[test]
    fn every_size_has_the_root_of_the_definition() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for n in 0..200_u32 {
            assert_eq!(tree.root(), root(&leaves), "{n}");
            assert_eq!(Tree::of(tree.size(), tree.peaks().to_vec()), Some(tree.clone()));
            leaves.push(leaf(&n.to_be_bytes()));
            tree.push(leaf(&n.to_be_bytes()));
        }
        assert_eq!(Tree::of(3, vec![[0; 32]]), None);
    }

    #[test]
    fn a_leaf_is_what_the_standard_says() {
        // The leaf of no bytes, as in the reference tests of certificate transparency.
        let empty = leaf(b"").map(|b| format!("{b:02x}")).concat();
        assert_eq!(empty, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        let mut tree = Tree::default();
        for record in [&b""[..], b"\0", b"\x10"] {
            tree.push(leaf(record));
        }
        let root = tree.root().map(|b| format!("{b:02x}")).concat();
        assert_eq!(root, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    }
}
