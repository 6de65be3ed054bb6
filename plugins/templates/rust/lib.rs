//! A plugin at {{list}}. Without anything in `config` it changes nothing.

{{use}}

/// The binding's `config` table.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
{{fields}}
}

/// One instance. A node makes several; they share nothing.
pub struct Hooks {
    config: Config,
}

impl Plugin for Hooks {
    type Config = Config;

    fn init(_node: &Node, config: Config) -> Result<Self, String> {
        Ok(Self { config })
    }
}

{{hooks}}
blockhouse_plugin::export!(Hooks: {{exports}});

#[cfg(test)]
mod tests {
    use blockhouse_plugin::test;

    use super::*;

{{tests}}
}
