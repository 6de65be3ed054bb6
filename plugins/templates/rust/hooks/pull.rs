// use: Context, Pull, PullRequest, Verdict
/// Consumer groups that get nothing for now.
pub paused_groups: Vec<String>,
// code
impl Pull for Hooks {
    fn pull(&mut self, _cx: &Context, request: &PullRequest) -> Verdict {
        if self.config.paused_groups.contains(&request.group) {
            return Verdict::reject(format!("the group {} is paused", request.group));
        }
        Verdict::Continue
    }
}
// test
#[test]
fn paused_groups_get_nothing() {
    let mut plugin: Hooks = test::init(r#"{"paused_groups": ["billing"]}"#).unwrap();
    let (group, topic) = ("billing".to_owned(), "orders".to_owned());
    let mut request = PullRequest {
        group,
        topic,
        queue: 0,
        offset: 0,
        messages_max: 32,
    };
    assert!(matches!(
        plugin.pull(&test::context(), &request),
        Verdict::Reject(_)
    ));
    request.group = "other".to_owned();
    assert_eq!(plugin.pull(&test::context(), &request), Verdict::Continue);
}
