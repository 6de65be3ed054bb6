//! What tools ask about the process around the core.

use blockhouse_model::Timestamp;
use blockhouse_remoting::Node;

pub(crate) struct Facts {
    properties: String,
    started: Timestamp,
}

impl Facts {
    pub(crate) fn new(properties: String, started: Timestamp) -> Self {
        Self { properties, started }
    }
}

impl Node for Facts {
    fn properties(&self) -> String {
        self.properties.clone()
    }

    fn update(&self, _properties: &str) -> Result<(), String> {
        Err("this broker's configuration does not change while it runs: set the option in its \
             configuration file (`blockhouse config show` lists them) and restart it"
            .to_owned())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("bootTimestamp", self.started.0.to_string()),
            ("blockhouseVersion", env!("CARGO_PKG_VERSION").to_owned()),
        ]
    }
}
