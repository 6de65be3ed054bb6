//! The W3C header `baggage`: `cart=9,plan=gold%20plus;since=2024`.

/// Bytes of a header that is read, and members of it: what W3C says has to be carried on at least. A larger
/// header is passed over, since nobody may make the plugin read on and on.
const LEN_MAX: usize = 8_192;
const MEMBERS_MAX: usize = 64;

/// The value of the first member with this key, decoded; `None` if there is none, or if it is written as no
/// value may be. What members say of themselves behind `;` is passed over.
pub(crate) fn value(header: &str, key: &str) -> Option<String> {
    if header.len() > LEN_MAX {
        return None;
    }
    let mut members = header.split(',').take(MEMBERS_MAX).filter_map(|member| {
        let (pair, _) = member.split_once(';').unwrap_or((member, ""));
        let (name, value) = pair.split_once('=')?;
        Some((name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])))
    });
    let (_, value) = members.find(|(name, _)| *name == key)?;
    decoded(value)
}

/// Percent signs undone. What is no UTF-8 then is replaced, as the standard wants it.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            // One without two digits behind it stands for itself.
            b'%' => match octet(after) {
                Some((byte, after)) => {
                    bytes.push(byte);
                    rest = after;
                }
                None => bytes.push(*first),
            },
            b'"' | b'\\' => return None,
            0x21..=0x7e => bytes.push(*first),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The byte that two hexadecimal digits stand for, and what comes after them.
fn octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = text.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    Some((u8::try_from(high? << 4 | low?).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_decoded() {
        let header =
            " cart = 9 ,plan=gold%20plus;since=2024;new, x = a=b ,cart=10,empty=,ch=Z%C3%BCrich";
        for (key, found) in [
            ("cart", Some("9")),
            ("plan", Some("gold plus")),
            ("x", Some("a=b")),
            ("empty", Some("")),
            ("ch", Some("Zürich")),
            ("since", None),
            ("", None),
            ("Cart", None),
        ] {
            assert_eq!(value(header, key).as_deref(), found, "{key}");
        }
        for (written, read) in
            [("%ff", "\u{fffd}"), ("100%", "100%"), ("%2", "%2"), ("%+1%41", "%+1A")]
        {
            assert_eq!(value(&format!("a={written}"), "a").as_deref(), Some(read), "{written}");
        }
    }

    #[test]
    fn what_is_not_as_the_standard_says_is_no_value() {
        for header in ["a", "a=b c", "a=\"b\"", "a=b\\", "a=é", "", ",,", "=", ";", "b;a=1"] {
            assert_eq!(value(header, "a"), None, "{header}");
        }
    }

    #[test]
    fn it_is_read_within_its_limits() {
        let many =
            |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(value(&many(100), "k63").as_deref(), Some("v"));
        assert_eq!(value(&many(100), "k64"), None);
        let long = |len: usize| format!("a=b,c={}", "x".repeat(len - 6));
        assert_eq!(value(&long(8_192), "a").as_deref(), Some("b"));
        assert_eq!(value(&long(8_193), "a"), None);
    }
}
