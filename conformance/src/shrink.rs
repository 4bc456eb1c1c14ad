//! Making a case that two hosts disagree about small.

use attache_suite::{SuiteError, Target};
use serde_json::Value;

use crate::batch::{is_sound, play};

/// So many smaller cases are tried at a time; they share Envoys where they can.
const AT_A_TIME: usize = 24;
/// So often, at the most.
const ROUNDS: usize = 40;

/// The smallest case that was found about which the hosts still disagree.
///
/// # Errors
///
/// [`SuiteError`], when the probe cannot be built.
pub fn shrink(
    case: &Value,
    target: &Target,
    progress: &mut dyn FnMut(usize),
) -> Result<Value, SuiteError> {
    let mut smallest = case.clone();
    let mut skip = 0;
    for _ in 0..ROUNDS {
        let candidates: Vec<Value> = smaller(&smallest)
            .into_iter()
            .filter(is_sound)
            .skip(skip)
            .take(AT_A_TIME)
            .collect();
        if candidates.is_empty() {
            break;
        }
        let outcomes = play(&candidates, target)?;
        let disagreed = candidates
            .iter()
            .zip(&outcomes)
            .filter(|(_, judged)| judged.finding.is_disagreement() && judged.known.is_empty())
            .map(|(candidate, _)| candidate)
            .min_by_key(|candidate| candidate.to_string().len());
        match disagreed {
            Some(candidate) => {
                smallest = candidate.clone();
                skip = 0;
            }
            None => skip += candidates.len(),
        }
        progress(smallest.to_string().len());
    }
    Ok(smallest)
}

/// The case without one of its parts, the largest parts first.
fn smaller(case: &Value) -> Vec<Value> {
    let mut parts = Vec::new();
    find(case, &mut String::new(), &mut parts);
    parts.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    parts
        .into_iter()
        .filter_map(|(pointer, _)| without(case, &pointer))
        .collect()
}

/// JSON Pointers of the parts of which something is true.
pub(crate) fn parts(case: &Value, which: &dyn Fn(&Value) -> bool) -> Vec<String> {
    let mut parts = Vec::new();
    find(case, &mut String::new(), &mut parts);
    let pointers = parts.into_iter().map(|(pointer, _)| pointer);
    let is_one = |pointer: &String| case.pointer(pointer).is_some_and(which);
    pointers.filter(is_one).collect()
}

/// JSON Pointers of all parts, with their sizes.
fn find(value: &Value, pointer: &mut String, parts: &mut Vec<(String, usize)>) {
    let mut child = |key: &str, value: &Value| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        parts.push((pointer.clone(), value.to_string().len()));
        find(value, pointer, parts);
        pointer.truncate(length);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| child(key, value)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| child(&index.to_string(), value)),
        _ => {}
    }
}

/// The case without one of its parts.
pub(crate) fn without(case: &Value, pointer: &str) -> Option<Value> {
    let mut case = case.clone();
    let (parent, key) = pointer.rsplit_once('/')?;
    match case.pointer_mut(parent)? {
        Value::Object(map) => map
            .remove(&key.replace("~1", "/").replace("~0", "~"))
            .map(|_| ())?,
        Value::Array(items) => {
            let index: usize = key.parse().ok()?;
            if index >= items.len() {
                return None;
            }
            items.remove(index);
        }
        _ => return None,
    }
    Some(case)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_part_is_left_out_once_the_largest_first() {
        let case = json!({ "a": [1, { "b/c": "long enough" }], "d": 2 });
        let smaller = smaller(&case);
        assert_eq!(smaller[0], json!({ "d": 2 }));
        assert!(smaller.contains(&json!({ "a": [1, {}], "d": 2 })));
        assert!(smaller.contains(&json!({ "a": [1, { "b/c": "long enough" }] })));
        assert_eq!(smaller.len(), 5);
    }
}
