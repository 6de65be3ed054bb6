//! What operators write: which plugin runs for what, and what its failure does.

use std::path::PathBuf;
use std::time::Duration;

use blockhouse_model::{OptionError, RequestContext};
use blockhouse_package::{Ask, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compiler::Limits;
use crate::http::Address;
use crate::interface::Interface;
use crate::scope::Scope;
use crate::trust::Trust;

/// WASM plugins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether plugins run at all. With `false` no binding is loaded, required or not.
    pub enabled: bool,
    /// MiB of memory that the compilation of a component may take. Components that carry the
    /// interpreter of a language (JavaScript, Python) may need more.
    #[schemars(range(min = 128, max = 4096))]
    pub compile_memory_mib: u32,
    /// Milliseconds that the compilation of a component may take.
    #[schemars(range(min = 1_000, max = 300_000))]
    pub compile_timeout_ms: u32,
    /// A file with certificates (PEM) of authorities that requests of plugins trust besides those
    /// that the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_ca: Option<PathBuf>,
    /// The bindings, as `[[plugins.binding]]` tables; see docs/plugins.md.
    pub binding: Vec<Binding>,
    /// Whose plugins are taken.
    pub trust: Trust,
    /// Seconds after a deploy in which a new version that does worse than the one before is rolled
    /// back; 0 for never.
    #[schemars(range(min = 0, max = 86_400))]
    pub guard_seconds: u32,
    /// How many times the old version's time per message is too much for a new one.
    #[schemars(range(min = 2, max = 1_000))]
    pub guard_slowdown: u32,
    /// Whether plugins may be deployed, disabled and rolled back from other hosts by whoever reaches
    /// the ops listener. Users who prove who they are over TLS may without it.
    pub remote_changes: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            compile_memory_mib: 1_024,
            compile_timeout_ms: 30_000,
            http_ca: None,
            binding: Vec::new(),
            trust: Trust::default(),
            guard_seconds: 60,
            guard_slowdown: 3,
            remote_changes: false,
        }
    }
}

/// What a failure of a plugin does to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Refuse it.
    Closed,
    /// Go on as if the plugin had nothing to say.
    Open,
}

/// Whether a plugin's answers take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// They are counted, and have no effect.
    Shadow,
}

/// How long an instance lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreMode {
    /// For many calls, one at a time.
    #[default]
    Warm,
    /// For one call.
    Fresh,
}

/// What the operator lets a plugin import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one grant")]
pub struct Grants {
    /// Lines in the node's log.
    pub log: bool,
    /// Metrics of its own.
    pub metrics: bool,
    /// Wall and monotonic time.
    pub clock: bool,
    /// A small store in memory, shared by its instances.
    pub kv: bool,
    /// The bodies of messages.
    pub message_bodies: bool,
    /// Addresses that it may send requests to, with all that is below those that end with `/`. Only
    /// for plugins whose hooks are all queued ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<String>,
    /// Topics that it may send messages to, `*` and `?` allowed. Only on a broker, and for plugins
    /// whose hooks are all queued ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<String>,
}

impl Grants {
    /// What of it may wait for others.
    pub(crate) const fn waits(&self) -> Option<&'static str> {
        match (self.http.is_empty(), self.publish.is_empty()) {
            (true, true) => None,
            (false, _) => Some("http"),
            (true, false) => Some("publish"),
        }
    }

    /// Each grant by its name, with its scope where it has one.
    #[must_use]
    pub fn spelled(&self) -> Vec<String> {
        let plain = [
            ("log", self.log),
            ("metrics", self.metrics),
            ("clock", self.clock),
            ("kv", self.kv),
            ("message-bodies", self.message_bodies),
        ];
        let plain = plain.into_iter().filter(|(_, granted)| *granted);
        let http = self.http.iter().map(|scope| format!("http:{scope}"));
        let publish = self.publish.iter().map(|scope| format!("publish:{scope}"));
        plain.map(|(name, _)| name.to_owned()).chain(http).chain(publish).collect()
    }

    fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("http", &self.http.len(), &(0..=SCOPES_MAX))?;
        OptionError::check_range("publish", &self.publish.len(), &(0..=SCOPES_MAX))?;
        for (i, scope) in self.http.iter().enumerate() {
            let ask: Result<Ask, _> = format!("http:{scope}").parse();
            if ask.is_err() || Address::parse(scope).is_none() {
                let rule = "must be an address like `https://host/path/`, with the `/` after the \
                            host and without user, query and escapes";
                return Err(OptionError::new(&format!("http[{i}]"), rule));
            }
        }
        for (i, scope) in self.publish.iter().enumerate() {
            if format!("publish:{scope}").parse::<Ask>().is_err() {
                let rule = "must be a topic, with `*` and `?` for any";
                return Err(OptionError::new(&format!("publish[{i}]"), rule));
            }
        }
        Ok(())
    }
}

