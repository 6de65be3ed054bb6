//! What the tools share: how to reach a cluster, what to do about an error, tables.

mod table;
mod tls;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_authn::Credential;
use blockhouse_client::{Client, Error, Options};
use blockhouse_disk::RealDisk;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::signed::Signer;
use blockhouse_service::SystemClock;

use crate::{address, given, wrong_use};

pub(crate) use table::Table;
pub(crate) use tls::TlsArgs;

/// Where a name server is if nothing is said.
pub(crate) const NAMESRV: &str = "127.0.0.1:9876";

/// Which cluster to talk to.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// The name servers, separated by `;`; any that answers will do
    #[arg(
        long,
        short = 'n',
        value_name = "HOST:PORT;...",
        default_value = NAMESRV,
        value_parser = address::list
    )]
    pub(crate) namesrv: String,
    /// How long to wait for a connection and for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3_000)]
    pub(crate) timeout_ms: u64,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

const ACCESS_KEY_VARIABLE: &str = "BLOCKHOUSE_ACCESS_KEY";
const SECRET_KEY_FILE_VARIABLE: &str = "BLOCKHOUSE_SECRET_KEY_FILE";

/// Who to be, where servers ask for that.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct IdentityArgs {
    /// Sign requests as this user (or variable `BLOCKHOUSE_ACCESS_KEY`)
    #[arg(long, global = true, value_name = "NAME")]
    access_key: Option<String>,
    /// The file with the user's secret, readable by its owner only: the secret alone, or RocketMQ's
    /// tools.yml (or variable `BLOCKHOUSE_SECRET_KEY_FILE`)
    #[arg(long, global = true, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
}

impl IdentityArgs {
    /// Who signs; nobody if nothing is said.
    pub(crate) fn signer(&self) -> anyhow::Result<Option<Arc<Signer>>> {
        Ok(self.credential()?.as_ref().map(signer_of))
    }

    /// Whether requests say who sends them.
    pub(crate) fn is_given(&self) -> bool {
        self.access_key.is_some()
            || self.secret_key_file.is_some()
            || [ACCESS_KEY_VARIABLE, SECRET_KEY_FILE_VARIABLE]
                .into_iter()
                .any(|v| variable(v).is_some())
    }

    /// Who to be, and with what to prove it; nobody if nothing is said.
    pub(crate) fn credential(&self) -> anyhow::Result<Option<Credential>> {
        let file = self.secret_key_file.clone();
        let file = file.or_else(|| variable(SECRET_KEY_FILE_VARIABLE).map(PathBuf::from));
        let name = self.access_key.clone().or_else(|| variable(ACCESS_KEY_VARIABLE));
        match (file, name) {
            (Some(file), name) => {
                let name = name.unwrap_or_default();
                given::file(&file)?;
                let credential = Credential::read_tool(&RealDisk, &file, &name)
                    .map_err(|error| wrong_use(error.to_string()))?;
                Ok(Some(credential))
            }
            (None, Some(name)) => Err(wrong_use(format!(
                "the secret of {name} is missing: give --secret-key-file, or set \
                 {SECRET_KEY_FILE_VARIABLE}"
            ))),
            (None, None) => Ok(None),
        }
    }
}

/// Who signs with this secret.
pub(crate) fn signer_of(credential: &Credential) -> Arc<Signer> {
    let key = credential.signing_key();
    Arc::new(Signer::new(credential.name.clone(), move |fields, body| key.sign(fields, body)))
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "here the environment is read for all tools")]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

impl ClusterArgs {
    /// A client of that cluster.
    pub(crate) fn client(&self) -> anyhow::Result<Arc<Client>> {
        let timeout = Duration::from_millis(self.timeout_ms);
        let (tls, signer) = (self.tls.connector()?, self.identity.signer()?);
        let options = Options { timeout, tls, signer, ..Options::new(&self.namesrv) };
        Ok(Arc::new(Client::new(options, Arc::new(SystemClock::new()))?))
    }
}

/// Runs a tool to its end. One thread is enough for one client. What can be done about an error depends on
/// whether requests are signed.
pub(crate) fn block_on<T>(
    is_signed: bool,
    tool: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    match runtime.block_on(tool) {
        Err(error) => Err(advised(error, is_signed)),
        done => done,
    }
}

/// The error, and after it what can be done about it.
fn advised(error: anyhow::Error, is_signed: bool) -> anyhow::Error {
    let cause = error.chain().find_map(|e| e.downcast_ref::<Error>());
    let advice = cause.and_then(|cause| advice(cause, is_signed));
    match advice {
        Some(advice) => anyhow::anyhow!("{}\n{advice}", crate::sentence(&error)),
        None => error,
    }
}

