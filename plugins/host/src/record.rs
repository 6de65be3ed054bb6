//! What was deployed, on disk: a file for each role, since a broker and a name server may share a
//! directory. After a crash either the old or the new one is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk, whole};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::binding::{Binding, Config};
use crate::host::Role;
use crate::status::Source;

/// The form of the file.
const FORMAT: u32 = 1;
/// Versions that are kept beside the one in force.
pub(crate) const PREVIOUS_MAX: usize = 2;
/// Rejected versions that are remembered for each plugin.
const REJECTED_MAX: usize = 8;
/// Largest file: bindings are bounded, and so is their number.
const LEN_MAX: u64 = 64 << 20;

/// All that was changed beside the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    format: u32,
    /// One more with each change.
    pub(crate) generation: u64,
    /// By the name of the binding.
    pub(crate) plugins: BTreeMap<String, Entry>,
}

/// What was changed of one binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Entry {
    /// What is in force instead of the configuration's; `None` for the configuration's own.
    pub(crate) current: Option<Kept>,
    /// What was in force before, the last one first.
    pub(crate) previous: Vec<Kept>,
    /// What failed in its first minute, the last one first.
    pub(crate) rejected: Vec<Rejected>,
    /// Whether it was taken out.
    pub(crate) disabled: bool,
}

/// A version and how it was bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// What its manifest says.
    pub(crate) version: Option<String>,
    pub(crate) binding: Binding,
}

/// A version that must not come back by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rejected {
    pub(crate) digest: String,
    pub(crate) version: Option<String>,
    pub(crate) reason: String,
}

impl Default for Record {
    fn default() -> Self {
        Self { format: FORMAT, generation: 0, plugins: BTreeMap::new() }
    }
}

impl Entry {
    /// Puts `next` in force; what was is kept.
    pub(crate) fn replace(&mut self, was: Option<Kept>, next: Kept) {
        if let Some(was) = was {
            self.previous.insert(0, was);
            self.previous.truncate(PREVIOUS_MAX);
        }
        self.current = Some(next);
        self.disabled = false;
    }

    pub(crate) fn reject(&mut self, rejected: Rejected) {
        self.rejected.retain(|other| other.digest != rejected.digest);
        self.rejected.insert(0, rejected);
        self.rejected.truncate(REJECTED_MAX);
    }

    /// All components that it may need.
    fn digests(&self) -> impl Iterator<Item = &str> {
        let kept = self.current.iter().chain(&self.previous);
        let kept = kept.map(|kept| kept.binding.digest.as_str());
        kept.chain(self.rejected.iter().map(|rejected| rejected.digest.as_str()))
    }
}

impl Record {
    fn path(dir: &Path, role: Role) -> PathBuf {
        dir.join(match role {
            Role::Broker => "deployed.json",
            Role::NameServer => "deployed-namesrv.json",
        })
    }

    /// Reads it; an empty one if there is none.
    ///
    /// # Errors
    /// It cannot be read. To go on without it would leave out what was deployed.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path, role: Role) -> Result<Self, Error> {
        let path = Self::path(dir, role);
        let wrong = |problem: String| Error::Record { path: path.clone(), problem };
        let len = disk.open_read(&path).and_then(|file| file.len()).unwrap_or(0);
        if len > LEN_MAX {
            return Err(wrong(format!("it has {len} bytes")));
        }
        let bytes = whole::read(disk, &path).map_err(|e| wrong(e.to_string()))?;
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        let record: Self = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if record.format != FORMAT {
            return Err(wrong(format!(
                "its format is {}, this version knows {FORMAT}",
                record.format
            )));
        }
        record.check().map_err(wrong)?;
        Ok(record)
    }

    fn check(&self) -> Result<(), String> {
        for (name, entry) in &self.plugins {
            if entry.previous.len() > PREVIOUS_MAX || entry.rejected.len() > REJECTED_MAX {
                return Err(format!("{name} has too many versions"));
            }
            for kept in entry.current.iter().chain(&entry.previous) {
                if kept.binding.name != *name {
                    return Err(format!("{name} has a binding of {}", kept.binding.name));
                }
                let alone = Config { binding: vec![kept.binding.clone()], ..Config::default() };
                alone.validate().map_err(|e| format!("{name}: {e}"))?;
            }
        }
        Ok(())
    }

    /// Writes it; it is on disk when this returns.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path, role: Role) -> Result<(), Error> {
        let path = Self::path(dir, role);
        let write = || -> std::io::Result<()> {
            whole::replace(disk, &path, &serde_json::to_vec_pretty(self)?)?;
            sync_above(disk, dir)
        };
        write().map_err(|source| Error::Write { path: path.clone(), source })
    }

    /// The bindings in force, the disabled ones too: the configuration's, and those deployed.
    pub(crate) fn bindings<'a>(&'a self, base: &'a [Binding]) -> Vec<&'a Binding> {
        let deployed = self.plugins.values().filter_map(|entry| entry.current.as_ref());
        let deployed: Vec<&Binding> = deployed.map(|kept| &kept.binding).collect();
        let own = base.iter().filter(|b| deployed.iter().all(|d| d.name != b.name));
        own.chain(deployed.iter().copied()).collect()
    }

    /// Those of them that are not disabled, in the order of their calls.
    pub(crate) fn in_force<'a>(&'a self, base: &'a [Binding]) -> Vec<&'a Binding> {
        let mut bindings = self.bindings(base);
        bindings.retain(|binding| !self.is_disabled(&binding.name));
        bindings.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        bindings
    }

    /// Where the binding of this name is from.
    pub(crate) fn source(&self, name: &str) -> Source {
        let deployed = self.plugins.get(name).is_some_and(|entry| entry.current.is_some());
        if deployed { Source::Deployed } else { Source::Configuration }
    }

    /// The binding of this name that is in force, or would be if it was not disabled.
    pub(crate) fn binding<'a>(&'a self, base: &'a [Binding], name: &str) -> Option<&'a Binding> {
        self.bindings(base).into_iter().find(|binding| binding.name == name)
    }

    pub(crate) fn is_disabled(&self, name: &str) -> bool {
        self.plugins.get(name).is_some_and(|entry| entry.disabled)
    }

    pub(crate) fn needs(&self, digest: &str) -> bool {
        self.plugins.values().any(|entry| entry.digests().any(|other| other == digest))
    }

    /// The digests of all versions that it keeps.
    pub(crate) fn digests(&self) -> Vec<String> {
        self.plugins.values().flat_map(Entry::digests).map(str::to_owned).collect()
    }
}

