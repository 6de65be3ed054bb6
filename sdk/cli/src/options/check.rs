//! What every configuration has to fulfil before anything is touched.

use anyhow::bail;
use blockhouse_model::OptionError;
use blockhouse_service::config::{Loaded, Source};
use blockhouse_transport::tls::{HELLO_AS_LENGTH, Mode};

use super::Config;
use crate::guard;
use crate::process::Role;

/// Refuses a configuration that a process of `role` cannot run with. Sections that it does not
/// use are judged as well, so that a file is right or wrong for all processes that share it.
pub(crate) fn check(loaded: &Loaded<Config>, role: Role) -> anyhow::Result<()> {
    let config = &loaded.config;
    judge(config).map_err(|error| loaded.broken_rule(&error.option, &error.rule))?;
    check_data(loaded)?;
    guard::check(loaded, role)?;
    if role == Role::Broker && config.node.namesrv.is_empty() {
        bail!(
            "the broker has no name server to report to, so that no client would find it: give \
             --namesrv HOST:PORT (broker.conf: namesrvAddr), or run `blockhouse standalone`"
        );
    }
    let own_name_server = role == Role::Standalone && config.node.namesrv.is_empty();
    if own_name_server && config.tls.mode == Mode::Enforcing && !config.tls.outgoing.enabled {
        bail!(
            "with tls.mode = enforcing the broker reaches its own name server by TLS only: set \
             tls.outgoing.enabled = true, and tls.outgoing.ca to the root of tls.cert"
        );
    }
    Ok(())
}

/// Refuses a data directory that is a file. That it is not there yet is usual.
fn check_data(loaded: &Loaded<Config>) -> anyhow::Result<()> {
    let path = &loaded.config.node.data;
    if !path.is_file() {
        return Ok(());
    }
    let name = match loaded.source("node.data") {
        Source::Flag(flag) => flag,
        Source::Default => "--data".to_owned(),
        place => format!("{} ({place})", place.called("node.data")),
    };
    bail!("{name} {} is a file, and a directory is wanted", path.display())
}

fn judge(config: &Config) -> Result<(), OptionError> {
    let Config {
        node,
        namesrv,
        broker,
        store,
        transport,
        quota,
        tls,
        registrar,
        authn,
        authz,
        audit,
        plugins,
        ops,
        telemetry,
        flight,
        sandbox,
        log,
    } = config;
    for (section, verdict) in [
        ("node", node.validate()),
        ("namesrv", namesrv.validate()),
        ("broker", broker.validate()),
        ("transport", transport.validate()),
        ("quota", quota.validate()),
        ("tls", tls.validate()),
        ("registrar", registrar.validate()),
        ("authn", authn.validate()),
        ("authz", authz.validate(authn.enabled)),
        ("audit", audit.validate()),
        ("plugins", plugins.validate()),
        ("ops", ops.validate()),
        ("telemetry", telemetry.validate()),
        ("flight", flight.validate()),
        ("sandbox", sandbox.validate()),
        ("log", log.validate()),
    ] {
        verdict.map_err(|error| error.within(section))?;
    }
    let message = usize::try_from(broker.max_message_size).unwrap_or(usize::MAX);
    if message >= transport.frame_len_max {
        let rule = format!("must be below transport.frame_len_max ({})", transport.frame_len_max);
        return Err(OptionError::new("broker.max_message_size", rule));
    }
    check_first_byte(config)?;
    if ops.tls && tls.mode == Mode::Disabled {
        let rule = "needs a certificate: set tls.mode, tls.cert and tls.key (docs/tls.md)";
        return Err(OptionError::new("ops.tls", rule));
    }
    match blockhouse_broker::store_config(store, broker, &node.data).validate() {
        Ok(()) => Ok(()),
        Err(blockhouse_store::Error::Config { option, problem }) => {
            Err(OptionError::new(option, problem))
        }
        Err(other) => Err(OptionError::new("store", format!("cannot be used: {other}"))),
    }
}

