//! Which records are meant.

use blockhouse_flight::Select;
use blockhouse_model::Clock as _;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_service::SystemClock;

use crate::utc::{TIMES, since};
use crate::wrong_use;

/// What a record must be to be printed.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Answered from then on: so long ago (`90s`, `15m`, `2h`, `7d`), a UTC time
    /// (`2026-01-31T08:00:00`), or milliseconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Of this producer or consumer group
    #[arg(long)]
    group: Option<String>,
    /// Of this client: its id, its IP address, or IP:PORT
    #[arg(long, value_name = "ID|IP|IP:PORT")]
    client: Option<String>,
    /// That took at least so long (`50ms`, `1s`, `200us`); pulls that waited for messages are left out
    #[arg(long, value_name = "TIME")]
    slower_than: Option<String>,
    /// With this request code, such as 310 or `send_message_v2`
    #[arg(long)]
    code: Option<String>,
    /// Answered with this code, such as 2 or `system_busy`
    #[arg(long, value_name = "CODE")]
    answer: Option<String>,
    /// Answered with anything but success
    #[arg(long)]
    failed: bool,
    /// Of this trace: 32 hexadecimal digits
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Look at the last so many: 1,000 if nothing is said, 20,000 for sums
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Wanted {
    /// `limit` counts if nothing is said.
    pub(super) fn select(&self, limit: usize) -> anyhow::Result<Select> {
        let now = SystemClock::new().now().0;
        let since_us = match &self.since {
            None => None,
            Some(text) => Some(
                since(text, now)
                    .map(|ms| ms.saturating_mul(1_000))
                    .ok_or_else(|| wrong_use(format!("--since {text}: {TIMES}")))?,
            ),
        };
        let slower_us = match &self.slower_than {
            None => None,
            Some(text) => Some(micros(text).ok_or_else(|| {
                wrong_use(format!("--slower-than {text}: give a time such as 200us, 50ms or 2s"))
            })?),
        };
        let is_trace = |id: &String| id.len() == 32 && u128::from_str_radix(id, 16).is_ok();
        if let Some(id) = self.trace.as_ref().filter(|id| !is_trace(id)) {
            return Err(wrong_use(format!("--trace {id}: give 32 hexadecimal digits")));
        }
        known("--code", self.code.as_deref(), request_code::ALL, request_code::name)?;
        known("--answer", self.answer.as_deref(), response_code::ALL, response_code::name)?;
        Ok(Select {
            since_us,
            topic: self.topic.clone(),
            group: self.group.clone(),
            client: self.client.clone(),
            code: self.code.clone(),
            answer: self.answer.clone(),
            failed: self.failed,
            slower_us,
            trace: self.trace.clone(),
            limit: self.limit.map_or(limit, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        })
    }
}

/// Fails if `text` is neither a number nor a name of a code. Numbers without a name are recorded, too.
fn known(
    option: &str,
    text: Option<&str>,
    codes: &[i32],
    name: fn(i32) -> &'static str,
) -> anyhow::Result<()> {
    let Some(text) = text else { return Ok(()) };
    let mut names = codes.iter().map(|&code| name(code)).chain(["UNKNOWN"]);
    if text.parse::<i32>().is_ok() || names.clone().any(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(());
    }
    let wanted = text.to_ascii_uppercase();
    let alike = names.find(|name| !wanted.is_empty() && name.contains(&wanted));
    let example = alike.or(codes.first().map(|&code| name(code))).unwrap_or("0");
    Err(wrong_use(format!(
        "{option} {text}: there is no code of that name; give a number, or a name such as {}",
        example.to_ascii_lowercase()
    )))
}

/// Microseconds of a time with its unit.
fn micros(text: &str) -> Option<u64> {
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbers_or_names_that_there_are() {
        let known = |text: &str| known("--code", Some(text), request_code::ALL, request_code::name);
        for text in ["310", "-1", "424242", "send_message_v2", "PULL_MESSAGE", "unknown"] {
            known(text).unwrap();
        }
        for (text, hint) in
            [("nope", "send_message"), ("", "send_message"), ("heart", "heart_beat")]
        {
            let error = known(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--code {text}: ")), "{error}");
            assert!(error.ends_with(&format!(" such as {hint}")), "{error}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, time) in [("200us", 200), ("50ms", 50_000), ("2s", 2_000_000), ("0s", 0)] {
            assert_eq!(micros(text), Some(time), "{text}");
        }
        for text in ["", "5", "ms", "1.5s", "-1s", "1m", "99999999999999999999s"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
