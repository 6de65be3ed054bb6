//! Who must have signed, and what may take the place of what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use blockhouse_disk::Disk;
use semver::Version;

use crate::{Asks, Digest, Error, KeyId, Manifest, Name, Package, PublicKey};

/// Files of public keys end so; others in the directory are passed over.
pub const SUFFIX: &str = ".pub";
/// Most keys of a store.
pub const KEYS_MAX: usize = 256;

/// The public keys that an operator trusts.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    keys: BTreeMap<KeyId, PublicKey>,
}

impl TrustStore {
    /// Reads a directory of public keys. A missing directory is an empty store.
    ///
    /// # Errors
    /// The disk fails, a file is no public key, or a key or name stands there twice.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::TrustStore { dir: dir.to_owned(), problem };
        let mut keys = Vec::new();
        for entry in disk.list(dir).map_err(|e| Error::disk("list", dir, e))? {
            if entry.is_dir || !entry.name.ends_with(SUFFIX) {
                continue;
            }
            let key = PublicKey::read(disk, &dir.join(&entry.name));
            keys.push(key.map_err(|e| wrong(format!("{}: {e}", entry.name)))?);
        }
        Self::of(keys).map_err(wrong)
    }

    /// A store of these keys.
    ///
    /// # Errors
    /// There are too many, or a key or name stands among them twice: then one signer could count
    /// as two.
    pub fn of(keys: Vec<PublicKey>) -> Result<Self, String> {
        if keys.len() > KEYS_MAX {
            return Err(format!("it has more than {KEYS_MAX} keys"));
        }
        let mut store = Self::default();
        for key in keys {
            let (name, id) = (key.name().clone(), key.id());
            let known = store.keys.values().any(|other| *other.name() == name);
            if known || store.keys.insert(id, key).is_some() {
                return Err(format!("key {name} ({id}) has the name or the bytes of another one"));
            }
        }
        Ok(store)
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values()
    }

    /// Checks a plugin's signatures and its pins.
    ///
    /// # Errors
    /// A trusted key's signature is wrong, a required one is missing, or the plugin is pinned to
    /// other bytes.
    pub fn vouch(&self, policy: &Policy, package: &Package) -> Result<Vouched, Error> {
        let manifest = package.manifest();
        let name = &manifest.name;
        if policy.pinned.get(name).is_some_and(|pins| !pins.contains(&package.digest())) {
            return Err(Error::Pinned { name: name.clone(), found: package.digest() });
        }
        let mut vouched = Vouched::default();
        for signature in package.signatures().iter() {
            let Some(key) = self.keys.get(&signature.key()) else {
                vouched.unknown.push(signature.key());
                continue;
            };
            // Wrong even where none is required: somebody changed what was signed.
            signature.verify(key, package.digest(), manifest)?;
            vouched.signers.insert(key.name().clone());
        }
        policy.require.check(name, &vouched)?;
        Ok(vouched)
    }
}

/// Whose signatures were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vouched {
    /// Trusted keys that signed.
    pub signers: BTreeSet<Name>,
    /// Keys that are not in the store; their signatures say nothing.
    pub unknown: Vec<KeyId>,
}

/// What the operator demands of every plugin.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whose signatures must be there.
    pub require: Require,
    /// Plugins that are taken with one of these digests only.
    pub pinned: BTreeMap<Name, BTreeSet<Digest>>,
}

/// Whose signatures must be there. All three must hold; the default demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Require {
    /// Each of these keys.
    pub all_of: BTreeSet<Name>,
    /// At least one of these keys, unless there are none.
    pub any_of: BTreeSet<Name>,
    /// So many trusted keys, whichever.
    pub minimum: usize,
}

impl FromStr for Require {
    type Err = String;

    /// `none`, or `signed` for any one trusted key.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::default()),
            "signed" => Ok(Self { minimum: 1, ..Self::default() }),
            _ => Err("is neither none nor signed".to_owned()),
        }
    }
}

