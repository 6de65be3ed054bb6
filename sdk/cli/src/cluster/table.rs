//! Tables for people: columns as wide as they need, numbers to the right.

use std::fmt::Write as _;

use crate::out;

/// Rows of texts under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|c| (*c).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl ToString>) {
        self.rows
            .push(cells.into_iter().map(|c| out::foreign(&c.to_string()).into_owned()).collect());
    }

    /// Whether there is nothing under the heading.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, at: usize| row.get(at).map_or("", String::as_str).to_owned();
        let widths: Vec<usize> = (0..columns)
            .map(|at| self.rows.iter().map(|r| cell(r, at).chars().count()).max().unwrap_or(0))
            .collect();
        let is_number = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || "-.,%x".contains(c))
        };
        // A column of numbers stands to the right, its heading too.
        let numbers: Vec<bool> = (0..columns)
            .map(|at| self.rows.len() > 1 && self.rows[1..].iter().all(|r| is_number(&cell(r, at))))
            .collect();
        for row in &self.rows {
            let mut out = String::new();
            for (at, width) in widths.iter().enumerate() {
                let text = cell(row, at);
                if numbers[at] {
                    write!(out, "{text:>width$}  ")?;
                } else {
                    write!(out, "{text:<width$}  ")?;
                }
            }
            writeln!(f, "{}", out.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let mut table = Table::new(&["topic", "lag"]);
        table.row(["a-long-topic", "7"]);
        table.row(["b", "12345"]);
        assert_eq!(
            table.to_string(),
            "topic           lag\na-long-topic      7\nb             12345\n"
        );
    }
}
