//! What ties a record to its place: its number, and the leaf before it.

use serde::Deserialize;

use crate::note::hex;
use crate::record::RECORD_MAX;
use crate::tree::Hash;

/// The parts of a record that are checked.
#[derive(Debug, Deserialize)]
pub(crate) struct Links<'a> {
    pub(crate) time: i64,
    metadata: Metadata,
    #[serde(borrow)]
    unmapped: Unmapped<'a>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    sequence: u64,
}

#[derive(Debug, Deserialize)]
struct Unmapped<'a> {
    prev: &'a str,
    removed_below: Option<u64>,
}

/// Why a line is not the record that belongs in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It is not what a node writes.
    NoRecord(String),
    /// It has another number.
    Number(u64),
    /// The record before it was another one when this one was written.
    Prev,
}

impl<'a> Links<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, Misfit> {
        if line.len() > RECORD_MAX {
            return Err(Misfit::NoRecord(format!("it has more than {RECORD_MAX} bytes")));
        }
        if let Some(at) = line.iter().position(|b| *b < 0x20 || *b == 0x7f) {
            return Err(Misfit::NoRecord(format!("byte {at} is a control character")));
        }
        serde_json::from_slice(line).map_err(|error| Misfit::NoRecord(error.to_string()))
    }

    /// Whether it is record `number`, and the one before has the leaf `prev`, if that is known.
    pub(crate) fn check(&self, number: u64, prev: Option<&Hash>) -> Result<(), Misfit> {
        if self.metadata.sequence != number {
            return Err(Misfit::Number(self.metadata.sequence));
        }
        match prev {
            Some(prev) if hex(&prev[..16]) != self.unmapped.prev => Err(Misfit::Prev),
            _ => Ok(()),
        }
    }

    /// The first record that retention kept, if this is the record that announces it.
    pub(crate) const fn removed_below(&self) -> Option<u64> {
        self.unmapped.removed_below
    }
}
