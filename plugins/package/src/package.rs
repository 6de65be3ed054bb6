//! A plugin as a whole: component, manifest and signatures that agree with each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk, whole};
use bytes::Bytes;

use crate::component::Item;
use crate::{
    Abi, Capability, Component, Digest, Error, Hashed, Interface, Manifest, Signatures, component,
    file, signature,
};

/// A plugin whose manifest says what its component shows. Nobody has vouched for it yet.
#[derive(Clone, Debug)]
pub struct Package {
    hashed: Hashed,
    manifest: Manifest,
    component: Component,
    signatures: Signatures,
}

impl Package {
    /// Puts a plugin together. Its manifest is the one in the component; one that stands beside it
    /// must be the same, and is enough where there is none in it.
    ///
    /// # Errors
    /// One of them is wrong, or they do not agree.
    pub fn new(
        bytes: Bytes,
        beside: Option<Manifest>,
        signatures: Signatures,
    ) -> Result<Self, Error> {
        Self::of(bytes.into(), beside, signatures)
    }

    /// The same of bytes whose digest is known.
    ///
    /// # Errors
    /// As [`Package::new`].
    pub fn of(
        hashed: Hashed,
        beside: Option<Manifest>,
        signatures: Signatures,
    ) -> Result<Self, Error> {
        let component = Component::look(hashed.bytes())?;
        let manifest = match (&component.manifest, beside) {
            (Some(inside), Some(beside)) if *inside != beside => {
                return Err(Error::TwoManifests("the one beside the component is another one"));
            }
            (Some(inside), _) => inside.clone(),
            (None, Some(beside)) => beside,
            (None, None) => return Err(Error::NoManifest),
        };
        let (len, max) = (hashed.bytes().len() as u64, manifest.limits.component_size());
        if len > max {
            let what = format!("the component of {}", manifest.name);
            return Err(Error::TooLarge { what, len, max });
        }
        check_exports(&component.exports, &manifest)?;
        check_imports(&component.imports, &manifest)?;
        Ok(Self { hashed, manifest, component, signatures })
    }

    /// Reads a component's file and its signatures' ([`signatures_path`]), if there is one. The
    /// manifest is the one in the component.
    ///
    /// # Errors
    /// The disk fails, or as [`Package::new`].
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let bytes = file::read(disk, path, component::SIZE_MAX)?;
        let sig = signatures_path(path);
        let signatures = file::read_if_there(disk, &sig, signature::FILE_SIZE_MAX)?;
        let signatures = signatures.map(|bytes| Signatures::parse(&bytes)).transpose()?;
        Self::new(bytes, None, signatures.unwrap_or_default())
    }

    /// The component.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        self.hashed.bytes()
    }

    /// The plugin's identity.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.hashed.digest()
    }

    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What its component shows.
    #[must_use]
    pub const fn component(&self) -> &Component {
        &self.component
    }

    /// Who signed it, as far as it says.
    #[must_use]
    pub const fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// The same with other signatures.
    #[must_use]
    pub fn with_signatures(self, signatures: Signatures) -> Self {
        Self { signatures, ..self }
    }
}

/// Where a component's signatures stand: `NAME.wasm.sig` beside `NAME.wasm`.
#[must_use]
pub fn signatures_path(component: &Path) -> PathBuf {
    whole::with_suffix(component, ".sig")
}

/// The name of an interface of the contract in the manifest's version.
fn in_contract(item: &Item, abi: Abi) -> Result<Option<&str>, Error> {
    let Some((interface, version)) = item.of_contract() else { return Ok(None) };
    if !abi.has(&version) {
        let problem = format!("abi is {abi}, and the component has {}", item.name);
        return Err(Error::Disagree(problem));
    }
    Ok(Some(interface))
}

fn check_exports(exports: &[Item], manifest: &Manifest) -> Result<(), Error> {
    let mut exported = BTreeSet::new();
    for item in exports {
        let Some(name) = in_contract(item, manifest.abi)? else { continue };
        let Some(interface) = Interface::of(name) else {
            return Err(Error::Unsupported(format!("exports {}, which nothing calls", item.name)));
        };
        exported.insert(interface);
    }
    if !exported.remove(&Interface::Lifecycle) {
        return Err(Error::Unsupported("does not export `lifecycle`".to_owned()));
    }
    if let Some(hook) = exported.difference(&manifest.hooks).next() {
        let problem = format!("`{}` is exported and not in `hooks`", hook.name());
        return Err(Error::Disagree(problem));
    }
    if let Some(hook) = manifest.hooks.difference(&exported).next() {
        let problem = format!("`{}` is in `hooks` and not exported", hook.name());
        return Err(Error::Disagree(problem));
    }
    Ok(())
}

