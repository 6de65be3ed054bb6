//! What a service manager is told: that the process is ready, and that it stops (systemd's `Type=notify`).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where the manager of this process listens, as it says in the environment.
const SOCKET: &str = "NOTIFY_SOCKET";
/// How long a manager may keep the process waiting that does not take what it is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// A state of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// All its ports are listened on.
    Ready,
    /// It goes down.
    Stopping,
}

impl State {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1",
            Self::Stopping => b"STOPPING=1",
        }
    }
}

/// Tells the manager, if there is one. What it does not hear does not stop the process: the manager has its own
/// bounds.
pub(super) fn tell(state: State) {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    if let Err(error) = tell_at(&socket, state) {
        tracing::warn!(
            "the service manager is not told of {state:?}: {SOCKET} {socket:?}: {error}"
        );
    }
}

fn tell_at(socket: &OsStr, state: State) -> io::Result<()> {
    let address = address(socket)?;
    let sender = UnixDatagram::unbound()?;
    sender.set_write_timeout(Some(PATIENCE))?;
    let sent = sender.send_to_addr(state.text(), &address)?;
    // A datagram goes whole or not at all.
    debug_assert_eq!(sent, state.text().len());
    Ok(())
}

/// A path, or after `@` a name without a file.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor @NAME")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut text = [0; 64];
        let len = listener.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..len]).into_owned()
    }

    #[test]
    fn a_manager_listens_at_a_path_or_at_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        tell_at(path.as_os_str(), State::Ready).unwrap();
        assert_eq!(heard(&listener), "READY=1");
        let name = format!("blockhouse-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        tell_at(OsStr::new(&format!("@{name}")), State::Stopping).unwrap();
        assert_eq!(heard(&listener), "STOPPING=1");
    }

    #[test]
    fn what_is_no_manager_is_an_error() {
        let long = format!("/{}", "x".repeat(200));
        for socket in ["", "@", "vsock:2:1234", "relative/path", "/nonexistent/notify", &long] {
            assert!(tell_at(OsStr::new(socket), State::Ready).is_err(), "{socket}");
        }
    }
}
