use super::*;
use crate::config::Config;
use crate::plan::Plan;

fn plan(config: &str) -> Plan {
    let config: Config = serde_json::from_str(config).expect("a configuration");
    Plan::new(&config).expect("it can work")
}

fn post(content_type: &str, headers: &[(&str, &str)]) -> Head {
    let mut head = Head {
        method: b"POST".to_vec(),
        path: b"/v1/a?x=1".to_vec(),
        ..Head::default()
    };
    head.append("content-type", content_type.as_bytes());
    for (name, value) in headers {
        head.append(name, value.as_bytes());
    }
    head
}

fn changed(plan: &Plan, head: &mut Head, body: &[u8]) -> Outcome {
    let task = Task::new(&plan.request, head, None).expect("a rule applies");
    task.change(head, body, Part::Whole)
}

fn text(outcome: Outcome) -> String {
    match outcome {
        Outcome::Done(Some(body)) => String::from_utf8(body).expect("text"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_body_is_changed_and_the_rest_of_it_kept() {
    let plan = plan(
        r#"{"request": {"body": {"hold_headers": true}, "rules": [{"steps": [
            {"op": "replace", "body": "/user/role", "value": "guest"},
            {"op": "copy", "from": {"body": "/model"}, "to": {"header": "x-model"}},
            {"op": "set", "body": "/tenant", "value": "{{ headers['x-tenant'] }}"},
            {"op": "remove", "body": "/secret"}
        ]}]}}"#,
    );
    let mut head = post(
        "application/json",
        &[("x-tenant", "acme"), ("etag", "\"1\"")],
    );
    let body = r#"{"model": "m-1", "n": 1.0, "secret": 1, "user": {"role": "admin", "id": 12345678901234567890}}"#;
    assert_eq!(
        text(changed(&plan, &mut head, body.as_bytes())),
        r#"{"model": "m-1", "n": 1.0, "user": {"role": "guest", "id": 12345678901234567890}, "tenant": "acme"}"#
    );
    assert_eq!(head.joined("x-model").as_deref(), Some(&b"m-1"[..]));
    assert!(!head.has("etag"));
}

#[test]
fn conditions_look_at_the_message_as_it_came() {
    let plan = plan(
        r#"{"request": {"rules": [
            {"match": {"body": {"/kind": [{"exact": "a"}]}},
             "steps": [{"op": "set", "body": "/kind", "value": "b"}]},
            {"match": {"body": {"/kind": [{"exact": "b"}]}},
             "steps": [{"op": "set", "body": "/second", "value": true}]},
            {"match": {"body": {"/n": [{"exact": "1"}], "/x": [{"present_match": false}]}},
             "steps": [{"op": "add", "body": "/n1", "value": {"a": [1.5, null]}}]}
        ]}}"#,
    );
    let mut head = post("application/json", &[]);
    assert_eq!(
        text(changed(&plan, &mut head, br#"{"kind":"a","n":1}"#)),
        r#"{"kind":"b","n":1,"n1":{"a":[1.5,null]}}"#
    );
    assert_eq!(
        changed(&plan, &mut head, br#"{"kind":"c"}"#),
        Outcome::Done(None)
    );
}

#[test]
fn a_form_keeps_the_bytes_of_what_is_not_changed() {
    let plan = plan(
        r#"{"request": {"body": {"hold_headers": true}, "rules": [{"steps": [
            {"op": "remove", "body": "/password"},
            {"op": "set", "body": "/role", "value": "a b"},
            {"op": "rename", "body": "/u", "to": "user"},
            {"op": "copy", "from": {"body": "/id"}, "to": {"query": "id"}}
        ]}]}}"#,
    );
    let mut head = post("application/x-www-form-urlencoded", &[]);
    assert_eq!(
        text(changed(
            &plan,
            &mut head,
            b"a&u=%2b+x&password=1&=&id=1%262&%70assword=2"
        )),
        "a&user=%2b+x&=&id=1%262&role=a%20b"
    );
    assert_eq!(head.path, b"/v1/a?x=1&id=1%262");
}

