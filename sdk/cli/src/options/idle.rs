//! Options that somebody set and that have no effect, because what they are of is off.

use std::collections::BTreeMap;

use blockhouse_service::config::{Loaded, Shape};
use blockhouse_service::sandbox;
use blockhouse_transport::tls::{ClientAuth, Mode};
use serde_json::Value;

use super::Config;

/// Something that can be off.
struct Switch {
    /// Whether it is.
    is_off: bool,
    /// What people call it, with the verb.
    what: &'static str,
    /// The option that says so, or a pattern of several.
    option: &'static str,
    /// What it is set to then.
    value: &'static str,
    /// What has no effect then: options, and sections with a `.` at the end.
    idle: &'static [&'static str],
    /// What has one all the same.
    except: &'static [&'static str],
}

/// A sentence for each thing that is off though options of it are set. Who turned it off on purpose
/// is told only of those that are not as they would be without him, so that a file with every
/// option in it (`config show --toml`) is no reason for anything.
pub(crate) fn idle(loaded: &Loaded<Config>) -> anyhow::Result<Vec<String>> {
    let defaults = Shape::of::<Config>()?.options;
    let default = |path: &str| defaults.get(path).map_or(&Value::Null, |option| &option.default);
    let set: BTreeMap<&str, bool> = loaded
        .entries()
        .filter(|(path, ..)| loaded.is_set(path))
        .map(|(path, value, _)| (path, value != default(path)))
        .collect();
    let off = switches(&loaded.config).into_iter().filter(|switch| switch.is_off);
    Ok(off.filter_map(|switch| switch.sentence(loaded, &set)).collect())
}

impl Switch {
    const fn new(
        is_off: bool,
        what: &'static str,
        (option, value): (&'static str, &'static str),
        idle: &'static [&'static str],
    ) -> Self {
        Self { is_off, what, option, value, idle, except: &[] }
    }

    const fn except(self, except: &'static [&'static str]) -> Self {
        Self { except, ..self }
    }

    /// `set` are the options that somebody set, and whether to something else than the default.
    fn sentence(&self, loaded: &Loaded<Config>, set: &BTreeMap<&str, bool>) -> Option<String> {
        let is_among = |path: &str, all: &[&str]| {
            all.iter().any(|one| *one == path || (one.ends_with('.') && path.starts_with(one)))
        };
        // One of several options (`telemetry.*.endpoint`) is none that somebody could set.
        let is_chosen = loaded.is_set(self.option) || self.option.contains('*');
        let set = set.iter().map(|(path, differs)| (*path, *differs || !is_chosen));
        let idle = set.filter(|(path, counts)| {
            let own = *path == self.option || is_among(path, self.except);
            *counts && !own && is_among(path, self.idle)
        });
        let names: Vec<String> = idle.map(|(path, _)| loaded.source(path).called(path)).collect();
        let verb = match names.len() {
            0 => return None,
            1 => "is",
            _ => "are",
        };
        let Self { what, option, value, .. } = self;
        Some(format!("{} {verb} set, but {what} ({option} = {value})", names.join(", ")))
    }
}

fn switches(config: &Config) -> Vec<Switch> {
    let Config { authn, authz, audit, plugins, flight, ops, sandbox, .. } = config;
    let no = |option| (option, "false");
    let mut all = vec![
        // Who the broker is to name servers does not depend on who its clients are.
        Switch::new(!authn.enabled, "authentication is off", no("authn.enabled"), &["authn."])
            .except(&["authn.node_user_file"]),
        Switch::new(!authz.enabled, "policies are off", no("authz.enabled"), &["authz."]),
        Switch::new(!audit.enabled, "the audit log is off", no("audit.enabled"), &["audit."]),
        Switch::new(!plugins.enabled, "plugins are off", no("plugins.enabled"), &["plugins."]),
        Switch::new(!flight.enabled, "the recorder is off", no("flight.enabled"), &["flight."]),
        Switch::new(
            ops.listen.is_none(),
            "the ops listener is off",
            ("ops.listen", "off"),
            &["ops."],
        ),
        Switch::new(
            sandbox.mode == sandbox::Mode::Off,
            "the sandbox is off",
            ("sandbox.mode", "off"),
            &["sandbox."],
        ),
    ];
    all.extend(of_tls(config));
    all.extend(of_quotas(config));
    all.extend(of_telemetry(config));
    all
}

fn of_tls(config: &Config) -> [Switch; 3] {
    let tls = &config.tls;
    let is_off = tls.mode == Mode::Disabled;
    let asks_nobody = !is_off && tls.client_auth == ClientAuth::None;
    [
        // The files of both sides are looked at at the same times.
        Switch::new(is_off, "TLS is off", ("tls.mode", "disabled"), &["tls."]).except(&[
            "tls.outgoing.",
            "tls.properties",
            "tls.reload_ms",
        ]),
        Switch::new(
            asks_nobody,
            "clients are not asked for certificates",
            ("tls.client_auth", "none"),
            &["tls.client_ca", "tls.client_crl", "tls.identity"],
        ),
        Switch::new(
            !tls.outgoing.enabled,
            "TLS to name servers is off",
            ("tls.outgoing.enabled", "false"),
            &["tls.outgoing."],
        ),
    ]
}

