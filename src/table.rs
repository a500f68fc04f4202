//! Tables for people: columns as wide as their content, and the whole never wider than the terminal. Where room is short,
//! the columns that matter least are left out, and then the one of free text is cut. Pure: no I/O.

use crate::line::{Cell, Line, width};

/// Blanks between two columns.
const GAP: usize = 2;

/// How a column is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Words.
    Left,
    /// Numbers.
    Right,
    /// Free text, as the last column: cut to the room that the others leave.
    Text,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub head: &'static str,
    /// How it is filled.
    pub fill: Fill,
    /// 0 always stays. The others are left out where they are empty, and the highest first where room is short.
    pub rank: u8,
}

/// A column of words.
pub const fn left(head: &'static str, rank: u8) -> Column {
    let fill = Fill::Left;
    Column { head, fill, rank }
}

/// A column of numbers.
pub const fn right(head: &'static str, rank: u8) -> Column {
    let fill = Fill::Right;
    Column { head, fill, rank }
}

/// The column of free text.
pub const fn text(head: &'static str, rank: u8) -> Column {
    let fill = Fill::Text;
    Column { head, fill, rank }
}

/// A column in a table: where its cells are in the rows, and the cells of the terminal that it takes.
#[derive(Clone, Copy)]
struct Laid {
    index: usize,
    column: Column,
    width: usize,
}

impl Laid {
    /// What it cannot do without: free text is worth half of the line.
    fn least(&self, max: usize) -> usize {
        match self.column.fill {
            Fill::Text => self.width.min(max / 2),
            Fill::Left | Fill::Right => self.width,
        }
    }
}

/// The head and the rows, each a line of at most `max` cells.
pub fn lay_out(columns: &[Column], rows: &[Vec<Cell>], max: usize) -> Vec<Line> {
    let laid = choose(columns, rows, max);
    let heads: Vec<Cell> = columns.iter().map(|column| column.head.into()).collect();
    let rows = std::iter::once(&heads).chain(rows);
    rows.map(|row| line(&laid, row).cut(max)).collect()
}

/// The columns that find room.
fn choose(columns: &[Column], rows: &[Vec<Cell>], max: usize) -> Vec<Laid> {
    let mut laid: Vec<Laid> = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let cells = rows.iter().map(|row| width(&row[index].text));
        let widest = cells.max().unwrap_or(0);
        if widest > 0 || column.rank == 0 {
            let width = widest.max(width(column.head));
            let column = *column;
            laid.push(Laid {
                index,
                column,
                width,
            });
        }
    }
    while total(&laid, |laid| laid.least(max)) > max {
        let ranks = laid.iter().map(|laid| laid.column.rank);
        let Some(highest) = ranks.max().filter(|rank| *rank > 0) else {
            break;
        };
        let last = laid.iter().rposition(|laid| laid.column.rank == highest);
        laid.remove(last.unwrap_or_default());
    }
    let over = total(&laid, |laid| laid.width).saturating_sub(max);
    for free in laid
        .iter_mut()
        .filter(|laid| laid.column.fill == Fill::Text)
    {
        free.width = free.width.saturating_sub(over).max(1);
    }
    laid
}

fn total(laid: &[Laid], width: impl Fn(&Laid) -> usize) -> usize {
    let gaps = laid.len().saturating_sub(1) * GAP;
    laid.iter().map(width).sum::<usize>() + gaps
}

fn line(laid: &[Laid], row: &[Cell]) -> Line {
    let mut line = Line::default();
    for (place, laid) in laid.iter().enumerate() {
        let cell = &row[laid.index];
        let text = crate::line::cut(&cell.text, laid.width);
        let gap = if place == 0 { 0 } else { GAP };
        let pad = laid.width - width(&text);
        let (before, after) = match laid.column.fill {
            Fill::Right => (gap + pad, 0),
            Fill::Left | Fill::Text => (gap, pad),
        };
        line = line
            .with(" ".repeat(before))
            .with(Cell::toned(text, cell.tone))
            .with(" ".repeat(after));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: [Column; 5] = [
        right("batch", 0),
        left("status", 0),
        right("tries", 1),
        right("rate", 2),
        text("error", 0),
    ];

    fn rows() -> Vec<Vec<Cell>> {
        [
            ["1", "FAILED", "12", "3.5", "HTTP 503 Service Unavailable"],
            ["1234567", "DEAD", "1", "", "東京都は大きい"],
        ]
        .map(|row| row.map(Cell::from).to_vec())
        .to_vec()
    }

    fn shown(rows: &[Vec<Cell>], max: usize) -> Vec<String> {
        let lines = lay_out(&COLUMNS, rows, max);
        lines.iter().map(|line| line.show(false)).collect()
    }

    #[test]
    fn numbers_stand_right_and_words_left() {
        assert_eq!(
            shown(&rows(), usize::MAX),
            [
                "  batch  status  tries  rate  error",
                "      1  FAILED     12   3.5  HTTP 503 Service Unavailable",
                "1234567  DEAD        1        東京都は大きい",
            ]
        );
    }

    #[test]
    fn where_room_is_short_columns_go_by_their_rank_and_the_text_is_cut() {
        assert_eq!(
            shown(&rows(), 48),
            [
                "  batch  status  tries  error",
                "      1  FAILED     12  HTTP 503 Service Unavai…",
                "1234567  DEAD        1  東京都は大きい",
            ]
        );
        assert_eq!(
            shown(&rows(), 30),
            [
                "  batch  status  error",
                "      1  FAILED  HTTP 503 Ser…",
                "1234567  DEAD    東京都は大き…",
            ]
        );
    }

    #[test]
    fn a_column_without_content_is_left_out_unless_it_always_stays() {
        let row = ["1", "DEAD", "", "", ""].map(Cell::from).to_vec();
        assert_eq!(
            shown(&[row], usize::MAX),
            ["batch  status  error", "    1  DEAD"]
        );
        assert_eq!(shown(&[], usize::MAX), ["batch  status  error"]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            cells in prop::collection::vec(prop::array::uniform5("\\PC{0,40}"), 0..5),
            max in 1usize..100,
        ) {
            let rows: Vec<Vec<Cell>> = cells.into_iter().map(|row| row.map(Cell::from).to_vec()).collect();
            for line in lay_out(&COLUMNS, &rows, max) {
                prop_assert!(line.width() <= max);
            }
        }
    }
}
