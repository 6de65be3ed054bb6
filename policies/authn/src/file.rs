//! `users.json`.

use std::path::Path;

use blockhouse_disk::{Disk, whole};
use blockhouse_hook::User;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::users::{USERS_MAX, is_name};

const VERSION: u32 = 1;
/// Longest file that is read: more than [`USERS_MAX`] users of the longest kind.
const LEN_MAX: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    users: Vec<Row>,
}

/// A user as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    /// What [`about`] says is sealed with it.
    pub(crate) secret: String,
}

/// RocketMQ's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Super,
    Normal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Enable,
    Disable,
}

/// What a secret is sealed together with: nobody gets it, or gets more, by an edit of the file.
pub(crate) fn about(user: &User) -> String {
    let (kind, status) = (user.kind.name(), user.status_name());
    format!("blockhouse user 1\n{}\n{kind}\n{status}", user.name)
}

pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<Row>, Error> {
    let file = match disk.open_read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io(path))?,
    };
    if file.len().map_err(Error::io(path))? > LEN_MAX {
        return Err(Error::file(path, format!("is longer than {LEN_MAX} bytes")));
    }
    let bytes = whole::read(disk, path).map_err(Error::io(path))?.unwrap_or_default();
    parse(&bytes).map_err(|problem| Error::file(path, problem))
}

/// # Errors
/// A sentence that has nothing of the contents in it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Row>, String> {
    let contents: Contents = serde_json::from_slice(bytes)
        .map_err(|e| format!("is no file of users (line {}, column {})", e.line(), e.column()))?;
    if contents.version != VERSION {
        return Err(format!("is of version {}, and not of {VERSION}", contents.version));
    }
    if contents.users.len() > USERS_MAX {
        return Err(format!("has more than {USERS_MAX} users"));
    }
    if let Some(at) = contents.users.iter().position(|row| !is_name(&row.name)) {
        return Err(format!("has an illegal name (user {at})"));
    }
    Ok(contents.users)
}

pub(crate) fn write(disk: &dyn Disk, path: &Path, users: Vec<Row>) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        disk.create_private_dir(dir)?;
    }
    let contents = Contents { version: VERSION, users };
    let mut bytes = serde_json::to_vec_pretty(&contents).map_err(std::io::Error::other)?;
    bytes.push(b'\n');
    whole::replace_private(disk, path, &bytes)
}