/// The directories above may be as new as a file in them.
pub(crate) fn sync_above(disk: &dyn Disk, dir: &Path) -> std::io::Result<()> {
    for above in dir.ancestors().skip(1).take(2).filter(|above| !above.as_os_str().is_empty()) {
        disk.sync_dir(above)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::MemDisk;

    use super::*;

    fn kept(name: &str, digit: &str) -> Kept {
        let digest = digit.repeat(64);
        let text = format!(r#"{{"name": "{name}", "digest": "sha256:{digest}"}}"#);
        Kept { version: Some("1.0.0".to_owned()), binding: serde_json::from_str(&text).unwrap() }
    }

    fn written(text: &[u8]) -> Result<Record, Error> {
        let (disk, dir) = (MemDisk::new(), Path::new("/data/blockhouse/plugins"));
        whole::replace(&disk, &Record::path(dir, Role::Broker), text).unwrap();
        Record::read(&disk, dir, Role::Broker)
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_refused() {
        let (disk, dir) = (MemDisk::new(), Path::new("/data/blockhouse/plugins"));
        assert_eq!(Record::read(&disk, dir, Role::Broker).unwrap(), Record::default());
        let mut record = Record { generation: 7, ..Record::default() };
        record.plugins.entry("a".to_owned()).or_default().replace(None, kept("a", "0"));
        record.write(&disk, dir, Role::Broker).unwrap();
        assert_eq!(Record::read(&disk, dir, Role::Broker).unwrap(), record);
        let other = Record::read(&disk, dir, Role::NameServer).unwrap();
        assert_eq!(other, Record::default(), "each has its own");
        let bytes = whole::read(&disk, &Record::path(dir, Role::Broker)).unwrap().unwrap();
        for len in 0..bytes.len() {
            let refusal = written(&bytes[..len]).unwrap_err().to_string();
            assert!(
                refusal.contains("deployed.json") && refusal.contains("remove it"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let of = |kept: Kept| {
            let mut record = Record::default();
            record.plugins.entry("a".to_owned()).or_default().replace(None, kept);
            serde_json::to_string(&record).unwrap()
        };
        assert!(written(of(kept("a", "0")).as_bytes()).is_ok());
        for text in [
            of(kept("b", "0")),
            of(kept("a", "g")),
            of(kept("a", "0")).replace("\"format\":1", "\"format\":2"),
            of(kept("a", "0")).replace("\"disabled\":false", "\"disabled\":false,\"more\":1"),
            "{}".to_owned(),
        ] {
            assert!(written(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn three_versions_are_kept_and_a_deployed_one_wins() {
        let mut entry = Entry { disabled: true, ..Entry::default() };
        entry.replace(Some(kept("a", "0")), kept("a", "1"));
        for digit in ["2", "3"] {
            let was = entry.current.clone();
            entry.replace(was, kept("a", digit));
        }
        let previous: Vec<_> = entry.previous.iter().map(|k| k.binding.digest.clone()).collect();
        assert_eq!(previous, [kept("a", "2"), kept("a", "1")].map(|k| k.binding.digest));
        assert!(!entry.disabled);
        let mut record = Record::default();
        record.plugins.insert("a".to_owned(), entry);
        let base = [kept("a", "9").binding, kept("b", "9").binding];
        let names: Vec<_> =
            record.bindings(&base).iter().map(|b| (&*b.name, b.digest.ends_with('3'))).collect();
        assert_eq!(names, [("b", false), ("a", true)]);
        assert!(record.needs(&kept("a", "1").binding.digest));
        assert!(!record.needs(&kept("a", "0").binding.digest));
    }
}
