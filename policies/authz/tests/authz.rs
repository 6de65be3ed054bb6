//! Sets of policies from the outside: what they decide, what is refused, what looks like a mistake.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use blockhouse_authz::{
    Ask, Channel, Circumstances, File, Files, Message, MessageType, Mode, Policies, Question,
    parse_action,
};

fn files(texts: &[(&str, &str)]) -> Files {
    let file = |(name, text): &(&str, &str)| File { name: (*name).into(), text: (*text).into() };
    Files::new(texts.iter().map(file).collect()).unwrap()
}

fn set(rules: &str, mode: Mode) -> Policies {
    Policies::load(&files(&[("a.csv", rules)]), mode).unwrap()
}

fn refused(rules: &str) -> String {
    match Policies::load(&files(&[("a.csv", rules)]), Mode::DenyOverride) {
        Ok(_) => panic!("taken: {rules}"),
        Err(refused) => refused.to_string(),
    }
}

/// `+a.csv:1` if it is allowed by that rule, `-` and the rule if it is not.
fn decided(set: &Policies, question: &str, at: &Circumstances) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    let question = Question { principal: words[0], action: words[1], resource: words[2] };
    let (who, ask) = question.read().unwrap();
    let decision = set.index().decide(who, &ask, at);
    let sign = if decision.allowed { "+" } else { "-" };
    decision.rule.map_or(sign.to_owned(), |rule| format!("{sign}{rule}"))
}

fn all(set: &Policies, expected: &[(&str, &str)]) {
    for (question, expected) in expected {
        assert_eq!(decided(set, question, &Circumstances::default()), *expected, "{question}");
    }
}

const SHOP: &str = "\
p, role:producer, retail, Topic:orders-*, Pub, -, allow
p, role:consumer, retail, Topic:orders-*, Sub|Get, -, allow
p, role:consumer, retail, Group:g-orders-*, Sub|Update, -, allow
p, user:alice, retail, Topic:orders-payroll, Pub|Sub, -, deny
p, role:batch, retail, Topic:settle-*, Pub, ip=10.8.0.0/16;time=22:00-05:00, allow
p, role:secops, *, Cluster:*, Get|List, chan=tls, allow
p, anonymous, *, Cluster:*, Update, ip=127.0.0.1, allow
p, *, *, Topic:public, Sub, -, allow
g, user:alice, role:producer, retail
g, user:night, role:batch, retail
g, user:eve, role:producer, other
g, role:lead, role:consumer, retail
g, user:bob, role:lead, retail
g, user:audit, role:secops, retail
g2, user:alice, retail
g2, user:night, retail
g2, user:bob, retail
g2, user:audit, retail
";

#[test]
fn a_shop() {
    let set = set(SHOP, Mode::DenyOverride);
    all(
        &set,
        &[
            ("user:alice Pub Topic:orders-1", "+a.csv:1"),
            // Who may send may look for the route.
            ("user:alice Get Topic:orders-1", "+a.csv:1"),
            ("user:alice Sub Topic:orders-1", "-"),
            ("user:alice Pub Topic:orders-payroll", "-a.csv:4"),
            ("user:alice Pub Topic:orders", "-"),
            ("user:bob Sub Topic:orders-payroll", "+a.csv:2"),
            ("user:bob Sub Group:g-orders-1", "+a.csv:3"),
            ("user:bob Get Group:g-orders-1", "+a.csv:3"),
            // A retry topic is its group.
            ("user:bob Sub Topic:%RETRY%g-orders-1", "+a.csv:3"),
            ("user:bob Sub Topic:%RETRY%other", "-"),
            // The role is of another tenant than the one he belongs to.
            ("user:eve Pub Topic:orders-1", "-"),
            ("anonymous Update Cluster", "+a.csv:7"),
            ("anonymous Sub Topic:public", "+a.csv:8"),
            ("user:nobody Get Topic:public", "+a.csv:8"),
            ("user:nobody Pub Topic:public", "-"),
        ],
    );
    assert!(set.compared() > 100, "{}", set.compared());
}

