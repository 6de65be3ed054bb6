//! Reading records, also while a node writes them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{Disk, whole};
use serde::Deserialize;

use crate::lines::{Line, Lines};
use crate::segment::{self, Head, Notes};
use crate::{Error, PublicKey};

/// What people look for in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Record {
    /// When, in milliseconds.
    pub time: i64,
    /// The class.
    pub class_uid: u32,
    /// What was to be done.
    pub activity_name: String,
    /// How bad it is.
    pub severity_id: u32,
    /// The reason.
    pub status_detail: String,
    /// How many events it stands for.
    pub count: Option<u64>,
    /// Where it stands.
    pub metadata: Metadata,
    /// From where.
    pub src_endpoint: Option<Endpoint>,
    /// Who asked.
    pub actor: Option<Actor>,
    /// Whom it is about.
    pub user: Option<User>,
    /// On what.
    pub resources: Vec<Named>,
    /// Who decided.
    pub policy: Option<Named>,
    /// What the schema has no field for.
    pub unmapped: Unmapped,
}

/// Where a record stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Its number.
    pub sequence: u64,
}

/// An address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// The address.
    pub ip: String,
    /// The port.
    pub port: u16,
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// The principal.
    pub user: User,
}

/// A principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// Its name.
    pub name: String,
    /// 0 for `anonymous`, 1 for users, 4 for plugins.
    pub type_id: u32,
}

/// Something with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// What the schema has no field for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Unmapped {
    /// The kind of event.
    pub kind: String,
    /// How it was decided.
    pub outcome: String,
    /// The request's code.
    pub code: i32,
    /// The connection.
    pub connection: u64,
}

impl Record {
    /// Who it was, empty for the node itself.
    #[must_use]
    pub fn principal(&self) -> &str {
        let actor = self.actor.as_ref().map(|actor| &actor.user);
        actor.or(self.user.as_ref()).map_or("", |user| &user.name)
    }

    /// On what.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.resources.first().map_or("", |resource| &resource.name)
    }

    /// From where, empty for the node itself.
    #[must_use]
    pub fn peer(&self) -> String {
        let text = |Endpoint { ip, port }: &Endpoint| {
            if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
        };
        self.src_endpoint.as_ref().map(text).unwrap_or_default()
    }

    /// Who decided.
    #[must_use]
    pub fn decided_by(&self) -> &str {
        self.policy.as_ref().map_or("", |policy| &policy.name)
    }
}

/// Reads a log from its first record, and on as it grows.
pub struct Follow {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    open: Option<(u64, Lines)>,
}

impl Follow {
    /// Reads the log in `dir` from its first record on.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_owned(), open: None }
    }

    /// Hands every new record to `visit`, until it says false: the line and what is in it. A line that
    /// is no record is handed on without.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(
        &mut self,
        visit: &mut dyn FnMut(&[u8], Option<Record>) -> bool,
    ) -> Result<(), Error> {
        loop {
            let firsts =
                segment::list(self.disk.as_ref(), &self.dir).map_err(Error::disk(&self.dir))?;
            let next = match &self.open {
                None => firsts.first(),
                Some((first, _)) => firsts.iter().find(|other| *other > first),
            };
            // Before a newer one was seen, this one may have grown.
            if let Some((first, lines)) = &mut self.open {
                let path = segment::records_path(&self.dir, *first);
                if !drain(lines, visit).map_err(Error::disk(path))? {
                    return Ok(());
                }
            }
            let Some(&first) = next else { return Ok(()) };
            let path = segment::records_path(&self.dir, first);
            match self.disk.open_read(&path) {
                Ok(file) => self.open = Some((first, Lines::of(file, 0))),
                // Retention has taken it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::Disk { path, source: error }),
            }
        }
    }
}

/// False if `visit` has had enough.
fn drain(
    lines: &mut Lines,
    visit: &mut dyn FnMut(&[u8], Option<Record>) -> bool,
) -> io::Result<bool> {
    while let Some(line) = lines.next()? {
        let Line::Whole(line) = line else { return Ok(true) };
        if !visit(line, serde_json::from_slice(line).ok()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Hands every record of a log to `visit`, until it says false.
///
/// # Errors
/// There is no log, or the disk fails.
pub fn records(
    disk: Arc<dyn Disk>,
    dir: &Path,
    visit: &mut dyn FnMut(&[u8], Option<Record>) -> bool,
) -> Result<(), Error> {
    if segment::list(disk.as_ref(), dir).map_err(Error::disk(dir))?.is_empty() {
        return Err(Error::Missing(dir.to_owned()));
    }
    Follow::new(disk, dir).read(visit)
}

/// The text of the last checkpoint in the files, which `key` signed.
///
/// # Errors
/// There is none, or the key did not sign it.
pub fn last_checkpoint(disk: &dyn Disk, dir: &Path, key: &PublicKey) -> Result<String, Error> {
    let firsts = segment::list(disk, dir).map_err(Error::disk(dir))?;
    let first = *firsts.last().ok_or_else(|| Error::Missing(dir.to_owned()))?;
    let path = segment::tree_path(dir, first);
    let bytes = whole::read(disk, &path).map_err(Error::disk(&path))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let notes = Head::parse(&text).map(|(_, rest)| Notes(rest));
    let note = notes.and_then(Iterator::last).ok_or(Error::Checkpoint("is missing"))?;
    key.open(note)?;
    Ok(note.to_owned())
}
