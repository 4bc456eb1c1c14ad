//! JSON Patch (RFC 6902): all of its operations, or none.

use std::fmt;

use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::json::{self, MAX_DEPTH, Pointer, Value};

/// How deep what is patched may become on the way; what is deeper than [`MAX_DEPTH`] in the end is not
/// printed. Ending such a value needs as much of the stack.
const DEEPEST: usize = 1_000;

/// Operations in order, checked.
#[derive(Clone, Debug)]
pub struct Patch {
    operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
enum Operation {
    Add(Pointer, Value<'static>),
    Remove(Pointer),
    Replace(Pointer, Value<'static>),
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test(Pointer, Value<'static>),
}

/// Why a value is no JSON Patch, and where in it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Malformed {
    /// A JSON Pointer into the patch.
    pub place: String,
    /// Why.
    pub reason: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at `{}`", self.reason, self.place)
    }
}

impl std::error::Error for Malformed {}

impl Patch {
    /// Checks a list of operations.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn new(operations: &Value<'static>) -> Result<Self, Malformed> {
        let Some(operations) = operations.elements() else {
            return Err(Malformed {
                place: String::new(),
                reason: "expected an array of operations",
            });
        };
        let checked = operations.enumerate().map(|(index, operation)| {
            Operation::new(operation).map_err(|(name, reason)| Malformed {
                place: match name {
                    "" => format!("/{index}"),
                    name => format!("/{index}/{name}"),
                },
                reason,
            })
        });
        Ok(Self {
            operations: checked.collect::<Result<_, _>>()?,
        })
    }

    /// Changes `root`; where one operation fails, nothing is changed.
    ///
    /// # Errors
    ///
    /// [`Failure::Place`], [`Failure::Test`], [`Failure::Depth`] and [`Failure::Work`].
    pub fn apply<'a>(&self, root: &mut Value<'a>, fuel: &Fuel) -> Result<(), Failure> {
        let mut patched = root.clone();
        // At most so deep: counting after each operation would be most of the work.
        let mut depth = MAX_DEPTH;
        for operation in &self.operations {
            fuel.spend(8)?;
            operation.apply(&mut patched, fuel)?;
            depth = depth.max(operation.reach(depth));
            if depth > DEEPEST {
                depth = json::depth(&patched, DEEPEST, fuel)?;
            }
        }
        *root = patched;
        Ok(())
    }
}

