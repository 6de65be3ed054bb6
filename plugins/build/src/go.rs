//! Go: bindings of `wit-bindgen`, the usual compiler with GOOS=wasip1, and WASI without WASI.

use std::path::{Path, PathBuf};
use std::process::Command;

use blockhouse_disk::Disk;
use wit_bindgen_core::Files;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId, WorldItem};

use crate::contract::put;
use crate::python::absolute;
use crate::{Error, Request, tool};

/// The module of the bindings, as plugins import it.
const MODULE: &str = "blockhouse";
/// How the generator calls that module, and what it takes from another one.
const GENERATED: &str = "wit_component";
const RUNTIME: &str = "go.bytecodealliance.org/pkg/wit/";
/// What it puts before the names of the contract's interfaces.
const PREFIX: &str = "blockhouse_plugin_";
const MISSING: &str = "\
Go 1.24 or later must be there:
  apt-get install golang    (Debian 13 or later), or the archive of the Go project";

/// Our own part of the bindings, in place of the generator's module of its own.
const FILES: [(&str, &str); 3] = [
    ("go.mod", "module blockhouse\n\ngo 1.24\n"),
    ("wit/types/types.go", include_str!("go/types.go.txt")),
    ("wit/runtime/runtime.go", include_str!("go/runtime.go.txt")),
];

/// Compiles the package in the plugin's directory into a module; gives its file.
pub(crate) fn compile(disk: &dyn Disk, request: &Request) -> Result<PathBuf, Error> {
    let directory = &request.directory;
    let package = module(disk, directory)?;
    let missing = || Error::MissingTool(MISSING.to_owned());
    let go = tool::find(disk, &[], &request.path, "go").ok_or_else(missing)?;
    let (mut resolve, world) = request.world.resolve()?;
    bindings(disk, request, (&mut resolve, world), &package)?;
    let output = request.work("go.wasm");
    let mut command = Command::new(go);
    command.args(["build", "-buildmode=c-shared", "-trimpath"]);
    // Without the debugging information; function names for backtraces stay.
    command.args(["-ldflags=-w", "-mod=mod"]);
    command.arg("-o").arg(absolute(&output)?).arg(MODULE);
    command.env("GOOS", "wasip1").env("GOARCH", "wasm").current_dir(directory);
    tool::run(&mut command, &request.path)?;
    let mut module = crate::read(disk, &output)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|e| Error::Wasm(format!("{e:#}")))?;
    put(disk, &output, &module)?;
    Ok(output)
}

/// The name of the plugin's own module.
fn module(disk: &dyn Disk, directory: &Path) -> Result<String, Error> {
    crate::source(disk, directory, "go.mod")?;
    let path = directory.join("go.mod");
    let bytes = crate::read(disk, &path)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = text.lines().find_map(|line| line.strip_prefix("module "));
    let name = name.map(|name| name.trim().trim_matches('"').to_owned());
    name.ok_or_else(|| Error::Artifact(format!("{} names no module", path.display())))
}

fn bindings(
    disk: &dyn Disk,
    request: &Request,
    (resolve, world): (&mut Resolve, WorldId),
    package: &str,
) -> Result<(), Error> {
    let mut files = Files::default();
    let options =
        wit_bindgen_go::Opts { format: wit_bindgen_go::Format::False, ..Default::default() };
    let generated = options.build().generate(resolve, world, &mut files);
    generated.map_err(|e| Error::Wasm(format!("the bindings: {e:#}")))?;
    let directory = request.work("go");
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "go.mod") {
        let text = String::from_utf8_lossy(bytes);
        let text = text.replace(RUNTIME, &format!("{MODULE}/wit/"));
        let text = text.replace(GENERATED, MODULE).replace(PREFIX, "");
        put(disk, &directory.join(name.replace(PREFIX, "")), text.as_bytes())?;
    }
    for (name, text) in FILES {
        put(disk, &directory.join(name), text.as_bytes())?;
    }
    for (name, text) in exports(resolve, world, package) {
        put(disk, &directory.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// A package for each exported interface, as the generated code wants them, that leads to the
/// plugin's one package.
fn exports(resolve: &Resolve, world: WorldId, package: &str) -> Vec<(String, String)> {
    let items = resolve.worlds[world].exports.values();
    let interfaces = items.filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(&resolve.interfaces[*id]),
        _ => None,
    });
    let file = |interface: &wit_parser::Interface| {
        let name = format!("export_{}", interface.name.as_deref()?.replace('-', "_"));
        let mut text = format!("package {name}\n\nimport plugin \"{package}\"\n\n");
        for function in interface.functions.keys() {
            let name = camel(function);
            text += &format!("var {name} = plugin.{name}\n");
        }
        Some((format!("{name}/export.go"), text))
    };
    interfaces.filter_map(file).collect()
}

/// `before-send` as `BeforeSend`.
fn camel(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(word).collect()
}
