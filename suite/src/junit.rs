//! A report as JUnit's XML, which CI systems read.
//!
//! `testsuites` has a `testsuite` for each suite, and that a `testcase` for each case and host. There is
//! no schema that all readers agree on; these elements and attributes are those that they share.

use std::fmt::Write;
use std::path::PathBuf;

use crate::report::{CaseReport, Player, Report, Verdict};

impl Report {
    /// Reports as one file of JUnit's XML: a `testcase` for each case and player. Suites that could not be
    /// played, each with the reason, are an error each.
    #[must_use]
    pub fn junit(reports: &[Self], unplayed: &[(PathBuf, String)]) -> String {
        let mut suites: String = reports.iter().map(Self::testsuite).collect();
        for (path, reason) in unplayed {
            let name = Text(&path.display().to_string()).escaped();
            let error = element("error", reason, reason);
            suites.push_str(&format!(
                "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n    \
                 <testcase classname=\"{name}\" name=\"the suite is played\">\n{error}    </testcase>\n  \
                 </testsuite>\n"
            ));
        }
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
    }

    fn testsuite(&self) -> String {
        let name = Text(&self.path.display().to_string()).escaped();
        let verdicts = || self.cases.iter().flat_map(|case| &case.verdicts);
        let count = |is: fn(&Verdict) -> bool| verdicts().filter(|(_, it)| is(it)).count();
        let cases: String = self
            .cases
            .iter()
            .map(|case| testcases(case, &name))
            .collect();
        format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n\
             {cases}  </testsuite>\n",
            verdicts().count(),
            count(|verdict| matches!(verdict, Verdict::Failed { .. })),
            count(|verdict| matches!(verdict, Verdict::Error(_))),
            count(|verdict| matches!(verdict, Verdict::Skipped(_))),
        )
    }
}

fn testcases(case: &CaseReport, suite: &str) -> String {
    let mut text = String::new();
    for (player, verdict) in &case.verdicts {
        let on = match player {
            Player::Harness => "",
            Player::Envoy => " (on Envoy)",
            Player::Comparison => " (harness against Envoy)",
        };
        let name = Text(&format!("{}{on}", case.name)).escaped();
        let inner = match verdict {
            Verdict::Passed => String::new(),
            Verdict::Skipped(reason) => {
                format!("      <skipped message=\"{}\"/>\n", Text(reason).escaped())
            }
            Verdict::Error(reason) => element("error", reason, reason),
            Verdict::Failed {
                differences,
                timeline,
            } => {
                let lines = differences.iter().map(ToString::to_string);
                let lines: Vec<String> = lines.collect();
                let mut body = lines.join("\n");
                if let Some(timeline) = timeline {
                    body = format!("{body}\n\n{timeline}");
                }
                element("failure", lines.first().map_or("", String::as_str), &body)
            }
        };
        let _ = match inner.is_empty() {
            true => writeln!(
                text,
                "    <testcase classname=\"{suite}\" name=\"{name}\"/>"
            ),
            false => write!(
                text,
                "    <testcase classname=\"{suite}\" name=\"{name}\">\n{inner}    </testcase>\n"
            ),
        };
    }
    text
}

/// An element with a line for lists, and all of it for who looks.
fn element(kind: &str, message: &str, body: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    format!(
        "      <{kind} message=\"{}\">{}</{kind}>\n",
        Text(line).escaped(),
        Text(body).escaped()
    )
}

/// A text that goes into XML.
struct Text<'a>(&'a str);

impl Text<'_> {
    /// What XML gives a meaning is written by name; what it cannot hold at all, by a mark in its place.
    fn escaped(&self) -> String {
        let mut text = String::new();
        for letter in self.0.chars() {
            match letter {
                '&' => text.push_str("&amp;"),
                '<' => text.push_str("&lt;"),
                '>' => text.push_str("&gt;"),
                '"' => text.push_str("&quot;"),
                '\t' | '\n' => text.push(letter),
                '\0'..' ' | '\u{fffe}' | '\u{ffff}' => text.push('\u{fffd}'),
                _ => text.push(letter),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut failed = CaseReport::new("a < b");
        let verdict = Verdict::Error("no \"answer\"\n\u{1}second line".to_owned());
        failed.verdicts.push((Player::Harness, verdict));
        let mut passed = CaseReport::new("passes");
        passed.verdicts.push((Player::Harness, Verdict::Passed));
        passed
            .verdicts
            .push((Player::Envoy, Verdict::Skipped("no Envoy".to_owned())));
        Report {
            path: "a&b.suite.yaml".into(),
            cases: vec![failed, passed],
            note: None,
        }
    }

    #[test]
    fn a_report_becomes_cases_of_a_suite() {
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="a&amp;b.suite.yaml" tests="3" failures="0" errors="1" skipped="1">
    <testcase classname="a&amp;b.suite.yaml" name="a &lt; b">
      <error message="no &quot;answer&quot;">no &quot;answer&quot;
�second line</error>
    </testcase>
    <testcase classname="a&amp;b.suite.yaml" name="passes"/>
    <testcase classname="a&amp;b.suite.yaml" name="passes (on Envoy)">
      <skipped message="no Envoy"/>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(Report::junit(&[report()], &[]), expected);
    }

    #[test]
    fn a_suite_that_could_not_be_played_is_an_error() {
        let unplayed = [(
            "x.suite.yaml".into(),
            "x.suite.yaml:1:1: no <cases>".to_owned(),
        )];
        let text = Report::junit(&[], &unplayed);
        assert!(
            text.contains("tests=\"1\" failures=\"0\" errors=\"1\""),
            "{text}"
        );
        assert!(
            text.contains("<error message=\"x.suite.yaml:1:1: no &lt;cases&gt;\">"),
            "{text}"
        );
    }
}
