//! Patterns of names.

/// A pattern: `*` stands for any bytes, `?` for one, all else for itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Glob(Box<[u8]>);

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern is empty: it would match nobody".to_owned());
        }
        Ok(Self(text.into_bytes().into()))
    }
}

impl Glob {
    /// Whether `name` is as the pattern says. Takes at most as many steps as both lengths multiplied:
    /// after a mismatch only the last star is tried again.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (&self.0, name.as_bytes());
        let (mut at, mut seen, mut star) = (0, 0, None);
        while let Some(byte) = name.get(seen) {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at + 1, seen));
                    at += 1;
                }
                Some(wanted) if *wanted == b'?' || wanted == byte => {
                    (at, seen) = (at + 1, seen + 1)
                }
                _ => match &mut star {
                    Some((after, taken)) => {
                        *taken += 1;
                        (at, seen) = (*after, *taken);
                    }
                    None => return false,
                },
            }
        }
        pattern.iter().skip(at).all(|rest| *rest == b'*')
    }
}
