// use: BeforeSend, Changes, Context, Drafts, Rejection
/// Messages without this property are refused.
pub required_property: String,
// code
impl BeforeSend for Hooks {
    fn before_send(&mut self, _cx: &Context, drafts: &Drafts<'_>, changes: &mut Changes) {
        let required = &self.config.required_property;
        if required.is_empty() {
            return;
        }
        for draft in drafts
            .iter()
            .filter(|draft| draft.property(required).is_none())
        {
            let reason = format!("set the property {required}");
            changes.reject(draft.index(), Rejection::new(reason));
        }
    }
}
// test
#[test]
fn messages_without_the_property_are_refused() {
    let mut plugin: Hooks = test::init(r#"{"required_property": "tenant"}"#).unwrap();
    let batch = test::Batch::of("orders")
        .message(&[("tenant", "a")], b"good")
        .message(&[], b"bad");
    let changes = batch.send(&mut plugin, &test::context());
    assert_eq!((changes.len(), changes[0].message), (1, 1));
}
