//! A table of TOML, taken apart key by key; what is left over is an error.

use toml::{Table, Value};

use super::SIZE_MAX;
use crate::Error;

/// Most items of a list.
const ITEMS_MAX: usize = 256;

/// The keys of a table that were not taken yet, and where the table stands.
pub(super) struct Fields {
    path: String,
    table: Table,
}

impl Fields {
    /// The whole manifest.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > SIZE_MAX {
            let (len, max) = (text.len() as u64, SIZE_MAX as u64);
            return Err(Error::TooLarge { what: "the manifest".to_owned(), len, max });
        }
        let no_toml = |problem: String| Error::ManifestSyntax(problem.trim_end().to_owned());
        let text = std::str::from_utf8(text).map_err(|e| no_toml(e.to_string()))?;
        let table = text.parse().map_err(|e: toml::de::Error| no_toml(e.to_string()))?;
        Ok(Self { path: String::new(), table })
    }

    fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn wrong<T>(&self, key: &str, problem: impl Into<String>) -> Result<T, Error> {
        Err(Error::manifest(self.path(key), problem))
    }

    /// The value that `read` finds under a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        read: impl Fn(&mut Self, &str) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let value = read(self, key)?;
        value.map_or_else(|| self.wrong(key, "is missing"), Ok)
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Error> {
        match self.table.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.wrong(key, "is not text"),
        }
    }

    /// A text of one line for the reader; empty if it is missing.
    pub(super) fn short(&mut self, key: &str, max: usize) -> Result<String, Error> {
        let text = self.text(key)?.unwrap_or_default();
        if text.len() > max {
            return self.wrong(key, format!("has more than {max} bytes"));
        }
        if text.chars().any(char::is_control) {
            return self.wrong(key, "has a control character");
        }
        Ok(text)
    }

    /// A list of texts.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let items = match self.table.remove(key) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return self.wrong(key, "is not a list"),
        };
        if items.len() > ITEMS_MAX {
            return self.wrong(key, format!("has more than {ITEMS_MAX} items"));
        }
        let text = |(i, item)| match item {
            Value::String(text) => Ok(text),
            _ => self.wrong(&format!("{key}[{i}]"), "is not text"),
        };
        items.into_iter().enumerate().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &str, min: u32, max: u32) -> Result<Option<u32>, Error> {
        let Some(value) = self.table.remove(key) else { return Ok(None) };
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| (min..=max).contains(number)) {
            None => self.wrong(key, format!("is not a whole number from {min} to {max}")),
            number => Ok(number),
        }
    }

    /// A number of bytes: `8388608` or `"8MiB"`.
    pub(super) fn size(&mut self, key: &str, min: u64, max: u64) -> Result<Option<u64>, Error> {
        let size = match self.table.remove(key) {
            None => return Ok(None),
            Some(Value::Integer(number)) => u64::try_from(number).ok(),
            Some(Value::String(text)) => bytes(&text),
            Some(_) => None,
        };
        match size.filter(|size| (min..=max).contains(size)) {
            None => {
                let range = format!("from {min} to {max}");
                self.wrong(key, format!("is not a number of bytes {range} (65536, \"8MiB\")"))
            }
            size => Ok(size),
        }
    }

    /// A table; empty if it is missing.
    pub(super) fn table(&mut self, key: &str) -> Result<Self, Error> {
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => return self.wrong(key, "is not a table"),
        };
        Ok(Self { path: self.path(key), table })
    }

    /// No key is left.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => {
                let key: String = key.chars().take(64).collect();
                self.wrong(&key, "is not known here")
            }
        }
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits)? {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    // `parse` would take a sign, too.
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(unit)
}
