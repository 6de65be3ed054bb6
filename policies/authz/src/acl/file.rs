//! `acls.json`, in RocketMQ's words.

use std::path::Path;

use blockhouse_disk::{Disk, whole};
use blockhouse_model::{Acl, AclEntry};
use serde::{Deserialize, Serialize};

use super::AclTable;
use crate::problem::Refused;

const VERSION: u32 = 1;
/// Longest file that is read.
const LEN_MAX: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    /// Of the change that wrote it.
    generation: u64,
    acls: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    subject: String,
    entries: Vec<EntryRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EntryRow {
    policy_type: String,
    resource: String,
    actions: Vec<String>,
    source_ips: Vec<String>,
    decision: String,
}

impl AclTable {
    /// The ACLs in a node's file, and the change that wrote it; none if there is no file.
    ///
    /// # Errors
    /// What the disk says, and whatever cannot be meant.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<(Self, u64), Refused> {
        let failed = |why: String| Refused::one(path.display().to_string(), why);
        let unread = |error: std::io::Error| failed(format!("cannot be read: {error}"));
        match disk.open_read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Self::default(), 0));
            }
            Err(error) => return Err(unread(error)),
            Ok(file) if file.len().map_err(unread)? > LEN_MAX => {
                return Err(failed(format!("is longer than {LEN_MAX} bytes")));
            }
            Ok(_) => {}
        }
        let bytes = whole::read(disk, path).map_err(unread)?.unwrap_or_default();
        let contents: Contents = serde_json::from_slice(&bytes)
            .map_err(|error| failed(format!("cannot be understood: {error}")))?;
        if contents.version != VERSION {
            return Err(failed(format!("is of version {}, not {VERSION}", contents.version)));
        }
        let mut table = Self::default();
        for Row { subject, entries } in contents.acls {
            let entries = entries.into_iter().map(entry).collect();
            let acl = Acl { subject, entries };
            table.put(&acl).map_err(|why| failed(format!("{}: {why}", acl.subject)))?;
        }
        Ok((table, contents.generation))
    }

    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        path: &Path,
        generation: u64,
    ) -> std::io::Result<()> {
        let rows = self.all().map(|acl| Row {
            subject: acl.subject,
            entries: acl.entries.into_iter().map(row).collect(),
        });
        let contents = Contents { version: VERSION, generation, acls: rows.collect() };
        let mut bytes = serde_json::to_vec_pretty(&contents).map_err(std::io::Error::other)?;
        bytes.push(b'\n');
        if let Some(dir) = path.parent() {
            disk.create_private_dir(dir)?;
        }
        whole::replace_private(disk, path, &bytes)
    }
}

fn entry(row: EntryRow) -> AclEntry {
    let EntryRow { policy_type, resource, actions, source_ips, decision } = row;
    AclEntry { policy_type, resource, actions, source_ips, decision }
}

fn row(entry: AclEntry) -> EntryRow {
    let AclEntry { policy_type, resource, actions, source_ips, decision } = entry;
    EntryRow { policy_type, resource, actions, source_ips, decision }
}
