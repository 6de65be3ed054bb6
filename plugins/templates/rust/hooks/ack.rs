// use: Ack, Context, Progress, log
/// Progress of these consumer groups is told in the log.
pub watched_groups: Vec<String>,
// code
impl Ack for Hooks {
    fn ack(&mut self, _cx: &Context, progress: &Progress) {
        if self.config.watched_groups.contains(&progress.group) {
            let Progress {
                group,
                topic,
                queue,
                offset,
            } = progress;
            log::info(&format!("{group} is at {offset} of {topic}/{queue}"));
        }
    }
}
// test
#[test]
fn progress_of_watched_groups_is_told() {
    let host = test::Host::new();
    let mut plugin: Hooks = test::init(r#"{"watched_groups": ["billing"]}"#).unwrap();
    let (group, topic) = ("billing".to_owned(), "orders".to_owned());
    plugin.ack(
        &test::context(),
        &Progress {
            group,
            topic,
            queue: 1,
            offset: 7,
        },
    );
    assert_eq!(host.lines(), ["billing is at 7 of orders/1"]);
}
