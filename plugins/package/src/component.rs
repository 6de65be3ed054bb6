//! A look into a component without compiling it, and the section that holds its manifest.
//!
//! What is read is what stands outermost: names of imports and exports, and one custom section.
//! This is no validation; the engine does that when it compiles. It is enough to refuse most of
//! what is wrong before that, in words for the one who built it.

use bytes::Bytes;
use semver::Version;
use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, ComponentExternalKind, ComponentTypeRef,
    Parser, Payload,
};

use crate::{Error, Manifest, manifest};

/// Largest component, if its manifest does not say.
pub const SIZE_DEFAULT: u64 = 8 << 20;
/// Largest component.
pub const SIZE_MAX: u64 = 64 << 20;
/// The custom section that holds the manifest in its canonical spelling.
pub const SECTION: &str = "blockhouse:manifest";
/// The package of the contract.
const PACKAGE: &str = "blockhouse:plugin/";
/// Most imports, and most exports.
const NAMES_MAX: usize = 256;
/// Longest name of an import or export.
const NAME_LEN_MAX: usize = 256;
/// Components and modules within each other.
const DEPTH_MAX: usize = 32;

/// What a component shows without being compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Component {
    /// Its imports, for example `blockhouse:plugin/log@0.1.0`.
    pub imports: Vec<Item>,
    /// Its exports.
    pub exports: Vec<Item>,
    /// The manifest that it holds.
    pub manifest: Option<Manifest>,
}

/// An import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Its whole name.
    pub name: String,
    /// Whether it is an interface, not a single function or type.
    pub is_interface: bool,
}

impl Item {
    /// The interface of our contract that it is, and its version.
    #[must_use]
    pub fn of_contract(&self) -> Option<(&str, Version)> {
        let (interface, version) = self.name.strip_prefix(PACKAGE)?.split_once('@')?;
        let version = Version::parse(version).ok()?;
        self.is_interface.then_some((interface, version))
    }
}

impl Component {
    /// Looks into these bytes.
    ///
    /// # Errors
    /// They are no component, too many or malformed; or the component has what is not served.
    pub fn look(bytes: &[u8]) -> Result<Self, Error> {
        check_kind(bytes)?;
        let mut look = Look::default();
        for payload in Parser::new(0).parse_all(bytes) {
            look.payload(payload.map_err(|e| malformed(&e))?)?;
        }
        let manifest = look.manifest.map(Manifest::parse_canonical).transpose()?;
        Ok(Self { imports: look.imports, exports: look.exports, manifest })
    }
}

/// The component with the manifest in it. Its digest is the plugin's identity.
///
/// # Errors
/// As [`Component::look`], and components that hold a manifest already.
pub fn embed(component: &[u8], manifest: &Manifest) -> Result<Bytes, Error> {
    if Component::look(component)?.manifest.is_some() {
        return Err(Error::HasManifest);
    }
    let canonical = manifest.canonical();
    let mut section = Vec::with_capacity(SECTION.len() + canonical.len() + 8);
    push_len(&mut section, SECTION.len());
    section.extend_from_slice(SECTION.as_bytes());
    section.extend_from_slice(canonical.as_bytes());

    let mut out = Vec::with_capacity(component.len() + section.len() + 8);
    out.extend_from_slice(component);
    // The id of custom sections.
    out.push(0);
    push_len(&mut out, section.len());
    out.extend_from_slice(&section);
    check_size(&out)?;
    Ok(out.into())
}

/// A length as WebAssembly writes it: seven bits a byte, the lowest first.
fn push_len(out: &mut Vec<u8>, mut len: usize) {
    while len >= 0x80 {
        out.push(0x80 | (len & 0x7f).to_le_bytes()[0]);
        len >>= 7;
    }
    out.push(len.to_le_bytes()[0]);
}

