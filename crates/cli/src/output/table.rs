//! Columns, as kubectl prints them.

use super::printable_cell;

/// Spaces between columns.
const GAP: usize = 3;

/// A table whose columns are as wide as what is in them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a row. What would not stay in its cell is written out.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        let cells = cells
            .into_iter()
            .map(|cell| printable_cell(&cell.into()).into_owned());
        self.rows.push(cells.collect());
    }

    /// The text, a line a row, with nothing after each row's last cell.
    pub(crate) fn to_text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| width(cell))
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, column) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', column + GAP - width(cell)));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Characters; wide ones count as one, which misplaces a column and loses nothing.
fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new();
        table.row(["NAME", "AGE"]);
        table.row(["d\u{e9}mo-long", "5s"]);
        table.row(["x", ""]);
        assert_eq!(table.to_text(), "NAME        AGE\nd\u{e9}mo-long   5s\nx\n");
        assert_eq!(Table::new().to_text(), "");
    }

    #[test]
    fn what_others_wrote_stays_in_its_cell() {
        let mut table = Table::new();
        table.row(["a\u{1b}[31m", "b\nfake   row"]);
        assert_eq!(table.to_text(), "a\\u{1b}[31m   b\\nfake   row\n");
    }
}