/// With TLS, a frame must not be able to begin like a hello.
fn check_first_byte(config: &Config) -> Result<(), OptionError> {
    if config.tls.mode == Mode::Disabled {
        return Ok(());
    }
    for (option, limits) in [
        ("transport.frame_len_max", &config.transport),
        ("namesrv.limits.frame_len_max", &config.namesrv.limits),
    ] {
        if limits.frame_len_max >= HELLO_AS_LENGTH {
            let rule = format!("must be below {HELLO_AS_LENGTH}, unless tls.mode = disabled");
            return Err(OptionError::new(option, rule));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use blockhouse_service::config::{Kind, Layer, Shape};

    use super::*;

    fn refused(role: Role, sets: &[&str]) -> String {
        let mut layer = Layer::default();
        sets.iter().for_each(|set| layer.assign(set).unwrap());
        let loaded = Loaded::from_layers(&[layer]).unwrap();
        check(&loaded, role).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_option_is_named_as_it_was_given() {
        let broker = |sets: &[&str]| refused(Role::Broker, sets);
        assert_eq!(
            broker(&["namesrv.listen=here"]),
            "`namesrv.listen` must be IP:PORT, not \"here\" (--set namesrv.listen)"
        );
        // The store has the same list, but no option of its own for it.
        assert!(
            broker(&["broker.message_delay_level=bogus"])
                .starts_with("`broker.message_delay_level` must be up to 128 waiting times"),
        );
        assert_eq!(
            broker(&["broker.max_message_size=16MiB"]),
            "`broker.max_message_size` must be below transport.frame_len_max (16777216), not \
             16777216 (--set broker.max_message_size)"
        );
        // What is too small here is the default, because of another option.
        assert_eq!(
            broker(&["broker.max_message_size=15MiB"]),
            "`store.write_buffer_size` must be at least max_message_size and 128 KiB (15859712), \
             not 8388608 (default)"
        );
    }

    #[test]
    fn what_is_wrong_within_a_value_is_told_with_it_and_its_place() {
        assert_eq!(
            refused(Role::Standalone, &["quota.override=[{principals=['user:a', 'bob']}]"]),
            "`quota.override[0].principals[1]` must be user:NAME or anonymous, not \"bob\" \
             (--set quota.override)"
        );
        let rule = "[[telemetry.traces.rules]]\ntopic = \"a\"\nratio = 1.5\n";
        let file = Layer::from_toml("b.toml", &format!("\n{rule}")).unwrap();
        let error = check(&Loaded::from_layers(&[file]).unwrap(), Role::Standalone).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`telemetry.traces.rules[0].ratio` must be from 0 to 1, not 1.5 (b.toml:2)"
        );
        let digest = refused(Role::Standalone, &["plugins.binding=[{name='a', digest='x'}]"]);
        assert!(digest.starts_with("`plugins.binding[0].digest` must be "), "{digest}");
        assert!(digest.ends_with(", not \"x\" (--set plugins.binding)"), "{digest}");
    }

    #[test]
    fn whose_plugins_are_taken_can_be_said_in_a_file() {
        let rule = r#"{ all_of = ["security"], any_of = ["team-a", "team-b"], minimum = 2 }"#;
        let loaded = |toml: &str, sets: &[&str]| {
            let mut flags = Layer::default();
            sets.iter().for_each(|set| flags.assign(set).unwrap());
            let layers = [Layer::from_toml("b.toml", toml).unwrap(), flags];
            let loaded = Loaded::<Config>::from_layers(&layers).unwrap();
            check(&loaded, Role::Standalone).unwrap();
            serde_json::to_value(loaded.config.plugins.trust.require).unwrap()
        };
        let wanted = serde_json::json!(
            {"all_of": ["security"], "any_of": ["team-a", "team-b"], "minimum": 2}
        );
        assert_eq!(loaded(&format!("[plugins.trust]\nrequire = {rule}\n"), &[]), wanted);
        let section = "[plugins.trust.require]\nall_of = [\"security\"]\nminimum = 2\n\
                       any_of = [\"team-a\", \"team-b\"]\n";
        assert_eq!(loaded(section, &[]), wanted);
        assert_eq!(loaded("", &[&format!("plugins.trust.require={rule}")]), wanted);
        assert_eq!(loaded(section, &["plugins.trust.require=signed"]), "signed");
    }

    #[test]
    fn only_a_broker_alone_needs_to_be_told_name_servers() {
        assert_eq!(refused(Role::Standalone, &[]), "");
        assert_eq!(refused(Role::Namesrv, &[]), "");
        assert!(refused(Role::Broker, &[]).contains("--namesrv HOST:PORT"));
        assert_eq!(refused(Role::Broker, &["node.namesrv=a:1"]), "");
    }

    #[test]
    fn tls_and_its_surroundings_have_to_fit() {
        let tls = ["tls.mode=enforcing", "tls.cert=a", "tls.key=b"];
        let with = |more: &str| refused(Role::Standalone, &[&tls[..], &[more]].concat());
        assert!(with("tls.reload_ms=100").contains("tls.outgoing.enabled = true"));
        assert_eq!(with("tls.outgoing.enabled=true"), "");
        assert_eq!(with("tls.mode=permissive"), "");
        assert!(with("tls.cert=").starts_with("`tls.cert` must be a file"));
        let long = with("transport.frame_len_max=369098752");
        assert!(long.starts_with("`transport.frame_len_max` must be below 369098752"), "{long}");
    }

    /// The defaults with another value at `path`.
    fn with(path: &str, value: i128) -> Option<Config> {
        let mut all = serde_json::to_value(Config::default()).ok()?;
        let value = u64::try_from(value).ok()?;
        *all.pointer_mut(&format!("/{}", path.replace('.', "/")))? = value.into();
        serde_json::from_value(all).ok()
    }

    #[test]
    fn the_bounds_in_the_reference_are_those_that_are_checked() {
        // What 0 is wrong for though the reference says it in words.
        let in_words = ["broker.permission", "store.write_buffer_size"];
        let mut bounded = 0;
        for (path, option) in Shape::of::<Config>().unwrap().options {
            let Kind::Integer { min, max } = option.kind else { continue };
            let refused = |value| match with(&path, value).map(|config| judge(&config)) {
                Some(Err(error)) => assert_eq!(error.option, path),
                Some(Ok(())) => panic!("{path}={value} is taken"),
                // Not even the type takes it.
                None => {}
            };
            refused(min - 1);
            refused(max + 1);
            if min == 0 && !in_words.contains(&path.as_str()) {
                assert_eq!(with(&path, 0).map(|config| judge(&config)), Some(Ok(())), "{path}");
            }
            bounded += usize::from(min > 0);
        }
        assert!(bounded > 30, "{bounded}");
    }
}
