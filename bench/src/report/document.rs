//! A part of a page as Markdown, written from what it found.

use std::fmt::Write;

use super::Part;
use super::outcome::{Budget, Cell, Outcome, Table};

/// A part of a page, whose folder has the plots.
pub(super) fn part(part: Part, outcome: &Outcome, folder: &str) -> String {
    let mut text = String::new();
    let machine = &outcome.machine;
    // A String takes all that is written.
    let _ = write!(
        &mut text,
        "## {}\n\n{}\n\n`{}`, {}: {}, {} cores, {} GiB, Linux {}, Envoy {}. {}\n\n",
        part.title(),
        part.words(),
        outcome.command,
        machine.date,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.envoy,
        outcome.extent,
    );
    for table in &outcome.tables {
        write_table(&mut text, table);
    }
    for plot in &outcome.plots {
        let curves: Vec<String> = plot
            .curves
            .iter()
            .map(|curve| format!("{} grows by x^{:.2}", curve.name, curve.exponent()))
            .collect();
        let _ = write!(
            &mut text,
            "### {}\n\n{}.\n\n![{}]({folder}/{}.svg)\n\n",
            plot.title,
            curves.join("; "),
            plot.title,
            plot.name
        );
    }
    text
}

fn write_table(text: &mut String, found: &Table) {
    let _ = write!(text, "### {}\n\n", found.title);
    if !found.note.is_empty() {
        let _ = write!(text, "{}\n\n", found.note);
    }
    text.push_str(&table(found));
    text.push('\n');
    for budget in &found.budgets {
        let _ = write!(text, "{}\n\n", told(budget));
    }
}

/// What became of a budget, as a sentence.
fn told(budget: &Budget) -> String {
    let Budget {
        ours,
        of,
        at_most,
        takes,
    } = budget;
    format!(
        "Budget: {ours} takes at most {at_most:.2} of {of}. It takes {}: {}.",
        shown(takes),
        budget.verdict()
    )
}

/// A table without its title.
pub(super) fn table(table: &Table) -> String {
    let mut text = format!("| {} |\n", table.columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(table.columns.len() - 1));
    for row in &table.rows {
        let cells: Vec<String> = row.cells.iter().map(shown).collect();
        let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
    }
    text
}

/// A figure as people read it.
pub(super) fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(number) if number.fract() == 0.0 => figure(*number, 0),
        Cell::Number(number) => figure(*number, digits(*number)),
        Cell::Median { value, low, high } => {
            let digits = digits(value.abs().max((high - low).abs()));
            let figure = |number| figure(number, digits);
            format!("{} ({} to {})", figure(*value), figure(*low), figure(*high))
        }
    }
}

fn digits(number: f64) -> usize {
    match number.abs() {
        100.0.. => 0,
        10.0..100.0 => 1,
        _ => 2,
    }
}

/// With commas between thousands.
fn figure(number: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", number.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let is_zero = text.chars().all(|sign| matches!(sign, '0' | '.'));
    let sign = if number < 0.0 && !is_zero { "-" } else { "" };
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_followed_by_its_budgets() {
        let mut table = Table::new("t", "", &["", "x"]);
        table.row("r", [Cell::Number(1.0)]);
        table.budgets.push(Budget {
            ours: "SDK".to_owned(),
            of: "bare".to_owned(),
            at_most: 0.9,
            takes: Cell::Median {
                value: 1.1,
                low: 1.0,
                high: 1.2,
            },
        });
        let mut text = String::new();
        write_table(&mut text, &table);
        let line = "Budget: SDK takes at most 0.90 of bare. It takes 1.10 (1.00 to 1.20): missed.";
        assert!(
            text.ends_with(&format!("| r | 1 |\n\n{line}\n\n")),
            "{text}"
        );
    }

    #[test]
    fn figures_are_as_fine_as_they_are_small() {
        assert_eq!(shown(&Cell::Number(1_234_567.0)), "1,234,567");
        assert_eq!(shown(&Cell::Number(12.34)), "12.3");
        assert_eq!(shown(&Cell::Number(-0.001)), "0.00");
        let median = Cell::Median {
            value: 2.5,
            low: 2.456,
            high: 2.612,
        };
        assert_eq!(shown(&median), "2.50 (2.46 to 2.61)");
    }
}
