//! A terminal's screen, as far as it takes to read what stands on it: letters, and where they stand.

use vte::{Params, Perform};
use zeroize::Zeroizing;

/// Columns of the terminal: wide enough that neither the address nor a token is broken in two.
pub const COLUMNS: u16 = 400;
/// Rows of the terminal.
pub const ROWS: u16 = 50;

const WIDTH: usize = COLUMNS as usize;
const HEIGHT: usize = ROWS as usize;

/// A row; overwritten when it goes, for it may hold a token.
type Row = Zeroizing<Vec<char>>;

/// What a piece of output did to the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that can be read.
    Nothing,
    /// A letter was written.
    Letter,
    /// The cursor went elsewhere or something was erased: what was being written is whole.
    Move,
}

/// The screen.
pub(super) struct Screen {
    rows: Vec<Row>,
    /// How far each row was ever written; behind that it is blank.
    used: Vec<usize>,
    row: usize,
    column: usize,
    saved: (usize, usize),
    change: Change,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            rows: (0..HEIGHT).map(|_| blank()).collect(),
            used: vec![0; HEIGHT],
            row: 0,
            column: 0,
            saved: (0, 0),
            change: Change::Nothing,
        }
    }

    /// What happened since this was last asked.
    pub(super) fn take_change(&mut self) -> Change {
        std::mem::replace(&mut self.change, Change::Nothing)
    }

    /// The row that the cursor is in.
    pub(super) const fn row(&self) -> usize {
        self.row
    }

    /// Whether this stands right before the cursor in its row.
    pub(super) fn ends_with(&self, words: &str) -> bool {
        let before = &self.rows[self.row][..self.column.min(WIDTH)];
        words.chars().rev().eq(before.iter().rev().copied().take(words.chars().count()))
    }

    /// How many of `letter` stand in a row right before the cursor.
    pub(super) fn run_of(&self, letter: char) -> usize {
        let before = &self.rows[self.row][..self.column.min(WIDTH)];
        before.iter().rev().take_while(|other| **other == letter).count()
    }

    /// The lines from above, without blanks at their ends. A row that is full to its end goes on in the next one. The
    /// second value is whether the cursor stands in the line.
    pub(super) fn lines(&self) -> Vec<(Zeroizing<String>, bool)> {
        let mut lines = Vec::new();
        let (mut line, mut has_cursor) = (Zeroizing::new(String::new()), false);
        for (at, row) in self.rows.iter().enumerate() {
            // Room for all of it at once: a text that grows leaves copies behind.
            if line.is_empty() {
                line.reserve_exact(self.used[at] * 4);
            } else {
                let mut longer = Zeroizing::new(String::with_capacity(line.len() + self.used[at] * 4));
                longer.push_str(&line);
                line = longer;
            }
            line.extend(row[..self.used[at]].iter());
            has_cursor |= at == self.row;
            let is_full = self.used[at] == WIDTH && row.last().is_some_and(|last| *last != ' ');
            if !is_full || at + 1 == self.rows.len() {
                let length = line.trim_end().len();
                line.truncate(length);
                lines.push((std::mem::replace(&mut line, Zeroizing::new(String::new())), has_cursor));
                has_cursor = false;
            }
        }
        lines
    }

    fn go(&mut self, row: usize, column: usize) {
        self.row = row.min(HEIGHT - 1);
        self.column = column.min(WIDTH - 1);
    }

    fn line_feed(&mut self) {
        if self.row + 1 == HEIGHT {
            self.rows.remove(0);
            self.rows.push(blank());
            self.used.rotate_left(1);
            self.used[HEIGHT - 1] = 0;
        } else {
            self.row += 1;
        }
    }

    fn erase(&mut self, row: usize, from: usize, to: usize) {
        self.rows[row][from.min(WIDTH)..to.min(WIDTH)].fill(' ');
    }

    fn erase_rows(&mut self, from: usize, to: usize) {
        (from..to).for_each(|row| self.erase(row, 0, WIDTH));
    }
}

fn blank() -> Row {
    Zeroizing::new(vec![' '; WIDTH])
}