/// One plugin, bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The binding's name in logs, metrics and refusals: 1 to 64 of `a-z 0-9 -`; unique.
    pub name: String,
    /// The component, as `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Which of its hooks run; all that it exports if absent.
    #[serde(default)]
    pub hooks: Vec<Interface>,
    /// Topics that it runs for, `*` and `?` allowed; all if absent.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Groups that it runs for, `*` and `?` allowed; all if absent.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Request codes that it runs for; all if absent.
    #[serde(default)]
    pub codes: Vec<i32>,
    /// Principals that it runs for, `*` and `?` allowed, `anonymous` is one; all if absent.
    #[serde(default)]
    pub principals: Vec<String>,
    /// Low first; equal ones by name.
    #[serde(default)]
    pub order: i32,
    /// Whether its answers take effect.
    #[serde(default)]
    pub mode: Mode,
    /// What its failure does; the hook's own default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Milliseconds for each call; the hook's own default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
    /// MiB of memory of each instance.
    #[serde(default = "Binding::default_memory_mib")]
    pub memory_mib: u32,
    /// Ready instances per core.
    #[serde(default = "Binding::default_instances")]
    pub instances: u32,
    /// How long an instance lives.
    #[serde(default)]
    pub store: StoreMode,
    /// What it may import.
    #[serde(default)]
    pub grants: Grants,
    /// Whether the node is not ready without it.
    #[serde(default = "Binding::default_required")]
    pub required: bool,
    /// Handed to the plugin as JSON.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// Bindings of one process.
const BINDINGS_MAX: usize = 64;
/// Bytes of a binding's `config` as JSON.
const CONFIG_MAX: usize = 64 << 10;
/// Addresses or topics of one grant.
const SCOPES_MAX: usize = 64;
/// MiB of one instance.
const MEMORY_MIB_MAX: u32 = 256;

impl Binding {
    const fn default_memory_mib() -> u32 {
        16
    }

    const fn default_instances() -> u32 {
        1
    }

    const fn default_required() -> bool {
        true
    }

    /// Whether a request of `cx` that is about this topic and group is in its scope at `hook`. An
    /// empty group is none: a send is authorized for its topic alone.
    #[must_use]
    pub fn covers(&self, hook: Interface, cx: &RequestContext, topic: &str, group: &str) -> bool {
        let scope = Scope::of(self);
        let of_topic = scope.covers_topic(topic);
        let of_group = !group.is_empty() && scope.covers_group(group);
        match hook {
            // A connection is nobody's yet.
            Interface::Connection => true,
            Interface::Authorize => scope.covers(cx) && of_topic && (scope.any_group() || of_group),
            _ => {
                scope.covers(cx)
                    && (!hook.has_topic() || of_topic)
                    && (!hook.has_group() || scope.covers_group(group))
            }
        }
    }

    /// What its failure at `hook` does, shadow mode aside.
    #[must_use]
    pub fn on_failure_at(&self, hook: Interface) -> OnFailure {
        self.on_failure.unwrap_or_else(|| hook.on_failure())
    }

    /// How long a call at `hook` may take, in milliseconds.
    #[must_use]
    pub fn deadline_ms_at(&self, hook: Interface) -> u32 {
        self.deadline_ms.unwrap_or_else(|| hook.deadline_ms()).min(hook.deadline_ms_max())
    }