#[test]
fn what_a_step_cannot_do_leaves_the_message_as_it_was() {
    let plan = plan(
        r#"{"request": {"body": {"hold_headers": true}, "rules": [{"steps": [
            {"op": "set", "header": "x-a", "value": "1"},
            {"op": "copy", "from": {"body": "/name"}, "to": {"header": "x-name"}},
            {"op": "patch", "body_patch": [{"op": "test", "path": "/v", "value": 1}]}
        ]}]}}"#,
    );
    for (body, failure) in [
        (
            r#"{"v": 1, "name": "a\r\nset-cookie: x"}"#,
            Failure::HeaderValue,
        ),
        (r#"{"v": 1, "name": "a\u0000"}"#, Failure::HeaderValue),
        (r#"{"v": 2}"#, Failure::Test),
        (r#"{}"#, Failure::Place),
    ] {
        let mut head = post("application/json", &[]);
        let before = head.clone();
        assert_eq!(
            changed(&plan, &mut head, body.as_bytes()),
            Outcome::Failed(failure),
            "{body}"
        );
        assert_eq!(head, before);
    }
}

#[test]
fn bodies_make_new_ones() {
    let plan = |step: &str| {
        plan(&format!(
            r#"{{"request": {{"body": {{"max_bytes": 200}}, "rules": [{{"steps": [{step}]}}]}}}}"#
        ))
    };
    let body = br#"{"id": 7, "items": [{"name": "a", "x": 1}, {"name": "b"}], "s": "q\"\n"}"#;
    for (step, becomes) in [
        (
            r#"{"op": "select", "body_jmespath": "{id: id, items: items[].name}"}"#,
            r#"{"id":7,"items":["a","b"]}"#,
        ),
        (
            r#"{"op": "template", "body": "{\"wrapped\": {{ body | tojson }}, \"s\": {{ body.s | tojson }}, \"none\": {{ body.x }}}"}"#,
            r#"{"wrapped":{"id":7,"items":[{"name":"a","x":1},{"name":"b"}],"s":"q\"\n"},"s":"q\"\n","none":null}"#,
        ),
        (
            r#"{"op": "keep", "body": ["/id", "/items/name"]}"#,
            r#"{"id": 7, "items": [{"name": "a"}, {"name": "b"}]}"#,
        ),
        (
            r#"{"op": "move", "from": {"body": "/items/0/name"}, "to": {"body": "/first/name"}}"#,
            r#"{"id": 7, "items": [{"x": 1}, {"name": "b"}], "s": "q\"\n", "first": {"name":"a"}}"#,
        ),
        (
            r#"{"op": "set", "body": "/id", "value": "{{ length(body.items) }}"}"#,
            r#"{"id": 2, "items": [{"name": "a", "x": 1}, {"name": "b"}], "s": "q\"\n"}"#,
        ),
        (
            r#"{"op": "template", "body": "{\"s\": \"{{ body.s }}\"}"}"#,
            r#"{"s":"q\"\n"}"#,
        ),
        (
            r#"{"op": "template", "body": "{ {{ body.id }} }"}"#,
            "Failed(Template)",
        ),
        (
            r#"{"op": "add", "body": "/items/-", "value": "{{ join('', ['0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789', '0123456789']) }}"}"#,
            "Large",
        ),
    ] {
        let mut head = post("application/json", &[]);
        assert_eq!(
            text(changed(&plan(step), &mut head, body)),
            becomes,
            "{step}"
        );
    }
}

#[test]
fn compressed_bodies_are_read() {
    let config = |recompress: &str| {
        plan(&format!(
            r#"{{"request": {{"body": {{"hold_headers": true, "recompress": "{recompress}"}},
                "rules": [{{"steps": [{{"op": "remove", "body": "/a"}}]}}]}}}}"#
        ))
    };
    let body = coding::gzip(br#"{"a":1,"b":2}"#);
    let mut head = post("application/json", &[("content-encoding", "gzip")]);
    assert_eq!(
        text(changed(&config("identity"), &mut head, &body)),
        r#"{"b":2}"#
    );
    assert!(!head.has("content-encoding"));

    let twice = coding::gzip(&body);
    let mut head = post("application/json", &[("content-encoding", "gzip, x-gzip")]);
    let outcome = changed(&config("gzip"), &mut head, &twice);
    assert_eq!(outcome, Outcome::Done(Some(coding::gzip(br#"{"b":2}"#))));
    assert_eq!(
        head.joined("content-encoding").as_deref(),
        Some(&b"gzip"[..])
    );

    let mut head = post("application/json", &[("content-encoding", "br")]);
    assert_eq!(
        changed(&config("identity"), &mut head, &body),
        Outcome::Unreadable
    );
    let bomb = coding::gzip(&vec![b' '; 2 << 20]);
    let mut head = post("application/json", &[("content-encoding", "gzip")]);
    assert_eq!(
        changed(&config("identity"), &mut head, &bomb),
        Outcome::Large
    );
    // What is not changed goes on as it came, compressed.
    let kept = coding::gzip(br#"{"b":2}"#);
    assert_eq!(
        changed(&config("identity"), &mut head, &kept),
        Outcome::Done(None)
    );
    assert!(head.has("content-encoding"));
}

#[test]
fn paths_change_and_values_stay_one_segment() {
    let plan = |step: &str| {
        plan(&format!(
            r#"{{"request": {{"rules": [{{"steps": [{step}]}}]}}}}"#
        ))
    };
    let path = |step: &str, path: &str| {
        let mut head = post("a/b", &[("x-id", "7"), ("x-two", "1")]);
        head.append("x-two", b"2");
        head.path = path.into();
        let plan = plan(step);
        let task = Task::new(&plan.request, &head, None).expect("a rule applies");
        match task.change_head(&mut head, Part::Whole) {
            Ok(()) => String::from_utf8(head.path).expect("text"),
            Err(failure) => format!("{failure:?}"),
        }
    };
    let regex = r#"{"op": "replace", "path": {"regex": "^/v1/(.*)$", "substitution": "/$1"}}"#;
    let prefix = r#"{"op": "replace", "path": {"prefix": "/v1", "substitution": "/"}}"#;
    let deeper = r#"{"op": "replace", "path": {"prefix": "/v1/", "substitution": "/api"}}"#;
    let set = r#"{"op": "set", "path": "/t/{{ headers['x-id'] }}/{{ query.q || 'none' }}"}"#;
    for (step, came, goes) in [
        (regex, "/v1/a?b=/v1/c", "/a?b=/v1/c"),
        (regex, "/v2/a", "/v2/a"),
        (regex, "/v1//a", "Path"),
        (regex, "/v1/", "/"),
        (regex, "*", "*"),
        (prefix, "/v1/a/b?c", "/a/b?c"),
        (prefix, "/v1", "/"),
        (prefix, "/v1x", "/v1x"),
        (deeper, "/v1/a", "/api/a"),
        (deeper, "/v1/", "/api/"),
        (set, "/x?q=a+b%3fc", "/t/7/a%20b%3Fc?q=a+b%3fc"),
        (set, "/x?a", "/t/7/none?a"),
        // A slash that is encoded is in doubt, and the client sent none.
        (set, "/x?q=%2e%2e%2fy", "Path"),
        (set, "/x?q=%2e%2e", "Path"),
    ] {
        assert_eq!(path(step, came), goes, "{step} {came}");
    }
    let two = r#"{"op": "set", "path": "/{{ headers['x-two'] }}"}"#;
    assert_eq!(path(two, "/?a"), "/1%2C%202?a");
    let query =
        r#"{"op": "add", "query": "t", "value": "{{ headers['x-id'] }}", "if_absent": true}"#;
    assert_eq!(path(query, "/?a&&b=+"), "/?a&&b=+&t=7");
    assert_eq!(path(query, "/?%74"), "/?%74");
    let missing = r#"{"op": "add", "query": "t", "value": "{{ headers['x-none'] }}"}"#;
    assert_eq!(path(missing, "/?a"), "/?a");
}

#[test]
fn headers_change() {
    let plan = plan(
        r#"{"request": {"rules": [{"steps": [
            {"op": "remove", "header": "X-Debug"},
            {"op": "rename", "header": "x-old", "to": "x-new"},
            {"op": "add", "header": "x-more", "value": 2},
            {"op": "replace", "header": "x-none", "value": "a"},
            {"op": "set", "header": "x-set", "value": "{{ method }} {{ path }} {{ headers.host }}"},
            {"op": "copy", "from": {"query": "x"}, "to": {"header": "x-x"}},
            {"op": "move", "from": {"header": "x-bytes"}, "to": {"header": "x-moved"}}
        ]}]}}"#,
    );
    let mut head = post(
        "a/b",
        &[
            ("x-debug", "1"),
            ("x-old", "1"),
            ("x-new", "forged"),
            ("x-old", "2"),
            ("x-more", "1"),
            ("host", "h"),
        ],
    );
    head.append("x-debug", b"2");
    head.append("x-bytes", b"\xff\xfe");
    let task = Task::new(&plan.request, &head, None).expect("a rule applies");
    task.change_head(&mut head, Part::Whole)
        .expect("steps that work");
    let left: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    assert_eq!(
        left,
        [
            "content-type: a/b",
            "x-new: 1",
            "x-new: 2",
            "x-more: 1",
            "host: h",
            "x-more: 2",
            "x-set: POST /v1/a h",
            "x-x: 1",
            "x-moved: \\xff\\xfe",
        ]
    );
}

