// use: AuditSink, Event, Outcome, log
/// What is refused is told in the log.
pub log_refusals: bool,
// code
impl AuditSink for Hooks {
    fn audit(&mut self, events: &[Event]) -> Result<(), String> {
        let refused = |event: &&Event| event.outcome == Outcome::Refused;
        for event in events
            .iter()
            .filter(|e| self.config.log_refusals && refused(e))
        {
            let Event {
                principal,
                action,
                resource,
                reason,
                ..
            } = event;
            log::info(&format!(
                "{principal} may not {action} {resource}: {reason}"
            ));
        }
        Ok(())
    }
}
// test
#[test]
fn refusals_are_told() {
    let host = test::Host::new();
    let mut plugin: Hooks = test::init(r#"{"log_refusals": true}"#).unwrap();
    let mut event = test::event(Outcome::Refused, "topic:orders");
    event.reason = "no".to_owned();
    let allowed = test::event(Outcome::Allowed, "topic:orders");
    assert_eq!(plugin.audit(&[allowed, event]), Ok(()));
    assert_eq!(host.lines(), ["anonymous may not Pub topic:orders: no"]);
}