    fn validate(&self) -> Result<(), OptionError> {
        let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(legal) {
            return Err(OptionError::new("name", "must be 1 to 64 of `a-z 0-9 -`"));
        }
        if self.digest.parse::<Digest>().is_err() {
            let rule = "must be `sha256:` and 64 hexadecimal digits, as `blockhouse plugin inspect` prints it";
            return Err(OptionError::new("digest", rule));
        }
        OptionError::check_range("order", &self.order, &(-1_000..=1_000))?;
        OptionError::check_range("memory_mib", &self.memory_mib, &(1..=MEMORY_MIB_MAX))?;
        OptionError::check_range("instances", &self.instances, &(1..=16))?;
        if let Some(deadline) = self.deadline_ms {
            OptionError::check_range("deadline_ms", &deadline, &(1..=10_000))?;
        }
        if !self.required && self.hooks.is_empty() {
            let rule =
                "must be listed where `required` is false: which hooks fail would not be known";
            return Err(OptionError::new("hooks", rule));
        }
        self.grants.validate().map_err(|e| e.within("grants"))?;
        if self.config_json().len() > CONFIG_MAX {
            return Err(OptionError::new("config", "must be at most 64 KiB as JSON"));
        }
        Ok(())
    }

    /// `config` as the plugin sees it.
    pub(crate) fn config_json(&self) -> String {
        serde_json::to_string(&self.config).unwrap_or_else(|_| "{}".to_owned())
    }
}