fn check_size(bytes: &[u8]) -> Result<(), Error> {
    let len = bytes.len() as u64;
    if len > SIZE_MAX {
        return Err(Error::TooLarge { what: "the component".to_owned(), len, max: SIZE_MAX });
    }
    Ok(())
}

fn check_kind(bytes: &[u8]) -> Result<(), Error> {
    check_size(bytes)?;
    if bytes.starts_with(b"\x7fELF") {
        return Err(Error::Precompiled);
    }
    // Magic, version, layer: the layer tells components from modules.
    match bytes.get(..8).map(|head| head.split_at(4)) {
        Some((b"\0asm", [_, _, 0, 0])) => Err(Error::CoreModule),
        Some((b"\0asm", _)) => Ok(()),
        _ => Err(Error::NotComponent),
    }
}

fn malformed(e: &BinaryReaderError) -> Error {
    Error::Malformed { offset: e.offset(), problem: e.message().to_owned() }
}

#[derive(Default)]
struct Look<'a> {
    /// How many components and modules are open; 1 in the outermost one.
    depth: usize,
    imports: Vec<Item>,
    exports: Vec<Item>,
    manifest: Option<&'a [u8]>,
}

impl<'a> Look<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::Version { .. } => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    let problem = format!("nests more than {DEPTH_MAX} components");
                    return Err(Error::Unsupported(problem));
                }
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if self.depth == 1 => {
                for import in section {
                    let import = import.map_err(|e| malformed(&e))?;
                    let is_interface = matches!(import.ty, ComponentTypeRef::Instance(_));
                    push(&mut self.imports, import.name.name, is_interface)?;
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 1 => {
                for export in section {
                    let export = export.map_err(|e| malformed(&e))?;
                    let is_interface = export.kind == ComponentExternalKind::Instance;
                    push(&mut self.exports, export.name.name, is_interface)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    check_encoding(&function.map_err(|e| malformed(&e))?)?;
                }
            }
            Payload::CustomSection(section) if self.depth == 1 && section.name() == SECTION => {
                if self.manifest.replace(section.data()).is_some() {
                    return Err(Error::TwoManifests("the component holds both"));
                }
                let (len, max) = (section.data().len() as u64, manifest::SIZE_MAX as u64);
                if len > max {
                    return Err(Error::TooLarge { what: "the manifest".to_owned(), len, max });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn push(items: &mut Vec<Item>, name: &str, is_interface: bool) -> Result<(), Error> {
    if items.len() == NAMES_MAX {
        let problem = format!("has more than {NAMES_MAX} imports or exports");
        return Err(Error::Unsupported(problem));
    }
    if name.len() > NAME_LEN_MAX || name.chars().any(char::is_control) {
        let problem = format!("has a name over {NAME_LEN_MAX} bytes or with control characters");
        return Err(Error::Unsupported(problem));
    }
    items.push(Item { name: name.to_owned(), is_interface });
    Ok(())
}

/// Texts in other encodings are converted by code of the engine that nothing of ours needs.
fn check_encoding(function: &CanonicalFunction) -> Result<(), Error> {
    let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) =
        function
    else {
        return Ok(());
    };
    let other =
        |o: &CanonicalOption| matches!(o, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16);
    if options.iter().any(other) {
        return Err(Error::Unsupported("has texts that are not UTF-8".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MANIFEST: &str = "name = \"a\"\nversion = \"1.0.0\"\nabi = \"0.1\"\nhooks = [\"pull\"]\n";

    fn component() -> Vec<u8> {
        wat::parse_str(
            r#"(component
                (import "blockhouse:plugin/log@0.1.0" (instance (export "f" (func))))
                (import "lone" (func))
                (core module (@custom "blockhouse:manifest" "not the outermost"))
                (instance $i)
                (export "blockhouse:plugin/pull@0.1.0" (instance $i)))"#,
        )
        .unwrap()
    }

    fn manifest() -> Manifest {
        Manifest::parse(MANIFEST.as_bytes()).unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        Component::look(bytes).unwrap_err().to_string()
    }

    #[test]
    fn imports_exports_and_the_manifest_are_seen() {
        let bytes = embed(&component(), &manifest()).unwrap();
        let seen = Component::look(&bytes).unwrap();
        assert_eq!(seen.manifest, Some(manifest()));
        let log = seen.imports[0].of_contract().unwrap();
        assert_eq!(log, ("log", Version::new(0, 1, 0)));
        assert_eq!((seen.imports[1].name.as_str(), seen.imports[1].of_contract()), ("lone", None));
        assert_eq!(seen.exports[0].of_contract().unwrap().0, "pull");
        assert_eq!((seen.imports.len(), seen.exports.len()), (2, 1));
    }

    #[test]
    fn a_component_holds_one_manifest() {
        let once = embed(&component(), &manifest()).unwrap();
        assert!(matches!(embed(&once, &manifest()), Err(Error::HasManifest)));
        let mut twice = once.to_vec();
        twice.extend_from_slice(&once[component().len()..]);
        assert!(refusal(&twice).contains("two manifests"));
        let mut other = once.to_vec();
        let at = other.len() - 2;
        other[at] = b' ';
        assert!(refusal(&other).contains("not TOML"), "{}", refusal(&other));
    }

    #[test]
    fn what_is_no_component_is_refused_by_name() {
        assert!(refusal(b"\x7fELF\x02\x01\x01\x00").contains(".cwasm"));
        assert!(refusal(b"\0asm\x01\0\0\0").contains("core module"));
        for bytes in [&b""[..], b"\0asm", b"(component)", b"\0asn\x0d\0\x01\0"] {
            assert!(refusal(bytes).contains("not a WebAssembly component"));
        }
        assert!(refusal(b"\0asm\x0c\0\x01\0").contains("malformed"));
        let whole = component();
        assert!(refusal(&whole[..whole.len() - 1]).contains("malformed at byte"));
        let large = vec![0; usize::try_from(SIZE_MAX).unwrap() + 1];
        assert!(refusal(&large).contains("67108865 bytes, more than 67108864"));
    }

    #[test]
    fn what_is_not_served_is_refused() {
        let deep = (0..DEPTH_MAX).fold(String::new(), |inner, _| format!("(component {inner})"));
        assert!(Component::look(&wat::parse_str(&deep).unwrap()).is_ok());
        let deeper = wat::parse_str(format!("(component {deep})")).unwrap();
        assert!(refusal(&deeper).contains("nests more than"));
        let imports: String = (0..257).map(|i| format!("(import \"f{i}\" (func))")).collect();
        let many = wat::parse_str(format!("(component {imports})")).unwrap();
        assert!(refusal(&many).contains("more than 256 imports"));
        let utf16 = wat::parse_str(
            r#"(component (component
                (import "f" (func $f (param "s" string)))
                (core module $m (memory (export "m") 1))
                (core instance $i (instantiate $m))
                (core func (canon lower (func $f) string-encoding=utf16 (memory $i "m")))))"#,
        )
        .unwrap();
        assert!(refusal(&utf16).contains("not UTF-8"));
    }

    proptest! {
        #[test]
        fn changed_bytes_are_read_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = embed(&component(), &manifest()).unwrap().to_vec();
            for (at, byte) in changes {
                // Past the magic number, so that there is something to read.
                let at = 8 + at.index(bytes.len() - 8);
                bytes[at] = byte;
            }
            let _whatever = Component::look(&bytes).is_ok();
            bytes.truncate(cut.index(bytes.len()));
            let _whatever = Component::look(&bytes).is_ok();
        }

        #[test]
        fn any_bytes_after_the_head_are_read_or_refused(
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [&b"\0asm\x0d\0\x01\0"[..], &rest].concat();
            let _whatever = Component::look(&bytes).is_ok();
        }
    }
}
