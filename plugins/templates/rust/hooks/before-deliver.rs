// use: BeforeDeliver, Context, Deliveries, Delivery, Outbound
/// Messages with these tags are not delivered.
pub hidden_tags: Vec<String>,
// code
impl BeforeDeliver for Hooks {
    fn before_deliver(
        &mut self,
        _cx: &Context,
        _delivery: &Delivery,
        messages: &Outbound<'_>,
        deliveries: &mut Deliveries,
    ) {
        let hidden = &self.config.hidden_tags;
        let is_hidden = |tag: &str| hidden.iter().any(|other| other == tag);
        for message in messages
            .iter()
            .filter(|message| message.tag().is_some_and(is_hidden))
        {
            deliveries.hide(message.index());
        }
    }
}
// test
#[test]
fn hidden_tags_are_not_delivered() {
    let mut plugin: Hooks = test::init(r#"{"hidden_tags": ["internal"]}"#).unwrap();
    let batch = test::Batch::of("orders")
        .message(&[("TAGS", "public")], b"a")
        .message(&[("TAGS", "internal")], b"b");
    let answer = batch.deliver(&mut plugin, &test::context());
    assert_eq!(answer.keep[0] & 0b11, 0b01);
}
