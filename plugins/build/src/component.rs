//! Module to component, and what a component says of itself.

use wasmparser::{ComponentExternalKind, Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

use crate::{Error, wasi};

/// The package of the contract.
const CONTRACT: &str = "blockhouse:plugin/";

/// Components of Rust are far below this, in bytes; brokers refuse larger ones unless told.
pub const SIZE_USUAL_MAX: usize = 8 << 20;

/// Makes a component of a core module that carries its world in `component-type` sections.
///
/// # Errors
/// What does not fit, for example an export that the world names and the module lacks.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, Error> {
    let wrong = |e: &dyn std::fmt::Display| Error::Wasm(format!("{e:#}"));
    let encoder = ComponentEncoder::default().validate(true);
    let mut encoder = encoder.module(module).map_err(|e| wrong(&e))?;
    if imports_wasi(module) {
        encoder = encoder.adapter(wasi::MODULE, &wasi::adapter()?).map_err(|e| wrong(&e))?;
    }
    encoder.encode().map_err(|e| wrong(&e))
}

/// Whether a core module wants WASI as it was before components.
fn imports_wasi(module: &[u8]) -> bool {
    let mut payloads = Parser::new(0).parse_all(module).map_while(Result::ok);
    payloads.any(|payload| match payload {
        Payload::ImportSection(imports) => {
            imports.into_imports().map_while(Result::ok).any(|import| import.module == wasi::MODULE)
        }
        _ => false,
    })
}

/// What a component exports and imports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The names of its exports, for example `blockhouse:plugin/before-send@0.1.0`.
    pub exports: Vec<String>,
    /// The names of its imports.
    pub imports: Vec<String>,
    /// Names of custom sections with debugging information.
    pub debug_sections: Vec<String>,
}

impl Description {
    /// The interfaces of the contract that it exports, by their short names.
    pub fn hooks(&self) -> impl Iterator<Item = &str> {
        self.exports.iter().filter_map(|name| interface(name))
    }

    /// What its author should know, for a component of `size` bytes.
    #[must_use]
    pub fn warnings(&self, size: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.hooks().any(|hook| hook == "lifecycle") {
            warnings.push("it does not export `lifecycle`: no host will load it".to_owned());
        }
        if self.hooks().all(|hook| hook == "lifecycle") {
            warnings.push("it exports no hook: it will never be called".to_owned());
        }
        for import in self.imports.iter().filter(|name| interface(name).is_none()) {
            warnings.push(if import.starts_with("wasi:") {
                format!("it imports `{import}`: a call of it traps, since the host has no WASI")
            } else {
                format!("it imports `{import}`, which the host does not have")
            });
        }
        if size > SIZE_USUAL_MAX {
            warnings
                .push(format!("it has {size} bytes; brokers take {SIZE_USUAL_MAX} unless told"));
        }
        if !self.debug_sections.is_empty() {
            warnings
                .push("it carries debugging information, which the host does not use".to_owned());
        }
        warnings
    }
}

/// The short name of one of the contract's interfaces.
fn interface(name: &str) -> Option<&str> {
    let (name, _version) = name.strip_prefix(CONTRACT)?.split_once('@')?;
    Some(name)
}

/// What a component says of itself, once it is valid.
///
/// # Errors
/// It is no valid component.
pub fn describe(component: &[u8]) -> Result<Description, Error> {
    let wasm = |e: wasmparser::BinaryReaderError| Error::Wasm(e.to_string());
    if !Parser::is_component(component) {
        return Err(Error::Wasm("this is no component".to_owned()));
    }
    Validator::new_with_features(WasmFeatures::default()).validate_all(component).map_err(wasm)?;
    let mut description = Description::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(wasm)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    description.imports.push(import.map_err(wasm)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let export = export.map_err(wasm)?;
                    if export.kind == ComponentExternalKind::Instance {
                        description.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                description.debug_sections.push(section.name().to_owned());
            }
            _ => {}
        }
    }
    Ok(description)
}
