//! Client certificates and who they stand for.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyUsagePurpose, date_time_ymd};

use super::authority::{Authority, client};
use super::scene::{PATIENCE, Scene, with_clients};
use crate::tests::support::{ECHO, WHO};
use crate::tls::ClientAuth;

const ORDERS: &str = "spiffe://example.org/orders";

/// Who the server takes a client with this certificate for; `None` if it is not let in.
async fn who(scene: &Scene, issued: Option<&super::authority::Issued>) -> Option<String> {
    let dialer = scene.dialer(issued, |_| {});
    let connection = scene.dial(&dialer).await.ok()?;
    let answer = connection.call(WHO, |_| {}, b"", PATIENCE).await.ok()?;
    Some(String::from_utf8(answer.body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_certificate_stands_for_a_user_and_none_for_nobody() {
    let scene = Scene::new(with_clients).await;
    assert_eq!(who(&scene, None).await.as_deref(), Some("secure nobody"));
    let good = scene.authority.client(ORDERS, 1);
    assert_eq!(who(&scene, Some(&good)).await, Some(format!("secure {ORDERS}")));
    let mut plain = scene.plain().await;
    plain.send(&crate::tests::support::request(WHO, 1, b"")).await;
    assert_eq!(plain.answer().await.1, "plain nobody");
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_not_let_in() {
    let scene = Scene::new(with_clients).await;
    let stranger = Authority::new("test root").client(ORDERS, 1);
    assert_eq!(who(&scene, Some(&stranger)).await, None);
    let mut past = client(ORDERS, 2);
    past.not_after = date_time_ymd(2026, 5, 31);
    assert_eq!(who(&scene, Some(&scene.authority.issue(&past))).await, None);
    let mut issuing = client(ORDERS, 3);
    issuing.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    assert_eq!(who(&scene, Some(&scene.authority.issue(&issuing))).await, None);
    let mut two = client(ORDERS, 4);
    two.subject_alt_names.extend(client("spiffe://example.org/admin", 5).subject_alt_names);
    assert_eq!(who(&scene, Some(&scene.authority.issue(&two))).await, None);
    let nameless = scene.authority.issue(&CertificateParams::default());
    assert_eq!(who(&scene, Some(&nameless)).await, None);
    scene.until(|s| s.handshakes("refused") == 3 && s.handshakes("failed") == 2).await;
    assert_eq!(scene.handshakes("done"), 0);
}

#[tokio::test]
async fn a_subject_is_a_name_where_a_rule_says_so() {
    let rule = "dn:CN=*,OU=Apps,O=Example -> {1}".to_owned();
    let scene = Scene::new(|c| {
        with_clients(c);
        c.identity = vec![rule];
    })
    .await;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in [
        (DnType::OrganizationName, "Example"),
        (DnType::OrganizationalUnitName, "Apps"),
        (DnType::CommonName, "orders"),
    ] {
        params.distinguished_name.push(kind, value);
    }
    let named = scene.authority.issue(&params);
    assert_eq!(who(&scene, Some(&named)).await.as_deref(), Some("secure orders"));
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Other");
    let other = scene.authority.issue(&params);
    assert_eq!(who(&scene, Some(&other)).await, None);
}

#[tokio::test]
async fn required_means_required() {
    let scene = Scene::new(|c| {
        with_clients(c);
        c.client_auth = ClientAuth::Require;
    })
    .await;
    assert_eq!(who(&scene, None).await, None);
    scene.until(|s| s.handshakes("failed") == 1).await;
    let good = scene.authority.client(ORDERS, 1);
    assert_eq!(who(&scene, Some(&good)).await, Some(format!("secure {ORDERS}")));
}

#[tokio::test]
async fn sessions_with_certificates_are_not_taken_up_again() {
    let scene = Scene::new(with_clients).await;
    let good = scene.authority.client(ORDERS, 1);
    // One connector, which would use a ticket if it had got one.
    let dialer = scene.dialer(Some(&good), |_| {});
    for _ in 0..3 {
        let connection = scene.dial(&dialer).await.unwrap();
        connection.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
        connection.close();
        connection.ended().await;
    }
    scene.write("crl.pem", &scene.authority.revoke(&[1]));
    assert!(scene.tls.reload().unwrap());
    let late = scene.dial(&dialer).await;
    let answered = match late {
        Ok(connection) => connection.call(ECHO, |_| {}, b"", PATIENCE).await.is_ok(),
        Err(_) => false,
    };
    assert!(!answered);
}