fn check_imports(imports: &[Item], manifest: &Manifest) -> Result<(), Error> {
    for item in imports {
        // What is not there of WASI is a stub of the host's that refuses.
        if item.is_interface && item.name.starts_with("wasi:") {
            continue;
        }
        let unknown = || Error::Unsupported(format!("imports {}, which is not there", item.name));
        let name = in_contract(item, manifest.abi)?.ok_or_else(unknown)?;
        if name == "types" {
            continue;
        }
        let capability = Capability::of(name).ok_or_else(unknown)?;
        // Hooks that could be lent bodies import this by their types alone.
        if capability != Capability::MessageBodies && !manifest.asks.has(capability) {
            let problem = format!("`{name}` is imported and not in `asks`");
            return Err(Error::Disagree(problem));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use blockhouse_disk::MemDisk;

    use super::*;

    /// A component with these imports and exports that does nothing.
    pub(crate) fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let mut text = String::from("(component ");
        for import in imports {
            text.push_str(&format!("(import \"{import}\" (instance))"));
        }
        text.push_str("(instance $i)");
        for export in exports {
            text.push_str(&format!("(export \"{export}\" (instance $i))"));
        }
        wat::parse_str(text + ")").unwrap()
    }

    pub(crate) fn manifest(version: &str, asks: &str) -> Manifest {
        let text = format!(
            "name = \"sample\"\nversion = \"{version}\"\nabi = \"0.1\"\nhooks = [\"audit-sink\"]\n\
             asks = [{asks}]\n"
        );
        Manifest::parse(text.as_bytes()).unwrap()
    }

    const EXPORTS: [&str; 2] =
        ["blockhouse:plugin/lifecycle@0.1.0", "blockhouse:plugin/audit-sink@0.1.0"];

    /// A plugin without signatures.
    pub(crate) fn package(version: &str, asks: &str) -> Package {
        let bytes = component(&["blockhouse:plugin/types@0.1.0"], &EXPORTS);
        let bytes = component::embed(&bytes, &manifest(version, asks)).unwrap();
        Package::new(bytes, None, Signatures::default()).unwrap()
    }

    fn refusal(imports: &[&str], exports: &[&str], asks: &str) -> String {
        let (bytes, manifest) = (component(imports, exports), manifest("1.0.0", asks));
        let package = Package::new(bytes.into(), Some(manifest), Signatures::default());
        package.map_or_else(|e| e.to_string(), |_| "none".to_owned())
    }

    #[test]
    fn the_manifest_says_what_the_component_exports() {
        let lifecycle = "blockhouse:plugin/lifecycle@0.1.0";
        let refused = |exports: &[&str]| refusal(&[], exports, "");
        assert_eq!(refused(&EXPORTS), "none");
        assert_eq!(refused(&[EXPORTS[0], EXPORTS[1], "own:thing/else@1.0.0"]), "none");
        assert!(refused(&[EXPORTS[1]]).contains("does not export `lifecycle`"));
        assert!(refused(&[lifecycle]).contains("`audit-sink` is in `hooks` and not exported"));
        let more = [EXPORTS[0], EXPORTS[1], "blockhouse:plugin/pull@0.1.3"];
        assert!(refused(&more).contains("`pull` is exported and not in `hooks`"));
        let later = [EXPORTS[0], "blockhouse:plugin/audit-sink@0.2.0"];
        assert!(refused(&later).contains("abi is 0.1"));
        let odd = [EXPORTS[0], EXPORTS[1], "blockhouse:plugin/brew-coffee@0.1.0"];
        assert!(refused(&odd).contains("nothing calls"));
    }

    #[test]
    fn imports_are_asked_for() {
        let refused = |imports: &[&str], asks: &str| refusal(imports, &EXPORTS, asks);
        let (kv, http) = ("blockhouse:plugin/kv@0.1.0", "blockhouse:plugin/http@0.1.0");
        assert_eq!(refused(&[kv], "\"kv\""), "none");
        assert_eq!(refused(&[http], "\"http:https://a.example/\""), "none");
        assert_eq!(refused(&["blockhouse:plugin/message-bodies@0.1.0"], ""), "none");
        assert_eq!(refused(&["wasi:cli/stdout@0.2.0"], ""), "none");
        assert!(refused(&[kv], "\"log\"").contains("`kv` is imported and not in `asks`"));
        assert!(refused(&["other:system/files@1.0.0"], "").contains("which is not there"));
        assert!(refused(&["blockhouse:plugin/pull@0.1.0"], "").contains("which is not there"));
        assert!(refused(&["blockhouse:plugin/kv@0.2.0"], "\"kv\"").contains("abi is 0.1"));
    }

    #[test]
    fn there_is_one_manifest_and_it_bounds_the_component() {
        let bytes = package("1.0.0", "").bytes().clone();
        let of = |beside| Package::new(bytes.clone(), beside, Signatures::default());
        assert_eq!(of(Some(manifest("1.0.0", ""))).unwrap().digest(), Digest::of(&bytes));
        assert!(matches!(of(Some(manifest("1.0.1", ""))), Err(Error::TwoManifests(_))));
        let bare: Bytes = component(&[], &EXPORTS).into();
        let none = Package::new(bare.clone(), None, Signatures::default());
        assert!(matches!(none, Err(Error::NoManifest)));
        let small = manifest("1.0.0", "").canonical() + "[limits]\ncomponent_size = 20\n";
        let small = Manifest::parse(small.as_bytes()).unwrap();
        let large = Package::new(bare, Some(small), Signatures::default());
        assert!(matches!(large, Err(Error::TooLarge { max: 20, .. })));
    }

    #[test]
    fn signatures_stand_beside_the_component() {
        let (disk, path) = (MemDisk::new(), Path::new("/p/sample.wasm"));
        let package = package("1.0.0", "");
        whole::replace(&disk, path, package.bytes()).unwrap();
        assert!(Package::read(&disk, path).unwrap().signatures().is_empty());
        let key = crate::SecretKey::from_seed("a".parse().unwrap(), &[1; 32]);
        let signature = crate::Signature::sign(&key, package.digest(), package.manifest());
        let sig = Path::new("/p/sample.wasm.sig");
        whole::replace(&disk, sig, format!("{signature}\n").as_bytes()).unwrap();
        let read = Package::read(&disk, path).unwrap();
        assert_eq!(read.signatures().iter().next(), Some(&signature));
        whole::replace(&disk, sig, b"rubbish").unwrap();
        assert!(Package::read(&disk, path).is_err());
        assert!(matches!(Package::read(&disk, Path::new("/none")), Err(Error::Disk { .. })));
    }
}
