//! Builds a plugin: `build DIRECTORY PACKAGE OUTPUT`.

use std::path::Path;
use std::sync::Arc;

use blockhouse_disk::{Disk, RealDisk, whole};

#[expect(clippy::print_stdout, reason = "an example talks")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [directory, package, output] = arguments.as_slice() else {
        return Err("build DIRECTORY PACKAGE OUTPUT".into());
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut request = blockhouse_build::Request::new(directory, path);
    request.package = Some(package.clone());
    let built = blockhouse_build::build(&*disk, &request)?;
    whole::replace(&*disk, Path::new(output), &built.component)?;
    println!("{} bytes, module {} bytes", built.component.len(), built.module_size);
    println!("{:#?}\n{:?} {:?}", built.description, built.toolchain, built.warnings);
    Ok(())
}