#[test]
fn conditions_are_asked() {
    let set = set(SHOP, Mode::DenyOverride);
    let mut at = Circumstances { ip: "10.8.1.1".parse().unwrap(), ..Circumstances::default() };
    let night = "user:night Pub Topic:settle-1";
    assert_eq!(decided(&set, night, &at), "-");
    at.set_moment("sun 23:00").unwrap();
    assert_eq!(decided(&set, night, &at), "+a.csv:5");
    at.ip = "10.9.1.1".parse().unwrap();
    assert_eq!(decided(&set, night, &at), "-");
    assert_eq!(decided(&set, "anonymous Update Cluster", &at), "-");
    assert_eq!(decided(&set, "user:audit List Cluster", &at), "-");
    at.channel = Channel::Tls;
    assert_eq!(decided(&set, "user:audit List Cluster", &at), "+a.csv:6");
}

#[test]
fn a_message_is_asked_for_size_type_and_tag() {
    let rules = "p, user:a, *, Topic:t*, Pub, size<=10;tag=x|y, allow\n\
                 p, user:a, *, Topic:t*, Pub, mtype=delay, deny\n\
                 p, user:b, *, Topic:t-1, Pub, size>=11, deny\n\
                 p, user:b, *, Topic:*, Pub, -, allow\n";
    let at = Circumstances::default();
    for mode in [Mode::DenyOverride, Mode::Acl2] {
        let set = set(rules, mode);
        let sent = |principal, resource, message: Message<'_>| {
            let question = Question { principal, action: "Pub", resource };
            let (who, ask) = question.read().unwrap();
            let decision = set.index().decide_on(who, &ask, &at, &message);
            let rule = decision.rule.map(|rule| rule.to_string()).unwrap_or_default();
            format!("{}{rule}", if decision.allowed { "+" } else { "-" })
        };
        let message = |size, tag| Message { size, tag, ..Message::default() };
        assert_eq!(sent("user:a", "Topic:t", message(10, "x")), "+a.csv:1");
        assert_eq!(sent("user:a", "Topic:t", message(11, "x")), "-");
        assert_eq!(sent("user:a", "Topic:t", message(10, "z")), "-");
        assert_eq!(sent("user:a", "Topic:t", message(10, "")), "-");
        let delayed = Message { mtype: MessageType::Delay, ..message(10, "x") };
        assert_eq!(sent("user:a", "Topic:t", delayed), "-a.csv:2");
        assert_eq!(sent("user:b", "Topic:t-1", message(11, "")), "-a.csv:3");
        assert_eq!(sent("user:b", "Topic:t-1", message(10, "")), "+a.csv:4");
        assert_eq!(sent("user:b", "Topic:t-2", message(11, "")), "+a.csv:4");
        // Who may send some messages may look for the route, whatever he is going to send.
        all(&set, &[("user:a Get Topic:t", "+a.csv:1"), ("user:b Get Topic:t-1", "+a.csv:4")]);
        assert!(set.index().asks_for_messages());
    }
    assert!(!set(SHOP, Mode::DenyOverride).index().asks_for_messages());
}

#[test]
fn rules_of_messages_are_for_sending_to_topics() {
    let rule = |resource, actions| {
        refused(&format!("p, user:a, *, {resource}, {actions}, tag=a, allow\n"))
    };
    for actions in ["Sub", "Pub|Sub", "All"] {
        assert!(rule("Topic:t", actions).contains("not when it is delivered"), "{actions}");
    }
    for (resource, actions) in [
        ("Topic:t", "Get"),
        ("Topic:t", "Pub|Get"),
        ("Group:g", "Pub"),
        ("Cluster:*", "Pub"),
        ("*", "Pub"),
    ] {
        let refused = rule(resource, actions);
        assert!(refused.contains("the action Pub alone"), "{resource} {actions}: {refused}");
    }
}

