//! One run of cargo.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::toolchain::{TARGET, Toolchain};
use crate::{Error, Request};

/// The guest's own stack. A plugin is small; the default of 1 MiB is in every instance's memory.
const STACK: &str = "link-arg=-zstack-size=65536";

/// Compiles the plugin; gives the core module's file.
pub(crate) fn compile(request: &Request, toolchain: &Toolchain) -> Result<PathBuf, Error> {
    let output = command(request, toolchain)
        .output()
        .map_err(|source| Error::Run { program: "cargo".to_owned(), source })?;
    let messages = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Cargo(format!("{}{}", rendered(&messages), told.trim_end())));
    }
    let modules = modules(&messages);
    match modules.as_slice() {
        [module] => Ok(module.clone()),
        [] => Err(Error::Artifact(
            "cargo made no .wasm file: the package needs `crate-type = [\"cdylib\"]` under [lib]"
                .to_owned(),
        )),
        several => Err(Error::Artifact(format!(
            "cargo made {} .wasm files: name the package that is the plugin",
            several.len()
        ))),
    }
}

fn command(request: &Request, toolchain: &Toolchain) -> Command {
    let mut command = toolchain.cargo();
    command.args(["build", "--release", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]);
    command.args(toolchain.arguments());
    if let Some(package) = &request.package {
        command.args(["--package", package]);
    }
    if let Some(directory) = &request.target_dir {
        command.arg("--target-dir").arg(directory);
    }
    if request.locked {
        command.arg("--locked");
    }
    // The plugin's own profile must not decide what a trap or an instance costs.
    let opt_level = if request.small { "s" } else { "3" };
    command
        .env("PATH", &request.path)
        .env("CARGO_ENCODED_RUSTFLAGS", format!("-C\u{1f}{STACK}"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", opt_level)
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        // Names stay: without them a trap's backtrace is a row of numbers.
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo")
        .current_dir(&request.directory)
        .stdin(Stdio::null());
    command
}

/// A line of cargo's.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    target: Target,
    message: Option<Diagnostic>,
}

#[derive(Default, Deserialize)]
struct Target {
    #[serde(default)]
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct Diagnostic {
    rendered: Option<String>,
}

fn lines(messages: &str) -> impl Iterator<Item = Message> {
    messages.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn modules(messages: &str) -> Vec<PathBuf> {
    lines(messages)
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| message.target.crate_types.iter().any(|kind| kind == "cdylib"))
        .flat_map(|message| message.filenames)
        .filter(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .collect()
}

/// What the compiler says, where it came as a message.
fn rendered(messages: &str) -> String {
    lines(messages).filter_map(|line| line.message?.rendered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_wasm_file_of_a_cdylib() {
        let messages = r#"{"reason":"compiler-artifact","target":{"crate_types":["lib"]},"filenames":["/t/libserde.rlib"]}
not json
{"reason":"compiler-artifact","target":{"crate_types":["cdylib","rlib"]},"filenames":["/t/acl.wasm","/t/libacl.rlib"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(modules(messages), [PathBuf::from("/t/acl.wasm")]);
        assert!(modules("").is_empty());
    }
}
