// use: EnrichSpan, Spans
/// The property of a message that its spans show as `tenant`; none if it is empty.
pub tenant_property: String,
// code
impl EnrichSpan for Hooks {
    fn enrich_span(&mut self, spans: &mut Spans<'_>) {
        let property = &self.config.tenant_property;
        for (index, _span, message) in spans.iter() {
            if let Some(tenant) = message.property(property) {
                spans.add(index, "tenant", tenant);
            }
        }
    }
}
// test
#[test]
fn spans_show_the_tenant_of_their_message() {
    let mut plugin: Hooks = test::init(r#"{"tenant_property": "TENANT"}"#).unwrap();
    let mut span = test::span("send orders");
    span.properties = b"TENANT\x01a\x02".to_vec();
    let additions = test::enrich(&mut plugin, &[test::span("other"), span], &[]);
    assert_eq!((additions.len(), additions[0].span), (1, 1));
    assert_eq!(additions[0].attributes[0].value, "a");
}
