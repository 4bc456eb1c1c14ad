use super::*;
use crate::json::{parse, print};

type Edit = fn(&mut Value<'_>, &Pointer, &Value<'static>, &Fuel) -> Result<usize, Failure>;

fn edited(text: &str, pointer: &str, edit: Edit) -> String {
    let mut value = parse(text).expect("JSON").value;
    let pointer = Pointer::parse(pointer).expect("a pointer");
    let new = Value::number("9");
    edit(&mut value, &pointer, &new, &Fuel::new(1_000)).expect("little work");
    print(&value, usize::MAX).expect("it is small")
}

const REMOVE: Edit = |value, pointer, _, fuel| remove(value, pointer, fuel);
const SET: Edit = |value, pointer, new, fuel| set(value, pointer, new, fuel);
const ADD: Edit = |value, pointer, new, fuel| add(value, pointer, new, fuel);
const REPLACE: Edit = |value, pointer, new, fuel| replace(value, pointer, new, fuel);
const RENAME: Edit = |value, pointer, _, fuel| rename(value, pointer, "n", fuel);

#[test]
fn white_space_around_what_goes_stays_in_shape() {
    let text = "{\n  \"a\": 1,\n  \"b\": [1, 2, 3],\n  \"c\": 3\n}";
    for (pointer, left) in [
        ("/a", "{\n  \"b\": [1, 2, 3],\n  \"c\": 3\n}"),
        ("/c", "{\n  \"a\": 1,\n  \"b\": [1, 2, 3]\n}"),
        ("/b/0", "{\n  \"a\": 1,\n  \"b\": [2, 3],\n  \"c\": 3\n}"),
        ("/b/2", "{\n  \"a\": 1,\n  \"b\": [1, 2],\n  \"c\": 3\n}"),
        ("/x", text),
        ("/b/3", text),
        ("/a/x", text),
    ] {
        assert_eq!(edited(text, pointer, REMOVE), left, "{pointer}");
    }
    assert_eq!(edited("{\n \"a\": 1\n}", "/a", REMOVE), "{}");
    assert_eq!(edited("[ 1 ]", "/0", REMOVE), "[]");
}

#[test]
fn what_is_added_looks_like_its_neighbours() {
    let text = "{\n  \"a\": 1,\n  \"b\": [1, 2]\n}";
    assert_eq!(
        edited(text, "/c", SET),
        "{\n  \"a\": 1,\n  \"b\": [1, 2],\n  \"c\": 9\n}"
    );
    assert_eq!(
        edited(text, "/b/-", ADD),
        "{\n  \"a\": 1,\n  \"b\": [1, 2, 9]\n}"
    );
    assert_eq!(edited("{ }", "/a", ADD), "{\"a\":9}");
    assert_eq!(edited("[1,2]", "/0", ADD), "[9,1,2]");
    assert_eq!(edited("[1,2]", "/0", SET), "[9,2]");
    assert_eq!(edited("[1,2]", "/3", ADD), "[1,2]");
}

#[test]
fn objects_on_the_way_are_made_by_set_alone() {
    assert_eq!(edited("{}", "/a/b", SET), "{\"a\":{\"b\":9}}");
    assert_eq!(edited("{}", "/a/b", ADD), "{}");
    assert_eq!(edited("{\"a\":1}", "/a/b", SET), "{\"a\":1}");
    assert_eq!(edited("[]", "/0/b", SET), "[]");
}

#[test]
fn keys_that_stand_there_twice_are_all_meant() {
    let text = r#"{"r":{"x":1},"r":{"x":2},"\u0072":{"x":3}}"#;
    assert_eq!(
        edited(text, "/r/x", REMOVE),
        r#"{"r":{},"r":{},"\u0072":{}}"#
    );
    assert_eq!(
        edited(text, "/r/x", REPLACE),
        r#"{"r":{"x":9},"r":{"x":9},"\u0072":{"x":9}}"#
    );
    assert_eq!(edited(text, "/r", REMOVE), "{}");
    let value = parse(text).expect("JSON").value;
    let pointer = Pointer::parse("/r/x").expect("a pointer");
    let Some(Value::Number(last)) = get(&value, &pointer) else {
        panic!("there is a number");
    };
    assert_eq!(last.as_str(), "3");
}

#[test]
fn a_new_name_takes_the_place_of_the_old_one() {
    assert_eq!(
        edited(r#"{"a": 1, "n": 2, "b": 3}"#, "/a", RENAME),
        r#"{"n": 1, "b": 3}"#
    );
    assert_eq!(edited(r#"{"n": 2}"#, "/a", RENAME), r#"{"n": 2}"#);
}

#[test]
fn what_is_not_named_goes() {
    let kept = |text: &str, pointers: &[&str]| {
        let mut value = parse(text).expect("JSON").value;
        let pointers = pointers.iter().map(|text| Pointer::parse(text));
        let pointers: Vec<Pointer> = pointers.collect::<Result<_, _>>().expect("pointers");
        keep(&mut value, &pointers, &Fuel::new(1_000)).expect("little work");
        print(&value, usize::MAX).expect("it is small")
    };
    let text = r#"{"id":1,"user":{"name":"a","key":"s"},"items":[{"id":1,"s":2},3]}"#;
    assert_eq!(
        kept(text, &["/id", "/user/name", "/items/id"]),
        r#"{"id":1,"user":{"name":"a"},"items":[{"id":1}]}"#
    );
    let text = r#"{ "error": "secret", "errors": [ "secret", [1, {"code": 2}], 3 ], "code": 4 }"#;
    assert_eq!(
        kept(text, &["/error/code", "/errors/code", "/code/x"]),
        r#"{ "errors": [ [{"code": 2}] ] }"#
    );
    assert_eq!(kept(r#"["a", 1]"#, &["/x"]), "[]");
    assert_eq!(kept("\"secret\"", &["/x"]), "null");
    assert_eq!(kept("7", &["/x", ""]), "7");
    let text = r#"{"id":1,"user":{"name":"a","key":"s"},"items":[{"id":1,"s":2},3]}"#;
    assert_eq!(kept(text, &["/user"]), r#"{"user":{"name":"a","key":"s"}}"#);
    assert_eq!(kept(text, &[""]), text);
    assert_eq!(kept(text, &["/x"]), "{}");
}

#[test]
fn work_is_bounded() {
    let text = format!("[{}1]", "1,".repeat(10_000));
    let mut value = parse(&text).expect("JSON").value;
    let pointer = Pointer::parse("/0").expect("a pointer");
    let fuel = Fuel::new(5_000);
    let mut results = (0..20).map(|_| remove(&mut value, &pointer, &fuel));
    assert!(results.any(|result| result == Err(Failure::Work)));
}
