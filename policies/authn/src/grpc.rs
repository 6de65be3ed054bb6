//! What gRPC clients send: `authorization: MQv2-HMAC-SHA1 Credential=.., SignedHeaders=.., Signature=..`.
//!
//! The signature is over the value of `x-mq-date-time` only. That is why the date must be near, and why
//! there must be TLS beneath.

use blockhouse_model::date::day_of;

use crate::{Outcome, UserTable, signature};
use std::sync::Arc;

const SCHEME: &str = "MQv2-HMAC-SHA1";
const DATE_HEADER: &str = "x-mq-date-time";
/// Longest header that is looked at.
const LEN_MAX: usize = 1 << 10;
/// How far clocks may be apart.
const SKEW_SECONDS: i64 = 5 * 60;

/// A header in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// Who it says that it is.
    pub access_key: &'a str,
    /// The signature.
    pub signature: [u8; signature::LEN],
}

impl<'a> Authorization<'a> {
    /// Takes the header apart; `None` if it is not of this form.
    #[must_use]
    pub fn parse(header: &'a str) -> Option<Self> {
        if header.len() > LEN_MAX {
            return None;
        }
        let (scheme, rest) = header.trim().split_once(' ')?;
        if scheme != SCHEME {
            return None;
        }
        let (mut access_key, mut claimed, mut dated) = (None, None, false);
        for (name, value) in
            rest.split(',').map(|part| part.trim().split_once('=')).collect::<Option<Vec<_>>>()?
        {
            match name {
                // What follows the access key is a region and a service, which mean nothing here.
                "Credential" => access_key = value.split('/').next(),
                "SignedHeaders" => {
                    dated = value.split(';').any(|h| h.trim().eq_ignore_ascii_case(DATE_HEADER));
                }
                "Signature" => claimed = hex(value),
                _ => {}
            }
        }
        let access_key = access_key.filter(|key| !key.is_empty())?;
        dated.then_some(Self { access_key, signature: claimed? })
    }
}

/// Who signed; `date` is the value of `x-mq-date-time`, `now` in seconds since 1970.
///
/// # Errors
/// Why it is nobody.
pub fn verify(users: &UserTable, header: &str, date: &str, now: i64) -> Result<Arc<str>, Outcome> {
    let authorization = Authorization::parse(header).ok_or(Outcome::BadSignature)?;
    let Authorization { access_key, signature } = authorization;
    let account = users.prove(access_key, Some(signature), [date.as_bytes(), b""])?;
    if !is_fresh(date, now) {
        return Err(Outcome::BadSignature);
    }
    Ok(Arc::clone(&account.user.name))
}

fn hex(text: &str) -> Option<[u8; signature::LEN]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * signature::LEN {
        return None;
    }
    let mut bytes = [0; signature::LEN];
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

/// Whether a date is of now. Most clients write local time and call it UTC: without an offset, a time that
/// is off by a timezone's quarters of hours is one of now.
#[must_use]
pub fn is_fresh(date: &str, now: i64) -> bool {
    const QUARTER: i64 = 15 * 60;
    let Some((seconds, has_offset)) = parse_date(date) else { return false };
    let off = seconds - now;
    if has_offset {
        return off.abs() <= SKEW_SECONDS;
    }
    let zone = (off + QUARTER / 2).div_euclid(QUARTER);
    // From 12 hours behind to 14 hours ahead.
    (-48..=56).contains(&zone) && (off - zone * QUARTER).abs() <= SKEW_SECONDS
}

