//! Aligned columns.

use std::fmt::Write as _;

use super::style::{Paint, Style};

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell whose text means something.
    pub(crate) fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Self { text: one_line(text.as_ref()), style }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(Style::Plain, text)
    }
}

/// Names and paths may hold anything; a line break or an escape sequence in them must not reach the terminal.
pub(crate) fn one_line(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut shown, character| {
        if character.is_control() {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
        shown
    })
}

/// A table with a head; two spaces between columns, nothing after the last.
pub(crate) fn table(paint: Paint, head: &[&str], rows: &[Vec<Cell>]) -> String {
    let head: Vec<Cell> = head.iter().map(|title| Cell::styled(Style::Head, title)).collect();
    align(paint, std::iter::once(&head).chain(rows))
}

/// Names and values, one pair a line.
pub(crate) fn fields(paint: Paint, pairs: &[(&str, Cell)]) -> String {
    let rows: Vec<Vec<Cell>> =
        pairs.iter().map(|(name, value)| vec![Cell::styled(Style::Dim, name), value.clone()]).collect();
    align(paint, &rows)
}

fn align<'a>(paint: Paint, rows: impl IntoIterator<Item = &'a Vec<Cell>>) -> String {
    let rows: Vec<&Vec<Cell>> = rows.into_iter().collect();
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let last = row.iter().rposition(|cell| !cell.text.is_empty());
        for (index, cell) in row.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
            text.push_str(&paint.paint(cell.style, &cell.text));
            if Some(index) != last {
                let _ = write!(text, "{:1$}", "", widths[index] - length(cell) + 2);
            }
        }
        text.push('\n');
    }
    text
}

fn length(cell: &Cell) -> usize {
    cell.text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_end_clean() {
        let rows = vec![
            vec![Cell::from("a"), Cell::styled(Style::Good, "running"), Cell::from("")],
            vec![Cell::from("größer"), Cell::from("x"), Cell::from("last")],
        ];
        let text = table(Paint::new(false), &["NAME", "STATE", "END"], &rows);
        assert_eq!(text, "NAME    STATE    END\na       running\ngrößer  x        last\n");
    }

    #[test]
    fn colour_does_not_count_as_width() {
        let rows = vec![vec![Cell::styled(Style::Good, "ok"), Cell::from("x")]];
        let text = table(Paint::new(true), &["A", "B"], &rows);
        assert_eq!(text, "\x1b[1mA\x1b[0m   \x1b[1mB\x1b[0m\n\x1b[32mok\x1b[0m  x\n");
    }

    #[test]
    fn what_could_steer_the_terminal_is_shown_instead() {
        assert_eq!(one_line("a\nb\x1b[2J c"), "a\\nb\\u{1b}[2J c");
        assert_eq!(one_line("plain ü"), "plain ü");
    }
}