impl Config {
    /// What a compilation may use.
    #[must_use]
    pub fn compilation(&self) -> Limits {
        let time = Duration::from_millis(self.compile_timeout_ms.into());
        Limits { memory_mib: self.compile_memory_mib, time }
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that is not legal.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("binding", &self.binding.len(), &(0..=BINDINGS_MAX))?;
        let (memory, time) = (&self.compile_memory_mib, &self.compile_timeout_ms);
        OptionError::check_range("compile_memory_mib", memory, &(128..=4_096))?;
        OptionError::check_range("compile_timeout_ms", time, &(1_000..=300_000))?;
        OptionError::check_range("guard_seconds", &self.guard_seconds, &(0..=86_400))?;
        OptionError::check_range("guard_slowdown", &self.guard_slowdown, &(2..=1_000))?;
        self.trust.validate().map_err(|e| e.within("trust"))?;
        for (i, binding) in self.binding.iter().enumerate() {
            binding.validate().map_err(|e| e.within(&format!("binding[{i}]")))?;
            if self.binding[..i].iter().any(|other| other.name == binding.name) {
                let rule = format!("`{}` is there twice; each binding has its own", binding.name);
                return Err(OptionError::new("name", rule).within(&format!("binding[{i}]")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(text: &str) -> Binding {
        serde_json::from_str(text).unwrap()
    }

    fn legal() -> Binding {
        binding(&format!(r#"{{"name": "a", "digest": "sha256:{}"}}"#, "0".repeat(64)))
    }

    fn bound(binding: Vec<Binding>) -> Config {
        Config { binding, ..Config::default() }
    }

    #[test]
    fn what_is_not_legal_is_named() {
        let refused = |change: &dyn Fn(&mut Binding)| {
            let mut binding = legal();
            change(&mut binding);
            bound(vec![binding]).validate().unwrap_err().to_string()
        };
        assert!(refused(&|b| b.name = "A".to_owned()).contains("binding[0].name"));
        assert!(refused(&|b| b.digest = "latest".to_owned()).contains("digest"));
        assert!(refused(&|b| b.memory_mib = 257).contains("memory_mib"));
        assert!(refused(&|b| b.instances = 0).contains("instances"));
        assert!(refused(&|b| b.deadline_ms = Some(0)).contains("deadline_ms"));
        assert!(refused(&|b| b.order = 1_001).contains("order"));
        let twice = bound(vec![legal(), legal()]);
        assert!(twice.validate().unwrap_err().to_string().contains("twice"));
        let many = bound(vec![legal(); 65]);
        assert!(many.validate().is_err());
        assert!(bound(vec![legal()]).validate().is_ok());
        assert!(Config { guard_slowdown: 1, ..Config::default() }.validate().is_err());
    }

    #[test]
    fn a_binding_tells_whom_it_covers_and_what_its_failure_does() {
        let mut bound = legal();
        bound.topics = vec!["orders*".to_owned()];
        bound.groups = vec!["g".to_owned()];
        bound.principals = vec!["ann".to_owned()];
        let cx = |user: &str| RequestContext {
            principal: blockhouse_model::Principal::User(user.into()),
            ..RequestContext::new(([127, 0, 0, 1], 1).into(), 1, 310)
        };
        let covers = |hook, user, topic, group| bound.covers(hook, &cx(user), topic, group);
        assert!(covers(Interface::BeforeSend, "ann", "orders-a", "g"));
        assert!(!covers(Interface::BeforeSend, "bob", "orders-a", "g"));
        assert!(!covers(Interface::BeforeSend, "ann", "bills", "g"));
        assert!(!covers(Interface::BeforeSend, "ann", "orders-a", "h"));
        assert!(covers(Interface::Authorize, "ann", "orders-a", "g"));
        assert!(!covers(Interface::Authorize, "ann", "bills", "g"));
        assert!(!covers(Interface::Authorize, "ann", "bills", ""));
        // What a hook does not know is not compared.
        assert!(covers(Interface::RouteQuery, "ann", "orders-a", "h"));
        assert!(covers(Interface::AdminCommand, "ann", "bills", "h"));
        assert!(covers(Interface::Connection, "bob", "bills", "h"));
        assert_eq!(bound.on_failure_at(Interface::Ack), OnFailure::Open);
        assert_eq!(bound.deadline_ms_at(Interface::Pull), 1);
        bound.deadline_ms = Some(1_000);
        bound.on_failure = Some(OnFailure::Closed);
        assert_eq!(bound.on_failure_at(Interface::Ack), OnFailure::Closed);
        assert_eq!(bound.deadline_ms_at(Interface::Pull), 50);
        assert_eq!(bound.deadline_ms_at(Interface::Ack), 1_000);
    }

    #[test]
    fn what_plugins_send_is_not_shown_to_its_sender_nor_to_others_that_send() {
        let cx = |sender: &str| RequestContext {
            principal: blockhouse_model::Principal::plugin(sender),
            ..RequestContext::new(([127, 0, 0, 1], 1).into(), 0, 310)
        };
        let covers = |sends: bool, sender: &str| {
            let mut bound = legal();
            bound.grants.publish = if sends { vec!["t".to_owned()] } else { vec![] };
            bound.covers(Interface::AfterAppend, &cx(sender), "orders", "")
        };
        assert!(covers(false, "b"), "others see it");
        assert!(!covers(false, "a"), "its own");
        assert!(!covers(true, "b"), "two that send");
        let mut bound = legal();
        bound.principals = vec!["plugin:b".to_owned()];
        assert!(Scope::of(&bound).covers(&cx("b")));
    }

    #[test]
    fn addresses_and_topics_of_grants_are_checked() {
        let refused = |http: &[&str], publish: &[&str]| {
            let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let mut bound = legal();
            bound.grants.http = own(http);
            bound.grants.publish = own(publish);
            Config { binding: vec![bound], ..Config::default() }
                .validate()
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default()
        };
        assert_eq!(refused(&["https://a.example/v1/", "http://[::1]:80/"], &["audit-*"]), "");
        for bad in
            ["https://a.example", "https://A.example/", "https://u@a/", "https://127.1/", "*"]
        {
            assert!(refused(&["http://a/", bad], &[]).contains("grants.http[1]"), "{bad}");
        }
        assert!(refused(&[], &["a b"]).contains("grants.publish[0]"));
        assert!(refused(&[], &["a"; 65]).contains("grants.publish"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text =
            format!(r#"{{"name": "a", "digest": "sha256:{}", "tag": "v1"}}"#, "0".repeat(64));
        assert!(serde_json::from_str::<Binding>(&text).is_err());
    }
}
