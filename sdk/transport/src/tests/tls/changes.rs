//! Files that change under traffic.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, date_time_ymd};
use tokio::time::timeout;

use super::authority::{Authority, Issued, client};
use super::scene::{PATIENCE, Scene, with_clients};
use crate::tests::support::{DEFER, ECHO};
use crate::tls::{Acceptor, Mode};

#[tokio::test]
async fn a_renewed_certificate_is_for_new_connections_and_old_ones_go_on() {
    let scene = Scene::new(|c| c.mode = Mode::Enforcing).await;
    let dialer = scene.dialer(None, |_| {});
    let before = scene.dial(&dialer).await.unwrap();
    for round in 0..50 {
        let another = Authority::new("another root");
        scene.install(&another.server());
        assert!(scene.tls.reload().unwrap(), "{round}");
        assert!(!scene.tls.reload().unwrap(), "nothing changed since");
        scene.write("another.pem", &another.cert);
        let trusting = scene.dialer(None, |o| o.ca = "another.pem".into());
        let after = scene.dial(&trusting).await.unwrap();
        after.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
        before.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    }
    assert_eq!(scene.counts.channels.reloads[0].read(), 50);
    assert!(scene.dial(&scene.dialer(None, |_| {})).await.is_err());
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing_and_is_said_once() {
    let scene = Scene::new(with_clients).await;
    let good = scene.authority.server();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2026, 5, 31);
    let expired = scene.authority.issue(&params);
    params.not_before = date_time_ymd(2027, 1, 1);
    params.not_after = date_time_ymd(2028, 1, 1);
    let early = scene.authority.issue(&params);
    let swapped = Issued { cert: good.cert.clone(), key: expired.key.clone() };
    let garbage = Issued { cert: "nothing".to_owned(), key: good.key.clone() };
    let no_key = Issued { cert: good.cert.clone(), key: "-----BEGIN".to_owned() };
    let cut = Issued { cert: good.cert.replace("MII", "MIX"), key: good.key.clone() };
    let cases = [
        (&expired, "has expired"),
        (&early, "not valid yet"),
        (&swapped, "server.key: is not the key of server.pem"),
        (&garbage, "server.pem: there is no certificate in it"),
        (&no_key, "server.key: there is no private key in it"),
        (&cut, "malformed certificate"),
    ];
    for (at, (issued, why)) in cases.into_iter().enumerate() {
        scene.install(issued);
        for _ in 0..3 {
            let error = scene.tls.reload().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("PRIVATE"), "{error}");
        }
        assert_eq!(scene.counts.channels.reloads[1].read(), u64::try_from(at).unwrap() + 1);
    }
    for (file, why) in [("ca.pem", "no certificate"), ("crl.pem", "no revocation list")] {
        scene.install(&good);
        scene.write("ca.pem", &scene.authority.cert);
        scene.write(file, "nothing");
        let error = scene.tls.reload().unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(why), "{error}");
    }
    // An authority of the same name, but not that of client_ca.
    scene.write("ca.pem", &scene.authority.cert);
    scene.write("crl.pem", &Authority::new("test root").revoke(&[]));
    let error = scene.tls.reload().unwrap_err().to_string();
    assert!(error.contains("crl.pem") && error.contains("is not signed by"), "{error}");
    // All the time, the first ones were in force.
    let dialer = scene.dialer(None, |_| {});
    let connection = scene.dial(&dialer).await.unwrap();
    connection.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    scene.write("crl.pem", &scene.authority.revoke(&[]));
    assert!(scene.tls.reload().unwrap());
}

#[tokio::test]
async fn a_start_with_files_that_cannot_be_used_is_refused() {
    let scene = Scene::new(|_| {}).await;
    let load = |change: fn(&mut crate::tls::Config)| {
        let mut config = super::scene::config();
        change(&mut config);
        Acceptor::load(&config, Arc::new(scene.disk.clone()), scene.clock.clone(), Arc::default())
    };
    assert!(load(|_| {}).unwrap().is_some());
    assert!(load(|c| c.mode = Mode::Disabled).unwrap().is_none());
    let missing = load(|c| c.cert = "missing.pem".into()).unwrap_err().to_string();
    assert!(missing.starts_with("missing.pem: "), "{missing}");
    let swapped = load(|c| c.cert = "ca.pem".into()).unwrap_err().to_string();
    assert!(swapped.contains("is not the key of ca.pem"), "{swapped}");
}

