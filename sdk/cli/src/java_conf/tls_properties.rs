//! RocketMQ's `tls.properties`, through a table of its own.

use anyhow::{bail, ensure};

use super::table::Meaning::{self, Is, None as Not, Refused, Through};
use super::{Translated, properties, through};

const KEY: &str = "encrypted keys are not read: decrypt it (`openssl pkey -in KEY -out NEW`), \
                   protect the file, and remove the password";
const TEST: &str = "no certificate is made here: give tls.server.certPath and \
                    tls.server.keyPath, and remove the key";
const SUITES: &str = "suites and protocols are those that rustls holds for safe: TLS 1.3 and 1.2";
const UNKNOWN: &str = "the key is unknown here";

const NEED: &str = "tls.server.need.client.auth";
const AUTH: &str = "tls.server.authClient";

const TABLE: &[(&str, Meaning)] = &[
    ("tls.server.mode", Is("tls.mode")),
    ("tls.server.certPath", Is("tls.cert")),
    ("tls.server.keyPath", Is("tls.key")),
    ("tls.server.keyPassword", Refused(&[""], KEY)),
    (NEED, Is("tls.client_auth")),
    (AUTH, Refused(&["true", "false"], "it is true or false")),
    ("tls.server.trustCertPath", Is("tls.client_ca")),
    ("tls.enable", Is("tls.outgoing.enabled")),
    ("tls.client.certPath", Is("tls.outgoing.cert")),
    ("tls.client.keyPath", Is("tls.outgoing.key")),
    ("tls.client.keyPassword", Refused(&[""], KEY)),
    ("tls.client.trustCertPath", Is("tls.outgoing.ca")),
    ("tls.client.authServer", Through("tls.outgoing.insecure", turned, "true or false")),
    ("tls.test.mode.enable", Refused(&["false"], TEST)),
    ("tls.ciphers", Not(SUITES)),
    ("tls.protocols", Not(SUITES)),
];

fn meaning(key: &str) -> Meaning {
    TABLE.iter().find(|(name, _)| *name == key).map_or(Not(UNKNOWN), |(_, meaning)| *meaning)
}

fn turned(value: &str) -> Option<String> {
    value.parse::<bool>().ok().map(|checks| (!checks).to_string())
}

/// Translates the text of the file `name`.
pub(crate) fn translate(name: &str, text: &str) -> anyhow::Result<Translated> {
    let entries = properties::parse(text);
    let value = |key: &str| entries.iter().rev().find(|e| e.key == key).map(|e| e.value.as_str());
    let asks = value(NEED).is_some_and(|need| need != "none");
    if asks && value(AUTH) != Some("true") {
        bail!(
            "{NEED} without {AUTH}=true ({name}) would ask clients for certificates and take any: \
             set {AUTH}=true and tls.server.trustCertPath"
        );
    }
    let translated = through(name, text, meaning)?;
    ensure!(!entries.is_empty(), "{name} holds no option of TLS");
    Ok(translated)
}

#[cfg(test)]
mod tests {
    use blockhouse_service::config::{Loaded, Shape};
    use blockhouse_transport::tls::{ClientAuth, Mode};
    use proptest::prelude::*;

    use super::*;
    use crate::options::Config;

    fn load(text: &str) -> anyhow::Result<(Loaded<Config>, Vec<String>)> {
        let Translated { layer, unhonoured } = translate("tls.properties", text)?;
        let unhonoured = unhonoured.iter().map(ToString::to_string).collect();
        Ok((Loaded::from_layers(&[layer])?, unhonoured))
    }

    #[test]
    fn rocketmqs_file_says_what_ours_would() {
        let text = "tls.server.mode=enforcing\ntls.server.certPath=/c\ntls.server.keyPath=/k\n\
                    tls.server.need.client.auth=require\ntls.server.authClient=true\n\
                    tls.server.trustCertPath=/t\ntls.test.mode.enable=false\n\
                    tls.server.keyPassword=\ntls.enable=true\ntls.client.authServer=true\n\
                    tls.client.trustCertPath=/ca\ntls.ciphers=X\n";
        let (loaded, unhonoured) = load(text).unwrap();
        let tls = &loaded.config.tls;
        assert_eq!((tls.mode, tls.client_auth), (Mode::Enforcing, ClientAuth::Require));
        assert_eq!(
            [&tls.cert, &tls.key, &tls.client_ca].map(|f| f.to_str().unwrap()),
            ["/c", "/k", "/t"]
        );
        assert!(tls.outgoing.enabled && !tls.outgoing.insecure);
        assert_eq!(tls.outgoing.ca.to_str(), Some("/ca"));
        assert_eq!(loaded.source("tls.mode").called(""), "tls.server.mode");
        assert_eq!(unhonoured.len(), 1);
        assert!(unhonoured[0].starts_with("tls.properties:12: tls.ciphers is not honoured"));
        assert!(load("tls.client.authServer=false").unwrap().0.config.tls.outgoing.insecure);
    }

    #[test]
    fn what_would_leave_a_door_open_is_refused() {
        let refused = |text: &str| load(text).map(|_| ()).unwrap_err().to_string();
        for text in [
            "tls.server.need.client.auth=require",
            "tls.server.need.client.auth=optional\ntls.server.authClient=false",
        ] {
            assert!(refused(text).contains("tls.server.authClient=true"), "{text}");
        }
        assert!(refused("tls.test.mode.enable=true").contains("no certificate is made here"));
        assert!(refused("tls.server.keyPassword=secret").contains("encrypted keys are not read"));
        assert!(!refused("tls.server.keyPassword=secret").contains("=secret"));
        assert!(refused("").contains("no option"));
    }

    #[test]
    fn every_path_of_the_table_is_an_option() {
        let shape = Shape::of::<Config>().unwrap();
        for (_, meaning) in TABLE {
            if let Is(path) | Through(path, ..) = meaning {
                assert!(shape.options.contains_key(*path), "{path} is not an option");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_honoured_or_refused_and_never_asks_for_certificates_without_checking_them(
            lines in prop::collection::vec((key(), value()), 0..6),
            junk in "[ab=:#!\\\\ \t\nu0]{0,20}|\\PC{0,10}",
        ) {
            let line = |(key, value): &(String, String)| format!("{key}={value}\n");
            let text = lines.iter().map(line).collect::<String>() + junk.as_str();
            if let Ok((loaded, _)) = load(&text)
                && loaded.config.tls.client_auth != ClientAuth::None
            {
                prop_assert!(text.contains(AUTH), "{text}");
            }
        }
    }

    fn key() -> impl Strategy<Value = String> {
        let known: Vec<_> = TABLE.iter().map(|(key, _)| *key).collect();
        prop_oneof![9 => prop::sample::select(known).prop_map(str::to_owned), 1 => "[a-z.]{0,12}"]
    }

    fn value() -> impl Strategy<Value = String> {
        let words = vec!["", "none", "optional", "require", "true", "false", "enforcing", "/a"];
        prop_oneof![9 => prop::sample::select(words).prop_map(str::to_owned), 1 => "\\PC{0,12}"]
    }
}
