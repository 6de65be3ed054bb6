//! The functions of the model, in a plain form that shares nothing with the index.

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::{CoreApi as _, Enforcer};

pub(super) fn add(enforcer: &mut Enforcer) {
    let action = OperatorFunction::Arg2(|asked, allowed| {
        let asked = dynamic_to_str(&asked);
        dynamic_to_str(&allowed).split('|').any(|word| word == asked).into()
    });
    let resource = OperatorFunction::Arg2(|asked, pattern| {
        covers(&dynamic_to_str(&asked), &dynamic_to_str(&pattern)).into()
    });
    let condition = OperatorFunction::Arg6(|condition, ip, day, time, channel, message| {
        let at = [&ip, &day, &time, &channel, &message].map(dynamic_to_str);
        let holds = |part: &str| holds(part, [&at[0], &at[1], &at[2], &at[3], &at[4]]);
        let condition = dynamic_to_str(&condition);
        (condition == "-" || condition.split(';').all(holds)).into()
    });
    enforcer.add_function("actMatch", action);
    enforcer.add_function("resMatch", resource);
    enforcer.add_function("condMatch", condition);
}

/// A rule for namespaces is asked with the one in the name.
pub(super) fn covers(asked: &str, pattern: &str) -> bool {
    let namespace;
    let asked = if pattern.starts_with("Namespace:") {
        let Some(found) = namespace_in(asked) else { return false };
        namespace = format!("Namespace:{found}");
        &namespace
    } else {
        asked
    };
    match pattern.strip_suffix('*') {
        Some(prefix) => asked.as_bytes().starts_with(prefix.as_bytes()),
        None => asked == pattern,
    }
}

/// Of `Topic:NS%NAME`, `Topic:%DLQ%NS%NAME` and `Group:NS%NAME`.
fn namespace_in(asked: &str) -> Option<&str> {
    let name = match asked.split_once(':')? {
        ("Topic", name) => name.strip_prefix("%DLQ%").unwrap_or(name),
        ("Group", name) => name,
        _ => return None,
    };
    name.split_once('%').map(|(namespace, _)| namespace).filter(|namespace| !namespace.is_empty())
}

/// A message is `TYPE|SIZE|TAG`.
fn holds(part: &str, [ip, day, time, channel, message]: [&str; 5]) -> bool {
    let mut words = message.splitn(3, '|');
    let (mtype, size, tag) = (words.next(), words.next(), words.next());
    let size: Option<i64> = size.and_then(|size| size.parse().ok());
    for (bound, within) in [("size<=", -1), ("size>=", 1)] {
        if let Some(bound) = part.strip_prefix(bound).and_then(|bound| bound.parse::<i64>().ok()) {
            return size.is_some_and(|size| (size - bound).signum() != -within);
        }
    }
    let Some((key, values)) = part.split_once('=') else { return false };
    values.split('|').any(|value| match key {
        "ip" => in_network(ip, value),
        "day" => in_days(day, value),
        "time" => in_span(time, value),
        "chan" => channel == value,
        "mtype" => mtype == Some(value),
        "tag" => tag == Some(value),
        _ => false,
    })
}

/// Bit by bit.
fn in_network(ip: &str, network: &str) -> bool {
    let octets = |text: &str| match text.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => v4.octets().to_vec(),
        Ok(std::net::IpAddr::V6(v6)) => v6.octets().to_vec(),
        Err(_) => Vec::new(),
    };
    let (address, len) = network.split_once('/').unwrap_or((network, "128"));
    let (ip, network) = (octets(ip), octets(address));
    let len: usize = len.parse().unwrap_or(128);
    let bit =
        |octets: &[u8], i: usize| octets.get(i / 8).is_some_and(|o| o >> (7 - i % 8) & 1 == 1);
    !ip.is_empty()
        && ip.len() == network.len()
        && (0..len.min(8 * ip.len())).all(|i| bit(&ip, i) == bit(&network, i))
}

fn in_days(day: &str, days: &str) -> bool {
    let Some((from, to)) = days.split_once('-') else { return day == days };
    let mut week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].into_iter().cycle();
    let rest = week.by_ref().skip_while(|name| *name != from).take(7);
    let mut passed = false;
    for name in rest {
        if name == day {
            return !passed;
        }
        passed |= name == to;
    }
    false
}

/// Times of two digits each compare as texts.
fn in_span(time: &str, span: &str) -> bool {
    let Some((from, to)) = span.split_once('-') else { return false };
    if from < to { from <= time && time < to } else { from <= time || time < to }
}
