use std::path::PathBuf;

use transform::Fuel;
use transform::json::{Value, equal, parse};
use transform::json_patch::Patch;

/// A record of the tests: what is patched, how, and what comes out or that it fails.
fn holds(record: &Value<'static>) -> Result<(), String> {
    let mut document = record.member("doc").ok_or("no doc")?.clone();
    let patch = record.member("patch").ok_or("no patch")?;
    let fuel = Fuel::new(Fuel::MESSAGE);
    let result = Patch::new(patch)
        .map_err(|malformed| malformed.to_string())
        .and_then(|patch| {
            let result = patch.apply(&mut document, &fuel);
            result.map_err(|failure| failure.to_string())
        });
    match (record.member("error"), record.member("expected"), result) {
        (Some(_), _, Err(_)) | (None, None, Ok(())) => Ok(()),
        (None, Some(expected), Ok(())) => match equal(expected, &document, &fuel) {
            Ok(true) => Ok(()),
            _ => Err(format!("became {document:?}")),
        },
        (_, _, result) => Err(format!("{result:?}")),
    }
}

#[test]
#[ignore = "needs the public test data"]
fn the_public_tests_of_json_patch_hold() {
    let mut count = 0;
    let data = std::env::var_os("ATTACHE_TEST_DATA").map(PathBuf::from);
    let data = data.expect("ATTACHE_TEST_DATA is set");
    for (name, text) in crate::files(&data.join("json-patch")) {
        let records = parse(text.leak()).expect("the file is JSON").value;
        for (index, record) in records.elements().expect("a list").enumerate() {
            let is_disabled = record.member("disabled").is_some();
            if record.member("patch").is_none() || is_disabled {
                continue;
            }
            count += 1;
            if let Err(why) = holds(record) {
                let comment = record.member("comment").and_then(Value::as_text);
                panic!("{name}, record {index}, {comment:?}: {why}");
            }
        }
    }
    assert!(count > 100, "only {count} records");
}