impl Perform for Screen {
    fn print(&mut self, letter: char) {
        if self.column >= WIDTH {
            self.column = 0;
            self.line_feed();
        }
        self.rows[self.row][self.column] = letter;
        self.used[self.row] = self.used[self.row].max(self.column + 1);
        // One past the end is where the next letter goes on in the next row.
        self.column += 1;
        self.change = Change::Letter;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' | 0x0b | 0x0c => self.line_feed(),
            b'\r' => self.column = 0,
            0x08 => self.column = self.column.min(WIDTH).saturating_sub(1),
            b'\t' => self.column = ((self.column / 8 + 1) * 8).min(WIDTH - 1),
            _ => return,
        }
        self.change = Change::Move;
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        // What begins with a sign of its own steers the terminal and writes nothing.
        if !intermediates.is_empty() {
            return;
        }
        let mut given = params.iter().map(|param| usize::from(param.first().copied().unwrap_or_default()));
        let (first, second) = (given.next().unwrap_or_default(), given.next().unwrap_or_default());
        let count = first.max(1);
        let (row, column) = (self.row, self.column.min(WIDTH - 1));
        match action {
            'A' => self.go(row.saturating_sub(count), column),
            'B' | 'e' => self.go(row.saturating_add(count), column),
            'C' | 'a' => self.go(row, column.saturating_add(count)),
            'D' => self.go(row, column.saturating_sub(count)),
            'E' => self.go(row.saturating_add(count), 0),
            'F' => self.go(row.saturating_sub(count), 0),
            'G' | '`' => self.go(row, count - 1),
            'd' => self.go(count - 1, column),
            'H' | 'f' => self.go(count - 1, second.max(1) - 1),
            'J' => match first {
                0 => {
                    self.erase(row, column, WIDTH);
                    self.erase_rows(row + 1, HEIGHT);
                }
                1 => {
                    self.erase_rows(0, row);
                    self.erase(row, 0, column + 1);
                }
                _ => self.erase_rows(0, HEIGHT),
            },
            'K' => match first {
                0 => self.erase(row, column, WIDTH),
                1 => self.erase(row, 0, column + 1),
                _ => self.erase(row, 0, WIDTH),
            },
            'X' => self.erase(row, column, column.saturating_add(count)),
            's' => self.saved = (row, column),
            'u' => self.go(self.saved.0, self.saved.1),
            // Colours and the like.
            _ => return,
        }
        self.change = Change::Move;
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        if !intermediates.is_empty() {
            return;
        }
        match byte {
            b'7' => self.saved = (self.row, self.column),
            b'8' => self.go(self.saved.0, self.saved.1),
            b'D' => self.line_feed(),
            b'E' => {
                self.column = 0;
                self.line_feed();
            }
            b'M' => self.row = self.row.saturating_sub(1),
            b'c' => {
                self.erase_rows(0, HEIGHT);
                self.go(0, 0);
            }
            _ => return,
        }
        self.change = Change::Move;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> Vec<String> {
        let (mut parser, mut screen) = (vte::Parser::new(), Screen::new());
        parser.advance(&mut screen, bytes);
        let mut lines: Vec<String> = screen.lines().into_iter().map(|(line, _)| line.to_string()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    #[test]
    fn letters_stand_where_the_cursor_was() {
        assert_eq!(shown(b"a\x1b[3Cb\r\nc"), ["a   b", "c"]);
        assert_eq!(shown(b"one\r\ntwo\x1b[1A\x1b[2K\rnew"), ["new", "two"]);
        assert_eq!(shown(b"\x1b[1;32mgreen\x1b[0m \x1b]8;;https://x/\x07link\x1b]8;;\x07"), ["green link"]);
        assert_eq!(shown(b"abc\x1b[2D\x1b[K"), ["a"]);
        assert_eq!(shown(b"abc\x1b[H\x1b[2Jd"), ["d"]);
        assert_eq!(shown(b"\x1b7ab\x1b8c\x1b[2;3Hd\x1b[1Je"), ["", "   e"]);
        assert_eq!(shown("\x1b[?25l→ é".as_bytes()), ["→ é"]);
        assert_eq!(shown(b"\x1b[900;900Hx\x1b[9999A\x1b[9999Dy")[0], "y");
    }

    #[test]
    fn what_is_longer_than_a_row_is_one_line() {
        let long = "u".repeat(WIDTH + 7);
        assert_eq!(shown(format!("{long}\r\nnext").as_bytes()), [long.as_str(), "next"]);
        let exact = "u".repeat(WIDTH);
        assert_eq!(shown(format!("{exact}\r\n\r\nnext").as_bytes()), [exact.as_str(), "next"]);
    }

    #[test]
    fn rows_leave_at_the_top() {
        let many: String = (0..HEIGHT + 5).map(|line| format!("{line}\r\n")).collect();
        let lines = shown(many.as_bytes());
        assert_eq!(lines.first().map(String::as_str), Some("6"));
        assert_eq!(lines.last().map(String::as_str), Some(format!("{}", HEIGHT + 4).as_str()));
    }
}
