//! How tools reach a cluster by TLS.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::RealDisk;
use blockhouse_service::SystemClock;
use blockhouse_transport::tls::{Connector, Outgoing};

use crate::{given, wrong_use};

/// Whether connections are encrypted, and who the other side has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct TlsArgs {
    /// Connect by TLS; each of the options below says so as well
    #[arg(long, global = true, help_heading = "TLS")]
    tls: bool,
    /// The roots that may vouch for servers (PEM); those of the system if absent
    #[arg(long, global = true, value_name = "FILE", help_heading = "TLS")]
    tls_ca: Option<PathBuf>,
    /// The certificate to show (PEM), with --tls-key
    #[arg(long, global = true, value_name = "FILE", help_heading = "TLS")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM, not encrypted)
    #[arg(long, global = true, value_name = "FILE", help_heading = "TLS")]
    tls_key: Option<PathBuf>,
    /// The name that servers' certificates must have, instead of the address that is connected to
    #[arg(long, global = true, value_name = "NAME", help_heading = "TLS")]
    tls_server_name: Option<String>,
    /// Take any certificate: whoever is in between can read and change everything
    #[arg(long, global = true, help_heading = "TLS")]
    tls_insecure: bool,
}

impl TlsArgs {
    /// The same, with TLS also where no option says so.
    pub(crate) fn asked_for(&self) -> Self {
        Self { tls: true, ..self.clone() }
    }

    /// What makes connections secure, if they are to be.
    pub(crate) fn connector(&self) -> anyhow::Result<Option<Arc<Connector>>> {
        self.connecting(self.tls)
    }

    /// As if `--tls` was said.
    pub(crate) fn required(&self) -> anyhow::Result<Option<Arc<Connector>>> {
        self.connecting(true)
    }

    fn connecting(&self, is_asked_for: bool) -> anyhow::Result<Option<Arc<Connector>>> {
        let file = |given: &Option<PathBuf>| given.clone().unwrap_or_default();
        let outgoing = Outgoing {
            enabled: true,
            ca: file(&self.tls_ca),
            cert: file(&self.tls_cert),
            key: file(&self.tls_key),
            server_name: self.tls_server_name.clone().unwrap_or_default(),
            insecure: self.tls_insecure,
        };
        if !is_asked_for && outgoing == (Outgoing { enabled: true, ..Outgoing::default() }) {
            return Ok(None);
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err(wrong_use("--tls-cert and --tls-key must be given together"));
        }
        for path in [&self.tls_ca, &self.tls_cert, &self.tls_key].into_iter().flatten() {
            given::file(path)?;
        }
        outgoing.validate().map_err(|_| wrong_use("--tls-server-name is no host name"))?;
        let connector =
            Connector::load(&outgoing, Arc::new(RealDisk), Arc::new(SystemClock::new()))
                .map_err(|error| wrong_use(format!("TLS (--tls): {error}")))?;
        Ok(Some(Arc::new(connector)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn connector(args: &[&str]) -> Result<bool, String> {
        let line = Line::parse_from([&["x"], args].concat());
        line.tls.connector().map(|c| c.is_some()).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn any_option_of_tls_means_tls() {
        assert_eq!(connector(&[]), Ok(false));
        assert_eq!(connector(&["--tls-insecure"]), Ok(true));
        let missing = connector(&["--tls-ca", "no-such-file"]).unwrap_err();
        assert!(missing.contains("no-such-file"), "{missing}");
        let alone = connector(&["--tls-cert", "c"]).unwrap_err();
        assert!(alone.contains("--tls-key"), "{alone}");
        let name = connector(&["--tls-server-name", "a b"]).unwrap_err();
        assert!(name.contains("--tls-server-name"), "{name}");
    }
}