impl Operation {
    /// Errors are the member's name and the reason.
    fn new(operation: &Value<'static>) -> Result<Self, (&'static str, &'static str)> {
        if !matches!(operation, Value::Object(_)) {
            return Err(("", "expected an operation, which is an object"));
        }
        let pointer = |name: &'static str| {
            let text = operation.member(name).and_then(Value::as_text);
            let text = text.ok_or((name, "expected a JSON Pointer"))?;
            Pointer::parse(&text).map_err(|_| {
                (
                    name,
                    "expected a JSON Pointer: `/a/b`, with `~0` for ~ and `~1` for /",
                )
            })
        };
        let value = || {
            let value = operation.member("value").cloned();
            value.ok_or(("value", "missing"))
        };
        let name = operation.member("op").and_then(Value::as_text);
        Ok(match name.as_deref() {
            Some("add") => Self::Add(pointer("path")?, value()?),
            Some("remove") => Self::Remove(pointer("path")?),
            Some("replace") => Self::Replace(pointer("path")?, value()?),
            Some("test") => Self::Test(pointer("path")?, value()?),
            Some("copy") => Self::Copy {
                from: pointer("from")?,
                path: pointer("path")?,
            },
            Some("move") => {
                let (from, path) = (pointer("from")?, pointer("path")?);
                if from.is_above(&path) {
                    return Err(("path", "a value cannot be moved into itself"));
                }
                Self::Move { from, path }
            }
            _ => {
                return Err((
                    "op",
                    "expected `add`, `remove`, `replace`, `move`, `copy` or `test`",
                ));
            }
        })
    }

    /// How deep what it writes may be, in a value that is at most so deep.
    fn reach(&self, depth: usize) -> usize {
        match self {
            Self::Add(path, _) | Self::Replace(path, _) => path.tokens().len() + MAX_DEPTH,
            Self::Copy { from, path } | Self::Move { from, path } => {
                path.tokens().len() + depth.saturating_sub(from.tokens().len())
            }
            Self::Remove(_) | Self::Test(..) => 0,
        }
    }

    fn apply<'a>(&self, root: &mut Value<'a>, fuel: &Fuel) -> Result<(), Failure> {
        let found = |root: &Value<'a>, pointer: &Pointer| -> Result<Value<'a>, Failure> {
            fuel.spend(pointer.tokens().len())?;
            json::get(root, pointer).cloned().ok_or(Failure::Place)
        };
        let at_least_one = |count: usize| match count {
            0 => Err(Failure::Place),
            _ => Ok(()),
        };
        match self {
            Self::Add(path, value) => at_least_one(json::add(root, path, value, fuel)?),
            Self::Remove(path) => at_least_one(json::remove(root, path, fuel)?),
            Self::Replace(path, value) => at_least_one(json::replace(root, path, value, fuel)?),
            Self::Copy { from, path } => {
                let value = found(root, from)?;
                at_least_one(json::add(root, path, &value, fuel)?)
            }
            Self::Move { from, path } => {
                let value = found(root, from)?;
                if from == path {
                    return Ok(());
                }
                json::remove(root, from, fuel)?;
                at_least_one(json::add(root, path, &value, fuel)?)
            }
            Self::Test(path, value) => {
                if json::equal(&found(root, path)?, value, fuel)? {
                    Ok(())
                } else {
                    Err(Failure::Test)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{parse, print};

    fn patched(body: &str, patch: &'static str) -> Result<String, Failure> {
        let mut value = parse(body).expect("JSON").value;
        let patch = Patch::new(&parse(patch).expect("JSON").value).expect("a patch");
        let result = patch.apply(&mut value, &Fuel::new(10_000));
        let printed = print(&value, 10_000).expect("it is small");
        if result.is_err() {
            assert_eq!(printed, body, "nothing is changed where one fails");
        }
        result.map(|()| printed)
    }

    #[test]
    fn operations_happen_in_order() {
        let body = r#"{"v": 1.0, "secret": "x", "tags": ["a", "b"]}"#;
        let patch = r#"[
            {"op": "test", "path": "/v", "value": 1},
            {"op": "remove", "path": "/secret"},
            {"op": "add", "path": "/tags/1", "value": {"x": null}},
            {"op": "move", "from": "/tags/0", "path": "/first"},
            {"op": "copy", "from": "/v", "path": "/w"},
            {"op": "replace", "path": "/tags/1", "value": []}
        ]"#;
        assert_eq!(
            patched(body, patch).as_deref(),
            Ok(r#"{"v": 1.0, "tags": [{"x": null}, []], "first": "a", "w": 1.0}"#)
        );
    }

    #[test]
    fn one_that_fails_undoes_all() {
        let remove = r#"[{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}]"#;
        assert_eq!(patched(r#"{"a":1}"#, remove), Err(Failure::Place));
        let test = r#"[{"op": "remove", "path": "/a"}, {"op": "test", "path": "/b", "value": 1}]"#;
        assert_eq!(patched(r#"{"a":1,"b":"1"}"#, test), Err(Failure::Test));
    }

    #[test]
    fn what_grows_without_end_is_stopped() {
        let mut patch = String::from(r#"[{"op": "add", "path": "/a", "value": [1, 2]}"#);
        for _ in 0..64 {
            patch.push_str(r#", {"op": "copy", "from": "/a", "path": "/a/-"}"#);
        }
        patch.push(']');
        let patch = parse(patch.leak()).expect("JSON").value;
        let patch = Patch::new(&patch).expect("a patch");
        let mut value = parse("{}").expect("JSON").value;
        patch
            .apply(&mut value, &Fuel::new(100_000))
            .expect("what is copied is shared");
        assert!(print(&value, 1 << 20).is_err());
    }

    /// A patch that copies `from` to `path` so many times.
    fn copies(count: usize, from: &str, path: &str) -> Patch {
        let copy = format!(r#"{{"op": "copy", "from": "{from}", "path": "{path}"}}"#);
        let patch = format!("[{}]", vec![copy; count].join(","));
        Patch::new(&parse(patch.leak()).expect("JSON").value).expect("a patch")
    }

    #[test]
    fn what_nests_itself_again_and_again_is_stopped() {
        let mut value = parse(r#"{"a": 1}"#).expect("JSON").value;
        let patched = copies(100_000, "", "/a").apply(&mut value, &Fuel::new(10_000_000));
        assert_eq!(patched, Err(Failure::Depth));
        assert_eq!(print(&value, 100).as_deref(), Ok(r#"{"a": 1}"#));
    }

    #[test]
    fn many_copies_that_nest_nothing_are_made() {
        let mut value = parse(r#"{"a": {"b": 1}, "c": {}}"#).expect("JSON").value;
        let patched = copies(5_000, "/a", "/c/d").apply(&mut value, &Fuel::new(1_000_000));
        assert_eq!(patched, Ok(()));
    }

    #[test]
    fn what_is_no_patch_is_refused_with_its_place() {
        for (patch, place) in [
            ("{}", ""),
            ("[1]", "/0"),
            (r#"[{"op": "spam", "path": "/a"}]"#, "/0/op"),
            (r#"[{"path": "/a"}]"#, "/0/op"),
            (r#"[{"op": "remove"}]"#, "/0/path"),
            (r#"[{"op": "remove", "path": "a"}]"#, "/0/path"),
            (r#"[{"op": "remove", "path": null}]"#, "/0/path"),
            (r#"[{"op": "add", "path": "/a"}]"#, "/0/value"),
            (r#"[{"op": "copy", "path": "/a"}]"#, "/0/from"),
            (
                r#"[{"op": "move", "from": "/a", "path": "/a/b"}]"#,
                "/0/path",
            ),
        ] {
            let refusal = Patch::new(&parse(patch).expect("JSON").value);
            assert_eq!(refusal.expect_err("refused").place, place, "{patch}");
        }
    }
}
