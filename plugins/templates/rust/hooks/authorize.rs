// use: Access, Action, Authorize, Context, Verdict
/// Principals that may not send.
pub read_only_users: Vec<String>,
// code
impl Authorize for Hooks {
    fn authorize(&mut self, cx: &Context, accesses: &[Access]) -> Verdict {
        let user = cx.principal.user().unwrap_or("anonymous");
        let sends = accesses.iter().any(|access| access.action == Action::Pub);
        if sends
            && self
                .config
                .read_only_users
                .iter()
                .any(|other| other == user)
        {
            return Verdict::reject(format!("{user} may not send"));
        }
        Verdict::Continue
    }
}
// test
#[test]
fn read_only_users_may_not_send() {
    let mut plugin: Hooks = test::init(r#"{"read_only_users": ["ann"]}"#).unwrap();
    let orders = blockhouse_plugin::Resource::Topic("orders".to_owned());
    let mut sends = [Access {
        action: Action::Pub,
        resource: orders,
    }];
    assert!(matches!(
        plugin.authorize(&test::context_of("ann"), &sends),
        Verdict::Reject(_)
    ));
    assert_eq!(
        plugin.authorize(&test::context_of("bob"), &sends),
        Verdict::Continue
    );
    sends[0].action = Action::Sub;
    assert_eq!(
        plugin.authorize(&test::context_of("ann"), &sends),
        Verdict::Continue
    );
}