fn of_quotas(config: &Config) -> [Switch; 2] {
    let Config { quota, tls, authn, .. } = config;
    let by_certificate = tls.mode != Mode::Disabled && tls.client_auth != ClientAuth::None;
    let nobody_is_named = quota.enabled && !authn.enabled && !by_certificate;
    [
        Switch::new(!quota.enabled, "quotas are off", ("quota.enabled", "false"), &["quota."]),
        Switch::new(
            nobody_is_named,
            "users are not told apart, nor by certificates",
            ("authn.enabled", "false"),
            &["quota.user."],
        ),
    ]
}

fn of_telemetry(config: &Config) -> [Switch; 4] {
    let telemetry = &config.telemetry;
    let (traces, metrics, logs) = (&telemetry.traces, &telemetry.metrics, &telemetry.logs);
    let is_anything = traces.is_on() || metrics.is_on() || logs.is_on();
    let nobody = "there is no collector";
    [
        Switch::new(
            !traces.is_on(),
            nobody,
            ("telemetry.traces.endpoint", "\"\""),
            &["telemetry.traces."],
        ),
        Switch::new(
            !metrics.is_on(),
            nobody,
            ("telemetry.metrics.endpoint", "\"\""),
            &["telemetry.metrics."],
        ),
        Switch::new(
            !logs.is_on(),
            nobody,
            ("telemetry.logs.endpoint", "\"\""),
            &["telemetry.logs."],
        ),
        Switch::new(!is_anything, nobody, ("telemetry.*.endpoint", "\"\""), &["telemetry.otlp."]),
    ]
}

#[cfg(test)]
mod tests {
    use blockhouse_service::config::{Layer, Source};

    use super::*;

    fn told(toml: &str, sets: &[&str]) -> Vec<String> {
        let mut flags = Layer::default();
        sets.iter().for_each(|set| flags.assign(set).unwrap());
        let layers = [Layer::from_toml("b.toml", toml).unwrap(), flags];
        idle(&Loaded::from_layers(&layers).unwrap()).unwrap()
    }

    #[test]
    fn what_is_set_of_something_that_is_off_is_told() {
        assert_eq!(
            told("", &["tls.client_auth=require"]),
            ["tls.client_auth is set, but TLS is off (tls.mode = disabled)"]
        );
        assert_eq!(
            told("[tls]\ncert = \"/c\"\nclient_crl = [\"/l\"]\n", &["authz.policies=/d"]),
            [
                "authz.policies is set, but policies are off (authz.enabled = false)",
                "tls.cert, tls.client_crl are set, but TLS is off (tls.mode = disabled)",
            ]
        );
        // That is the default, but not of somebody who thinks that it is on.
        assert_eq!(
            told("", &["authn.required=true", "authn.key_file=/k"]),
            [
                "authn.key_file, authn.required are set, but authentication is off (authn.enabled = false)"
            ]
        );
        for (set, wanted) in [
            ("audit.on_failure=reject", "the audit log is off (audit.enabled = false)"),
            ("quota.user.requests=5", "quotas are off (quota.enabled = false)"),
            ("quota.override=[]", "quotas are off (quota.enabled = false)"),
            ("tls.outgoing.ca=/c", "TLS to name servers is off (tls.outgoing.enabled = false)"),
            (
                "telemetry.traces.slow_ms=1",
                "there is no collector (telemetry.traces.endpoint = \"\")",
            ),
            ("telemetry.otlp.ca=/c", "there is no collector (telemetry.*.endpoint = \"\")"),
        ] {
            let option = set.split('=').next().unwrap();
            assert_eq!(told("", &[set]), [format!("{option} is set, but {wanted}")]);
        }
    }

    #[test]
    fn rights_and_bounds_of_users_need_users() {
        let quota = ["quota.enabled=true", "quota.user.requests=5"];
        let with = |more: &[&str]| told("", &[&quota[..], more].concat());
        assert_eq!(
            with(&["quota.address.requests=5"]),
            [
                "quota.user.requests is set, but users are not told apart, nor by certificates (authn.enabled = false)"
            ]
        );
        assert!(with(&["authn.enabled=true"]).is_empty());
        let tls = ["tls.mode=enforcing", "tls.client_ca=/c"];
        assert!(with(&[tls[0], tls[1], "tls.client_auth=require"]).is_empty());
        assert_eq!(
            told("", &tls),
            [
                "tls.client_ca is set, but clients are not asked for certificates (tls.client_auth = none)"
            ]
        );
    }

    #[test]
    fn what_is_on_and_what_was_turned_off_with_its_defaults_is_not_told() {
        assert!(told("", &[]).is_empty());
        assert!(told("", &["tls.reload_ms=100", "authn.node_user_file=/u"]).is_empty());
        assert!(told("", &["tls.outgoing.enabled=true", "tls.outgoing.ca=/c"]).is_empty());
        assert!(told("", &["authz.enabled=true", "authz.policies=/d"]).is_empty());
        // A file with every option in it.
        let all = Loaded::<Config>::from_layers(&[]).unwrap().to_toml();
        assert!(told(&all, &[]).is_empty());
        assert_eq!(
            told(&all, &["audit.on_failure=reject"]),
            ["audit.on_failure is set, but the audit log is off (audit.enabled = false)"]
        );
    }

    #[test]
    fn an_option_is_called_as_its_file_calls_it() {
        let mut layer = Layer::default();
        let key = "tls.server.certPath".into();
        layer.set("tls.cert", "/c", Source::Key { name: "p".to_owned(), line: 1, key });
        let loaded = Loaded::from_layers(&[layer]).unwrap();
        assert_eq!(
            idle(&loaded).unwrap(),
            ["tls.server.certPath is set, but TLS is off (tls.mode = disabled)"]
        );
    }
}
