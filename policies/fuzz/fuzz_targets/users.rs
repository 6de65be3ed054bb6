//! `users.json`, its key, and the files that name a user with a secret.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use blockhouse_authn::{Config, Credential, UserTable, users};
use blockhouse_disk::{MemDisk, whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (choice, data) = data.split_first().unwrap_or((&0, &[]));
    let (disk, home, key) = (MemDisk::new(), Path::new("data"), Path::new("key"));
    let put = |path: &Path, bytes: &[u8]| whole::replace_private(&disk, path, bytes).expect("memory");
    put(key, b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    let mut config = Config { key_file: "key".to_owned(), ..Config::default() };
    match choice % 3 {
        0 => put(&users::path(home), data),
        1 => put(key, data),
        _ => {
            put(Path::new("initial"), data);
            config.initial_user_file = "initial".to_owned();
            let _none = Credential::read(&disk, Path::new("initial"));
        }
    }
    let _refused = UserTable::open(&config, Arc::new(disk), home);
});