impl Require {
    /// Whether unsigned plugins are taken.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self, name: &Name, vouched: &Vouched) -> Result<(), Error> {
        let missing = |keys: Vec<Name>| Err(Error::MissingSigner { name: name.clone(), keys });
        let signers = &vouched.signers;
        if signers.len() < self.minimum {
            return Err(Error::Unsigned {
                name: name.clone(),
                have: signers.len(),
                need: self.minimum,
                unknown: vouched.unknown.len(),
            });
        }
        if let Some(key) = self.all_of.difference(signers).next() {
            return missing(vec![key.clone()]);
        }
        if !self.any_of.is_empty() && self.any_of.is_disjoint(signers) {
            return missing(self.any_of.iter().cloned().collect());
        }
        Ok(())
    }
}

/// What is installed, when a plugin comes to take its place.
#[derive(Clone, Debug)]
pub struct Former {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Version,
    /// What the binding grants now: what was granted before, or more by now.
    pub granted: Asks,
}

impl Former {
    /// Whether this manifest's plugin may take the place of the former one. A rollback may bring
    /// an older version back, but no wider asks.
    ///
    /// # Errors
    /// It has another name, is older, or asks for more.
    pub fn admits(&self, next: &Manifest, rollback: bool) -> Result<(), Error> {
        if next.name != self.name {
            let (installed, found) = (self.name.clone(), next.name.clone());
            return Err(Error::OtherPlugin { installed, found });
        }
        // Build metadata says nothing of what is newer.
        if next.version.cmp_precedence(&self.version).is_lt() && !rollback {
            return Err(Error::Downgrade {
                name: next.name.clone(),
                installed: self.version.clone(),
                found: next.version.clone(),
            });
        }
        let asks = next.asks.beyond(&self.granted);
        if !asks.is_empty() {
            let (name, version) = (next.name.clone(), next.version.clone());
            return Err(Error::Widened { name, version, asks });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::{MemDisk, whole};

    use super::*;
    use crate::package::tests::{manifest, package};
    use crate::{SecretKey, Signature, Signatures};

    fn key(name: &str) -> SecretKey {
        let seed = Digest::of(name.as_bytes());
        SecretKey::from_seed(name.parse().unwrap(), seed.bytes())
    }

    fn store(names: &[&str]) -> TrustStore {
        TrustStore::of(names.iter().map(|name| key(name).public()).collect()).unwrap()
    }

    fn signed(by: &[&str]) -> Package {
        let package = package("1.0.0", "");
        let mut signatures = Signatures::default();
        for name in by {
            let signature = Signature::sign(&key(name), package.digest(), package.manifest());
            signatures.add(signature).unwrap();
        }
        package.with_signatures(signatures)
    }

    fn require(all_of: &[&str], any_of: &[&str], minimum: usize) -> Policy {
        let set = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let require = Require { all_of: set(all_of), any_of: set(any_of), minimum };
        Policy { require, ..Policy::default() }
    }

    #[test]
    fn required_signatures_must_be_there() {
        let store = store(&["a", "b", "c"]);
        let check = |policy: &Policy, by: &[&str]| store.vouch(policy, &signed(by));
        let nothing = Policy::default();
        assert!(check(&nothing, &[]).unwrap().signers.is_empty());
        let seen = check(&nothing, &["a", "stranger"]).unwrap();
        assert_eq!((seen.signers.len(), seen.unknown.len()), (1, 1));

        let any = Policy { require: "signed".parse().unwrap(), ..Policy::default() };
        assert!(check(&any, &["b"]).is_ok());
        let error = check(&any, &["stranger"]).unwrap_err();
        assert!(matches!(error, Error::Unsigned { have: 0, need: 1, unknown: 1, .. }));
        assert!(error.to_string().contains("sample is signed by 0 trusted keys and 1"), "{error}");

        assert!(check(&require(&[], &[], 2), &["a"]).is_err());
        assert!(check(&require(&[], &[], 2), &["a", "c"]).is_ok());
        let error = check(&require(&["a", "b"], &[], 0), &["a"]).unwrap_err().to_string();
        assert!(error.contains("sample needs the signature of b:"), "{error}");
        assert!(check(&require(&["a", "b"], &[], 0), &["b", "a"]).is_ok());
        let error = check(&require(&[], &["a", "b"], 0), &["c"]).unwrap_err().to_string();
        assert!(error.contains("a or b"), "{error}");
        assert!(check(&require(&[], &["a", "b"], 0), &["c", "b"]).is_ok());
    }

    #[test]
    fn a_wrong_signature_is_refused_even_if_none_is_required() {
        let other = signed(&["a"]).signatures().clone();
        let moved = package("1.0.1", "").with_signatures(other);
        let error = store(&["a"]).vouch(&Policy::default(), &moved).unwrap_err();
        assert!(matches!(error, Error::BadSignature { .. }), "{error}");
        // Of an unknown key nothing can be said.
        assert_eq!(store(&[]).vouch(&Policy::default(), &moved).unwrap().unknown.len(), 1);
    }

    #[test]
    fn a_pinned_plugin_is_taken_with_its_digests_only() {
        let package = package("1.0.0", "");
        let pin = |digest| Policy {
            pinned: [("sample".parse().unwrap(), BTreeSet::from([digest]))].into(),
            ..Policy::default()
        };
        let store = TrustStore::default();
        assert!(store.vouch(&pin(package.digest()), &package).is_ok());
        let error = store.vouch(&pin(Digest::of(b"")), &package).unwrap_err();
        assert!(matches!(error, Error::Pinned { .. }), "{error}");
    }

    #[test]
    fn a_store_is_a_directory_of_keys_each_there_once() {
        let (disk, dir) = (MemDisk::new(), Path::new("/trust"));
        assert_eq!(TrustStore::read(&disk, dir).unwrap().keys().count(), 0);
        let put = |name: &str, text: &str| {
            whole::replace(&disk, &dir.join(name), text.as_bytes()).unwrap();
        };
        put("a.pub", &key("a").public().to_string());
        put("b.pub", &key("b").public().to_string());
        put("README", "not a key");
        let names: BTreeSet<_> = TrustStore::read(&disk, dir)
            .unwrap()
            .keys()
            .map(|key| key.name().to_string())
            .collect();
        assert_eq!(names, BTreeSet::from(["a".to_owned(), "b".to_owned()]));

        let refusal = || TrustStore::read(&disk, dir).unwrap_err().to_string();
        put("c.pub", &key("a").public().to_string().replace(":a:", ":c:"));
        assert!(refusal().contains("the name or the bytes of another one"));
        put("c.pub", &key("c").public().to_string().replace(":c:", ":a:"));
        assert!(refusal().contains("the name or the bytes of another one"));
        put("c.pub", "rubbish");
        assert!(refusal().contains("c.pub: not a public key"), "{}", refusal());
        put("c.pub", &"x".repeat(1025));
        assert!(refusal().contains("more than 1024"), "{}", refusal());
    }

    #[test]
    fn older_versions_and_wider_asks_do_not_take_over() {
        let granted = manifest("1.0.0", "\"log\", \"kv\"").asks;
        let name = || "sample".parse().unwrap();
        let former = Former { name: name(), version: Version::new(1, 2, 0), granted };
        let admits = |version, asks, rollback| former.admits(&manifest(version, asks), rollback);
        assert!(admits("1.2.0", "\"log\"", false).is_ok());
        assert!(admits("1.3.0", "\"log\", \"kv\"", false).is_ok());
        assert!(matches!(admits("1.2.0-rc.1", "", false), Err(Error::Downgrade { .. })));
        let error = admits("1.1.9", "\"log\"", false).unwrap_err().to_string();
        assert_eq!(error, "sample 1.1.9 is older than the installed 1.2.0: use `plugin rollback`");
        assert!(admits("1.1.9", "\"log\"", true).is_ok());
        assert!(admits("1.2.0+build.1", "\"log\"", false).is_ok());
        for rollback in [false, true] {
            let error = admits("1.3.0", "\"log\", \"clock\", \"http\"", rollback).unwrap_err();
            assert!(matches!(error, Error::Widened { .. }));
            assert!(error.to_string().contains("asks for clock, http:"), "{error}");
        }
        let other = Former { name: "other".parse().unwrap(), ..former.clone() };
        assert!(matches!(
            other.admits(&manifest("1.3.0", ""), false),
            Err(Error::OtherPlugin { .. })
        ));
    }
}
