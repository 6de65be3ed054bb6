//! Python: `componentize-py` puts the interpreter, the plugin and what it imports into one component.

use std::path::PathBuf;
use std::process::Command;

use blockhouse_disk::Disk;

use crate::contract::WORLD;
use crate::{Error, Request, tool};

const TOOL: &str = "componentize-py";
const VERSION: &str = "0.25.1";
const SOURCE: &str = "plugin.py";

/// Makes the component; gives its file.
pub(crate) fn compile(disk: &dyn Disk, request: &Request) -> Result<PathBuf, Error> {
    let directory = &request.directory;
    crate::source(disk, directory, SOURCE)?;
    // A virtual environment of the plugin's own comes before what is installed for all.
    let own = [directory.join(".venv/bin"), directory.join(".venv/Scripts")];
    let program = tool::find(disk, &own, &request.path, TOOL).ok_or_else(|| {
        Error::MissingTool(format!(
            "componentize-py is not here. In {}:\n  python3 -m venv .venv && .venv/bin/pip \
             install {TOOL}=={VERSION}",
            directory.display()
        ))
    })?;
    let (wit, output) = (request.work("wit"), request.work("python.wasm"));
    request.world.write(disk, &wit)?;
    let mut command = Command::new(absolute(&program)?);
    command.arg("--quiet").arg("-d").arg(absolute(&wit)?).args(["-w", WORLD]);
    // Without WASI: what calls it traps. The interpreter itself was started when this was built.
    command.args(["componentize", "--stub-wasi", "-p", "."]);
    command.arg("-o").arg(absolute(&output)?).arg("plugin").current_dir(directory);
    tool::run(&mut command, &request.path)?;
    Ok(output)
}

/// The program runs in the plugin's directory, where relative paths would mean others.
pub(crate) fn absolute(path: &std::path::Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
