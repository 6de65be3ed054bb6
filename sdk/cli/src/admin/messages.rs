//! Finding messages; times as text.

use blockhouse_client::{Client, Received};
use blockhouse_model::{MessageId, properties};
use serde_json::{Value, json};

use super::Answer;
use crate::consume::to_json;
use crate::{out, wrong_use};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// By its id: the offset message id, or with --topic the unique key that producers print
    Id {
        /// 32 hexadecimal digits
        id: String,
        /// The topic; needed for unique keys
        #[arg(long)]
        topic: Option<String>,
    },
    /// By one of its keys
    Key {
        /// The topic
        topic: String,
        /// The key
        key: String,
    },
}

pub(super) async fn run(client: &Client, command: Command) -> anyhow::Result<Answer> {
    let found = match command {
        Command::Id { id, topic: None } => vec![client.message_by_id(None, &id).await?],
        Command::Id { id, topic: Some(topic) } => by_either_id(client, &topic, &id).await?,
        Command::Key { key, .. } if key.contains(char::is_whitespace) => {
            return Err(wrong_use(format!(
                "`{key}` is no key: keys end at spaces, so look for one of its words"
            )));
        }
        Command::Key { topic, key } => {
            client.messages_by_key(&topic, &key, false, (0, i64::MAX)).await?
        }
    };
    let json: Vec<Value> = found.iter().map(to_json).collect();
    let text = if found.is_empty() {
        "No such message.\n".to_owned()
    } else {
        found.iter().map(as_text).collect::<Vec<_>>().join("\n")
    };
    Ok(Answer { text, json: json!(json) })
}

/// The two kinds of ids have the same length: the topic decides, the offset id is the fallback.
async fn by_either_id(client: &Client, topic: &str, id: &str) -> anyhow::Result<Vec<Received>> {
    let found = client.messages_by_key(topic, id, true, (0, i64::MAX)).await?;
    if !found.is_empty() || MessageId::parse(id).is_none() {
        return Ok(found);
    }
    match client.message_by_id(Some(topic), id).await {
        Ok(message) => Ok(vec![message]),
        // The address in a unique key is no broker's.
        Err(_) => Ok(Vec::new()),
    }
}

fn as_text(message: &Received) -> String {
    let mut text = format!(
        "topic          {}\nqueue          {} @ {}\nid             {}\noffset id      {}\n\
         born           {} at {}\nstored         {} at {}\nredelivered    {} times\n",
        message.topic,
        message.queue.queue_id,
        message.queue_offset,
        message.id(),
        message.offset_id,
        time(message.born_timestamp),
        message.born_host,
        time(message.store_timestamp),
        message.offset_id.host,
        message.reconsume_times,
    );
    for (name, value) in properties::pairs(&message.properties) {
        let (name, value) = (out::foreign(name), out::foreign(value));
        text.push_str(&format!("property       {name}={value}\n"));
    }
    let body = String::from_utf8_lossy(&message.body);
    text.push_str(&format!("body           {}\n", out::foreign(&body)));
    text
}

const DAY: i64 = 86_400;

/// Days since 1970-01-01 of a date, and back: proleptic Gregorian, with years from March.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Milliseconds since 1970 as UTC time; `-` for none.
pub(super) fn time(ms: i64) -> String {
    if ms <= 0 {
        return "-".to_owned();
    }
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (year, month, day) = date_of(seconds / DAY);
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Milliseconds, or a UTC time to the second.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms).filter(|ms| *ms >= 0);
    }
    let (date, clock) = text.strip_suffix('Z').unwrap_or(text).split_once(['T', ' '])?;
    let three = |text: &str, separator: char| -> Option<[i64; 3]> {
        let mut parts = text.split(separator).map(|p| p.parse::<i64>().ok());
        let all = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(all)
    };
    let ([year, month, day], [hour, minute, second]) = (three(date, '-')?, three(clock, ':')?);
    let fits = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    let of_day = hour * 3_600 + minute * 60 + second;
    fits.then(|| (days_of(year, month, day) * DAY + of_day) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        assert_eq!(time(0), "-");
        assert_eq!(time(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(time(1_795_465_151_870), "2026-11-23T20:19:11.870Z");
        assert_eq!(parse_time("2026-11-23T20:19:11Z"), Some(1_795_465_151_000));
        assert_eq!(parse_time("1970-01-01 00:00:01"), Some(1_000));
        assert_eq!(parse_time("17"), Some(17));
        for bad in ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01", "-5", "2026-01-01T24:00:00"]
        {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        for day in (0..60_000).step_by(17) {
            let (year, month, date) = date_of(day);
            assert_eq!(days_of(year, month, date), day);
        }
    }
}
