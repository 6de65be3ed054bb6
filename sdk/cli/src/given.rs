//! Files and directories that the command line names. One that is not there, or is of the other kind, is wrong use:
//! nothing has been done yet, and trying again does not help.

use std::io;
use std::path::Path;

use crate::wrong_use;

/// Fails if there is no such file. One that may not be looked at is left to who reads it.
pub(crate) fn file(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    if path.is_dir() {
        return Err(wrong_use(format!("{shown} is a directory, and a file is wanted")));
    }
    if is_missing(path) { Err(wrong_use(format!("there is no file {shown}"))) } else { Ok(()) }
}

/// Fails if there is no such directory.
pub(crate) fn directory(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    if path.is_dir() {
        return Ok(());
    }
    if is_missing(path) {
        return Err(wrong_use(format!("there is no directory {shown}")));
    }
    if path.is_file() {
        return Err(wrong_use(format!("{shown} is a file, and a directory is wanted")));
    }
    Ok(())
}

/// Fails if there is neither a file nor a directory.
pub(crate) fn either(path: &Path) -> anyhow::Result<()> {
    if is_missing(path) {
        return Err(wrong_use(format!("there is no file or directory {}", path.display())));
    }
    Ok(())
}

/// Fails if nobody may say whether that is there: what cannot be looked at is not said to be missing.
pub(crate) fn visible(path: &Path) -> anyhow::Result<()> {
    seen(path, path.try_exists())
}

fn seen(path: &Path, looked: io::Result<bool>) -> anyhow::Result<()> {
    match looked {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(anyhow::anyhow!("cannot look at {}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

fn is_missing(path: &Path) -> bool {
    match path.try_exists() {
        Ok(is_there) => !is_there,
        Err(error) => error.kind() == io::ErrorKind::NotADirectory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WrongUse;

    #[test]
    fn what_may_not_be_looked_at_is_not_said_to_be_missing() {
        let path = Path::new("/d/blockhouse/flight");
        let told = seen(path, Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
        assert_eq!(told.to_string(), "cannot look at /d/blockhouse/flight: permission denied");
        assert!(!told.is::<WrongUse>());
        for looked in [Ok(true), Ok(false), Err(io::ErrorKind::NotADirectory.into())] {
            assert!(seen(path, looked).is_ok());
        }
    }

    #[test]
    fn what_is_not_there_or_of_the_other_kind_is_wrong_use() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, file_there) = (dir.path(), dir.path().join("f"));
        blockhouse_disk::whole::replace(&blockhouse_disk::RealDisk, &file_there, b"x").unwrap();
        let (none, below) = (dir.join("none"), file_there.join("g"));
        let told = |said: anyhow::Result<()>| {
            said.err().map(|error| {
                assert!(error.is::<WrongUse>(), "{error}");
                error.to_string()
            })
        };
        let says = |path: &Path, what: &str| Some(what.replace("PATH", path.to_str().unwrap()));
        assert_eq!(told(file(&file_there)), None);
        assert_eq!(told(directory(dir)), None);
        assert_eq!((told(either(dir)), told(either(&file_there))), (None, None));
        assert_eq!(told(file(dir)), says(dir, "PATH is a directory, and a file is wanted"));
        let is_file = says(&file_there, "PATH is a file, and a directory is wanted");
        assert_eq!(told(directory(&file_there)), is_file);
        for path in [&none, &below] {
            assert_eq!(told(file(path)), says(path, "there is no file PATH"));
            assert_eq!(told(directory(path)), says(path, "there is no directory PATH"));
            assert_eq!(told(either(path)), says(path, "there is no file or directory PATH"));
        }
    }
}
