//! The files of a set of policies.

use std::path::Path;
use std::sync::Arc;

use blockhouse_disk::{Disk, whole};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::index::Rule;
use crate::problem::Refused;

/// Files of a set.
const FILES_MAX: usize = 1_024;
/// Bytes of all files together.
const BYTES_MAX: usize = 256 << 20;
/// The directory of the tests.
const TESTS: &str = "tests";
/// The model's file.
pub(crate) const MODEL: &str = "model.conf";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the directory, `tests/` included.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// All files of a set, sorted by name. A copy is another name for the same: they may be large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Arc<Vec<File>>);

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|files| Self(Arc::new(files)))
    }
}

impl Files {
    /// From what somebody sent.
    ///
    /// # Errors
    /// Too many, too large, or not called as files of policies are.
    pub fn new(mut files: Vec<File>) -> Result<Self, Refused> {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        if files.len() > FILES_MAX {
            return Err(Refused::one("the set", format!("more than {FILES_MAX} files")));
        }
        if files.iter().map(|file| file.text.len()).sum::<usize>() > BYTES_MAX {
            return Err(Refused::one("the set", format!("more than {BYTES_MAX} bytes")));
        }
        for (i, file) in files.iter().enumerate() {
            if !is_ours(&file.name) {
                let rule = "no file of policies: NAME.csv, tests/NAME.toml, or model.conf";
                return Err(Refused::one(&file.name, rule));
            }
            if i > 0 && files[i - 1].name == file.name {
                return Err(Refused::one(&file.name, "there twice"));
            }
        }
        Ok(Self(Arc::new(files)))
    }

    /// What is in a directory. Other files there are left out.
    ///
    /// # Errors
    /// What the disk says, files that are no text, too many or too large ones; or none with rules.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, Refused> {
        let shown = dir.display().to_string();
        if !disk.exists(dir) {
            return Err(Refused::one(shown, "no such directory"));
        }
        let (mut files, mut bytes) = (Vec::new(), 0);
        for (below, path) in [("", dir.to_owned()), ("tests/", dir.join(TESTS))] {
            let list = disk.list(&path).map_err(|e| Refused::one(&*shown, e.to_string()))?;
            for entry in list.into_iter().filter(|entry| !entry.is_dir) {
                let name = format!("{below}{}", entry.name);
                if !is_ours(&name) {
                    continue;
                }
                bytes += entry.len;
                if bytes > BYTES_MAX as u64 || files.len() == FILES_MAX {
                    let rule = format!("more than {FILES_MAX} files or {BYTES_MAX} bytes");
                    return Err(Refused::one(shown, rule));
                }
                files.push(file(disk, &path.join(&entry.name), name)?);
            }
        }
        if !files.iter().any(|file| has_end(&file.name, ".csv")) {
            let reason = "no rule at all: there is no file NAME.csv in it";
            return Err(Refused::one(shown, reason));
        }
        Self::new(files)
    }

    /// All, by name.
    #[must_use]
    pub fn all(&self) -> &[File] {
        &self.0
    }

    /// The line of a rule.
    #[must_use]
    pub fn line(&self, rule: &Rule) -> Option<&str> {
        let file = self.0.iter().find(|file| *file.name == *rule.file)?;
        file.text.lines().nth(usize::try_from(rule.line).ok()?.checked_sub(1)?)
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &File> {
        self.0.iter().filter(|file| has_end(&file.name, ".csv"))
    }

    pub(crate) fn tests(&self) -> impl Iterator<Item = &File> {
        self.0.iter().filter(|file| has_end(&file.name, ".toml"))
    }

    pub(crate) fn model(&self) -> Option<&File> {
        self.0.iter().find(|file| file.name == MODEL)
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|file| file.text.len()).sum()
    }

    /// What tells this set from others.
    pub(crate) fn hash(&self) -> Hash {
        let mut hash = Sha256::new();
        for File { name, text } in self.0.iter() {
            for part in [name, text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        Hash(hash.finalize().into())
    }
}

/// What tells a set from others.
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// For people.
    pub(crate) fn digest(&self) -> String {
        let mut text = String::from("sha256:");
        for byte in self.0 {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    /// Where random requests begin: other sets are tried with others.
    pub(crate) fn seed(&self) -> u64 {
        self.0.iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte))
    }
}

fn file(disk: &dyn Disk, path: &Path, name: String) -> Result<File, Refused> {
    let bytes = match whole::read(disk, path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(Refused::one(name, "it is gone")),
        Err(error) => return Err(Refused::one(name, format!("cannot be read: {error}"))),
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(File { name, text }),
        Err(error) => {
            let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = good.filter(|byte| **byte == b'\n').count() + 1;
            Err(Refused::one(format!("{name}:{line}"), "not UTF-8"))
        }
    }
}

fn has_end(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|stem| !stem.is_empty())
}

/// No hidden files: editors leave some.
fn is_ours(name: &str) -> bool {
    let strange = |c: char| ['/', '\\', ':'].contains(&c) || c.is_control();
    let plain = |name: &str| name.len() <= 128 && !name.starts_with('.') && !name.contains(strange);
    match name.strip_prefix("tests/") {
        Some(test) => plain(test) && has_end(test, ".toml"),
        None => plain(name) && (has_end(name, ".csv") || name == MODEL),
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::MemDisk;

    use super::*;

    #[test]
    fn only_files_of_policies_are_read_in_their_order() {
        let disk = MemDisk::new();
        let dir = Path::new("/p");
        let refused = Files::read(&disk, dir).unwrap_err().to_string();
        assert!(refused.contains("no such directory"), "{refused}");
        for name in ["notes.md", "tests/t.toml"] {
            whole::replace(&disk, &dir.join(name), b"").unwrap();
            let refused = Files::read(&disk, dir).unwrap_err().to_string();
            assert_eq!(refused, "/p: no rule at all: there is no file NAME.csv in it");
        }
        for name in ["b.csv", "a.csv", ".a.csv.swp", "notes.md", "tests/t.toml", "tests/t.csv"] {
            whole::replace(&disk, &dir.join(name), name.as_bytes()).unwrap();
        }
        let files = Files::read(&disk, dir).unwrap();
        let names: Vec<_> = files.all().iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.csv", "b.csv", "tests/t.toml"]);
        whole::replace(&disk, &dir.join("c.csv"), b"#\n#\n\xff\n").unwrap();
        assert_eq!(Files::read(&disk, dir).unwrap_err().to_string(), "c.csv:3: not UTF-8");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "../a.csv",
            "a/b.csv",
            "tests/../a.toml",
            "a.toml",
            ".csv",
            "",
            "x.conf",
            "a\0.csv",
            "a\u{85}.csv",
        ] {
            let file = File { name: name.to_owned(), text: String::new() };
            assert!(Files::new(vec![file]).is_err(), "{name}");
        }
    }

    #[test]
    fn the_digest_knows_where_a_file_ends() {
        let set = |files: &[(&str, &str)]| {
            let file = |&(name, text): &(&str, &str)| File { name: name.into(), text: text.into() };
            Files::new(files.iter().map(file).collect()).unwrap()
        };
        let one = set(&[("a.csv", "1b.csv2")]);
        let two = set(&[("a.csv", "1"), ("b.csv", "2")]);
        assert_ne!(one.hash().digest(), two.hash().digest());
        assert_eq!(two, set(&[("b.csv", "2"), ("a.csv", "1")]));
    }
}