const LEVELS: &str = "\
p, user:a, *, *, Pub, -, deny
p, user:a, *, Topic:*, Pub, -, allow
p, user:a, *, Topic:t*, Pub, -, deny
p, user:a, *, Topic:to*, Pub, -, allow
p, user:a, *, Topic:top, Pub, -, deny
p, user:a, *, Topic:both, Pub, -, allow
p, user:a, *, Topic:both, Pub|Sub, -, deny
";

#[test]
fn in_acl2_the_most_specific_rule_decides() {
    all(
        &set(LEVELS, Mode::Acl2),
        &[
            ("user:a Pub Topic:top", "-a.csv:5"),
            ("user:a Pub Topic:topic", "+a.csv:4"),
            ("user:a Pub Topic:tail", "-a.csv:3"),
            ("user:a Pub Topic:x", "+a.csv:2"),
            ("user:a Pub Group:x", "-a.csv:1"),
            ("user:a Pub Topic:both", "-a.csv:7"),
        ],
    );
}

#[test]
fn in_deny_override_a_wide_deny_wins() {
    all(
        &set(LEVELS, Mode::DenyOverride),
        &[("user:a Pub Topic:topic", "-a.csv:3"), ("user:a Pub Topic:x", "-a.csv:1")],
    );
}

#[test]
fn a_rule_for_one_plugin_is_for_that_one() {
    let rules = "p, user:a, *, Plugin:acl, Update, -, allow\n\
                 p, user:b, *, Plugin:shop-*, Update|Get, -, allow\n\
                 p, user:c, *, Plugin:*, Update, -, allow\n\
                 p, user:c, *, Plugin:acl, Update, -, deny\n";
    for mode in [Mode::DenyOverride, Mode::Acl2] {
        all(
            &set(rules, mode),
            &[
                ("user:a Update Plugin:acl", "+a.csv:1"),
                ("user:a Get Plugin:acl", "-"),
                ("user:a Update Plugin:acl2", "-"),
                // To change all, whatever they are called, needs a rule for all.
                ("user:a Update Plugin:*", "-"),
                ("user:b Get Plugin:shop-1", "+a.csv:2"),
                ("user:b Get Plugin:shop", "-"),
                ("user:b Get Plugin:*", "-"),
                ("user:c Update Plugin:*", "+a.csv:3"),
                ("user:c Update Plugin:other", "+a.csv:3"),
                ("user:c Update Plugin:acl", "-a.csv:4"),
            ],
        );
    }
}

#[test]
fn a_rule_for_a_namespace_is_for_the_topics_and_groups_in_it() {
    let rules = "p, user:a, *, Namespace:shop, Pub|Sub, -, allow\n\
                 p, user:b, *, Namespace:eu-*, Sub, -, allow\n\
                 p, user:c, *, Namespace:*, Pub, -, allow\n\
                 p, user:c, *, Namespace:secret, All, -, deny\n";
    for mode in [Mode::DenyOverride, Mode::Acl2] {
        let set = set(rules, mode);
        all(
            &set,
            &[
                ("user:a Pub Topic:shop%orders", "+a.csv:1"),
                ("user:a Get Topic:shop%orders", "+a.csv:1"),
                ("user:a Sub Group:shop%g", "+a.csv:1"),
                ("user:a Sub Topic:%RETRY%shop%g", "+a.csv:1"),
                ("user:a Sub Topic:%DLQ%shop%g", "+a.csv:1"),
                ("user:a Pub Topic:shop", "-"),
                ("user:a Pub Topic:shop2%orders", "-"),
                ("user:a Pub Topic:%DLQ%shop", "-"),
                ("user:a Update Plugin:shop%x", "-"),
                ("user:b Sub Topic:eu-west%t", "+a.csv:2"),
                // It begins so, and is in no namespace.
                ("user:b Sub Topic:eu-west", "-"),
                ("user:b Sub Topic:eu%t", "-"),
                ("user:c Pub Topic:any%t", "+a.csv:3"),
                ("user:c Pub Topic:any", "-"),
                ("user:c Pub Topic:%SYS%t", "-"),
                ("user:c Pub Topic:secret%t", "-a.csv:4"),
            ],
        );
        assert!(set.compared() > 50, "{}", set.compared());
    }
}

