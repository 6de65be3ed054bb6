//! The options.

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may tell the name server of brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeRequests {
    /// Super users only.
    #[default]
    Super,
    /// Whom policies allow it.
    Policy,
}

/// Who clients are: users, and the signatures that prove them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether requests are authenticated at all, on broker and name server
    /// (RocketMQ: `authenticationEnabled`).
    pub enabled: bool,
    /// Refuse requests without credentials. Otherwise they are those of `anonymous`, and policies say what
    /// that one may do; without policies, everything.
    pub required: bool,
    /// Take access keys over unencrypted connections from other machines. Who can listen there can send
    /// what was signed again, and changed.
    pub allow_plaintext: bool,
    /// Let one connection carry requests of several users, for proxies.
    pub rebind: bool,
    /// The file with the key that seals the users' secrets, outside of the data directory. It is made if
    /// it is missing and there are no users yet.
    pub key_file: String,
    /// A file with `NAME:SECRET`, readable by its owner only: a Super user to be made at the start if
    /// there is none of that name (RocketMQ: `initAuthenticationUser`).
    pub initial_user_file: String,
    /// A file with `NAME:SECRET`, readable by its owner only: who this broker is to name servers
    /// (RocketMQ: `innerClientAuthenticationCredentials`). `standalone` needs none for its own.
    pub node_user_file: String,
    /// Whose reports of brokers this name server takes: those of Super users (`super`), or of whom policies
    /// allow `Update` on the cluster (`policy`).
    pub node_requests: NodeRequests,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            required: true,
            allow_plaintext: false,
            rebind: false,
            key_file: String::new(),
            initial_user_file: String::new(),
            node_user_file: String::new(),
            node_requests: NodeRequests::default(),
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option without which nobody could be authenticated.
    pub fn validate(&self) -> Result<(), OptionError> {
        if self.enabled && self.key_file.is_empty() {
            let rule =
                "must name a file outside of the data directory (it is made if it is missing)";
            return Err(OptionError::new("key_file", rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_need_a_key() {
        assert_eq!(Config::default().validate(), Ok(()));
        let on = Config { enabled: true, ..Config::default() };
        assert_eq!(on.validate().unwrap_err().option, "key_file");
        let on = Config { key_file: "/etc/k".to_owned(), ..on };
        assert_eq!(on.validate(), Ok(()));
    }
}
