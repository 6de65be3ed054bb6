//! `plain_acl.yml` of ACL 1.0, to be imported: accounts become users, permissions become lines of policy.
//!
//! Only the part of YAML is read that these files are made of: two lists with members of one line each.
//! Whatever else is there is refused with its line.

use std::fmt::Write as _;

use crate::Secret;
use crate::users::{USERS_MAX, is_name};

/// Longest file that is read.
pub const LEN_MAX: usize = 4 << 20;

/// An account that becomes a user.
pub struct Account {
    /// The access key.
    pub name: String,
    /// The secret.
    pub secret: Secret,
    /// Whether it becomes a Super user.
    pub admin: bool,
}

/// What is in a file.
#[derive(Default)]
pub struct PlainAcl {
    /// All accounts.
    pub accounts: Vec<Account>,
    /// Lines of policy.
    pub policies: Vec<String>,
    /// What is not taken over as it was, a sentence each.
    pub warnings: Vec<String>,
}

/// What cannot be understood, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// Never has a value of the file in it.
    pub problem: String,
}

/// An account as it is written.
#[derive(Default)]
struct Raw {
    line: usize,
    access_key: String,
    secret_key: String,
    address: String,
    admin: bool,
    default_topic: String,
    default_group: String,
    topics: Vec<(usize, String)>,
    groups: Vec<(usize, String)>,
}

/// Where a line without a key of its own belongs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum List {
    #[default]
    Nothing,
    Whitelist,
    Accounts,
    Topics,
    Groups,
}

impl PlainAcl {
    /// Reads a file.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fail = |line, problem: &str| ParseError { line, problem: problem.to_owned() };
        if text.len() > LEN_MAX {
            return Err(fail(1, "the file is too long"));
        }
        let mut read = Reader::default();
        for (at, line) in text.lines().enumerate() {
            read.line(at + 1, line).map_err(|problem| fail(at + 1, problem))?;
        }
        let mut acl = Self { warnings: read.warnings, ..Self::default() };
        for raw in read.accounts {
            let line = raw.line;
            acl.take(raw).map_err(|(at, problem)| fail(at.unwrap_or(line), &problem))?;
        }
        Ok(acl)
    }

    fn take(&mut self, raw: Raw) -> Result<(), (Option<usize>, String)> {
        if !is_name(&raw.access_key) {
            return Err((None, crate::users::NAME_RULE.to_owned()));
        }
        if self.accounts.len() >= USERS_MAX {
            return Err((None, format!("there are more than {USERS_MAX} accounts")));
        }
        if self.accounts.iter().any(|account| account.name == raw.access_key) {
            return Err((None, "there is an account of that name already".to_owned()));
        }
        let secret = Secret::new(&raw.secret_key).map_err(|rule| (None, rule))?;
        let name = raw.access_key;
        let condition = match ip_condition(&raw.address).map_err(|p| (None, p.to_owned()))? {
            Some(condition) => {
                self.warnings.push(format!(
                    "{name}: whiteRemoteAddress let requests pass unsigned; here it only limits where \
                     the user may come from"
                ));
                condition
            }
            None => "-".to_owned(),
        };
        if raw.admin {
            if condition != "-" {
                self.warnings.push(format!("{name}: Super users may come from everywhere"));
            }
        } else {
            let mut line = |resource: &str, permission: &str| {
                let (action, effect) = match permission {
                    "PUB" => ("Pub", "allow"),
                    "SUB" => ("Sub", "allow"),
                    "PUB|SUB" | "SUB|PUB" | "ANY" => ("Pub|Sub", "allow"),
                    "DENY" => ("Pub|Sub", "deny"),
                    _ => return Err("a permission is PUB, SUB, PUB|SUB or DENY".to_owned()),
                };
                // What denies does so wherever the user comes from.
                let condition = if effect == "deny" { "-" } else { &condition };
                let mut text = String::new();
                let written =
                    write!(text, "p, user:{name}, *, {resource}, {action}, {condition}, {effect}");
                self.policies.extend(written.is_ok().then_some(text));
                Ok(())
            };
            for (kind, rules) in [("Topic", &raw.topics), ("Group", &raw.groups)] {
                for (at, rule) in rules {
                    let (what, permission) = rule
                        .split_once('=')
                        .ok_or((Some(*at), "must be NAME=PERMISSION".to_owned()))?;
                    if !is_resource(what.trim()) {
                        return Err((Some(*at), "is no name of a topic or group".to_owned()));
                    }
                    line(&format!("{kind}:{}", what.trim()), permission.trim())
                        .map_err(|problem| (Some(*at), problem))?;
                }
            }
            // A default is for what no rule names; `deny` there would win over every rule.
            for (kind, permission) in [("Topic", &raw.default_topic), ("Group", &raw.default_group)]
            {
                if !permission.is_empty() && permission != "DENY" {
                    line(&format!("{kind}:*"), permission).map_err(|problem| (None, problem))?;
                }
            }
        }
        self.accounts.push(Account { name, secret, admin: raw.admin });
        Ok(())
    }
}

