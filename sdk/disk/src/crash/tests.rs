use std::collections::BTreeSet;

use super::*;

fn bytes(disk: &CrashDisk, path: &str) -> Option<Vec<u8>> {
    crate::whole::read(disk, Path::new(path)).unwrap()
}

/// What is under `path` in every image of every point from the event `from` on.
fn outcomes(disk: &CrashDisk, path: &str, from: usize) -> BTreeSet<Option<Vec<u8>>> {
    let mut crashes = disk.crashes();
    let mut seen = BTreeSet::new();
    loop {
        if crashes.at() >= from {
            seen.extend((0..200).map(|seed| bytes(&crashes.image(seed), path)));
        }
        if !crashes.step() {
            return seen;
        }
    }
}

#[test]
fn what_was_synced_is_there_and_what_was_not_may_be() {
    let disk = CrashDisk::new();
    let file = disk.create(Path::new("/d/f")).unwrap();
    file.write_at(b"synced", 0).unwrap();
    file.sync_data().unwrap();
    assert!(outcomes(&disk, "/d/f", disk.events()).contains(&None), "its name was not synced");
    disk.sync_dir(Path::new("/d")).unwrap();
    let durable = disk.events();
    assert_eq!(outcomes(&disk, "/d/f", durable), [Some(b"synced".to_vec())].into());
    file.write_at(b"later!", 6).unwrap();
    let expected = ["synced", "syncedlater!", "synced\0\0\0\0\0\0"];
    let expected = expected.map(|text| Some(text.as_bytes().to_vec()));
    assert_eq!(outcomes(&disk, "/d/f", durable), expected.into());
    assert_eq!(bytes(&disk.killed(), "/d/f").unwrap(), b"syncedlater!");
}

#[test]
fn pages_are_kept_or_lost_each_for_itself_and_one_is_torn() {
    let disk = CrashDisk::new();
    let file = disk.create(Path::new("/f")).unwrap();
    file.set_len(2 * 4096).unwrap();
    disk.sync_all(Path::new("/")).unwrap();
    let durable = disk.events();
    file.write_at(&[1; 2 * 4096], 0).unwrap();
    let mut torn = 0;
    let mut whole = BTreeSet::new();
    for image in outcomes(&disk, "/f", durable) {
        let image = image.unwrap();
        assert_eq!(image.len(), 2 * 4096);
        let sectors: Vec<_> =
            image.chunks(512).map(|s| s.iter().map(|b| u32::from(*b)).sum()).collect();
        assert!(sectors.iter().all(|sum| matches!(sum, 0 | 512)), "{sectors:?}");
        let pages: Vec<u32> = sectors.chunks(8).map(|page| page.iter().sum()).collect();
        if pages.iter().all(|page| matches!(page, 0 | 4096)) {
            whole.insert(pages);
        } else {
            torn += 1;
        }
    }
    let expected = [vec![0, 0], vec![0, 4096], vec![4096, 0], vec![4096, 4096]];
    assert_eq!(whole, expected.into());
    assert!(torn > 10, "{torn}");
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one() {
    let disk = CrashDisk::new();
    let path = Path::new("/d/f");
    crate::whole::replace(&disk, path, b"old").unwrap();
    let durable = disk.events();
    crate::whole::replace(&disk, path, b"new").unwrap();
    let either = [Some(b"old".to_vec()), Some(b"new".to_vec())];
    assert_eq!(outcomes(&disk, "/d/f", durable), either.into());
    assert_eq!(outcomes(&disk, "/d/f", disk.events()), [Some(b"new".to_vec())].into());
}

#[test]
fn a_removal_and_a_cut_are_lost_until_they_are_synced() {
    let disk = CrashDisk::new();
    let file = disk.create(Path::new("/d/f")).unwrap();
    file.write_at(b"abcdef", 0).unwrap();
    disk.sync_all(Path::new("/")).unwrap();
    let durable = disk.events();
    file.set_len(3).unwrap();
    file.set_len(6).unwrap();
    let cut = Some(b"abc\0\0\0".to_vec());
    assert!(outcomes(&disk, "/d/f", durable).contains(&Some(b"abcdef".to_vec())));
    assert!(outcomes(&disk, "/d/f", durable).contains(&Some(b"abc".to_vec())));
    file.sync_data().unwrap();
    assert_eq!(outcomes(&disk, "/d/f", disk.events()), [cut.clone()].into());
    disk.remove(Path::new("/d/f")).unwrap();
    let removed = disk.events();
    assert_eq!(outcomes(&disk, "/d/f", removed), [cut, None].into());
    disk.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(outcomes(&disk, "/d/f", disk.events()), [None].into());
}

#[test]
fn a_seed_gives_the_same_image_again() {
    let disk = CrashDisk::new();
    let file = disk.create(Path::new("/f")).unwrap();
    disk.sync_all(Path::new("/")).unwrap();
    for n in 0..20 {
        file.write_at(&[n; 1_000], u64::from(n) * 900).unwrap();
    }
    let mut crashes = disk.crashes();
    while crashes.step() {}
    for seed in 0..50 {
        assert_eq!(bytes(&crashes.image(seed), "/f"), bytes(&crashes.image(seed), "/f"));
    }
}