/// Seconds since 1970, and whether the date says which timezone it is of.
fn parse_date(text: &str) -> Option<(i64, bool)> {
    let bytes = text.as_bytes();
    let number = |at: usize, len: usize| {
        let digits = bytes.get(at..at + len)?;
        let digit = |sum: i64, d: &u8| d.is_ascii_digit().then(|| sum * 10 + i64::from(d - b'0'));
        digits.iter().try_fold(0, digit)
    };
    // 20260101T000000Z
    if bytes.len() == 16 && bytes.get(8) == Some(&b'T') && bytes.get(15) == Some(&b'Z') {
        let day = (number(0, 4)?, number(4, 2)?, number(6, 2)?);
        return Some((epoch(day, (number(9, 2)?, number(11, 2)?, number(13, 2)?))?, false));
    }
    // 2026-01-01T00:00:00.123+08:00
    let shape = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let is_shaped = shape.iter().all(|(at, mark)| bytes.get(*at) == Some(mark));
    if !is_shaped || !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let day = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let local = epoch(day, (number(11, 2)?, number(14, 2)?, number(17, 2)?))?;
    let mut at = 19;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        let fraction = bytes.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        if fraction == 0 || fraction > 9 {
            return None;
        }
        at += fraction;
    }
    let offset = match (bytes.get(at)?, bytes.len() - at) {
        (b'Z' | b'z', 1) => 0,
        (sign @ (b'+' | b'-'), 6) if bytes.get(at + 3) == Some(&b':') => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Some((local - offset, true))
}

/// Seconds from 1970 to a date of the Gregorian calendar.
fn epoch(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
) -> Option<i64> {
    let is_legal = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_legal {
        return None;
    }
    let days = day_of(year, month, day);
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    const DATE: &str = "20260101T000000Z";
    const SIGNED: &str = "744D438196AF86606D44B8C9A7C8E0E0B2FFB22B";
    /// 2026-01-01T00:00:00Z
    const NOW: i64 = 1_767_225_600;

    #[test]
    fn the_vector_of_the_clients() {
        let header = format!(
            "MQv2-HMAC-SHA1 Credential=ak1/cn/RocketMQ, SignedHeaders=x-mq-date-time, Signature={SIGNED}"
        );
        let parsed = Authorization::parse(&header).unwrap();
        assert_eq!(parsed.access_key, "ak1");
        let key = SigningKey::new(b"12345678");
        assert!(key.verifies(Some(parsed.signature), [DATE.as_bytes(), b""]));
        let lower = header.replace(SIGNED, &SIGNED.to_lowercase());
        assert_eq!(Authorization::parse(&lower), Some(parsed));
        assert_eq!(parse_date(DATE), Some((NOW, false)));
    }

    #[test]
    fn what_does_not_sign_the_date_or_is_of_another_scheme_is_nothing() {
        for header in [
            String::new(),
            "MQv2-HMAC-SHA1".to_owned(),
            format!(
                "MQv3-HMAC-SHA1 Credential=a, SignedHeaders=x-mq-date-time, Signature={SIGNED}"
            ),
            format!("MQv2-HMAC-SHA1 Credential=a, SignedHeaders=host, Signature={SIGNED}"),
            format!("MQv2-HMAC-SHA1 Credential=a, Signature={SIGNED}"),
            format!("MQv2-HMAC-SHA1 Credential=, SignedHeaders=x-mq-date-time, Signature={SIGNED}"),
            format!("MQv2-HMAC-SHA1 SignedHeaders=x-mq-date-time, Signature={SIGNED}"),
            "MQv2-HMAC-SHA1 Credential=a, SignedHeaders=x-mq-date-time, Signature=00".to_owned(),
            format!("MQv2-HMAC-SHA1 {}", "x=y,".repeat(400)),
        ] {
            assert_eq!(Authorization::parse(&header), None, "{header}");
        }
    }

    #[test]
    fn dates_are_of_now_in_any_timezone() {
        let at = |text: &str| is_fresh(text, NOW);
        // UTC, and the same moment as clocks show it in Kathmandu, Kiritimati and on Baker Island.
        for text in [DATE, "20260101T054500Z", "20260101T140000Z", "20251231T120000Z"] {
            assert!(at(text), "{text}");
        }
        for text in [
            "2026-01-01T08:00:00+08:00",
            "2025-12-31T19:00:00.123456-05:00",
            "2026-01-01T00:04:59Z",
        ] {
            assert!(at(text), "{text}");
        }
        for text in [
            "20260101T000730Z",
            "20260101T143000Z",
            "20251231T000000Z",
            "20260102T000000Z",
            "2026-01-01T05:45:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01",
            "",
            "20261301T000000Z",
            "2026010\u{e9}000000Z",
        ] {
            assert!(!at(text), "{text}");
        }
        assert_eq!(parse_date("2000-02-29T00:00:00Z"), Some((951_782_400, true)));
        assert_eq!(parse_date("19700101T000000Z"), Some((0, false)));
    }
}