#[tokio::test]
async fn a_revoked_client_is_closed_while_it_is_connected_and_others_stay() {
    let scene = Scene::new(with_clients).await;
    let [bad, good] = [1, 2].map(|n| scene.authority.client("spiffe://example.org/x", n));
    // The dialers stay: their connections would end with them.
    let dialers = [scene.dialer(Some(&bad), |_| {}), scene.dialer(Some(&good), |_| {})];
    let anonymous = scene.dialer(None, |_| {});
    let revoked = scene.dial(&dialers[0]).await.unwrap();
    let stays = scene.dial(&dialers[1]).await.unwrap();
    let nobody = scene.dial(&anonymous).await.unwrap();
    for connection in [&revoked, &stays, &nobody] {
        connection.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    }
    // What it waits for is not given to it any more.
    let waiting = revoked.call(DEFER, |_| {}, b"", PATIENCE);
    let revoking = async {
        scene.until(|s| s.service.served.load(std::sync::atomic::Ordering::SeqCst) == 4).await;
        scene.write("crl.pem", &scene.authority.revoke(&[1]));
        assert!(scene.tls.reload().unwrap());
        timeout(Duration::from_secs(5), revoked.ended()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, revoking);
    assert!(answer.is_err());
    assert_eq!(scene.counts.channels.revoked.read(), 1);
    for connection in [&stays, &nobody] {
        connection.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_root_that_is_no_longer_trusted_takes_its_clients_along() {
    let scene = Scene::new(with_clients).await;
    let dialer = scene.dialer(Some(&scene.authority.client("spiffe://example.org/x", 1)), |_| {});
    let connection = scene.dial(&dialer).await.unwrap();
    connection.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    let other = Authority::new("another root");
    scene.write("ca.pem", &other.cert);
    scene.write("crl.pem", &other.revoke(&[]));
    assert!(scene.tls.reload().unwrap());
    timeout(Duration::from_secs(5), connection.ended()).await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_certificate_is_shown() {
    let scene = Scene::new(|_| {}).await;
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2026, 7, 1);
    scene.install(&scene.authority.issue(&params));
    scene.tls.reload().unwrap();
    assert_eq!(scene.counts.channels.certificate_end.read(), 1_782_864_000);
}

#[tokio::test]
async fn a_client_is_closed_when_its_certificate_ends_and_others_stay() {
    let scene = Scene::new(with_clients).await;
    let mut short = client("spiffe://example.org/x", 1);
    short.not_after = date_time_ymd(2026, 6, 2);
    let short = scene.authority.issue(&short);
    let long = scene.authority.client("spiffe://example.org/y", 2);
    let dialers = [scene.dialer(Some(&short), |_| {}), scene.dialer(Some(&long), |_| {})];
    assert_eq!(scene.tls.expire(), None, "nobody is there");
    let ends = scene.dial(&dialers[0]).await.unwrap();
    let stays = scene.dial(&dialers[1]).await.unwrap();
    for connection in [&ends, &stays] {
        connection.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    }
    // It is 2026-06-01.
    let day = Duration::from_hours(24);
    assert_eq!(scene.tls.expire(), Some(day + Duration::from_secs(1)));
    scene.clock.advance(day + Duration::from_millis(999));
    scene.tls.expire();
    ends.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
    // What it waits for is not given to it any more.
    let waiting = ends.call(DEFER, |_| {}, b"", PATIENCE);
    let ending = async {
        scene.until(|s| s.service.served.load(std::sync::atomic::Ordering::SeqCst) == 4).await;
        scene.clock.advance(Duration::from_millis(1));
        scene.tls.expire();
        timeout(PATIENCE, ends.ended()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, ending);
    assert!(answer.is_err());
    assert_eq!(scene.counts.channels.revoked.read(), 1);
    stays.call(ECHO, |_| {}, b"", PATIENCE).await.unwrap();
}
