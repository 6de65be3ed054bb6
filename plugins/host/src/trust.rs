//! Whose plugins a node takes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk, whole};
use blockhouse_model::OptionError;
use blockhouse_package::{
    Ask, Asks, Capability, Component, Hashed, Manifest, Name, Package, Policy, Signatures,
    TrustStore, package, signature, trust,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::binding::Grants;

/// Whose plugins are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trust {
    /// The trust store: a directory of public keys, `*.pub`. `off`: `blockhouse/trust` in `node.data`.
    pub dir: Option<PathBuf>,
    /// Whose signatures a plugin must have: `"none"`, `"signed"` (any trusted key's), or a table of
    /// `all_of`, `any_of` and `minimum`; see docs/plugins.md.
    #[schemars(with = "serde_json::Value")]
    pub require: Require,
}

/// Whose signatures must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Require {
    /// A word for a common rule.
    Word(Word),
    /// Certain keys.
    Signers(Signers),
}

/// A common rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Nobody's.
    None,
    /// Any one trusted key's.
    Signed,
}

/// Certain keys, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signers {
    /// Each of these.
    pub all_of: Vec<String>,
    /// One of these.
    pub any_of: Vec<String>,
    /// So many trusted ones.
    pub minimum: usize,
}

impl Default for Require {
    fn default() -> Self {
        Self::Word(Word::None)
    }
}

impl Trust {
    pub(crate) fn validate(&self) -> Result<(), OptionError> {
        self.rule().map(|_| ())
    }

    fn rule(&self) -> Result<trust::Require, OptionError> {
        let signers = match &self.require {
            Require::Word(Word::None) => return Ok(trust::Require::default()),
            Require::Word(Word::Signed) => {
                return Ok(trust::Require { minimum: 1, ..trust::Require::default() });
            }
            Require::Signers(signers) => signers,
        };
        let names = |names: &[String]| -> Result<BTreeSet<Name>, OptionError> {
            let name = |text: &String| text.parse().map_err(|_| text.clone());
            names.iter().map(name).collect::<Result<_, _>>().map_err(|text: String| {
                OptionError::new("require", format!("names a key `{text}`: 1 to 64 of `a-z 0-9 -`"))
            })
        };
        OptionError::check_range("require.minimum", &signers.minimum, &(0..=trust::KEYS_MAX))?;
        Ok(trust::Require {
            all_of: names(&signers.all_of)?,
            any_of: names(&signers.any_of)?,
            minimum: signers.minimum,
        })
    }
}

/// The keys and the rule, as they are at one moment.
pub(crate) struct Judge {
    store: TrustStore,
    policy: Policy,
}

impl Judge {
    /// Reads the store.
    pub(crate) fn read(disk: &dyn Disk, trust: &Trust, dir: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::TrustStore { problem };
        let require = trust.rule().map_err(|e| wrong(format!("plugins.trust.{e}")))?;
        let store = TrustStore::read(disk, dir).map_err(|e| wrong(e.to_string()))?;
        let known: BTreeSet<&Name> =
            store.keys().map(blockhouse_package::PublicKey::name).collect();
        if let Some(key) = require.all_of.iter().chain(&require.any_of).find(|k| !known.contains(k))
        {
            let dir = dir.display();
            return Err(wrong(format!(
                "plugins.trust.require names the key {key}, which is not in {dir}: put {key}.pub there"
            )));
        }
        Ok(Self { store, policy: Policy { require, ..Policy::default() } })
    }

    pub(crate) fn demands_nothing(&self) -> bool {
        self.policy.require.is_nothing()
    }

    /// Checks a plugin whose manifest must be in it.
    pub(crate) fn vouch(&self, name: &str, package: &Package) -> Result<(), Error> {
        let vouched = self.store.vouch(&self.policy, package);
        vouched.map(|_| ()).map_err(|source| Error::trust(name, source))
    }

    /// Checks what stands on the disk, as far as something is demanded or signed. Gives what the
    /// plugin says of itself.
    pub(crate) fn look(
        &self,
        name: &str,
        component: &Hashed,
        beside: Option<Signatures>,
    ) -> Result<Option<Manifest>, Error> {
        if self.demands_nothing() && beside.is_none() {
            // What is wrong with it, the compiler says.
            return Ok(Component::look(component.bytes()).ok().and_then(|seen| seen.manifest));
        }
        let package = Package::of(component.clone(), None, beside.unwrap_or_default());
        let package = package.map_err(|source| Error::trust(name, source))?;
        self.vouch(name, &package)?;
        Ok(Some(package.manifest().clone()))
    }
}

/// The signatures that stand beside a component, if there are some.
pub(crate) fn beside(
    disk: &dyn Disk,
    name: &str,
    component: &Path,
) -> Result<Option<Signatures>, Error> {
    let path = package::signatures_path(component);
    let failed = |source| Error::Read { name: name.to_owned(), path: path.clone(), source };
    let len = match disk.open_read(&path) {
        Ok(file) => file.len().map_err(failed)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let refused = |source| Error::trust(name, source);
    if len > signature::FILE_SIZE_MAX {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    let bytes = whole::read(disk, &path).map_err(failed)?.unwrap_or_default();
    Signatures::parse(&bytes).map(Some).map_err(refused)
}

/// What a binding grants, in the words of manifests. Scopes are left out: what a plugin reaches is
/// what both name, so that a wider ask alone reaches nothing more.
pub(crate) fn granted(grants: &Grants) -> Asks {
    let spelled = grants.spelled();
    let names =
        spelled.iter().map(|grant| grant.split_once(':').map_or(&**grant, |(name, _)| name));
    names.filter_map(Capability::of).map(Ask::all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_words_or_tables() {
        let rule = |text: &str| serde_json::from_str::<Trust>(text).unwrap().rule();
        assert!(rule("{}").unwrap().is_nothing());
        assert_eq!(rule(r#"{"require": "signed"}"#).unwrap().minimum, 1);
        let both = rule(r#"{"require": {"all_of": ["a"], "minimum": 2}}"#).unwrap();
        assert_eq!((both.all_of.len(), both.minimum), (1, 2));
        assert!(rule(r#"{"require": {"all_of": ["A"]}}"#).is_err());
        assert!(rule(r#"{"require": {"minimum": 257}}"#).is_err());
        assert!(serde_json::from_str::<Trust>(r#"{"require": {"most_of": ["a"]}}"#).is_err());
        assert!(serde_json::from_str::<Trust>(r#"{"require": "sometimes"}"#).is_err());
    }

    #[test]
    fn grants_cover_asks() {
        let http = ["https://a.example/", "https://b.example/"].map(str::to_owned).to_vec();
        let grants = Grants { log: true, message_bodies: true, http, ..Grants::default() };
        let names: Vec<String> = granted(&grants).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["log", "http", "message-bodies"]);
    }
}
