use std::path::Path;

use blockhouse_disk::{Disk as _, MemDisk, whole};
use proptest::prelude::*;

use super::*;
use crate::condition::Circumstances;
use crate::words::{Ask, Who, parse_action};
use crate::{File, Files, Policies};

fn entry(resource: &str, actions: &[&str], ips: &[&str], decision: &str) -> AclEntry {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    AclEntry {
        policy_type: String::new(),
        resource: resource.to_owned(),
        actions: texts(actions),
        source_ips: texts(ips),
        decision: decision.to_owned(),
    }
}

fn of(subject: &str, entries: Vec<AclEntry>) -> Acl {
    Acl { subject: subject.to_owned(), entries }
}

fn table(subject: &str, entries: Vec<AclEntry>) -> AclTable {
    let mut table = AclTable::default();
    table.put(&of(subject, entries)).unwrap();
    table
}

fn default(entry: AclEntry) -> AclEntry {
    AclEntry { policy_type: "default".to_owned(), ..entry }
}

/// What decides, with these files and ACLs, when `user:u` does something from 10.0.0.5.
fn decided(csv: &str, acls: &AclTable, mode: Mode, action: &str, resource: &str) -> (bool, String) {
    let files = match csv {
        "" => Files::default(),
        csv => Files::new(vec![File { name: "a.csv".into(), text: csv.into() }]).unwrap(),
    };
    let mut lines = acls.lines(mode, "c1");
    lines.alone = true;
    let set = Policies::load_with(&files, &lines, mode).unwrap();
    let at = Circumstances { ip: "10.0.0.5".parse().unwrap(), ..Circumstances::default() };
    let ask = Ask::parse(parse_action(action).unwrap(), resource).unwrap();
    let decision = set.index().decide(Who::User("u"), &ask, &at);
    (decision.allowed, decision.rule.map_or("no rule".to_owned(), |rule| rule.to_string()))
}

#[test]
fn an_entry_is_a_rule_and_says_where_it_comes_from() {
    let acls = table(
        "user:u",
        vec![
            entry("topic:a", &["pub", "SUB", "Pub"], &[], "allow"),
            entry("Group:g*", &["All"], &["10.0.0.7/8", "::1"], "Allow"),
            entry("Group:g1", &["Sub"], &["10.0.0.6"], "Allow"),
        ],
    );
    let shown = acls.find("User:u").unwrap().unwrap();
    assert_eq!(shown.entries[0].resource, "Topic:a");
    assert_eq!(shown.entries[0].actions, ["Pub", "Sub"]);
    for mode in [Mode::DenyOverride, Mode::Acl2] {
        let ask = |action, resource| decided("", &acls, mode, action, resource);
        assert_eq!(ask("Pub", "Topic:a"), (true, "ACL User:u Topic:a".to_owned()));
        // Routes are asked for before anything is sent.
        assert!(ask("Get", "Topic:a").0 && !ask("Delete", "Topic:a").0);
        assert_eq!(ask("Pub", "Topic:b"), (false, "no rule".to_owned()));
        assert_eq!(ask("Sub", "Group:g1"), (true, "ACL User:u Group:g*".to_owned()));
    }
    assert_eq!(acls.find("User:v").unwrap(), None);
}

