//! What every configuration has to fulfil before anything is touched.

use anyhow::bail;
use blockhouse_service::config::Loaded;

use super::Config;
use crate::guard;
use crate::process::Role;

/// Refuses a configuration that a process of `role` cannot run with. Sections that it does not
/// use are judged as well, so that a file is right or wrong for all processes that share it.
pub(crate) fn check(loaded: &Loaded<Config>, role: Role) -> anyhow::Result<()> {
    let config = &loaded.config;
    for (section, verdict) in [
        ("node", config.node.validate()),
        ("namesrv", config.namesrv.validate()),
        ("broker", config.broker.validate()),
        ("transport", config.transport.validate()),
        ("registrar", config.registrar.validate()),
        ("ops", config.ops.validate()),
        ("log", config.log.validate()),
    ] {
        if let Err(error) = verdict {
            let error = error.within(section);
            return Err(loaded.broken_rule(&error.option, &error.rule).into());
        }
    }
    check_store(loaded)?;
    guard::check(loaded, role)?;
    if role == Role::Broker && config.node.namesrv.is_empty() {
        bail!(
            "the broker has no name server to report to, so that no client would find it: give \
             --namesrv HOST:PORT (broker.conf: namesrvAddr), or run `blockhouse standalone`"
        );
    }
    Ok(())
}

fn check_store(loaded: &Loaded<Config>) -> anyhow::Result<()> {
    let Config { node, broker, store, transport, .. } = &loaded.config;
    let message = usize::try_from(broker.max_message_size).unwrap_or(usize::MAX);
    if message >= transport.frame_len_max {
        let rule = format!("must be below transport.frame_len_max ({})", transport.frame_len_max);
        return Err(loaded.broken_rule("broker.max_message_size", &rule).into());
    }
    match blockhouse_broker::store_config(store, broker, &node.data).validate() {
        Err(blockhouse_store::Error::Config { option, problem }) => {
            Err(loaded.broken_rule(option, &problem).into())
        }
        verdict => Ok(verdict?),
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_service::config::Layer;

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
            broker(&["store.segment_size=0"]),
            "`store.segment_size` must be from 1024 to 4294967296, not 0 (--set store.segment_size)"
        );
        assert_eq!(
            broker(&["namesrv.limits.connections_max=0"]),
            "`namesrv.limits.connections_max` must be at least 1, not 0 \
             (--set namesrv.limits.connections_max)"
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
    fn only_a_broker_alone_needs_to_be_told_name_servers() {
        assert_eq!(refused(Role::Standalone, &[]), "");
        assert_eq!(refused(Role::Namesrv, &[]), "");
        assert!(refused(Role::Broker, &[]).contains("--namesrv HOST:PORT"));
        assert_eq!(refused(Role::Broker, &["node.namesrv=a:1"]), "");
    }
}
