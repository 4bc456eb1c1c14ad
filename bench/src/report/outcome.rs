//! What a part of the report found, as it is kept beside the document.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::interval::Median;

/// All that a part found in one run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// The command that finds it again.
    pub(crate) command: String,
    pub(crate) machine: Machine,
    /// How many rounds, requests and streams there were.
    pub(crate) extent: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) plots: Vec<Plot>,
}

/// What was found, but not by which command and where.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) extent: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) plots: Vec<Plot>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What the rows say.
    pub(crate) note: String,
    /// The first is that of the rows' names.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// What was promised of the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) budgets: Vec<Budget>,
}

/// How much one row may take of another, at most, and what it takes.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Budget {
    /// The row that has the budget.
    pub(crate) ours: String,
    /// The row that it is held against.
    pub(crate) of: String,
    pub(crate) at_most: f64,
    pub(crate) takes: Cell,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cells: Vec<Cell>,
}

/// One figure of a row.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Median { value: f64, low: f64, high: f64 },
    Number(f64),
    Text(String),
}

/// Curves over what grows, both axes by powers of ten.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Plot {
    /// The file's name without its ending.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) curves: Vec<Curve>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Table {
    pub(crate) fn new(title: &str, note: &str, columns: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            note: note.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
            budgets: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, name: impl Into<String>, cells: impl Into<Vec<Cell>>) {
        self.rows.push(Row {
            name: name.into(),
            cells: cells.into(),
        });
    }
}

impl Budget {
    /// Whether it is kept, as far as the interval tells.
    pub(crate) fn verdict(&self) -> &'static str {
        let (low, high) = match self.takes {
            Cell::Median { low, high, .. } => (low, high),
            Cell::Number(number) => (number, number),
            Cell::Text(_) => (f64::NAN, f64::NAN),
        };
        if high <= self.at_most {
            "met"
        } else if low > self.at_most {
            "missed"
        } else {
            "not decided"
        }
    }
}

impl From<Median> for Cell {
    fn from(Median { value, low, high }: Median) -> Self {
        Self::Median { value, low, high }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl Curve {
    /// By which power of x the curve grows: the slope of the line through its upper half, both axes by
    /// logarithms. What costs something without any x hides in the lower half.
    pub(crate) fn exponent(&self) -> f64 {
        let upper = self.points.get(self.points.len() / 2..).unwrap_or_default();
        let logs: Vec<(f64, f64)> = upper
            .iter()
            .filter(|(x, y)| *x > 0.0 && *y > 0.0)
            .map(|(x, y)| (x.ln(), y.ln()))
            .collect();
        let count = logs.len() as f64;
        let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
        let over: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let under: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        over / under
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_decided_where_the_interval_lies_on_one_side_of_it() {
        let verdict = |low, high| {
            let budget = Budget {
                ours: String::new(),
                of: String::new(),
                at_most: 0.9,
                takes: Cell::Median {
                    value: f64::midpoint(low, high),
                    low,
                    high,
                },
            };
            budget.verdict()
        };
        assert_eq!(verdict(0.7, 0.9), "met");
        assert_eq!(verdict(0.89, 0.91), "not decided");
        assert_eq!(verdict(0.91, 1.2), "missed");
    }

    #[test]
    fn what_was_kept_before_there_were_budgets_is_read() {
        let table = r#"{"title": "t", "note": "", "columns": ["", "x"], "rows": []}"#;
        let table: Table = serde_json::from_str(table).unwrap();
        assert!(table.budgets.is_empty());
        let written = serde_json::to_string(&table).unwrap();
        assert!(!written.contains("budgets"), "{written}");
    }

    #[test]
    fn a_curve_that_doubles_with_each_doubling_grows_by_the_first_power() {
        let curve = |power: f64| Curve {
            name: String::new(),
            points: (0..8)
                .map(|n| (2_f64.powi(n), 3.0 * 2_f64.powi(n).powf(power)))
                .collect(),
        };
        assert!((curve(1.0).exponent() - 1.0).abs() < 1e-9);
        assert!((curve(2.0).exponent() - 2.0).abs() < 1e-9);
    }
}