#[test]
fn in_acl2_a_name_comes_before_its_namespace_and_that_before_its_type() {
    let rules = "p, user:a, *, Topic:*, Pub, -, deny\n\
                 p, user:a, *, Namespace:*, Pub, -, allow\n\
                 p, user:a, *, Namespace:s*, Pub, -, deny\n\
                 p, user:a, *, Namespace:shop, Pub, -, allow\n\
                 p, user:a, *, Topic:s*, Pub, tag=x, deny\n\
                 p, user:a, *, Topic:shop%t, Pub, -, deny\n";
    all(
        &set(rules, Mode::Acl2),
        &[
            ("user:a Pub Topic:a", "-a.csv:1"),
            ("user:a Pub Topic:a%t", "+a.csv:2"),
            ("user:a Pub Topic:sho%t", "-a.csv:3"),
            ("user:a Pub Topic:shop%u", "+a.csv:4"),
            ("user:a Pub Topic:shop%t", "-a.csv:6"),
        ],
    );
    let at = Circumstances::default();
    let set = set(rules, Mode::Acl2);
    let question = Question { principal: "user:a", action: "Pub", resource: "Topic:shop%u" };
    let (who, ask) = question.read().unwrap();
    let tagged = Message { tag: "x", ..Message::default() };
    let decision = set.index().decide_on(who, &ask, &at, &tagged);
    assert_eq!(decision.rule.unwrap().to_string(), "a.csv:5", "a prefix is before a namespace");
}

#[test]
fn of_several_files_without_a_rule_none_is_the_wrong_one() {
    let empty = |name: &str| File { name: name.to_owned(), text: "# none\n".to_owned() };
    for (names, place) in [
        (&["b.csv"][..], "b.csv"),
        (&["a.csv", "b.csv"], "the set"),
        (&["tests/a.toml"], "the set"),
    ] {
        let files = Files::new(names.iter().map(|name| empty(name)).collect()).unwrap();
        let refused = Policies::check(&files, Mode::DenyOverride).err().unwrap().to_string();
        assert!(refused.starts_with(&format!("{place}: no rule at all")), "{names:?}: {refused}");
    }
}

