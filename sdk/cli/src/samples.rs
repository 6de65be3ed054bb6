//! Metrics as a node prints them, read again.

use std::collections::BTreeMap;

/// One line: a name, its labels, its value.
#[derive(Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Sample {
    /// The value of a label; empty if it is not there.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

/// All lines of an answer. What is no sample is passed over: it was for another reader.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(sample).collect())
    }

    /// All of one name.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The sum over all series of a name that `keep` keeps; `None` if there is no such name.
    pub(crate) fn sum(&self, name: &str, keep: impl Fn(&Sample) -> bool) -> Option<f64> {
        let all: Vec<_> = self.of(name).collect();
        if all.is_empty() {
            None
        } else {
            Some(all.into_iter().filter(|s| keep(s)).fold(0.0, |sum, s| sum + s.value))
        }
    }

    /// By the values of these labels, the sums over all series of a name that share them.
    pub(crate) fn by<const N: usize>(
        &self,
        name: &str,
        labels: [&str; N],
    ) -> BTreeMap<[String; N], f64> {
        let mut sums = BTreeMap::new();
        for sample in self.of(name) {
            let key = labels.map(|label| sample.label(label).to_owned());
            *sums.entry(key).or_insert(0.0) += sample.value;
        }
        sums
    }

    /// A label of the first series of a name.
    pub(crate) fn label(&self, name: &str, label: &str) -> Option<String> {
        self.of(name).next().map(|sample| sample.label(label).to_owned())
    }
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

type Labels = Vec<(String, String)>;

/// The labels up to the brace, and what follows it.
fn labels(mut text: &str) -> Option<(Labels, &str)> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((found, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        found.push((name.to_owned(), value));
        text = rest;
    }
}

/// A value up to its closing quote, escapes undone, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_prometheus_reads_them() {
        let text = "# HELP a b\n# TYPE a gauge\na 1\nb{x=\"1\"} 2.5e3\n\
                    c{topic=\"q\\\"{},\\\\ \\n\",group=\"\"} -1\nbroken{x=\"1 2\nalone\n";
        let samples = Samples::parse(text);
        let all: Vec<_> = samples.0.iter().map(|s| (s.name.as_str(), s.value)).collect();
        assert_eq!(all, [("a", 1.0), ("b", 2_500.0), ("c", -1.0)]);
        let c = samples.of("c").next().unwrap();
        assert_eq!((c.label("topic"), c.label("group"), c.label("none")), ("q\"{},\\ \n", "", ""));
        assert_eq!(samples.sum("b", |_| true), Some(2_500.0));
        assert_eq!((samples.sum("b", |_| false), samples.sum("d", |_| true)), (Some(0.0), None));
        assert_eq!(samples.label("b", "x").as_deref(), Some("1"));
    }
}
