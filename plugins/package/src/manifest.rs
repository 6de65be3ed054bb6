//! `plugin.toml`: what a plugin says of itself.
//!
//! The same text has many spellings, so what is signed and embedded is the manifest in one fixed
//! spelling, [`Manifest::canonical`], which is TOML as well. Keys that were not given stay out of
//! it: a later key with a default does not change what was signed before.

mod canonical;
mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use semver::Version;

use crate::{Ask, Asks, Error, Interface, Name, asks};
use fields::Fields;

/// Largest manifest.
pub const SIZE_MAX: usize = 64 << 10;
/// Longest description.
pub const DESCRIPTION_LEN_MAX: usize = 256;
/// Longest version, and longest text about the SDK.
pub const WORD_LEN_MAX: usize = 64;
/// Linear memory of an instance, if a manifest does not say.
pub const MEMORY_DEFAULT: u64 = 16 << 20;
/// Least linear memory: one page.
pub const MEMORY_MIN: u64 = 64 << 10;
/// Most linear memory.
pub const MEMORY_MAX: u64 = 256 << 20;

/// A plugin's own words about itself. Made by reading only, so that it keeps the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// Its name in bindings, logs and metrics.
    pub name: Name,
    /// Its version.
    pub version: Version,
    /// The contract's version.
    pub abi: Abi,
    /// One sentence; may be empty.
    pub description: String,
    /// What it exports besides `lifecycle`.
    pub hooks: BTreeSet<Interface>,
    /// What it wants to call.
    pub asks: Asks,
    /// What it needs to run.
    pub limits: Limits,
    /// What it was made with.
    pub sdk: Sdk,
}

/// A version of the contract, `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Abi {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
}

impl Abi {
    /// Those that are served.
    pub const SERVED: [Self; 1] = [Self { major: 0, minor: 1 }];

    /// Whether an interface of this version belongs to it.
    #[must_use]
    pub fn has(self, version: &Version) -> bool {
        version.major == self.major && version.minor == self.minor && version.pre.is_empty()
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Abi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let served = Self::SERVED.map(|abi| abi.to_string());
        let found = Self::SERVED.into_iter().zip(&served).find(|(_, name)| *name == text);
        found.map(|(abi, _)| abi).ok_or_else(|| format!("must be one of {}", served.join(", ")))
    }
}

/// What a plugin needs to run; where it does not say, the defaults hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    memory: Option<u64>,
    component_size: Option<u64>,
    /// The longest that a call may take, in milliseconds.
    pub deadline_ms: BTreeMap<Interface, u32>,
}

impl Limits {
    /// Bytes of linear memory of an instance.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory.unwrap_or(MEMORY_DEFAULT)
    }

    /// Largest size of the component.
    #[must_use]
    pub fn component_size(&self) -> u64 {
        self.component_size.unwrap_or(crate::component::SIZE_DEFAULT)
    }
}

/// What a plugin was made with; for the reader only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sdk {
    /// The language.
    pub language: String,
    /// The SDK's version.
    pub version: String,
}

impl Manifest {
    /// Reads `plugin.toml`.
    ///
    /// # Errors
    /// The first key that is missing, unknown or wrong, by its path.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::parse(text)?;
        let name = fields.required("name", Fields::text)?;
        let name = name.parse().map_err(|e: Error| Error::manifest("name", e.to_string()))?;
        let hooks = hooks(&fields.required("hooks", Fields::list)?)?;
        let manifest = Self {
            name,
            version: version(&fields.required("version", Fields::text)?)?,
            abi: abi(&fields.required("abi", Fields::text)?)?,
            description: fields.short("description", DESCRIPTION_LEN_MAX)?,
            asks: asks(&fields.list("asks")?.unwrap_or_default())?,
            limits: limits(fields.table("limits")?, &hooks)?,
            sdk: sdk(fields.table("sdk")?)?,
            hooks,
        };
        fields.finish()?;
        manifest.waits_only_off_the_data_path()?;
        Ok(manifest)
    }

    /// Reads the canonical spelling, and no other.
    ///
    /// # Errors
    /// As [`Manifest::parse`], and any other spelling.
    pub fn parse_canonical(text: &[u8]) -> Result<Self, Error> {
        let manifest = Self::parse(text)?;
        if manifest.canonical().as_bytes() == text {
            return Ok(manifest);
        }
        Err(Error::ManifestSyntax("it is not in its canonical spelling".to_owned()))
    }

    /// The one spelling that is signed, embedded and handed on.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::render(self)
    }

    fn waits_only_off_the_data_path(&self) -> Result<(), Error> {
        let inline = self.hooks.iter().find(|hook| !hook.is_off_the_data_path());
        let waits = self.asks.iter().find(|ask| ask.capability().waits());
        let (Some(hook), Some(ask)) = (inline, waits) else { return Ok(()) };
        let problem = format!(
            "has `{ask}`, which may wait, beside the hook `{}`, which must not: make two plugins",
            hook.name()
        );
        Err(Error::manifest("asks", problem))
    }
}