/// What follows from a seed (an LCG, by its upper bits).
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn document(&mut self, depth: usize) -> String {
        let kind = if depth > 3 { 2 } else { self.below(4) };
        if kind == 2 {
            return self
                .of(&["1", "\"x\"", "null", "true", "[ ]", "{}"])
                .to_owned();
        }
        let count = self.below(4);
        let mut parts = Vec::new();
        for _ in 0..count {
            let value = self.document(depth + 1);
            parts.push(match kind {
                0 | 3 => format!(
                    "{}: {value}",
                    self.of(&["\"a\"", "\"b\"", "\"c\"", "\"\\u0061\""])
                ),
                _ => value,
            });
        }
        match kind {
            0 | 3 => format!("{{{}}}", parts.join(", ")),
            _ => format!("[{} ]", parts.join(",")),
        }
    }

    fn pointer(&mut self) -> String {
        let depth = 1 + self.below(3);
        let tokens = (0..depth).map(|_| format!("/{}", self.of(&["a", "b", "c", "0", "1", "-"])));
        tokens.collect()
    }

    fn step(&mut self) -> String {
        let (at, other) = (self.pointer(), self.pointer());
        let value = self.of(&["1", "{\"a\": [2]}", "[{\"b\": 3}, 4]"]);
        match self.below(7) {
            0 => format!(r#"{{"op": "remove", "body": "{at}"}}"#),
            1 => format!(r#"{{"op": "replace", "body": "{at}", "value": {value}}}"#),
            2 => format!(r#"{{"op": "set", "body": "{at}", "value": {value}}}"#),
            3 => format!(r#"{{"op": "add", "body": "{at}", "value": {value}}}"#),
            4 => format!(r#"{{"op": "rename", "body": "{at}", "to": "c"}}"#),
            5 => format!(
                r#"{{"op": "copy", "from": {{"body": "{at}"}}, "to": {{"body": "{other}"}}}}"#
            ),
            _ => format!(
                r#"{{"op": "move", "from": {{"body": "{at}"}}, "to": {{"body": "{other}"}}}}"#
            ),
        }
    }
}

#[test]
fn what_is_read_in_part_becomes_what_it_becomes_read_whole() {
    let mut draws = Draws(7);
    let (mut compared, mut differing) = (0, 0);
    for _ in 0..4_000 {
        let steps: Vec<String> = (0..=draws.below(3)).map(|_| draws.step()).collect();
        let mut condition = String::new();
        if draws.below(3) == 0 {
            let at = draws.pointer();
            condition = format!(r#""match": {{"body": {{"{at}": [{{"exact": "x"}}]}}}},"#);
        }
        let config = |more: &str| {
            format!(
                r#"{{"request": {{"body": {{"hold_headers": true}}, "rules": [
                    {{{condition} "steps": [{}]}}{more}]}}}}"#,
                steps.join(", ")
            )
        };
        // What an expression looks at is not known beforehand.
        let looks = r#", {"steps": [{"op": "set", "header": "x", "value": "{{ body.x }}"}]}"#;
        let made = |text: String| {
            let config: Config = serde_json::from_str(&text).expect("a configuration");
            Plan::new(&config).ok()
        };
        // Nothing can be moved into itself.
        let (Some(parts), Some(whole)) = (made(config("")), made(config(looks))) else {
            continue;
        };
        let body = draws.document(0);
        let of = |plan: &Plan| {
            let mut head = post("application/json", &[]);
            changed(plan, &mut head, body.as_bytes())
        };
        assert_eq!(of(&parts), of(&whole), "{body} {}", config(""));
        compared += 1;
        differing += usize::from(matches!(of(&parts), Outcome::Done(Some(_))));
    }
    assert!(differing > compared / 10, "{differing} of {compared}");
}
