//! The options.

use std::path::PathBuf;
use std::time::Duration;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rules;

/// What the first byte of a connection may be. RocketMQ: `tls.server.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Plaintext only.
    #[default]
    Disabled,
    /// Plaintext or TLS, as the client likes.
    Permissive,
    /// TLS only.
    Enforcing,
}

/// Whether clients show certificates. RocketMQ: `tls.server.need.client.auth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not asked for any.
    #[default]
    None,
    /// They may; one that is shown has to be good.
    Optional,
    /// They must.
    Require,
}

/// Section `[tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `disabled`: plaintext only; `permissive`: plaintext and TLS on the same ports; `enforcing`:
    /// TLS only. RocketMQ: `tls.server.mode`.
    pub mode: Mode,
    /// A PEM file: the server's certificate, then those between it and the root. RocketMQ:
    /// `tls.server.certPath`.
    pub cert: PathBuf,
    /// A PEM file: the certificate's private key, not encrypted. RocketMQ: `tls.server.keyPath`.
    pub key: PathBuf,
    /// Whether clients are asked for certificates: `none`, `optional`, `require`. RocketMQ:
    /// `tls.server.need.client.auth`.
    pub client_auth: ClientAuth,
    /// A PEM file: the roots that may vouch for clients. RocketMQ: `tls.server.trustCertPath`.
    pub client_ca: PathBuf,
    /// PEM files: lists of revoked client certificates. If there are any, each issuer in a client's
    /// chain needs one.
    pub client_crl: Vec<PathBuf>,
    /// Which user a client's certificate stands for: rules `spiffe[:PATTERN]`, `dns:PATTERN`,
    /// `dn:PATTERN`, each with ` -> NAME` or without; the first that matches. A certificate that no
    /// rule matches is refused.
    pub identity: Vec<String>,
    /// Milliseconds from a connection's first byte to the end of its handshake.
    #[schemars(range(min = 1))]
    pub handshake_ms: u64,
    /// Most handshakes under way at a time, from one address half of them; further ones wait.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub handshakes_max: usize,
    /// Milliseconds between two looks at the files.
    #[schemars(range(min = 100))]
    pub reload_ms: u64,
    /// RocketMQ's own file for all this, `tls.properties`; other sources of options are stronger.
    pub properties: PathBuf,
    /// The broker's own connections to name servers.
    pub outgoing: Outgoing,
}

/// How connections are made by TLS: by the broker to name servers, by tools to a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Outgoing {
    /// Whether the broker reaches name servers by TLS. RocketMQ: `tls.enable`.
    pub enabled: bool,
    /// A PEM file: the roots that may vouch for servers; empty: those of the system. RocketMQ:
    /// `tls.client.trustCertPath`.
    pub ca: PathBuf,
    /// A PEM file: the certificate to show, then those between it and the root; empty: none.
    /// RocketMQ: `tls.client.certPath`.
    pub cert: PathBuf,
    /// A PEM file: that certificate's private key, not encrypted. RocketMQ: `tls.client.keyPath`.
    pub key: PathBuf,
    /// The name that servers' certificates must have; empty: the host name or IP address that is
    /// connected to.
    pub server_name: String,
    /// Take any certificate of any server: the connection is encrypted, but whoever is in between
    /// can read and change everything. RocketMQ: `tls.client.authServer`, turned round.
    pub insecure: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Disabled,
            cert: PathBuf::new(),
            key: PathBuf::new(),
            client_auth: ClientAuth::None,
            client_ca: PathBuf::new(),
            client_crl: Vec::new(),
            identity: vec!["spiffe".to_owned()],
            handshake_ms: 5_000,
            handshakes_max: 2_048,
            reload_ms: 2_000,
            properties: PathBuf::new(),
            outgoing: Outgoing::default(),
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option without which nothing could be encrypted, or anybody could be anyone.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_least("handshake_ms", &self.handshake_ms, &1)?;
        OptionError::check_range("handshakes_max", &self.handshakes_max, &(1..=1_000_000))?;
        OptionError::check_least("reload_ms", &self.reload_ms, &100)?;
        Rules::parse(&self.identity).map_err(|rule| OptionError::new("identity", rule))?;
        self.outgoing.validate().map_err(|e| e.within("outgoing"))?;
        if self.mode == Mode::Disabled {
            return Ok(());
        }
        for (option, file) in [("cert", &self.cert), ("key", &self.key)] {
            if file.as_os_str().is_empty() {
                return Err(OptionError::new(option, "must be a file, unless tls.mode = disabled"));
            }
        }
        if self.client_auth == ClientAuth::None {
            return Ok(());
        }
        if self.client_ca.as_os_str().is_empty() {
            let rule = "must be a file, unless tls.client_auth = none";
            return Err(OptionError::new("client_ca", rule));
        }
        if self.identity.is_empty() {
            let rule = "must have a rule, unless tls.client_auth = none";
            return Err(OptionError::new("identity", rule));
        }
        Ok(())
    }

    /// How long a handshake may take.
    #[must_use]
    pub fn handshake(&self) -> Duration {
        Duration::from_millis(self.handshake_ms)
    }
}

impl Outgoing {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// A certificate without a key, or the other way round; a name that is none.
    pub fn validate(&self) -> Result<(), OptionError> {
        if self.cert.as_os_str().is_empty() != self.key.as_os_str().is_empty() {
            return Err(OptionError::new("cert", "and `key` must be given together"));
        }
        let name = &self.server_name;
        if !name.is_empty() && rustls::pki_types::ServerName::try_from(name.as_str()).is_err() {
            return Err(OptionError::new("server_name", "must be a host name or an IP address"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option that is to be refused, and what makes it wrong.
    type Case = (&'static str, fn(&mut Config));

    #[test]
    fn what_would_leave_a_door_open_is_refused() {
        let good = Config {
            mode: Mode::Permissive,
            cert: "c".into(),
            key: "k".into(),
            client_auth: ClientAuth::Require,
            client_ca: "ca".into(),
            ..Config::default()
        };
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(good.validate(), Ok(()));
        let set: [Case; 10] = [
            ("cert", |c| c.cert = PathBuf::new()),
            ("key", |c| c.key = PathBuf::new()),
            ("client_ca", |c| c.client_ca = PathBuf::new()),
            ("identity", |c| c.identity = Vec::new()),
            ("identity", |c| c.identity = vec!["dn:CN=*".to_owned()]),
            ("handshake_ms", |c| c.handshake_ms = 0),
            ("handshakes_max", |c| c.handshakes_max = 0),
            ("reload_ms", |c| c.reload_ms = 0),
            ("outgoing.cert", |c| c.outgoing.key = "k".into()),
            ("outgoing.server_name", |c| c.outgoing.server_name = "a b".to_owned()),
        ];
        for (option, set) in set {
            let mut config = good.clone();
            set(&mut config);
            assert_eq!(config.validate().unwrap_err().option, option);
        }
    }
}
