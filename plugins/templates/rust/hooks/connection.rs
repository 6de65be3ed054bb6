// use: Connection, ConnectionInfo, Verdict
/// Clients at these addresses are not let in.
pub refused_peers: Vec<std::net::IpAddr>,
// code
impl Connection for Hooks {
    fn opened(&mut self, connection: &ConnectionInfo) -> Verdict {
        if self.config.refused_peers.contains(&connection.peer.ip()) {
            return Verdict::reject("your address is refused");
        }
        Verdict::Continue
    }
}
// test
#[test]
fn listed_peers_are_refused() {
    let mut plugin: Hooks = test::init(r#"{"refused_peers": ["192.0.2.1"]}"#).unwrap();
    let peer = test::context().peer;
    let mut connection = ConnectionInfo {
        id: 1,
        peer,
        local: peer,
        secure: false,
    };
    assert!(matches!(plugin.opened(&connection), Verdict::Reject(_)));
    connection.peer = std::net::SocketAddr::from(([192, 0, 2, 2], 1)).into();
    assert_eq!(plugin.opened(&connection), Verdict::Continue);
}
