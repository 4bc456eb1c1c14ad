//! Figures of the parts in texts that people wrote.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use super::document::{shown, table};
use super::outcome::{Cell, Outcome};

/// What was found, by the names of parts.
pub(super) type Outcomes = BTreeMap<&'static str, Outcome>;

/// The text with each `{{part|table|row|column}}` replaced by the figure; columns count from 1, without the
/// rows' names. Of a median its value alone is quoted.
pub(super) fn filled(text: &str, outcomes: &Outcomes) -> anyhow::Result<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (place, behind) = behind.split_once("}}").context("`{{` without `}}`")?;
        filled.push_str(before);
        filled.push_str(&figure(place, outcomes)?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn figure(place: &str, outcomes: &Outcomes) -> anyhow::Result<String> {
    let words: Vec<&str> = place.split('|').collect();
    let [part, table, row, column] = words[..] else {
        bail!("`{place}` is no place: expected part|table|row|column");
    };
    let Some(outcome) = outcomes.get(part) else {
        return Ok("(not measured)".to_owned());
    };
    let table = outcome.tables.iter().find(|it| it.title == table);
    let row = table.and_then(|table| table.rows.iter().find(|it| it.name == row));
    let cell = row.and_then(|row| row.cells.get(column.parse::<usize>().ok()? - 1));
    Ok(
        match cell.with_context(|| format!("nothing is at `{place}`"))? {
            Cell::Median { value, .. } => shown(&Cell::Number(*value)),
            cell => shown(cell),
        },
    )
}

/// The text with the tables of a part between its marks, `<!-- bench: part: table -->` and `<!-- bench end -->`.
pub(super) fn with_tables(text: &str, outcomes: &Outcomes) -> anyhow::Result<String> {
    const BEGIN: &str = "<!-- bench: ";
    const END: &str = "<!-- bench end -->";
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (place, behind) = behind.split_once(" -->").context("a mark without an end")?;
        let (old, behind) = behind.split_once(END).context("no `<!-- bench end -->`")?;
        let (part, title) = place.split_once(": ").context("no part and table")?;
        let found = outcomes.get(part).and_then(|outcome| {
            let mut tables = outcome.tables.iter();
            tables.find(|it| it.title == title)
        });
        let new = match found {
            Some(found) => format!("\n{}", table(found)),
            None => old.to_owned(),
        };
        made.push_str(&format!("{before}{BEGIN}{place} -->{new}{END}"));
        rest = behind;
    }
    made.push_str(rest);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::super::machine::Machine;
    use super::super::outcome::Table;
    use super::*;

    fn outcomes() -> Outcomes {
        let mut table = Table::new("t", "", &["", "µs"]);
        let median = Cell::Median {
            value: 2.5,
            low: 2.0,
            high: 3.0,
        };
        table.row("r", [median]);
        let outcome = Outcome {
            command: String::new(),
            machine: Machine {
                processor: String::new(),
                cores: 1,
                memory_gib: 1,
                kernel: String::new(),
                envoy: String::new(),
                date: String::new(),
            },
            extent: String::new(),
            tables: vec![table],
            plots: Vec::new(),
        };
        Outcomes::from([("p", outcome)])
    }

    #[test]
    fn a_figure_stands_where_it_is_quoted() {
        let text = filled("a {{p|t|r|1}} µs, {{q|t|r|1}}", &outcomes()).unwrap();
        assert_eq!(text, "a 2.50 µs, (not measured)");
        let error = filled("{{p|t|other|1}}", &outcomes()).unwrap_err();
        assert_eq!(error.to_string(), "nothing is at `p|t|other|1`");
    }

    #[test]
    fn a_table_is_put_between_its_marks_each_time() {
        let text = "x\n<!-- bench: p: t -->\nold\n<!-- bench end -->\ny\n";
        let once = with_tables(text, &outcomes()).unwrap();
        assert!(once.contains("| r | 2.50 (2.00 to 3.00) |"), "{once}");
        assert!(!once.contains("old") && once.ends_with("\ny\n"), "{once}");
        assert_eq!(with_tables(&once, &outcomes()).unwrap(), once);
    }
}
