// use: AfterAppend, Appended, Context, log
/// Stored messages with more bytes than this are told in the log; 0 tells of none.
pub large_bytes: u32,
// code
impl AfterAppend for Hooks {
    fn after_append(&mut self, _cx: &Context, messages: &Appended<'_>) {
        let large = self.config.large_bytes;
        for message in messages
            .iter()
            .filter(|m| large > 0 && m.body_size() > large)
        {
            let (topic, size) = (messages.topic(), message.body_size());
            log::info(&format!("{topic}: a message of {size} bytes"));
        }
    }
}
// test
#[test]
fn large_messages_are_told() {
    let host = test::Host::new();
    let mut plugin: Hooks = test::init(r#"{"large_bytes": 3}"#).unwrap();
    let batch = test::Batch::of("orders")
        .message(&[], b"abc")
        .message(&[], b"abcd");
    batch.append(&mut plugin, &test::context());
    assert_eq!(host.lines(), ["orders: a message of 4 bytes"]);
}
