//! The statements of `docs/envoy-behaviour.md`, and the links of their last column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One statement of `docs/envoy-behaviour.md`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statement {
    /// What cases call it in their `covers`.
    pub id: String,
    /// Files that show it, relative to the repository, each with the words of its link.
    pub shown_by: Vec<(String, String)>,
}

/// The statements of the document, in order: the rows of its tables whose first cell is an id.
#[must_use]
pub fn statements(document: &str) -> Vec<Statement> {
    let rows = document.lines().filter_map(row);
    rows.map(|(id, _, shown_by)| Statement {
        id: id.to_owned(),
        shown_by: links(shown_by),
    })
    .collect()
}

/// The document with links to the suites whose cases cover each statement. Links to anything else stay,
/// behind them.
#[must_use]
pub fn with_links(document: &str, covered: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut written = String::new();
    for line in document.lines() {
        match row(line) {
            None => written.push_str(line),
            Some((id, behaviour, shown_by)) => {
                let suites = covered.get(id).into_iter().flatten();
                let suites = suites.map(|name| {
                    let path = format!("conformance/suites/{name}.suite.yaml");
                    (name.clone(), path)
                });
                let others = links(shown_by)
                    .into_iter()
                    .filter(|(_, path)| !path.starts_with("conformance/suites/"));
                let cell: Vec<String> = suites
                    .chain(others)
                    .map(|(words, path)| format!("[{words}](../{path})"))
                    .collect();
                let _ = write!(written, "| `{id}` | {behaviour} | {} |", cell.join(", "));
            }
        }
        written.push('\n');
    }
    written
}

/// Id, behaviour and links of a row.
fn row(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.strip_prefix("| `")?.strip_suffix(" |")?;
    let (id, rest) = line.split_once("` | ")?;
    let (behaviour, links) = rest.rsplit_once(" |")?;
    id.contains('/')
        .then(|| (id, behaviour.trim_end(), links.trim_start()))
}

/// The words and the path of each link of a cell.
fn links(cell: &str) -> Vec<(String, String)> {
    let links = cell.split("](../").collect::<Vec<_>>();
    links
        .windows(2)
        .filter_map(|pair| {
            let words = pair[0].rsplit('[').next()?;
            let (path, _) = pair[1].split_once(')')?;
            Some((words.to_owned(), path.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# Title\n\n| id | behaviour | shown by |\n|---|---|---|\n\
        | `a/b` | Does `x`, see (y). | [old](../conformance/suites/old.suite.yaml), [a_test](../t/a.rs) |\n\
        | `c/d` | Nothing. |  |\n";

    #[test]
    fn rows_with_an_id_are_statements() {
        let statements = statements(DOCUMENT);
        let ids: Vec<&str> = statements.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["a/b", "c/d"]);
        let shown = |words: &str, path: &str| (words.to_owned(), path.to_owned());
        assert_eq!(
            statements[0].shown_by,
            [
                shown("old", "conformance/suites/old.suite.yaml"),
                shown("a_test", "t/a.rs")
            ]
        );
        assert_eq!(statements[1].shown_by, []);
    }

    #[test]
    fn links_to_suites_are_those_that_cover_and_others_stay() {
        let suites = ["maps", "views"].map(str::to_owned).into();
        let covered = BTreeMap::from([("a/b".to_owned(), suites)]);
        let written = with_links(DOCUMENT, &covered);
        assert!(
            written.contains(
                "| `a/b` | Does `x`, see (y). | [maps](../conformance/suites/maps.suite.yaml), \
                 [views](../conformance/suites/views.suite.yaml), [a_test](../t/a.rs) |\n"
            ),
            "{written}"
        );
        assert!(written.contains("| `c/d` | Nothing. |  |\n"), "{written}");
        assert_eq!(with_links(&written, &covered), written);
    }
}
