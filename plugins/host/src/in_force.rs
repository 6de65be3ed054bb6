//! The bindings of a node that need not run: its configuration's, and what was deployed on it.

use std::path::Path;

use blockhouse_disk::Disk;

use crate::Error;
use crate::binding::{Binding, Config};
use crate::host::Role;
use crate::record::Record;
use crate::status::Source;

/// What a node would call.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InForce {
    /// In the order of the calls.
    pub bindings: Vec<(Binding, Source)>,
    /// Names of those that were taken out.
    pub disabled: Vec<String>,
}

impl InForce {
    /// Of a node of this role whose plugins are in `dir`: what is deployed wins over the
    /// configuration.
    ///
    /// # Errors
    /// [`Error::Record`]; the node would not start either.
    pub fn read(config: &Config, disk: &dyn Disk, dir: &Path, role: Role) -> Result<Self, Error> {
        if !config.enabled {
            return Ok(Self::default());
        }
        let record = Record::read(disk, dir, role)?;
        let bindings = record.in_force(&config.binding).into_iter();
        let out = record.bindings(&config.binding).into_iter();
        let out = out.filter(|binding| record.is_disabled(&binding.name));
        Ok(Self {
            bindings: bindings.map(|b| (b.clone(), record.source(&b.name))).collect(),
            disabled: out.map(|binding| binding.name.clone()).collect(),
        })
    }
}
