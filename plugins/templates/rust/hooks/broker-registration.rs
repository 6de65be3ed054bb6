// use: BrokerRegistration, Context, Registration, Verdict
/// Clusters whose brokers are taken; all if there are none.
pub clusters: Vec<String>,
// code
impl BrokerRegistration for Hooks {
    fn broker_registration(&mut self, _cx: &Context, registration: &Registration) -> Verdict {
        let clusters = &self.config.clusters;
        if !clusters.is_empty() && !clusters.contains(&registration.cluster) {
            return Verdict::reject(format!("no cluster {} here", registration.cluster));
        }
        Verdict::Continue
    }
}
// test
#[test]
fn brokers_of_other_clusters_are_refused() {
    let mut plugin: Hooks = test::init(r#"{"clusters": ["east"]}"#).unwrap();
    let mut registration = Registration {
        cluster: "west".to_owned(),
        broker: "broker-a".to_owned(),
        broker_id: 0,
        address: "192.0.2.1:10911".to_owned(),
        topics: 1,
    };
    let cx = test::context();
    assert!(matches!(
        plugin.broker_registration(&cx, &registration),
        Verdict::Reject(_)
    ));
    registration.cluster = "east".to_owned();
    assert_eq!(
        plugin.broker_registration(&cx, &registration),
        Verdict::Continue
    );
}