fn version(text: &str) -> Result<Version, Error> {
    if text.len() > WORD_LEN_MAX {
        return Err(Error::manifest("version", format!("has more than {WORD_LEN_MAX} bytes")));
    }
    let wrong = |e| Error::manifest("version", format!("is not like 1.2.3: {e}"));
    Version::parse(text).map_err(wrong)
}

fn abi(text: &str) -> Result<Abi, Error> {
    text.parse().map_err(|problem: String| Error::manifest("abi", problem))
}

fn hooks(names: &[String]) -> Result<BTreeSet<Interface>, Error> {
    let mut hooks = BTreeSet::new();
    for (i, name) in names.iter().enumerate() {
        let path = || format!("hooks[{i}]");
        let known = Interface::of(name).filter(|hook| *hook != Interface::Lifecycle);
        let Some(hook) = known else {
            let all = Interface::ALL.iter().skip(1).map(|hook| hook.name()).collect::<Vec<_>>();
            return Err(Error::manifest(path(), format!("is none of {}", all.join(", "))));
        };
        if !hooks.insert(hook) {
            return Err(Error::manifest(path(), "stands there twice"));
        }
    }
    Ok(hooks)
}

fn asks(texts: &[String]) -> Result<Asks, Error> {
    if texts.len() > asks::COUNT_MAX {
        return Err(Error::manifest("asks", format!("has more than {} items", asks::COUNT_MAX)));
    }
    let ask = |(i, text): (usize, &String)| {
        text.parse::<Ask>().map_err(|problem| Error::manifest(format!("asks[{i}]"), problem))
    };
    texts.iter().enumerate().map(ask).collect()
}

fn limits(mut fields: Fields, hooks: &BTreeSet<Interface>) -> Result<Limits, Error> {
    let component_max = crate::component::SIZE_MAX;
    let limits = Limits {
        memory: fields.size("memory", MEMORY_MIN, MEMORY_MAX)?,
        component_size: fields.size("component_size", 1, component_max)?,
        deadline_ms: deadlines(fields.table("deadline_ms")?, hooks)?,
    };
    fields.finish()?;
    Ok(limits)
}

fn deadlines(
    mut fields: Fields,
    hooks: &BTreeSet<Interface>,
) -> Result<BTreeMap<Interface, u32>, Error> {
    let mut deadlines = BTreeMap::new();
    // What is not among the plugin's own interfaces is an unknown key.
    for &interface in hooks.iter().chain(&[Interface::Lifecycle]) {
        let deadline = fields.number(interface.name(), 1, interface.deadline_max_ms())?;
        deadlines.extend(deadline.map(|ms| (interface, ms)));
    }
    fields.finish()?;
    Ok(deadlines)
}

fn sdk(mut fields: Fields) -> Result<Sdk, Error> {
    let sdk = Sdk {
        language: fields.short("language", WORD_LEN_MAX)?,
        version: fields.short("version", WORD_LEN_MAX)?,
    };
    fields.finish()?;
    Ok(sdk)
}

#[cfg(test)]
mod tests;