#[test]
fn both_sources_decide_together() {
    let deny = table("User:u", vec![entry("Topic:a*", &["Pub"], &[], "Deny")]);
    let allow = table("User:u", vec![entry("Topic:a1", &["Pub"], &[], "Allow")]);
    let (wide, narrow) =
        ("p, user:u, *, Topic:a*, Pub, -, deny\n", "p, user:u, *, Topic:a1, Pub, -, allow\n");
    let other = "p, user:v, *, Topic:x, Pub, -, allow\n";
    let denied_by_file = format!("{other}{wide}");
    let ask = |csv: &str, acls: &AclTable, mode| decided(csv, acls, mode, "Pub", "Topic:a1");
    for (csv, acls, mode, expected) in [
        (narrow, &deny, Mode::DenyOverride, (false, "ACL User:u Topic:a*")),
        (narrow, &deny, Mode::Acl2, (true, "a.csv:1")),
        (&*denied_by_file, &allow, Mode::DenyOverride, (false, "a.csv:2")),
        (&*denied_by_file, &allow, Mode::Acl2, (true, "ACL User:u Topic:a1")),
        // The same in both is no mistake of the files.
        (narrow, &allow, Mode::DenyOverride, (true, "a.csv:1")),
    ] {
        let (allowed, rule) = ask(csv, acls, mode);
        assert_eq!((allowed, rule.as_str()), expected, "{csv} {mode:?}");
    }
}

#[test]
fn a_default_counts_if_nothing_else_speaks_of_it() {
    let acls = table(
        "User:u",
        vec![
            default(entry("Topic:a", &["Pub", "Sub"], &[], "Allow")),
            default(entry("Topic:*", &["Pub"], &[], "Deny")),
            entry("*", &["Sub"], &[], "Deny"),
            entry("Topic:b", &["Pub"], &[], "Allow"),
        ],
    );
    for (mode, action, topic, expected) in [
        (Mode::Acl2, "Pub", "Topic:a", (true, "ACL User:u Topic:a (Default)")),
        (Mode::Acl2, "Pub", "Topic:b", (true, "ACL User:u Topic:b")),
        (Mode::Acl2, "Pub", "Topic:c", (false, "ACL User:u Topic:* (Default)")),
        // The most specific one, but a Default.
        (Mode::Acl2, "Sub", "Topic:a", (false, "ACL User:u *")),
        (Mode::DenyOverride, "Pub", "Topic:a", (true, "ACL User:u Topic:a (Default)")),
        (Mode::DenyOverride, "Pub", "Topic:b", (true, "ACL User:u Topic:b")),
        (Mode::DenyOverride, "Pub", "Topic:c", (false, "no rule")),
        (Mode::DenyOverride, "Sub", "Topic:a", (false, "ACL User:u *")),
    ] {
        let (allowed, rule) = decided("", &acls, mode, action, topic);
        assert_eq!((allowed, rule.as_str()), expected, "{mode:?} {action} {topic}");
    }
}

#[test]
fn what_says_the_same_twice_keeps_its_place() {
    // In casbin's form, the first and the last are one line.
    let csv = "p, user:u, *, Topic:*, Pub, -, allow\np, user:u, *, *, Pub, -, deny\n";
    let same = table("User:u", vec![default(entry("*", &["Pub"], &[], "Allow"))]);
    let (allowed, rule) = decided(csv, &same, Mode::Acl2, "Pub", "Topic:a");
    assert_eq!((allowed, rule.as_str()), (true, "a.csv:1"));
}

#[test]
fn a_cluster_is_this_nodes_or_another_one() {
    for (resource, expected) in [
        ("Cluster:*", true),
        ("Cluster:c1", true),
        ("Cluster:c*", true),
        ("Cluster:c2", false),
        ("Cluster:d*", false),
        ("*", true),
    ] {
        let acls = table("User:u", vec![entry(resource, &["Get"], &[], "Allow")]);
        let (allowed, _) = decided("", &acls, Mode::DenyOverride, "Get", "Cluster:*");
        assert_eq!(allowed, expected, "{resource}");
        // It is kept as it was written.
        assert_eq!(acls.list("", "")[0].entries[0].resource, resource);
    }
}