#[derive(Default)]
struct Reader {
    list: List,
    accounts: Vec<Raw>,
    /// How far the keys of an account are indented, once it is known.
    indent: usize,
    warnings: Vec<String>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), &'static str> {
        let text = without_comment(line).trim_end();
        let indent = text.len() - text.trim_start_matches(' ').len();
        let text = text.trim_start_matches(' ');
        if text.is_empty() || text == "---" {
            return Ok(());
        }
        if text.contains('\t') {
            return Err("tabs are not read");
        }
        let Some(item) = text.strip_prefix('-') else { return self.member(indent, text) };
        if !item.is_empty() && !item.starts_with(' ') {
            return Err("a space is missing after `-`");
        }
        let item = item.trim_start();
        let in_account = matches!(self.list, List::Topics | List::Groups);
        // A list may be indented as far as its key is.
        if in_account && indent < self.indent {
            self.list = List::Accounts;
        }
        match self.list {
            List::Whitelist => {
                let address = scalar(item)?;
                self.warnings.push(format!(
                    "globalWhiteRemoteAddresses: {address:?} let requests pass unsigned; it is not \
                     taken over"
                ));
                Ok(())
            }
            List::Topics | List::Groups => {
                let rule = scalar(item)?.to_owned();
                let account = self.accounts.last_mut().ok_or("belongs to no account")?;
                let rules = if self.list == List::Topics {
                    &mut account.topics
                } else {
                    &mut account.groups
                };
                rules.push((number, rule));
                Ok(())
            }
            List::Accounts => {
                self.accounts.push(Raw { line: number, ..Raw::default() });
                self.indent = indent + text.len() - item.len();
                if item.is_empty() { Ok(()) } else { self.member(self.indent, item) }
            }
            List::Nothing => Err("belongs to no list"),
        }
    }

    fn member(&mut self, indent: usize, text: &str) -> Result<(), &'static str> {
        let (key, value) = text.split_once(':').ok_or("is neither `key: value` nor `- item`")?;
        if !value.is_empty() && !value.starts_with(' ') {
            return Err("a space is missing after `:`");
        }
        let value = scalar(value.trim())?;
        if indent == 0 {
            self.list = match key {
                "globalWhiteRemoteAddresses" => List::Whitelist,
                "accounts" => List::Accounts,
                _ => return Err("is an unknown key"),
            };
            return if value.is_empty() { Ok(()) } else { Err("must be a list below it") };
        }
        let account = self.accounts.last_mut().ok_or("belongs to no account")?;
        self.list = List::Accounts;
        match key.trim() {
            "accessKey" => value.clone_into(&mut account.access_key),
            "secretKey" => value.clone_into(&mut account.secret_key),
            "whiteRemoteAddress" => value.clone_into(&mut account.address),
            "admin" => {
                account.admin = match value {
                    "true" => true,
                    "false" | "" => false,
                    _ => return Err("must be true or false"),
                }
            }
            "defaultTopicPerm" => value.clone_into(&mut account.default_topic),
            "defaultGroupPerm" => value.clone_into(&mut account.default_group),
            "topicPerms" if value.is_empty() => self.list = List::Topics,
            "groupPerms" if value.is_empty() => self.list = List::Groups,
            "topicPerms" | "groupPerms" => return Err("must be a list below it"),
            _ => return Err("is an unknown key"),
        }
        Ok(())
    }
}

/// A `#` at the start or after a space begins a comment, but not between quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before == ' ' => return line.get(..at).unwrap_or(line),
            // A quote in the middle of a word is one of its letters.
            (None, '\'' | '"') if before == ' ' => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

fn scalar(text: &str) -> Result<&str, &'static str> {
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            let inner = rest.strip_suffix(quote).ok_or("a quote is not closed")?;
            let has_escape = inner.contains(quote) || quote == '"' && inner.contains('\\');
            return if has_escape { Err("escapes are not read") } else { Ok(inner) };
        }
    }
    if text.starts_with(['[', '{', '&', '*', '!', '|', '>', '%', '@', '`', '?']) && text.len() > 1 {
        // Addresses may be patterns: `*` and what has dots or colons.
        let is_pattern =
            text.starts_with('*') && text.bytes().all(|b| b"*.:,-/0123456789".contains(&b));
        return if is_pattern { Ok(text) } else { Err("this form of YAML is not read") };
    }
    Ok(text)
}

fn is_resource(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_%|".contains(&b);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(legal)
}

