#![expect(clippy::disallowed_methods, reason = "tests tamper with files directly")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use blockhouse_disk::RealDisk;
use blockhouse_model::ManualClock;
use tempfile::TempDir;

use super::*;

const NAME: Name = Name([7; 32]);
const OTHER: Name = Name([8; 32]);

struct Node {
    dir: TempDir,
    clock: Arc<ManualClock>,
}

impl Node {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::default()) }
    }

    /// The cache as a new process finds it.
    fn cache(&self) -> Cache {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Cache::open(&(Arc::new(RealDisk) as Arc<dyn Disk>), &self.dir.path().join("p"), &clock)
    }

    fn keep(&self, name: Name, text: &str) -> PathBuf {
        let cache = self.cache();
        cache.store(name, &Code::made_here(text.to_owned().into()));
        cache.path(name)
    }
}

fn loaded(cache: &Cache, name: Name) -> Option<Vec<u8>> {
    cache.load(name).map(|code| code.bytes().to_vec())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// `name` is refused once, then it is not there, and it can be kept again.
fn is_refused(node: &Node, cache: &Cache, name: Name, what: &str) {
    let before = cache.refused();
    assert_eq!(loaded(cache, name), None, "{what}");
    assert_eq!(cache.refused(), before + 1, "{what}");
    assert_eq!(loaded(cache, name), None, "{what}");
    assert_eq!(cache.refused(), before + 1, "{what}: it is gone");
    cache.store(name, &Code::made_here("again".to_owned().into()));
    assert_eq!(loaded(&node.cache(), name).unwrap(), b"again", "{what}");
}

#[test]
fn what_was_kept_is_there_at_the_next_start() {
    let node = Node::new();
    assert_eq!(loaded(&node.cache(), NAME), None);
    let path = node.keep(NAME, "code");
    let next = node.cache();
    assert_eq!(loaded(&next, NAME).unwrap(), b"code");
    assert_eq!(loaded(&next, OTHER), None);
    assert_eq!(next.refused(), 0);
    let key = node.dir.path().join("p/cache.key");
    assert_eq!(fs::read(&key).unwrap().len(), 32);
    for private in [&path, &key, &node.dir.path().join("p/cache")] {
        assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o077, 0);
    }
}

#[test]
fn a_flipped_bit_anywhere_is_seen() {
    let node = Node::new();
    let path = node.keep(NAME, "code");
    let whole = fs::read(&path).unwrap();
    for i in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[i] ^= 1 << (i % 8);
        fs::write(&path, &bytes).unwrap();
        is_refused(&node, &node.cache(), NAME, &format!("byte {i}"));
    }
}

#[test]
fn what_is_cut_off_or_longer_is_refused() {
    let node = Node::new();
    let path = node.keep(NAME, "code");
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        is_refused(&node, &node.cache(), NAME, &format!("{len} bytes"));
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    is_refused(&node, &node.cache(), NAME, "a byte more");
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(CODE_MAX + 1_000).unwrap();
    is_refused(&node, &node.cache(), NAME, "too long");
}

#[test]
fn only_this_nodes_own_code_of_this_component_is_taken() {
    let (node, other) = (Node::new(), Node::new());
    let path = node.keep(NAME, "code");
    fs::copy(other.keep(NAME, "foreign"), &path).unwrap();
    is_refused(&node, &node.cache(), NAME, "of another node");
    fs::copy(node.keep(OTHER, "other"), &path).unwrap();
    is_refused(&node, &node.cache(), NAME, "of another component");
    assert_eq!(loaded(&node.cache(), OTHER).unwrap(), b"other");
    fs::write(&path, b"\x7fELF\x02\x01\x01").unwrap();
    is_refused(&node, &node.cache(), NAME, "compiled elsewhere");
}

#[test]
fn what_others_could_have_written_is_refused() {
    let node = Node::new();
    let path = node.keep(NAME, "code");
    for open in [0o620, 0o602] {
        mode(&path, open);
        is_refused(&node, &node.cache(), NAME, "the file");
    }
    let elsewhere = node.dir.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    is_refused(&node, &node.cache(), NAME, "a link");
    assert!(elsewhere.exists(), "what it led to is left alone");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    is_refused(&node, &node.cache(), NAME, "a directory");
}

#[test]
fn a_directory_that_others_could_write_is_made_anew() {
    let node = Node::new();
    let path = node.keep(NAME, "code");
    let dir = path.parent().unwrap();
    mode(dir, 0o777);
    let cache = node.cache();
    assert_eq!((loaded(&cache, NAME), cache.refused()), (None, 1));
    node.keep(NAME, "code");
    // Opened while the process runs.
    mode(dir, 0o770);
    assert_eq!((loaded(&cache, NAME), cache.refused()), (None, 2));
    let elsewhere = node.dir.path().join("elsewhere");
    node.keep(NAME, "code");
    fs::rename(dir, &elsewhere).unwrap();
    symlink(&elsewhere, dir).unwrap();
    assert_eq!((loaded(&cache, NAME), cache.refused()), (None, 3), "a link");
    assert!(elsewhere.join(path.file_name().unwrap()).exists());
    node.keep(NAME, "again");
    assert_eq!(loaded(&cache, NAME).unwrap(), b"again");
}

#[test]
fn a_key_that_others_could_read_is_replaced_and_nothing_of_it_is_taken() {
    let node = Node::new();
    node.keep(NAME, "code");
    let key = node.dir.path().join("p/cache.key");
    let first = fs::read(&key).unwrap();
    mode(&key, 0o640);
    let cache = node.cache();
    assert_eq!(cache.refused(), 1);
    assert_ne!(fs::read(&key).unwrap(), first);
    is_refused(&node, &cache, NAME, "of the old key");
    for bytes in [&b""[..], &[1; 31], &[1; 33]] {
        fs::write(&key, bytes).unwrap();
        let cache = node.cache();
        assert_eq!(cache.refused(), 1);
        is_refused(&node, &cache, NAME, "of the old key");
    }
}

#[test]
fn nothing_is_kept_where_nothing_can_be_written() {
    let node = Node::new();
    fs::write(node.dir.path().join("p"), b"a file in place of the directory").unwrap();
    let cache = node.cache();
    cache.store(NAME, &Code::made_here("code".to_owned().into()));
    assert_eq!(loaded(&cache, NAME), None);
}

#[test]
fn what_is_over_goes_oldest_first_and_what_is_in_use_last() {
    let node = Node::new();
    let names: Vec<Name> = (0..6).map(|n| Name([n; 32])).collect();
    for name in &names {
        node.clock.advance(std::time::Duration::from_secs(1));
        node.keep(*name, "code");
    }
    let cache = node.cache();
    assert!(loaded(&cache, names[0]).is_some() && loaded(&cache, names[2]).is_some());
    fs::write(cache.dir.join("litter.tmp"), b"x").unwrap();
    let left = || names.iter().map(|name| cache.path(*name).exists()).collect::<Vec<_>>();
    cache.prune(6, u64::MAX);
    assert_eq!(left(), [true; 6], "litter goes first");
    cache.prune(4, u64::MAX);
    assert_eq!(left(), [true, false, true, false, true, true]);
    let one = fs::metadata(cache.path(names[0])).unwrap().len();
    cache.prune(6, 2 * one);
    assert_eq!(left(), [true, false, true, false, false, false]);
    cache.prune(1, u64::MAX);
    assert_eq!(left(), [false, false, true, false, false, false]);
}
