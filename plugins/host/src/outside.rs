//! What plugins reach beyond the node with, and who may.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::Disk;
use blockhouse_package::{Asks, Component};
use parking_lot::Mutex;

use crate::Error;
use crate::binding::{Binding, Config};
use crate::host::Parts;
use crate::http::Client;
use crate::imports::{Http, Publish, Publisher};
use crate::interface::Interface;

/// What one binding may reach.
pub(crate) type Reach = (Option<Http>, Option<Publish>);

/// What all bindings of a process share.
pub(crate) struct Outside {
    disk: Arc<dyn Disk>,
    publisher: Option<Arc<dyn Publisher>>,
    http_ca: Option<PathBuf>,
    /// Started for the first that needs it.
    client: Mutex<Option<Arc<Client>>>,
}

impl Outside {
    pub(crate) fn new(config: &Config, parts: &Parts) -> Self {
        Self {
            disk: Arc::clone(&parts.disk),
            publisher: parts.publisher.clone(),
            http_ca: config.http_ca.clone(),
            client: Mutex::default(),
        }
    }

    /// What `binding` grants to a component of these bytes.
    pub(crate) fn of(&self, binding: &Binding, bytes: &[u8]) -> Result<Reach, Error> {
        let grants = &binding.grants;
        if grants.waits().is_none() {
            return Ok((None, None));
        }
        let asks = asks(bytes);
        let http = if grants.http.is_empty() {
            None
        } else {
            Some(Http::new(&grants.http, asks.as_ref(), self.client()?))
        };
        let publish = if grants.publish.is_empty() {
            None
        } else {
            let publisher = self.publisher.clone().ok_or_else(|| Error::Binding {
                name: binding.name.clone(),
                problem: "it is granted `publish`, which there is on brokers only".to_owned(),
            })?;
            Some(Publish::new(&grants.publish, asks.as_ref(), publisher))
        };
        Ok((http, publish))
    }

    /// Ends what plugins wait for.
    pub(crate) fn close(&self) {
        if let Some(client) = &*self.client.lock() {
            client.close();
        }
    }

    fn client(&self) -> Result<Arc<Client>, Error> {
        let mut client = self.client.lock();
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let started = Arc::new(Client::start(self.disk.as_ref(), self.http_ca.as_deref())?);
        *client = Some(Arc::clone(&started));
        Ok(started)
    }
}

/// What the manifest in a component asks for; `None` where there is no manifest, so that the binding
/// alone says what it may do. Bytes that are no component are refused by the compiler.
fn asks(bytes: &[u8]) -> Option<Asks> {
    let manifest = Component::look(bytes).ok().and_then(|component| component.manifest);
    manifest.map(|manifest| manifest.asks)
}

/// A call that waits for others must not keep a client waiting.
pub(crate) fn check_hooks(binding: &Binding, hooks: &[Interface]) -> Result<(), Error> {
    let inline = hooks.iter().find(|hook| !hook.is_queued());
    let (Some(grant), Some(hook)) = (binding.grants.waits(), inline) else { return Ok(()) };
    let problem = format!(
        "it is granted `{grant}`, whose calls wait, and a request waits for {hook}: list only \
         queued hooks in `hooks`, or grant it nothing that waits"
    );
    Err(Error::Binding { name: binding.name.clone(), problem })
}