const REFUSED_USER: &str = "\
Was it the user? `blockhouse policy explain` says which rule decides, and on the server `blockhouse audit query DIR \
--outcome refused` says why. Was it the topic or the group itself? `blockhouse admin topic route TOPIC` and \
`blockhouse admin groups` say what they allow. Otherwise it was a plugin: `blockhouse plugin list`.";

const REFUSED_NOBODY: &str = "\
The request was not signed. If users are asked for, say who you are with --access-key NAME --secret-key-file FILE; of a user \
by certificate (--tls-cert) `blockhouse policy explain` says which rule decides. Was it the topic or the group itself? \
`blockhouse admin topic route TOPIC` and `blockhouse admin groups` say what they allow. Otherwise it was a plugin: \
`blockhouse plugin list`.";

/// How a port that takes TLS only begins its refusal of plaintext.
const TLS_ONLY: &str = "this port takes TLS only";

fn advice(error: &Error, is_signed: bool) -> Option<String> {
    let text = match error {
        Error::NameServers { last, .. }
            if matches!(**last, Error::Transport(blockhouse_transport::Error::Tls { .. })) =>
        {
            return advice(last, is_signed);
        }
        Error::NameServers { .. } => {
            "Is a name server running there? `blockhouse standalone` starts one on \
             127.0.0.1:9876; --namesrv HOST:PORT names another."
        }
        Error::NoRoute(topic) => {
            return Some(format!(
                "Create it with `blockhouse admin topic create {topic}`; `blockhouse admin topics` lists those that \
                 exist. A first message makes it where brokers make topics (broker.auto_create_topic) and policies, \
                 if there are any, let its sender `Get` the template, Topic:TBW102."
            ));
        }
        Error::NoBroker(_) => {
            "Brokers report to the name server when they start and every 30 s; `blockhouse admin \
             cluster` lists those it knows."
        }
        Error::NoQueue { .. } => "See `blockhouse admin topic route TOPIC` for its permissions.",
        Error::Transport(blockhouse_transport::Error::Tls { .. }) => {
            "Does the server speak TLS (tls.mode)? Its certificate has to come from a root in \
             --tls-ca, for the host name or IP address that is connected to (--tls-server-name \
             asks for another)."
        }
        // What the server says is for other clients.
        Error::Refused { remark, .. } if remark.starts_with(TLS_ONLY) => {
            "With this tool: --tls-ca FILE, the root of the server's certificate (--tls takes those of the system)."
        }
        Error::Transport(_) => {
            "The name server gave this address. Is the broker running, and does it advertise an \
             address that can be reached from here (--advertise, brokerIP1)?"
        }
        Error::Refused { code, .. } => match *code {
            response_code::SYSTEM_BUSY => "The broker is overloaded for now: try again, or slower.",
            response_code::NO_PERMISSION if is_signed => REFUSED_USER,
            response_code::NO_PERMISSION => REFUSED_NOBODY,
            response_code::TOPIC_NOT_EXIST => "`blockhouse admin topics` lists what exists.",
            response_code::SUBSCRIPTION_GROUP_NOT_EXIST => {
                "Create the group with `blockhouse admin group create GROUP`."
            }
            response_code::REQUEST_CODE_NOT_SUPPORTED => "This server cannot do that.",
            _ => return None,
        },
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_survives_context() {
        let error = anyhow::Error::new(Error::NoRoute("T".to_owned())).context("cannot send");
        let text = format!("{:#}", advised(error, false));
        assert!(text.starts_with("cannot send: topic T is on no broker\n"), "{text}");
        assert!(text.contains("admin topic create T"), "{text}");
    }

    #[test]
    fn who_needs_tls_is_told_of_the_tools_own_options() {
        let remark = format!("{TLS_ONLY} (tls.mode = enforcing): set tls.enable=true");
        let (addr, code) = ("h:1".to_owned(), response_code::NO_PERMISSION);
        let text = advised(Error::Refused { addr, code, remark }.into(), false).to_string();
        assert!(text.contains("--tls-ca FILE") && !text.contains("--access-key"), "{text}");
    }

    #[test]
    fn who_is_refused_is_told_where_to_look() {
        let told = |is_signed| {
            let (addr, remark) = ("h:1".to_owned(), "no".to_owned());
            let refused = Error::Refused { addr, code: response_code::NO_PERMISSION, remark };
            advised(refused.into(), is_signed).to_string()
        };
        let (own, plugin) = ("blockhouse admin topic route TOPIC", "blockhouse plugin list");
        for (is_signed, there, not_there) in [
            (
                false,
                ["--access-key NAME", "by certificate (--tls-cert)", own, plugin],
                "audit query",
            ),
            (
                true,
                ["policy explain", "audit query DIR --outcome refused", own, plugin],
                "--access-key",
            ),
        ] {
            let text = told(is_signed);
            assert!(there.iter().all(|part| text.contains(part)), "{text}");
            assert!(!text.contains(not_there), "{text}");
        }
    }
}
