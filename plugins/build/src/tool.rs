//! Programs of other languages' toolchains.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use blockhouse_disk::Disk;

use crate::Error;

/// Where a program is: in one of the plugin's own directories, then in `path`.
pub(crate) fn find(
    disk: &dyn Disk,
    own: &[PathBuf],
    path: &OsStr,
    program: &str,
) -> Option<PathBuf> {
    let places = own.iter().cloned().chain(std::env::split_paths(path));
    places.map(|place| place.join(program)).find(|file| disk.exists(file))
}

/// Runs a program to its end; gives what it printed.
pub(crate) fn run(command: &mut Command, path: &OsString) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output = command
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run { program, source })?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let told = format!("{printed}{}", told.trim_end());
        return Err(Error::Tool { name, told });
    }
    Ok(printed)
}