#[test]
fn entries_of_one_resource_replace_each_other() {
    let mut acls = table("User:u", vec![entry("Topic:a", &["Pub"], &[], "Allow")]);
    acls.put(&of(
        "User:u",
        vec![
            entry("topic:a", &["Sub"], &["10.0.0.1"], "Deny"),
            entry("Topic:a*", &["Sub"], &[], "Allow"),
            default(entry("Topic:a", &["Sub"], &[], "Allow")),
        ],
    ))
    .unwrap();
    let shown = acls.find("User:u").unwrap().unwrap().entries;
    assert_eq!(shown.len(), 3);
    assert_eq!((shown[0].actions[0].as_str(), shown[0].decision.as_str()), ("Sub", "Deny"));
    acls.delete("User:u", "", Some("TOPIC:a")).unwrap();
    acls.delete("User:u", "", Some("Topic:nothing")).unwrap();
    assert_eq!(acls.find("User:u").unwrap().unwrap().entries.len(), 2);
    acls.delete("User:u", "Custom", Some("Topic:a*")).unwrap();
    acls.delete("User:u", "Default", Some("Topic:a")).unwrap();
    assert!(acls.is_empty());
    assert!(matches!(acls.delete("User:u", "", None), Err(AclError::Missing(_))));
}

#[test]
fn filters_are_parts_of_names() {
    let mut acls = table("User:alice", vec![entry("Topic:a", &["Pub"], &[], "Allow")]);
    let more =
        vec![entry("Topic:b", &["Pub"], &[], "Allow"), entry("Group:g", &["Sub"], &[], "Allow")];
    acls.put(&of("User:bob", more)).unwrap();
    let count = |subject, resource| {
        acls.list(subject, resource).iter().map(|acl| acl.entries.len()).collect::<Vec<_>>()
    };
    assert_eq!(count("", ""), [1, 2]);
    assert_eq!(count("bob", ""), [2]);
    assert_eq!(count("", "Group"), [1]);
    assert_eq!(count("alice", "Group"), [0; 0]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let good = entry("Topic:a", &["Pub"], &[], "Allow");
    for (subject, entries, why) in [
        ("u", vec![good.clone()], "User:NAME"),
        ("Role:u", vec![good.clone()], "User:NAME"),
        ("User:", vec![good.clone()], "missing"),
        ("User:u,v", vec![good.clone()], "belong"),
        ("User:u\n", vec![good.clone()], "blanks"),
        ("User:u", vec![], "without entries"),
        ("User:u", vec![entry("a", &["Pub"], &[], "Allow")], "TYPE:NAME"),
        ("User:u", vec![entry("Policy:*", &["Pub"], &[], "Allow")], "Cluster, Namespace"),
        ("User:u", vec![entry("Topic:", &["Pub"], &[], "Allow")], "missing"),
        ("User:u", vec![entry("Topic:a*b", &["Pub"], &[], "Allow")], "`*`"),
        ("User:u", vec![entry("Topic:a,*", &["Pub"], &[], "Allow")], "','"),
        ("User:u", vec![entry("Topic:\"", &["Pub"], &[], "Allow")], "'\"'"),
        ("User:u", vec![entry("Topic:a", &[], &[], "Allow")], "actions"),
        ("User:u", vec![entry("Topic:a", &["Any"], &[], "Allow")], "unknown action"),
        ("User:u", vec![entry("Topic:a", &["Pub|Sub"], &[], "Allow")], "unknown action"),
        ("User:u", vec![entry("Topic:a", &["Pub"], &[], "")], "Allow or Deny"),
        ("User:u", vec![entry("Topic:a", &["Pub"], &["10.0.0.*"], "Allow")], "source IP"),
        ("User:u", vec![entry("Topic:a", &["Pub"], &["10.0.0.0/33"], "Allow")], "source IP"),
        ("User:u", vec![entry("Topic:a", &["Pub"], &["1.1.1.1;chan=tls"], "Allow")], "source IP"),
        ("User:u", vec![entry("Topic:a", &["Pub"], &["1.1.1.1"; 99], "Allow")], "bytes"),
        ("User:u", vec![AclEntry { policy_type: "x".into(), ..good.clone() }], "Custom or Default"),
        ("User:u", vec![good; ENTRIES_MAX + 1], "entries"),
    ] {
        let mut acls = table("User:old", vec![entry("Topic:a", &["Pub"], &[], "Allow")]);
        let refused = acls.put(&of(subject, entries)).unwrap_err();
        assert!(matches!(refused, AclError::Invalid(_)), "{subject}: {refused}");
        assert!(refused.to_string().contains(why), "{subject}: {refused}");
        // A wrong resource is not "no resource", which would delete all.
        assert!(acls.delete("User:old", "", Some("Topci:a")).is_err());
        assert_eq!(acls.len(), 1);
    }
}

#[test]
fn the_file_gives_back_what_was_written_and_only_that() {
    let (disk, path) = (MemDisk::new(), Path::new("/d/acls.json"));
    assert_eq!(AclTable::read(&disk, path).unwrap(), (AclTable::default(), 0));
    let acls = table(
        "User:u",
        vec![
            entry("Topic:a", &["Pub"], &["10.0.0.0/8"], "Deny"),
            default(entry("*", &["All"], &[], "Allow")),
        ],
    );
    acls.write(&disk, path, 7).unwrap();
    assert!(disk.is_private(path).unwrap());
    assert_eq!(AclTable::read(&disk, path).unwrap(), (acls, 7));
    for (text, why) in [
        ("", "cannot be understood"),
        (r#"{"version":2,"generation":1,"acls":[]}"#, "of version 2"),
        (
            r#"{"version":1,"generation":1,"acls":[{"subject":"User:u","entries":[]}]}"#,
            "User:u: an ACL",
        ),
        (r#"{"version":1,"generation":1,"acls":[],"more":1}"#, "unknown field"),
    ] {
        whole::replace(&disk, path, text.as_bytes()).unwrap();
        let refused = AclTable::read(&disk, path).unwrap_err().to_string();
        assert!(refused.contains(why) && refused.starts_with("/d/acls.json"), "{text}: {refused}");
    }
}

#[test]
fn an_import_says_what_it_cannot_say() {
    let imported = Imported::of(&[
        of(
            "User:u",
            vec![
                entry("Topic:a*", &["Pub"], &["10.0.0.9/8"], "Deny"),
                entry("Topic:a1", &["Pub", "Sub"], &[], "Allow"),
                entry("Cluster:c9", &["Get"], &[], "Allow"),
                entry("Cluster:*", &["Get"], &[], "Allow"),
                entry("Topic:a,b", &["Pub"], &[], "Allow"),
                default(entry("Topic:*", &["Pub"], &[], "Deny")),
                default(entry("Group:*", &["Sub"], &[], "Allow")),
            ],
        ),
        of("Robot:x", vec![entry("*", &["All"], &[], "Allow")]),
    ]);
    assert_eq!(
        imported.lines,
        [
            "p, user:u, *, Topic:a*, Pub, ip=10.0.0.0/8, deny",
            "p, user:u, *, Topic:a1, Pub|Sub, -, allow",
            "p, user:u, *, Cluster:*, Get, -, allow",
            "p, user:u, *, Group:*, Sub, -, allow",
        ]
    );
    let text = imported.lines.join("\n") + "\n";
    let files = Files::new(vec![File { name: "a.csv".into(), text }]).unwrap();
    Policies::check(&files, Mode::Acl2).unwrap();
    for (note, why) in imported.notes.iter().zip([
        "\"Topic:a,b\" is not taken over",
        "User:u Topic:a*: it denies, and Topic:a1 allows",
        "User:u Cluster:c9: a node is of one cluster",
        "User:u Topic:*: a Default that denies is not taken over",
        "User:u Group:*: a Default counts here as any other",
        "\"Robot:x\" is not taken over",
    ]) {
        assert!(note.contains(why), "{note}, not {why}");
    }
    assert_eq!(imported.notes.len(), 6);
}

fn resource() -> impl Strategy<Value = String> {
    let kinds = prop::sample::select(vec!["Cluster", "Namespace", "Topic", "Group"]);
    let names = prop::sample::select(vec!["a", "ab", "abc", "a*", "ab*", "*", "c1"]);
    prop_oneof![
        1 => Just("*".to_owned()),
        9 => (kinds, names).prop_map(|(kind, name)| format!("{kind}:{name}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever may be set is taken by the index, and casbin sees it alike.
    #[test]
    fn casbin_agrees_on_acls(
        rows in prop::collection::vec((resource(), 1_usize..4, any::<bool>(), any::<bool>(), any::<bool>()), 1..12),
        acl2: bool,
    ) {
        let mode = if acl2 { Mode::Acl2 } else { Mode::DenyOverride };
        let entries = rows.into_iter().map(|(resource, actions, from, deny, is_default)| AclEntry {
            policy_type: if is_default { DEFAULT } else { CUSTOM }.to_owned(),
            resource,
            actions: ["Pub", "Sub", "Get"].iter().take(actions).map(|a| (*a).to_owned()).collect(),
            source_ips: if from { vec!["10.1.2.3/8".to_owned()] } else { Vec::new() },
            decision: if deny { "Deny" } else { "Allow" }.to_owned(),
        });
        let acls = table("User:u", entries.collect());
        let text = "p, user:u, *, Topic:ab, Pub, -, deny\np, role:r, *, Topic:a*, Sub|Get, -, allow\ng, user:u, role:r, default\n";
        let files = Files::new(vec![File { name: "a.csv".into(), text: text.into() }]).unwrap();
        let set = Policies::check_with(&files, &acls.lines(mode, "c1"), mode).unwrap();
        prop_assert!(set.compared() > 0);
    }

    /// Whatever a RocketMQ says its ACLs are, the lines that are imported are taken.
    #[test]
    fn what_is_imported_is_taken(
        rows in prop::collection::vec((subject(), said(), said(), said(), said(), said()), 0..6),
    ) {
        let acls: Vec<Acl> = rows.into_iter().map(|(subject, policy_type, resource, action, ip, decision)| {
            let source_ips = Some(ip).filter(|ip| !ip.is_empty()).into_iter().collect();
            let entry = AclEntry { policy_type, resource, actions: vec![action], source_ips, decision };
            of(&subject, vec![entry])
        }).collect();
        let imported = Imported::of(&acls);
        for line in &imported.lines {
            // Lines that deny alone, or that contradict each other, are refused as others are.
            let text = format!("p, user:somebody, *, Topic:elsewhere, Pub, -, allow\n{line}\n");
            prop_assert_eq!(text.lines().count(), 2);
            let files = Files::new(vec![File { name: "imported.csv".into(), text }]).unwrap();
            for mode in [Mode::DenyOverride, Mode::Acl2] {
                let loaded = Policies::load(&files, mode);
                prop_assert!(loaded.is_ok(), "{:?}: {}", loaded.err(), line);
            }
        }
    }
}

fn subject() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[Uu]ser:[a-z:*@\"#]{1,6}", 1 => "\\PC{0,8}"]
}

/// What an ACL has in one of its fields: in its place, in another's, or nothing of the kind.
fn said() -> impl Strategy<Value = String> {
    let words = vec![
        "",
        "Custom",
        "Default",
        "Topic:a",
        "Topic:a*",
        "Topic:*",
        "topic:#a",
        "Group:g",
        "Cluster:c9",
        "*",
        "Namespace:n",
        "Pub",
        "sub",
        "All",
        "Any",
        "Allow",
        "deny",
        "10.0.0.9/8",
        "::1",
        "1.1.1.1/33",
        "::ffff:1.2.3.4",
        "::/0",
    ];
    prop_oneof![
        8 => prop::sample::select(words).prop_map(str::to_owned),
        1 => "(Topic|Group):[a-z*?\\[\\]{}()|&!'`\\\\ #;=-]{0,6}",
        1 => "\\PC{0,8}",
    ]
}