/// A condition of policies: single addresses, `a.b.*`, `a.b.c.{1,2}` and `a.b.c.1-9` are what ACL 1.0 takes;
/// here only what is a block of addresses as well. `None`: no condition.
fn ip_condition(address: &str) -> Result<Option<String>, &'static str> {
    const RULE: &str = "this form of whiteRemoteAddress cannot be a condition: write it by hand";
    if address.is_empty() || address == "*" || address == "*.*.*.*" {
        return Ok(None);
    }
    let mut blocks = Vec::new();
    for one in address.split(',').map(str::trim) {
        if let Ok(ip) = one.parse::<std::net::IpAddr>() {
            blocks.push(ip.to_string());
            continue;
        }
        let parts: Vec<&str> = one.split('.').collect();
        let fixed = parts.iter().take_while(|part| part.parse::<u8>().is_ok()).count();
        let is_block = parts.len() == 4
            && (1..4).contains(&fixed)
            && parts.iter().skip(fixed).all(|part| *part == "*");
        if !is_block {
            return Err(RULE);
        }
        let number = |at: usize| parts.get(at).filter(|_| at < fixed).copied().unwrap_or("0");
        let (a, b, c, d) = (number(0), number(1), number(2), number(3));
        blocks.push(format!("{a}.{b}.{c}.{d}/{}", fixed * 8));
    }
    Ok(Some(format!("ip={}", blocks.join("|"))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "\
globalWhiteRemoteAddresses:
- 10.10.103.*
- 192.168.0.*

accounts:
- accessKey: RocketMQ
  secretKey: 12345678
  whiteRemoteAddress:
  admin: false
  defaultTopicPerm: DENY
  defaultGroupPerm: SUB
  topicPerms:
  - topicA=DENY
  - topicB=PUB|SUB # both
  - topicC=SUB
  groupPerms:
    # the group should convert to retry topic
    - groupA=DENY
    - groupB=PUB|SUB

- accessKey: rocketmq2
  secretKey: '1234 # 5678'
  whiteRemoteAddress: 192.168.1.*
  # if it is admin, it could access all resources
  admin: true
- accessKey: third
  secretKey: \"12345678\"
  whiteRemoteAddress: 10.1.2.3,10.2.*.*
  defaultTopicPerm: PUB
";

    #[test]
    fn accounts_become_users_and_permissions_become_policies() {
        let acl = PlainAcl::parse(FILE).ok().unwrap();
        let users: Vec<_> =
            acl.accounts.iter().map(|a| (a.name.as_str(), a.secret.expose(), a.admin)).collect();
        assert_eq!(
            users,
            [
                ("RocketMQ", "12345678", false),
                ("rocketmq2", "1234 # 5678", true),
                ("third", "12345678", false)
            ]
        );
        assert_eq!(
            acl.policies,
            [
                "p, user:RocketMQ, *, Topic:topicA, Pub|Sub, -, deny",
                "p, user:RocketMQ, *, Topic:topicB, Pub|Sub, -, allow",
                "p, user:RocketMQ, *, Topic:topicC, Sub, -, allow",
                "p, user:RocketMQ, *, Group:groupA, Pub|Sub, -, deny",
                "p, user:RocketMQ, *, Group:groupB, Pub|Sub, -, allow",
                "p, user:RocketMQ, *, Group:*, Sub, -, allow",
                "p, user:third, *, Topic:*, Pub, ip=10.1.2.3|10.2.0.0/16, allow",
            ]
        );
        assert_eq!(acl.warnings.len(), 5, "{:?}", acl.warnings);
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_its_line_and_without_its_text() {
        let account = "accounts:\n- accessKey: abc\n  secretKey: canary-secret\n";
        for (text, line) in [
            ("other: 1", 1),
            ("accounts: [a]", 1),
            ("- a", 1),
            ("accounts:\n- accessKey: a b\n  secretKey: canary-secret", 2),
            ("accounts:\n- accessKey: abc\n  secretKey: short", 2),
            ("accounts:\n- accessKey: abc\n  secretKey: &x canary-secret", 3),
            ("accounts:\n- accessKey: abc\n  secretKey: \"canary\\n-secret\"", 3),
            ("accounts:\n- accessKey: abc\n  secretKey: \"canary-secret", 3),
            ("accounts:\n- accessKey: abc\n  secret: canary-secret", 3),
            (&format!("{account}  admin: maybe"), 4),
            (&format!("{account}  topicPerms:\n  - a"), 5),
            (&format!("{account}  topicPerms:\n  - a=READ"), 5),
            (&format!("{account}  topicPerms:\n  - a, b=PUB"), 5),
            (&format!("{account}  whiteRemoteAddress: 10.0.0.1-9"), 2),
            (&format!("{account}- accessKey: abc\n  secretKey: canary-secret"), 4),
        ] {
            let error = PlainAcl::parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*") {
            drop(PlainAcl::parse(&text));
        }

        #[test]
        fn nothing_that_looks_like_it_panics(
            lines in prop::collection::vec(
                "( {0,4}(- )?(accounts|accessKey|secretKey|topicPerms|admin|globalWhiteRemoteAddresses):? ?['\"#a=|*.0-9é]{0,12})",
                0..20,
            ),
        ) {
            drop(PlainAcl::parse(&lines.join("\n")));
        }

        #[test]
        fn policies_have_seven_fields(names in prop::collection::vec("[a-zA-Z][a-zA-Z0-9_%|-]{0,19}", 1..5)) {
            let mut text = "accounts:\n- accessKey: abc\n  secretKey: 12345678\n  topicPerms:\n".to_owned();
            for name in &names {
                text.push_str(&format!("  - {name}=PUB\n"));
            }
            let acl = PlainAcl::parse(&text).ok().unwrap();
            prop_assert_eq!(acl.policies.len(), names.len());
            for line in &acl.policies {
                prop_assert_eq!(line.split(',').count(), 7);
            }
        }
    }
}