#[test]
fn every_mistake_has_its_place() {
    for (rules, expected) in [
        ("", "a.csv: no rule at all"),
        ("# nothing\n\n", "a.csv: no rule at all"),
        ("# no\np, user:a, *, Topic:t, Pub, -, deny\n", "a.csv:2: all rules deny"),
        (
            "p, user:a, *, Topic:t, Pub, -, allow",
            "a.csv:1: the file does not end with a line break",
        ),
        ("\np, user:a, *, Topic:t, Pub\n", "a.csv:2: 5 fields, not 7"),
        ("p, user:a, *, Topic:t, Pub, -, allow, x\n", "a.csv:1: 8 fields, not 7"),
        ("p, user:a, *, Topic:t, Pub, -, permit\n", "a.csv:1: unknown effect \"permit\""),
        ("p, user:a, *, Topic:t, Publish, -, allow\n", "a.csv:1: unknown action \"Publish\""),
        ("p, user:a, *, Queue:t, Pub, -, allow\n", "a.csv:1: unknown type \"Queue\""),
        ("p, user:a, *, t, Pub, -, allow\n", "a.csv:1: \"t\" is no resource"),
        ("p, user:a, *, Topic:, Pub, -, allow\n", "a.csv:1: the resource is missing"),
        ("p, user:a, *, Topic:a*b, Pub, -, allow\n", "a.csv:1: `*` does not belong"),
        ("p, user:a, *, Topic:a**, Pub, -, allow\n", "a.csv:1: `*` does not belong"),
        ("p, user:a, *, Cluster:x, Get, -, allow\n", "a.csv:1: nothing asks for Cluster by name"),
        ("p, user:a, *, Plugin:, Get, -, allow\n", "a.csv:1: the resource is missing"),
        ("p, user:a, *, Namespace:n%, Pub, -, allow\n", "a.csv:1: a namespace ends before"),
        ("p, user:a, *, Namespace:n%t*, Pub, -, allow\n", "a.csv:1: a namespace ends before"),
        (
            "p, user:a, *, Namespace:n, Pub, size<=1, allow\n",
            "a.csv:1: mtype, size and tag are for",
        ),
        (
            "p, user:a, *, Topic:t, Pub|Sub, -, allow\np, user:a, *, Topic:u, Pub, -, allow\n\
             p, user:a, *, Topic:t, Sub|Pub, -, deny\n",
            "a.csv:3: it contradicts a.csv:1: one allows and one denies the very same",
        ),
        ("p, user:a, *, Topic:t, Pub, color=red, allow\n", "a.csv:1: unknown condition \"color\""),
        ("p, user:a, *, Topic:t, Pub, , allow\n", "a.csv:1: the condition is missing"),
        ("p, alice, *, Topic:t, Pub, -, allow\n", "a.csv:1: unknown subject \"alice\""),
        ("p, user:, *, Topic:t, Pub, -, allow\n", "a.csv:1: unknown subject"),
        ("p, user:*, *, Topic:t, Pub, -, allow\n", "a.csv:1: `*` does not belong"),
        ("p, user:a, , Topic:t, Pub, -, allow\n", "a.csv:1: the tenant is missing"),
        ("q, user:a\n", "a.csv:1: unknown kind of line \"q\""),
        ("p, \"user:a\", *, Topic:t, Pub, -, allow\n", "a.csv:1: '\"' does not belong here"),
        ("g, user:a, user:b, t\n", "a.csv:1: \"user:b\" is no role"),
        ("g, user:a, role:b, *\n", "a.csv:1: a role is given in one tenant"),
        ("g2, role:a, t\n", "a.csv:1: a role belongs to no tenant"),
        ("g2, user:a, t\ng2, user:a, u\n", "a.csv:2: user:a has a tenant already, at a.csv:1"),
        (
            "p, user:a, *, Topic:t, Pub, -, allow\np, user:a,*,topic:t,Pub|Get,-,allow\n",
            "a.csv:2: the same as a.csv:1",
        ),
        (
            "p, role:a, *, Topic:t, Pub, -, allow\ng, role:a, role:b, t\ng, role:b, role:a, t\n",
            "a.csv:2: role:a has itself through its roles",
        ),
        (
            "p, role:a, *, Topic:t, Pub, -, allow\ng, role:a, role:a, t\n",
            "a.csv:2: role:a has itself",
        ),
    ] {
        let refused = refused(rules);
        assert!(refused.contains(expected), "{rules:?}: {refused}");
    }
    let long = format!("p, user:{}, *, Topic:t, Pub, -, allow\n", "a".repeat(300));
    assert!(refused(&long).contains("more than 255 bytes"));
    assert!(refused(&format!("#{}\n", "a".repeat(2_000))).contains("more than 1024 bytes"));
}

#[test]
fn roles_go_as_far_as_casbin_goes() {
    let chain = |roles: usize| {
        let mut text = format!("p, role:r{roles}, *, Topic:t, Pub, -, allow\n");
        text.push_str("g, user:a, role:r1, default\n");
        (1..roles).for_each(|i| {
            text.push_str(&format!("g, role:r{i}, role:r{}, default\n", i + 1));
        });
        text
    };
    all(&set(&chain(9), Mode::DenyOverride), &[("user:a Pub Topic:t", "+a.csv:1")]);
    assert!(refused(&chain(10)).contains("more than 9 roles in a row"));
    let many: String = (0..70).map(|i| format!("g, user:a, role:r{i}, default\n")).collect();
    let text = format!("p, role:r1, *, Topic:t, Pub, -, allow\n{many}");
    assert!(refused(&text).contains("more than 64 roles"));
}

