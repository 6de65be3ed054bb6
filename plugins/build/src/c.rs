//! C: bindings of `wit-bindgen`, clang, and the C library of WASI without WASI.

use std::path::{Path, PathBuf};
use std::process::Command;

use blockhouse_disk::Disk;
use wit_bindgen_core::Files;

use crate::contract::put;
use crate::python::absolute;
use crate::{Error, Request, tool};

const TARGET: &str = "--target=wasm32-wasi";
/// How clang is asked for the linker, for a file of the C library's, and for its own library.
const QUESTIONS: [&str; 3] =
    ["-print-prog-name=wasm-ld", "-print-file-name=crt1-reactor.o", "-print-libgcc-file-name"];
const MISSING: &str = "\
clang must be there, with a linker (wasm-ld), a C library (wasi-libc) and its own one for WebAssembly:
  apt-get install clang lld wasi-libc libclang-rt-dev-wasm32    (Debian)
or put the `bin` of a wasi-sdk first into PATH";

/// Compiles `src/*.c` into a module; gives its file.
pub(crate) fn compile(disk: &dyn Disk, request: &Request) -> Result<PathBuf, Error> {
    let sources = sources(disk, &request.directory)?;
    let clang = find(disk, request)?;
    let bindings = bindings(disk, request)?;
    let output = request.work("c.wasm");
    let mut command = Command::new(clang);
    command.args([TARGET, "-mexec-model=reactor", "-std=gnu11", "-Wall", "-flto"]);
    command.arg(if request.small { "-Os" } else { "-O3" });
    command.arg("-I").arg(absolute(&bindings)?);
    command.args(sources).arg(absolute(&bindings.join("plugin.c"))?);
    command.arg(absolute(&bindings.join("plugin_component_type.o"))?);
    command.arg("-Wl,-z,stack-size=65536,--strip-debug");
    command.arg("-o").arg(absolute(&output)?).current_dir(&request.directory);
    tool::run(&mut command, &request.path)?;
    Ok(output)
}

/// The plugin's own sources, by their names in its directory.
fn sources(disk: &dyn Disk, directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = disk.list(&directory.join("src")).unwrap_or_default();
    let mut names: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.name.ends_with(".c"))
        .map(|entry| Path::new("src").join(entry.name))
        .collect();
    names.sort();
    if names.is_empty() {
        let told = format!("there is no .c file in {}", directory.join("src").display());
        return Err(Error::Artifact(told));
    }
    Ok(names)
}

/// A clang that has what it needs.
fn find(disk: &dyn Disk, request: &Request) -> Result<PathBuf, Error> {
    let missing = || Error::MissingTool(MISSING.to_owned());
    let clang = tool::find(disk, &[], &request.path, "clang").ok_or_else(missing)?;
    for question in QUESTIONS {
        let answer = tool::run(Command::new(&clang).args([TARGET, question]), &request.path)?;
        // It gives a mere name, or a place without the file, where it has none.
        if !disk.exists(Path::new(answer.trim())) {
            return Err(missing());
        }
    }
    Ok(clang)
}

fn bindings(disk: &dyn Disk, request: &Request) -> Result<PathBuf, Error> {
    let (mut resolve, world) = request.world.resolve()?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    let generated = generator.generate(&mut resolve, world, &mut files);
    generated.map_err(|e| Error::Wasm(format!("the bindings: {e:#}")))?;
    let directory = request.work("c");
    for (name, bytes) in files.iter() {
        put(disk, &directory.join(name), bytes)?;
    }
    Ok(directory)
}
