// use: Authenticate, Context, Credentials, Identity, Rejection
/// Access keys that are no longer taken.
pub revoked_keys: Vec<String>,
// code
impl Authenticate for Hooks {
    fn authenticate(&mut self, _cx: &Context, credentials: &Credentials<'_>) -> Identity {
        if self
            .config
            .revoked_keys
            .iter()
            .any(|key| key == credentials.access_key())
        {
            return Identity::Refused(Rejection::new("this access key was revoked"));
        }
        // Not for this plugin to say: the next hook is asked.
        Identity::Unknown
    }
}
// test
#[test]
fn revoked_keys_are_refused() {
    let mut plugin: Hooks = test::init(r#"{"revoked_keys": ["old"]}"#).unwrap();
    let mut ask = |key| test::authenticate(&mut plugin, key, "", b"", b"");
    assert!(matches!(ask("old"), Identity::Refused(_)));
    assert!(matches!(ask("new"), Identity::Unknown));
}