#[test]
fn what_looks_like_a_mistake_is_told() {
    let warned = |rules: &str, mode| {
        let warnings = set(rules, mode).warnings().to_vec();
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let narrow = "p, user:a, *, Topic:t-1, Pub, -, allow\np, *, *, Topic:t*, All, -, deny\n";
    assert!(
        warned(narrow, Mode::DenyOverride).contains("a.csv:1: it never allows anything: a.csv:2")
    );
    assert_eq!(warned(narrow, Mode::Acl2), "");
    let twice = "p, user:a, *, Topic:t-1, Pub, -, allow\np, *, *, *, All, -, allow\n";
    assert!(warned(twice, Mode::DenyOverride).contains("a.csv:1: it adds nothing to a.csv:2"));
    let roles = "p, role:a, *, Topic:t, Pub, -, allow\np, user:b, *, Topic:u, Pub, -, allow\ng, user:b, role:c, t\n";
    let warned = warned(roles, Mode::DenyOverride);
    assert!(warned.contains("a.csv:1: nobody has role:a"), "{warned}");
    assert!(warned.contains("a.csv:3: no rule speaks of role:c"), "{warned}");
    assert!(set(SHOP, Mode::DenyOverride).warnings().is_empty());
}

#[test]
fn a_test_that_does_not_come_out_refuses_the_load() {
    let case = |expect: &str, more: &str| {
        let test = format!(
            "[[case]]\nname = \"night\"\nprincipal = \"user:night\"\naction = \"Pub\"\n\
             resource = \"Topic:settle-1\"\nexpect = \"{expect}\"\n{more}"
        );
        let files = files(&[("a.csv", SHOP), ("tests/t.toml", &test)]);
        Policies::load(&files, Mode::DenyOverride).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(case("deny", ""), "");
    assert_eq!(case("allow", ""), "tests/t.toml (night): it is denied (by no rule)");
    let night = "ip = \"10.8.0.1\"\nat = \"mon 04:59\"\nchannel = \"tls\"\n";
    assert_eq!(case("allow", night), "");
    assert_eq!(case("allow", &format!("{night}rule = \"a.csv:5\"\n")), "");
    assert!(
        case("allow", &format!("{night}rule = \"a.csv:1\"\n"))
            .contains("by a.csv:5, not by a.csv:1")
    );
    assert!(case("allow", "at = \"noon\"\n").contains("is no moment"));
    assert!(case("allow", "mtype = \"odd\"\n").contains("unknown variant"));
    assert!(case("allow", "color = \"red\"\n").contains("unknown field"));
    assert!(case("maybe", "").contains("unknown variant"));
}

#[test]
fn a_test_can_say_which_message() {
    let run = |action: &str, more: &str| {
        let rules = "p, user:a, *, Topic:t, Pub, size<=9;tag=x;mtype=fifo, allow\n";
        let test = format!(
            "[[case]]\nname = \"n\"\nprincipal = \"user:a\"\naction = \"{action}\"\n\
             resource = \"Topic:t\"\nexpect = \"allow\"\n{more}"
        );
        let files = files(&[("a.csv", rules), ("tests/t.toml", &test)]);
        Policies::load(&files, Mode::DenyOverride).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(run("Pub", "size = 9\ntag = \"x\"\nmtype = \"fifo\"\n"), "");
    assert!(run("Pub", "size = 10\ntag = \"x\"\nmtype = \"fifo\"\n").contains("is denied"));
    assert!(run("Pub", "").contains("is denied"));
    assert_eq!(run("Get", ""), "");
    assert!(run("Get", "size = 1\n").contains("the action is Pub"));
}

#[test]
fn the_mode_and_the_model_must_be_the_same() {
    let load = |model: &str, mode| {
        let rule = "p, user:a, *, Topic:t, Pub, -, allow\n";
        Policies::load(&files(&[("a.csv", rule), ("model.conf", model)]), mode)
            .map(|set| set.rules())
    };
    let (ours, acl2) = (include_str!("../../model.conf"), include_str!("../../model-acl2.conf"));
    assert_eq!(load(ours, Mode::DenyOverride), Ok(1));
    assert_eq!(load(acl2, Mode::Acl2), Ok(1));
    assert!(load(acl2, Mode::DenyOverride).is_err());
    assert!(load("[matchers]\nm = true\n", Mode::DenyOverride).is_err());
}

#[test]
fn names_of_any_bytes_are_decided_on() {
    let set = set("p, user:a, *, Topic:é*, Pub, -, allow\n", Mode::DenyOverride);
    // Cut in the middle of a character, and as long as a frame allows.
    let long = format!("user:a Pub Topic:é{}", "x".repeat(100_000));
    all(
        &set,
        &[("user:a Pub Topic:é1", "+a.csv:1"), ("user:a Pub Topic:è", "-"), (&long, "+a.csv:1")],
    );
}

fn who_can(set: &Policies, action: &str, resource: &str) -> String {
    let ask = Ask::parse(parse_action(action).unwrap(), resource).unwrap();
    let shown = |able: blockhouse_authz::Able| {
        format!("{} {}{}", able.principal, able.rule, if able.conditional { "?" } else { "" })
    };
    set.who_can(&ask).into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[test]
fn who_can_do_something_is_told_with_the_rule() {
    let shop = set(SHOP, Mode::DenyOverride);
    assert_eq!(who_can(&shop, "Pub", "Topic:orders-1"), "user:alice a.csv:1");
    assert_eq!(who_can(&shop, "Pub", "Topic:orders-payroll"), "");
    assert_eq!(who_can(&shop, "Pub", "Topic:settle-1"), "user:night a.csv:5?");
    assert_eq!(who_can(&shop, "Get", "Cluster"), "user:audit a.csv:6?");
    assert_eq!(who_can(&shop, "Sub", "Topic:public").matches("a.csv:8").count(), 6);
    let rules = "p, user:a, *, Topic:t, Pub, chan=tls, deny\np, user:a, *, Topic:*, Pub, -, allow\n\
                 p, user:b, *, Topic:t, Pub, chan=tls, allow\np, user:b, *, Topic:*, Pub, -, deny\n";
    assert_eq!(who_can(&set(rules, Mode::DenyOverride), "Pub", "Topic:t"), "user:a a.csv:2?");
    let acl2 = set(rules, Mode::Acl2);
    assert_eq!(who_can(&acl2, "Pub", "Topic:t"), "user:a a.csv:2?, user:b a.csv:3?");
    assert_eq!(who_can(&acl2, "Pub", "Topic:u"), "user:a a.csv:2");
}

#[test]
fn a_difference_of_two_sets_is_told() {
    let before =
        files(&[("a.csv", "p, role:r, *, Topic:t-*, Pub, -, allow\ng, user:a, role:r, default\n")]);
    let after = files(&[("a.csv", "p, user:b, *, Topic:t-1, Pub, -, allow\n")]);
    let sets = [&before, &after].map(|files| Policies::load(files, Mode::DenyOverride).unwrap());
    let told = |one: usize, other: usize| {
        let pairs = [(&sets[0], &before), (&sets[1], &after)];
        let all = Policies::differences(pairs[one], pairs[other], 100).unwrap();
        let shown = |d: blockhouse_authz::Difference| {
            format!("{} {} {} {}", d.principal, d.action, d.resource, d.after)
        };
        all.into_iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(told(0, 0), Vec::<String>::new());
    let changed = told(0, 1);
    for line in [
        "user:a Pub Topic:t-* false",
        "user:a Get Topic:t-* false",
        "user:a Pub Topic:t-1 false",
        "user:b Pub Topic:t-1 true",
    ] {
        assert!(changed.iter().any(|changed| changed == line), "{line}: {changed:?}");
    }
    assert_eq!(changed.len(), 6);
}
