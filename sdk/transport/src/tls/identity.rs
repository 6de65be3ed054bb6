//! From a verified certificate to a user's name.

use std::sync::Arc;

use blockhouse_model::Principal;
use rustls::pki_types::CertificateDer;

use super::certificate::Facts;

/// Longest name.
const NAME_LEN_MAX: usize = 255;
const SPIFFE: &str = "spiffe://";

/// Ordered rules; the first that matches gives the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    kind: Kind,
    pattern: String,
    /// What the name is made of; `None`: the whole text.
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spiffe,
    Dns,
    Dn,
}

impl Kind {
    /// What a `*` does not stand for.
    const fn separators(self) -> &'static [char] {
        match self {
            Self::Spiffe => &['/'],
            Self::Dns => &['.'],
            // A backslash as well: what is escaped in a subject is no part of a name.
            Self::Dn => &[',', '+', '\\'],
        }
    }
}

impl Rules {
    /// Reads rules; the error continues the name of the option that has them.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| Rule::parse(text)).collect::<Result<_, _>>().map(Self)
    }

    /// The name of whoever has this certificate.
    pub(crate) fn name(&self, certificate: &CertificateDer<'_>) -> Option<Arc<str>> {
        let facts = Facts::read(certificate).ok()?;
        self.name_of(&facts)
    }

    pub(crate) fn name_of(&self, facts: &Facts) -> Option<Arc<str>> {
        // One that claims to be a SPIFFE ID has to be one, or it is nobody.
        let is_svid = facts.uris.iter().any(|uri| has_scheme(uri));
        if is_svid && !is_good_svid(facts) {
            return None;
        }
        let name = self.0.iter().find_map(|rule| rule.name_of(facts))?;
        is_name(&name).then(|| name.into())
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("has the rule `{text}`, which {why}"));
        let (what, name) = match text.split_once("->") {
            Some((what, name)) => (what.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        let (kind, pattern) = match what.split_once(':') {
            None if what == "spiffe" => (Kind::Spiffe, ""),
            Some(("spiffe", pattern)) if !pattern.is_empty() => (Kind::Spiffe, pattern),
            Some(("dns", pattern)) if !pattern.is_empty() => (Kind::Dns, pattern),
            Some(("dn", pattern)) if !pattern.is_empty() => (Kind::Dn, pattern),
            _ => return wrong("is not `spiffe`, `spiffe:PATTERN`, `dns:PATTERN` or `dn:PATTERN`"),
        };
        if kind == Kind::Dn && !pattern.contains(',') {
            return wrong("is one part of a subject alone: write down all parts");
        }
        if pattern.contains("**") {
            return wrong("has two `*` in a row");
        }
        if let Some(name) = name {
            let stars = pattern.matches('*').count();
            if name.is_empty() || placeholders(name).is_none_or(|used| used > stars) {
                return wrong("names more than its `*` stand for ({1}, {2}, ...)");
            }
        }
        Ok(Self { kind, pattern: pattern.to_owned(), name: name.map(str::to_owned) })
    }

    fn name_of(&self, facts: &Facts) -> Option<String> {
        match self.kind {
            Kind::Spiffe => facts.uris.iter().find_map(|uri| {
                let id = has_scheme(uri).then(|| uri.get(SPIFFE.len()..))??;
                if self.pattern.is_empty() {
                    return Some(self.fill(uri, &[]));
                }
                matched(&self.pattern, id, self.kind.separators()).map(|s| self.fill(uri, &s))
            }),
            Kind::Dns => facts.dns.iter().find_map(|dns| self.fits(dns)),
            Kind::Dn => self.fits(&facts.subject),
        }
    }

    fn fits(&self, text: &str) -> Option<String> {
        let stars = matched(&self.pattern, text, self.kind.separators())?;
        Some(self.fill(text, &stars))
    }

    fn fill(&self, whole: &str, stars: &[&str]) -> String {
        let Some(name) = &self.name else { return whole.to_owned() };
        let mut out = String::new();
        let mut rest = name.as_str();
        // In one pass: what a star stands for is not looked at again.
        while let Some((before, (number, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            out.push_str(before);
            let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            out.push_str(at.and_then(|at| stars.get(at)).copied().unwrap_or_default());
            rest = after;
        }
        out + rest
    }
}

/// The highest number in `{}`; `None` if there is something else in them.
fn placeholders(name: &str) -> Option<usize> {
    let mut highest = 0;
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('{') {
        if before.contains('}') {
            return None;
        }
        let (number, after) = after.split_once('}')?;
        let number = number.parse().ok().filter(|number| *number > 0)?;
        highest = highest.max(number);
        rest = after;
    }
    (!rest.contains('}')).then_some(highest)
}

/// What the `*` of `pattern` stand for in `text`, which has to match from beginning to end. Each
/// takes as little as it can; what it must not reach over makes that the only way, or none.
fn matched<'a>(pattern: &str, text: &'a str, separators: &[char]) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split('*');
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut stars = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let len = if is_last {
            rest.strip_suffix(part)?.len()
        } else {
            let first = rest.chars().next()?.len_utf8();
            first + rest.get(first..)?.find(part)?
        };
        let (star, after) = rest.split_at_checked(len)?;
        if star.is_empty() || star.contains(separators) {
            return None;
        }
        stars.push(star);
        rest = after.get(part.len()..)?;
    }
    rest.is_empty().then_some(stars)
}

