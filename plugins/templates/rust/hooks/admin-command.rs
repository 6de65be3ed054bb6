// use: AdminCommand, Command, Context, Verdict
/// Topics and groups that administrative commands may not touch.
pub protected: Vec<String>,
// code
impl AdminCommand for Hooks {
    fn admin_command(&mut self, _cx: &Context, command: &Command) -> Verdict {
        if self.config.protected.contains(&command.target) {
            return Verdict::reject(format!("{} is protected", command.target));
        }
        Verdict::Continue
    }
}
// test
#[test]
fn what_is_protected_is_not_touched() {
    let mut plugin: Hooks = test::init(r#"{"protected": ["orders"]}"#).unwrap();
    let name = "DELETE_TOPIC_IN_BROKER".to_owned();
    let mut command = Command {
        name,
        target: "orders".to_owned(),
    };
    assert!(matches!(
        plugin.admin_command(&test::context(), &command),
        Verdict::Reject(_)
    ));
    command.target = "other".to_owned();
    assert_eq!(
        plugin.admin_command(&test::context(), &command),
        Verdict::Continue
    );
}
