//! Whatever the bytes are: no panic, and nobody is proved by luck.

use std::path::Path;
use std::sync::Arc;

use blockhouse_authn::grpc::{self, Authorization, is_fresh};
use blockhouse_authn::{Config, Credential, SigningKey, UserTable, signature, users};
use blockhouse_disk::{MemDisk, whole};
use proptest::prelude::*;

fn table(disk: &MemDisk) -> Option<UserTable> {
    let config = Config { key_file: "/etc/users.key".to_owned(), ..Config::default() };
    UserTable::open(&config, Arc::new(disk.clone()), Path::new("/data")).ok()
}

proptest! {
    #[test]
    fn files_of_users(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let disk = MemDisk::new();
        whole::replace(&disk, &users::path(Path::new("/data")), &bytes).unwrap();
        prop_assert!(table(&disk).is_none());
    }

    #[test]
    fn files_of_secrets(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let disk = MemDisk::new();
        let path = Path::new("/s");
        whole::replace(&disk, path, &bytes).unwrap();
        if let Ok(read) = Credential::read(&disk, path) {
            prop_assert!(users::is_name(&read.name));
        }
        drop(Credential::read_tool(&disk, path, ""));
    }

    #[test]
    fn signatures(text in "\\PC{0,40}") {
        if let Some(bytes) = signature::decode(&text) {
            prop_assert!(!SigningKey::new(b"12345678").verifies(Some(bytes), [b"a", b"b"]));
        }
    }

    #[test]
    fn a_signature_is_of_its_bytes_alone(
        secret in "[a-z]{8,80}",
        fields in prop::collection::vec(any::<u8>(), 0..300),
        body in prop::collection::vec(any::<u8>(), 1..300),
        at in any::<prop::sample::Index>(),
    ) {
        let key = SigningKey::new(secret.as_bytes());
        let claimed = signature::decode(&key.sign(&fields, &body));
        prop_assert!(key.verifies(claimed, [&fields, &body]));
        let mut other = body.clone();
        other[at.index(body.len())] ^= 1;
        prop_assert!(!key.verifies(claimed, [&fields, &other]));
    }

    #[test]
    fn headers_of_grpc(text in "(MQv2-HMAC-SHA1 )?([a-zA-Z]{0,12}=?[ -~é/]{0,20},? ?){0,5}") {
        let _parsed = Authorization::parse(&text);
    }

    #[test]
    fn dates(text in "[0-9TtZz:+. -]{0,32}|\\PC{0,20}", now in any::<i32>()) {
        let _fresh = is_fresh(&text, now.into());
    }
}

#[test]
fn grpc_proves_a_user_for_as_long_as_the_date_is_near() {
    let disk = MemDisk::new();
    whole::replace(&disk, Path::new("/etc/admin"), b"ak1:12345678").unwrap();
    let config = Config {
        key_file: "/etc/users.key".to_owned(),
        initial_user_file: "/etc/admin".to_owned(),
        ..Config::default()
    };
    let table = UserTable::open(&config, Arc::new(disk), Path::new("/data")).unwrap();
    let date = "20260101T000000Z";
    let header = "MQv2-HMAC-SHA1 Credential=ak1, SignedHeaders=x-mq-date-time, \
                  Signature=744D438196AF86606D44B8C9A7C8E0E0B2FFB22B";
    let now = 1_767_225_600;
    assert_eq!(grpc::verify(&table, header, date, now).as_deref(), Ok("ak1"));
    assert!(grpc::verify(&table, header, date, now + 86_400).is_err());
    assert!(grpc::verify(&table, header, "20260101T000001Z", now).is_err());
    assert!(grpc::verify(&table, &header.replace("ak1", "ak2"), date, now).is_err());
    assert!(grpc::verify(&table, "", date, now).is_err());
}