fn has_scheme(uri: &str) -> bool {
    uri.get(..SPIFFE.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SPIFFE))
}

/// The rules of X.509-SVID for leaf certificates.
fn is_good_svid(facts: &Facts) -> bool {
    let [uri] = facts.uris.as_slice() else { return false };
    let Some((domain, path)) = uri.strip_prefix(SPIFFE).and_then(|id| id.split_once('/')) else {
        return false;
    };
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let in_path = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let segments = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(in_path)
    };
    let domain = (1..=NAME_LEN_MAX).contains(&domain.len()) && domain.bytes().all(in_domain);
    domain && path.split('/').all(segments) && !facts.issues
}

/// Names that lines of logs and policies can carry.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace();
    !name.starts_with(Principal::PLUGIN_PREFIX)
        && (1..=NAME_LEN_MAX).contains(&name.len())
        && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(texts: &[&str]) -> Rules {
        let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
        Rules::parse(&texts).unwrap()
    }

    fn facts(subject: &str, uris: &[&str], dns: &[&str]) -> Facts {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Facts {
            subject: subject.to_owned(),
            uris: owned(uris),
            dns: owned(dns),
            issues: false,
            begin: std::time::Duration::ZERO,
            end: std::time::Duration::MAX,
        }
    }

    fn name(rule: &str, facts: &Facts) -> Option<String> {
        rules(&[rule]).name_of(facts).map(|name| name.to_string())
    }

    #[test]
    fn a_name_is_the_whole_text_or_what_the_stars_stand_for() {
        let id = facts("CN=x", &["spiffe://a.org/ns/pay/sa/orders"], &[]);
        let whole = Some("spiffe://a.org/ns/pay/sa/orders".to_owned());
        assert_eq!(name("spiffe", &id), whole);
        assert_eq!(name("spiffe:a.org/ns/*/sa/*", &id), whole);
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(name("spiffe:a.org/ns/*/sa/* -> {2}.{1}", &id), some("orders.pay"));
        assert_eq!(name("spiffe:a.org/* -> {1}", &id), None);
        assert_eq!(name("spiffe:b.org/ns/*/sa/*", &id), None);
        let host = facts("CN=x", &[], &["one.other", "pay.apps.a.org"]);
        assert_eq!(name("dns:*.apps.a.org -> {1}", &host), some("pay"));
        assert_eq!(name("dns:*.a.org", &host), None);
        let subject = facts("CN=pay,OU=Apps,O=A", &[], &[]);
        assert_eq!(name("dn:CN=*,OU=Apps,O=A -> {1}", &subject), some("pay"));
        assert_eq!(name("dn:CN=*,O=A -> {1}", &subject), None);
        assert_eq!(name("spiffe", &subject), None);
    }

    #[test]
    fn a_star_does_not_reach_over_the_next_part() {
        let tricked = facts("CN=admin\\,OU\\=Apps,O=A", &[], &[]);
        assert_eq!(name("dn:CN=*,OU=Apps,O=A -> {1}", &tricked), None);
        assert_eq!(name("dn:CN=*,O=A -> {1}", &tricked), None);
        let several = facts("CN=a+CN=admin,O=A", &[], &[]);
        assert_eq!(name("dn:CN=*,O=A -> {1}", &several), None);
    }

    #[test]
    fn what_a_star_stands_for_is_no_placeholder() {
        let subject = facts("CN={2},OU=x,O=A", &[], &[]);
        let found = name("dn:CN=*,OU=*,O=A -> {1}/{2}", &subject);
        assert_eq!(found.as_deref(), Some("{2}/x"));
    }

    #[test]
    fn what_claims_to_be_a_spiffe_id_has_to_be_one() {
        let whole = rules(&["spiffe", "dns:* -> {1}"]);
        for uris in [
            &["spiffe://a.org/x", "spiffe://a.org/y"][..],
            &["spiffe://a.org/x", "https://a.org/"],
            &["spiffe://a.org"],
            &["spiffe://a.org/"],
            &["spiffe:///x"],
            &["SPIFFE://a.org/x"],
            &["spiffe://A.org/x"],
            &["spiffe://a.org/x/../y"],
            &["spiffe://a.org//x"],
            &["spiffe://a.org/x?y"],
            &["spiffe://a:1/x"],
        ] {
            // Another rule that would match does not help it.
            assert_eq!(whole.name_of(&facts("", uris, &["host"])), None, "{uris:?}");
        }
        let mut authority = facts("", &["spiffe://a.org/x"], &[]);
        assert!(whole.name_of(&authority).is_some());
        authority.issues = true;
        assert_eq!(whole.name_of(&authority), None);
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let both = rules(&["dns:*.a.org -> first-{1}", "dns:* -> second", "dn:CN=*,O=A"]);
        let name = |dns| both.name_of(&facts("CN=c,O=A", &[], dns)).unwrap().to_string();
        assert_eq!(name(&["x.a.org"]), "first-x");
        assert_eq!(name(&["x"]), "second");
        assert_eq!(name(&[]), "CN=c,O=A");
        assert_eq!(both.name_of(&facts("CN=c", &[], &[])), None);
    }

    #[test]
    fn names_that_would_break_lines_are_none() {
        let all = "dn:CN=*,O=A -> {1}";
        for common in ["a b", "a\nb", "plugin:a", &"x".repeat(256)] {
            assert_eq!(name(all, &facts(&format!("CN={common},O=A"), &[], &[])), None);
        }
    }

    #[test]
    fn rules_that_say_nothing_or_too_much_are_refused() {
        for rule in [
            "",
            "x",
            "spiffe:",
            "dns:",
            "uri:x",
            "dn:CN=*",
            "dn:CN=*->{1}",
            "dns:**",
            "dns:* -> {2}",
            "dns:* -> {0}",
            "dns:* -> {x}",
            "dns:* -> {1",
            "dns:* -> }",
            "dns:* ->",
        ] {
            let refused = Rules::parse(&[rule.to_owned()]).unwrap_err();
            assert!(refused.contains(&format!("`{rule}`")), "{refused}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_pattern_with_its_stars_replaced_matches_and_gives_them_back(
            parts in prop::collection::vec("[a-z]{1,3}/", 2..5),
            stars in prop::collection::vec("[A-Z0-9]{1,5}", 4),
        ) {
            let pattern = parts.join("*");
            let mut text = parts[0].clone();
            for (part, star) in parts[1..].iter().zip(&stars) {
                text.push_str(star);
                text.push_str(part);
            }
            let found = matched(&pattern, &text, &['/']);
            // A star ends at the first place where the next part fits; capitals keep them apart.
            prop_assert_eq!(found.unwrap(), stars[..parts.len() - 1].to_vec());
        }

        #[test]
        fn any_pattern_and_text_are_judged(pattern in "[*a/é]{0,8}", text in "[a/é]{0,12}") {
            if let Some(stars) = matched(&pattern, &text, &['/']) {
                prop_assert!(stars.iter().all(|star| !star.is_empty() && !star.contains('/')));
            }
        }
    }
}
