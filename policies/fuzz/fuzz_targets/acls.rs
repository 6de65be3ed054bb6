//! RocketMQ 2.0's ACLs as a broker tells of them: what is imported are lines that the policies take.
#![no_main]

use blockhouse_authz::{File, Files, Imported, Mode, Policies};
use blockhouse_model::{Acl, AclEntry};
use blockhouse_protocol::Body;
use blockhouse_protocol::body::acl::AclInfo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Longer ones find nothing more, and casbin takes long for them.
    if data.len() > 2_048 {
        return;
    }
    let acls = told(data).or_else(|| Some(written(str::from_utf8(data).ok()?)));
    let imported = Imported::of(&acls.unwrap_or_default());
    for line in &imported.lines {
        // Lines that deny alone, or that contradict each other, are refused as others are.
        let text = format!("p, user:somebody, *, Topic:elsewhere, Pub, -, allow\n{line}\n");
        assert_eq!(text.lines().count(), 2);
        let file = File { name: "imported.csv".to_owned(), text };
        let files = Files::new(vec![file]).expect("a file");
        for mode in [Mode::DenyOverride, Mode::Acl2] {
            if let Err(refused) = Policies::load(&files, mode) {
                panic!("{refused}: {line}");
            }
        }
    }
});

/// What one answer says of many, and what a request says of one.
fn told(data: &[u8]) -> Option<Vec<Acl>> {
    let all = Vec::<AclInfo>::decode(data).or_else(|_| AclInfo::decode(data).map(|one| vec![one])).ok()?;
    let of = |info: &AclInfo| info.acl(info.subject.as_deref().unwrap_or_default()).ok();
    Some(all.iter().filter_map(of).collect())
}

/// The same without JSON around it: a line for each entry, which reaches further.
fn written(text: &str) -> Vec<Acl> {
    let one = |line: &str| {
        let mut fields = line.split('|');
        let mut next = || fields.next().unwrap_or_default().to_owned();
        let (subject, policy_type, resource, decision, action) = (next(), next(), next(), next(), next());
        let source_ips = fields.map(str::to_owned).collect();
        Acl { subject, entries: vec![AclEntry { policy_type, resource, actions: vec![action], source_ips, decision }] }
    };
    text.lines().map(one).collect()
}
