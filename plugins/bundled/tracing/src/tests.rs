//! The plugin without WASM.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use blockhouse_plugin::test;

use super::*;

/// What a span gets about a message with these properties and this body, as `name=value`.
fn added(config: &str, properties: &[(&str, &str)], body: &[u8]) -> Vec<String> {
    let mut plugin: Tracing = test::init(config).unwrap();
    let mut span = test::span("send orders");
    let text = properties.iter().map(|(name, value)| format!("{name}\u{1}{value}\u{2}"));
    span.properties = text.collect::<String>().into_bytes();
    span.body_size = u32::try_from(body.len()).unwrap();
    let bodies: &[&[u8]] = if plugin.wants().enrich_span_bodies { &[body] } else { &[] };
    let additions = test::enrich(&mut plugin, &[span], bodies);
    let attributes = additions.into_iter().flat_map(|addition| addition.attributes);
    attributes.map(|a| format!("{}={}", a.name, a.value)).collect()
}

#[test]
fn every_span_gets_what_the_operator_wrote() {
    let config = r#"{"attributes":{"deployment.environment.name":"prod","cloud.region":"eu-1"}}"#;
    let fixed = ["cloud.region=eu-1", "deployment.environment.name=prod"];
    assert_eq!(added(config, &[], b""), fixed, "also one about no message");
    let both = config.replace("{\"attributes\"", r#"{"properties":{"a.key":"KEYS"},"attributes""#);
    assert_eq!(added(&both, &[("KEYS", "k")], b""), [fixed[0], fixed[1], "a.key=k"], "and first");

    let mut plugin: Tracing = test::init(config).unwrap();
    let routes = ["GET_ROUTEINFO_BY_TOPIC orders", "REGISTER_BROKER"].map(test::span);
    let additions = test::enrich(&mut plugin, &routes, &[]);
    let counts: Vec<_> = additions.iter().map(|one| (one.span, one.attributes.len())).collect();
    assert_eq!(counts, [(0, 2), (1, 2)]);
}

/// A configuration with so many attributes of this value.
fn fixed(count: usize, value: &str) -> String {
    let entries: Vec<_> = (0..count).map(|n| format!(r#""n{n:02}":"{value}""#)).collect();
    format!(r#"{{"attributes":{{{}}}}}"#, entries.join(","))
}

#[test]
fn what_every_span_gets_is_bounded() {
    let told = |config: String| test::init::<Tracing>(&config).err();
    assert_eq!(told(fixed(16, "v")), None);
    assert!(told(fixed(17, "v")).unwrap().contains("a span takes 16"));
    assert_eq!(told(fixed(1, &"v".repeat(VALUE_MAX))), None);
    assert!(told(fixed(1, &"v".repeat(VALUE_MAX + 1))).unwrap().contains("1024 bytes"));
    assert_eq!(told(fixed(2, &"v".repeat(1_021))), None, "2,048 bytes");
    assert!(told(fixed(2, &"v".repeat(1_022))).unwrap().contains("each span takes 2048"));
    let named = |name: &str| format!(r#"{{"attributes":{{"{name}":"v"}}}}"#);
    assert_eq!(told(named(&"n".repeat(128))), None);
    assert!(told(named(&"n".repeat(129))).unwrap().contains("128 bytes"));
}

#[test]
fn properties_become_attributes() {
    let config = r#"{"properties":{"tenant.id":"TENANT","order.key":"KEYS"}}"#;
    assert_eq!(added(config, &[("TENANT", "a"), ("OTHER", "x")], b""), ["tenant.id=a"]);
    assert_eq!(added(config, &[], b""), [""; 0]);
    assert_eq!(added(config, &[("KEYS", "a\nb")], b""), ["order.key=a b"]);
    let long = "é".repeat(1_000);
    let value = added(config, &[("KEYS", &long)], b"").remove(0);
    assert_eq!(value.len(), "order.key=".len() + VALUE_MAX);
}

#[test]
fn fields_of_json_bodies_become_attributes() {
    let config =
        r#"{"fields":{"country":"$.customer.country","first":"$.items[0].id","all":"$.items"}}"#;
    let body = br#"{"customer":{"country":"CH"},"items":[{"id":7},{"id":8}]}"#;
    assert_eq!(added(config, &[], body), ["country=CH", "first=7"], "a list is no value");
    assert_eq!(added(config, &[], b"no json"), [""; 0]);
    assert_eq!(added(config, &[], b""), [""; 0]);
    let large = format!(r#"{{"customer":{{"country":"{}"}}}}"#, "x".repeat(BODY_MAX as usize));
    assert_eq!(added(config, &[], large.as_bytes()), [""; 0]);
}

#[test]
fn bodies_are_asked_for_only_where_one_is_read() {
    let wants = |config| test::init::<Tracing>(config).unwrap().wants().enrich_span_bodies;
    assert!(!wants(r#"{"properties":{"a":"b"}}"#));
    assert!(wants(r#"{"fields":{"a":"$.b"}}"#));
}

#[test]
fn a_tenant_shows_what_it_is_allowed_to() {
    let config = r#"{"baggage":{"tenant_property":"TENANT","allow":{"a":["cart","plan"],"b":[]}}}"#;
    let of = |tenant| added(config, &[("TENANT", tenant), ("cart", "9"), ("secret", "s")], b"");
    assert_eq!(of("a"), ["baggage.cart=9"]);
    assert_eq!(of("b"), [""; 0]);
    assert_eq!(of("c"), [""; 0], "whoever is not listed shows nothing");
    assert_eq!(added(config, &[("cart", "9")], b""), [""; 0], "whose it is nobody knows");
}

#[test]
fn a_tenant_shows_members_of_the_w3c_header() {
    let config =
        r#"{"baggage":{"tenant_property":"tenant.id","allow":{"acme":["cart","plan","city"]}}}"#;
    let header = "tenant.id=acme, secret=s ,plan=gold%20plus;since=2024,city=%0aZ%C3%BCrich,cart=9";
    let shown = ["baggage.cart=9", "baggage.plan=gold plus", "baggage.city= Zürich"];
    assert_eq!(added(config, &[("baggage", header)], b""), shown, "and nothing else");
    let own = [("baggage", header), ("cart", "own")];
    assert_eq!(added(config, &own, b"")[0], "baggage.cart=own", "a property comes first");
    let other = header.replace("acme", "other");
    assert_eq!(added(config, &[("baggage", &other)], b""), [""; 0]);
    assert_eq!(added(config, &[("bag", header)], b""), [""; 0]);
    let elsewhere = config.replace(r#""allow""#, r#""header":"bag","allow""#);
    assert_eq!(added(&elsewhere, &[("bag", header)], b""), shown);
    let long = format!("{header},x={}", "x".repeat(8_192));
    assert_eq!(added(config, &[("baggage", &long)], b""), [""; 0], "it is not read");
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    for (config, told) in [
        (r#"{"fields":{"a":"b"}}"#, "write fields as"),
        (r#"{"fields":{"a":"$"}}"#, "write fields as"),
        (r#"{"fields":{"a":"$.x[y]"}}"#, "write fields as"),
        (r#"{"properties":{"":"b"}}"#, "no name"),
        (r#"{"attributes":{"":"b"}}"#, "no name"),
        (r#"{"attributes":{"a":"b\nc"}}"#, "control character"),
        (r#"{"attributes":{"a\u0001":"b"}}"#, "control character"),
        (r#"{"attributes":{"a":"b"},"properties":{"a":"A"}}"#, "already"),
        (r#"{"attributes":{"a":"b"},"fields":{"a":"$.a"}}"#, "already"),
        (r#"{"attributes":{"a":1}}"#, "expected a string"),
        (r#"{"baggage":{}}"#, "missing field"),
        (r#"{"property":{}}"#, "unknown field"),
    ] {
        let found = test::init::<Tracing>(config).err().unwrap();
        assert!(found.contains(told), "{config}: {found}");
    }
}
