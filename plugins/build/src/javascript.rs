//! JavaScript: `componentize-js` puts an engine (`SpiderMonkey`) and the plugin into one component.

use std::path::PathBuf;
use std::process::Command;

use blockhouse_disk::Disk;

use crate::contract::WORLD;
use crate::python::absolute;
use crate::{Error, Request, tool};

const TOOL: &str = "componentize-js";
const SOURCE: &str = "plugin.js";
/// All that would import WASI. `Date` then stands at the time of the build, and `Math.random` gives
/// every instance the same numbers.
const DISABLED: [&str; 5] = ["stdio", "random", "clocks", "http", "fetch-event"];

/// Makes the component; gives its file.
pub(crate) fn compile(disk: &dyn Disk, request: &Request) -> Result<PathBuf, Error> {
    let directory = &request.directory;
    crate::source(disk, directory, SOURCE)?;
    let own = [directory.join("node_modules/.bin")];
    let program = tool::find(disk, &own, &request.path, TOOL).ok_or_else(|| {
        Error::MissingTool(format!(
            "componentize-js is not here. In {} (Node.js 20 or later; package.json names the \
             version; about 400 MB):\n  npm install",
            directory.display()
        ))
    })?;
    let (wit, output) = (request.work("wit"), request.work("javascript.wasm"));
    request.world.write(disk, &wit)?;
    let mut command = Command::new(absolute(&program)?);
    command.arg(SOURCE).arg("--wit").arg(absolute(&wit)?).args(["--world-name", WORLD]);
    command.arg("--out").arg(absolute(&output)?);
    command.arg("--disable").args(DISABLED).current_dir(directory);
    tool::run(&mut command, &request.path)?;
    Ok(output)
}
