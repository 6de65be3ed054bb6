// use: Context, RouteEntry, RouteQuery, raw::RouteAnswer
/// Brokers that clients are not sent to.
pub drained_brokers: Vec<String>,
// code
impl RouteQuery for Hooks {
    fn route_query(&mut self, _cx: &Context, _topic: &str, route: &[RouteEntry]) -> RouteAnswer {
        let drained = &self.config.drained_brokers;
        if !route.iter().any(|entry| drained.contains(&entry.broker)) {
            return RouteAnswer::Continue;
        }
        let kept = (0..)
            .zip(route)
            .filter(|(_, entry)| !drained.contains(&entry.broker));
        RouteAnswer::Keep(kept.map(|(index, _)| index).collect())
    }
}
// test
#[test]
fn drained_brokers_are_left_out() {
    let mut plugin: Hooks = test::init(r#"{"drained_brokers": ["a"]}"#).unwrap();
    let entry = |broker: &str| RouteEntry {
        broker: broker.to_owned(),
        read_queues: 4,
        write_queues: 4,
    };
    let cx = test::context();
    let answer = plugin.route_query(&cx, "orders", &[entry("a"), entry("b")]);
    assert_eq!(answer, RouteAnswer::Keep(vec![1]));
    assert_eq!(
        plugin.route_query(&cx, "orders", &[entry("b")]),
        RouteAnswer::Continue
    );
}
