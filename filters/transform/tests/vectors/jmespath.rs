use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use transform::Fuel;
use transform::jmespath::{Dialect, Expression};
use transform::json::{Value, equal, parse};

/// Whether the orders of an object's values and keys, which the specification leaves open, are all that
/// differs.
fn is_unordered(expression: &str) -> bool {
    expression.contains('*') || expression.starts_with("keys(") || expression.starts_with("values(")
}

fn same(expression: &str, found: &Value<'_>, expected: &Value<'_>, fuel: &Fuel) -> bool {
    if equal(found, expected, fuel) == Ok(true) {
        return true;
    }
    let (Some(found), Some(expected)) = (found.elements(), expected.elements()) else {
        return false;
    };
    let expected: Vec<_> = expected.collect();
    is_unordered(expression)
        && found.len() == expected.len()
        && found.into_iter().all(|found| {
            expected
                .iter()
                .any(|expected| equal(found, expected, fuel) == Ok(true))
        })
}

fn holds(given: &Value<'static>, case: &Value<'static>) -> Result<(), String> {
    let expression = case.member("expression").and_then(Value::as_text);
    let expression = expression.ok_or("no expression")?;
    let fuel = Fuel::new(Fuel::MESSAGE);
    let found = Expression::parse(&expression, Dialect::Standard)
        .map_err(|fault| fault.to_string())
        .and_then(|parsed| {
            let found = parsed.search(given, &fuel);
            found.map_err(|failure| failure.to_string())
        });
    let what = |why: String| format!("`{expression}`: {why}");
    match (case.member("error"), case.member("result"), found) {
        (Some(_), _, Err(_)) | (None, None, Ok(_)) => Ok(()),
        (None, Some(expected), Ok(found)) if same(&expression, &found, expected, &fuel) => Ok(()),
        (_, _, found) => Err(what(format!("{found:?}"))),
    }
}

/// The folder that `.ci/jmespath` prints.
fn folder() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/jmespath");
    let output = Command::new(script).stderr(Stdio::inherit()).output();
    let output = output.expect(".ci/jmespath runs");
    assert!(output.status.success(), ".ci/jmespath finds no tests");
    let folder = String::from_utf8(output.stdout).expect("a path");
    PathBuf::from(folder.trim_end())
}

#[test]
#[ignore = "needs the tests of JMESPath, which .ci/jmespath fetches"]
fn the_compliance_tests_of_jmespath_hold() {
    let mut count = 0;
    let mut faults = Vec::new();
    for (name, text) in crate::files(&folder()) {
        let suites = parse(text.leak()).expect("the file is JSON").value;
        for suite in suites.elements().expect("a list") {
            let given = suite.member("given").expect("what is searched in");
            let cases = suite.member("cases").and_then(Value::elements);
            for case in cases.expect("a list") {
                // Of those, only the time is looked at; some are no expressions.
                if case.member("bench").is_some() {
                    continue;
                }
                count += 1;
                if let Err(why) = holds(given, case) {
                    faults.push(format!("{name}: {why}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 800, "only {count} cases");
}
