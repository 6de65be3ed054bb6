//! Conditions on the message that is sent.

use std::ops::RangeInclusive;

use blockhouse_model::{MessageType, properties as name};

/// Longest tag in a policy.
const TAG_LEN_MAX: usize = 255;
/// A bit for each.
const ALL_TYPES: u8 = 0x0f;

/// A message, as far as conditions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What kind of message it is.
    pub mtype: MessageType,
    /// Bytes of its body, as they came.
    pub size: u64,
    /// Its tag; empty without one.
    pub tag: &'a str,
}

impl Default for Message<'_> {
    /// A normal one of one byte, without a tag.
    fn default() -> Self {
        Self { mtype: MessageType::Normal, size: 1, tag: "" }
    }
}

impl<'a> Message<'a> {
    /// What a property text and a body are. Of several pairs of a name the last counts, as for all who read it.
    #[must_use]
    pub fn of(properties: &'a str, body: &[u8]) -> Self {
        let (mut tag, mut half, mut level, mut timer, mut fifo) = ("", false, false, false, false);
        for (key, value) in name::pairs(properties) {
            match key {
                name::TAGS => tag = value,
                name::TRANSACTION_PREPARED => half = value.eq_ignore_ascii_case("true"),
                // What is no number is refused later.
                name::DELAY => level = value.parse::<i32>().is_ok_and(|level| level > 0),
                name::TIMER_DELIVER_MS | name::TIMER_DELAY_MS | name::TIMER_DELAY_SEC => {
                    timer = true;
                }
                name::SHARDING_KEY => fifo = true,
                _ => {}
            }
        }
        let mtype = match (half, level || timer, fifo) {
            (true, ..) => MessageType::Transaction,
            (_, true, _) => MessageType::Delay,
            (_, _, true) => MessageType::Fifo,
            _ => MessageType::Normal,
        };
        Self { mtype, size: body.len() as u64, tag }
    }
}

/// What is known of the message when a rule is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight<'a> {
    /// All.
    Seen(&'a Message<'a>),
    /// Nothing yet: whether any message could be allowed.
    Later,
    /// Nothing, and nobody will look at it: whether every message is allowed.
    Never,
}

/// All of it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageCondition {
    types: u8,
    sizes: RangeInclusive<u64>,
    /// Empty: any tag, and none.
    tags: Vec<Box<str>>,
}

impl MessageCondition {
    pub(super) const ANY: Self = Self { types: ALL_TYPES, sizes: 0..=u64::MAX, tags: Vec::new() };

    pub(super) fn fits(&self, message: &Message<'_>) -> bool {
        self.types & 1 << message.mtype as u8 != 0
            && self.sizes.contains(&message.size)
            && (self.tags.is_empty() || self.tags.iter().any(|tag| **tag == *message.tag))
    }

    pub(super) fn set_types(&mut self, values: &str) -> Result<(), String> {
        self.types = 0;
        for value in values.split('|') {
            let mtype = MessageType::parse(value).ok_or_else(|| {
                format!("unknown message type {value:?}: normal, fifo, delay, transaction")
            })?;
            self.types |= 1 << mtype as u8;
        }
        Ok(())
    }

    pub(super) fn set_tags(&mut self, values: &str) -> Result<(), String> {
        let tag = |tag: &str| match tag {
            "" => Err("the tag is missing".to_owned()),
            tag if tag.len() > TAG_LEN_MAX => {
                Err(format!("the tag has more than {TAG_LEN_MAX} bytes"))
            }
            tag if tag.contains(['*', '=', '<', '>']) => {
                Err(format!("the tag {tag:?} is to be a tag as it is, without *, =, < and >"))
            }
            tag => Ok(Box::from(tag)),
        };
        self.tags = values.split('|').map(tag).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// `<=65536` or `>=1`.
    pub(super) fn set_size(&mut self, bound: &str) -> Result<(), String> {
        let wrong = || format!("\"size{bound}\" is no bound, as in size<=65536 or size>=1024");
        let (is_most, number) = match (bound.strip_prefix("<="), bound.strip_prefix(">=")) {
            (Some(most), _) => (true, most),
            (_, Some(least)) => (false, least),
            _ => return Err(wrong()),
        };
        if !number.bytes().all(|b| b.is_ascii_digit())
            || number.len() > 1 && number.starts_with('0')
        {
            return Err(wrong());
        }
        // casbin's side compares with signed numbers; no message has more than 31 bits.
        let number = number.parse::<u32>().map_err(|_| wrong())?.into();
        self.sizes =
            if is_most { *self.sizes.start()..=number } else { number..=*self.sizes.end() };
        if self.sizes.is_empty() {
            return Err("no message has such a size".to_owned());
        }
        Ok(())
    }

    /// Sizes at its edges.
    pub(super) fn sizes(&self) -> Vec<u64> {
        let (least, most) = (*self.sizes.start(), *self.sizes.end());
        [least, least.saturating_sub(1), most, most.saturating_add(1)]
            .map(|size| size.min(u32::MAX.into()))
            .to_vec()
    }

    pub(super) fn tags(&self) -> Vec<&str> {
        self.tags.iter().map(|tag| &**tag).collect()
    }
}

/// Whether a part of a condition, `KEY=VALUES` or a bound, is about the message.
pub(crate) fn is_of_message(part: &str) -> bool {
    ["mtype=", "tag=", "size<", "size>"].iter().any(|key| part.starts_with(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_properties_say_what_a_message_is() {
        let of = |text: &str| {
            Message::of(&text.replace('=', "\u{1}").replace(';', "\u{2}"), b"abc").mtype
        };
        assert_eq!(of("TAGS=a;"), MessageType::Normal);
        assert_eq!(of("__SHARDINGKEY=k;"), MessageType::Fifo);
        for delayed in
            ["DELAY=3;__SHARDINGKEY=k;", "TIMER_DELAY_SEC=1;", "TIMER_DELIVER_MS=1;DELAY=0;"]
        {
            assert_eq!(of(delayed), MessageType::Delay, "{delayed}");
        }
        assert_eq!(of("TRAN_MSG=TRUE;DELAY=3;"), MessageType::Transaction);
        // The last one counts, as for the broker.
        assert_eq!(of("DELAY=3;DELAY=0;TRAN_MSG=true;TRAN_MSG=false;"), MessageType::Normal);
        let message = Message::of("TAGS\u{1}a\u{2}TAGS\u{1}b\u{2}", b"abc");
        assert_eq!((message.size, message.tag), (3, "b"));
    }
}
