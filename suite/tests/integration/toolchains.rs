//! Modules of other toolchains (`fixtures/toolchains/build`) on both hosts.

use std::path::{Path, PathBuf};

use attache_suite::{Case, Ended, Filter, Message, Reply, Request, Seen, Stream};

use crate::both::check_both;

fn module(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("toolchains").join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{}: run fixtures/toolchains/build",
        path.display()
    );
    path
}

/// Requests that the filter of `fixtures/toolchains/README.md` and the published examples tell apart.
fn case(module_name: &str, root_id: &str) -> Case {
    let filter = Filter::new(root_id, module(module_name)).configured("my text");
    Case::new(filter)
        .answer(Reply::new(200).header("x-r", "r").body("a secret\n"))
        .cluster("authz", Reply::new(204))
        .request(Request::get("/orders").header("x-a", "v"))
        .request(Request::get("/deny"))
        .request(Request::get("/ask"))
        .request(Request::get("/hello"))
        .request(Request::post("/orders").chunk("body"))
}

fn play(name: &str, case: Case, check: fn(&Seen)) {
    check_both(&format!("toolchains-{name}"), (case, check));
}

fn response(stream: &Stream) -> &Message {
    match &stream.downstream {
        Ended::Answered(message) => message,
        other => panic!("{other:?}"),
    }
}

/// Status and body of every response.
fn responses(seen: &Seen) -> Vec<(&str, String)> {
    let of = |stream| {
        let message = response(stream);
        let body = String::from_utf8_lossy(&message.body).into_owned();
        (message.start.as_str(), body)
    };
    seen.streams.iter().map(of).collect()
}

/// The values of a header, in each message that is there.
fn values<'a>(messages: impl Iterator<Item = &'a Message>, name: &'a str) -> Vec<String> {
    messages
        .flat_map(|message| message.values(name))
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

fn the_filter(seen: &Seen, language: &str) {
    let capitals = |body: &str| ("200", body.to_owned());
    let denied = format!("denied by {language}\n").to_uppercase();
    let mut expected = vec![capitals("A SECRET\n"); 5];
    expected[1] = ("403", denied);
    assert_eq!(responses(seen), expected);
    assert!(seen.streams[1].upstream.is_none(), "/deny goes nowhere");
    let upstream = |name| values(seen.streams.iter().flat_map(|s| &s.upstream), name);
    assert_eq!(upstream("x-toolchain"), [language; 4]);
    assert_eq!(upstream("x-configured"), ["my text"; 4]);
    assert_eq!(upstream("x-count"), ["1", "3", "4", "5"]);
    assert_eq!(upstream("x-verdict"), ["204"], "of /ask alone");
}

fn says_in_each_response(seen: &Seen, name: &str, value: &str) {
    assert_eq!(
        responses(seen),
        vec![("200", "a secret\n".to_owned()); 5],
        "nothing else changes"
    );
    assert_eq!(
        values(seen.streams.iter().map(response), name),
        vec![value; 5]
    );
}

fn redacts(seen: &Seen) {
    let redacted = "Original message body (9 bytes) redacted.";
    assert_eq!(responses(seen), vec![("200", redacted.to_owned()); 5]);
}

fn greets(seen: &Seen) {
    let mut expected = vec![("200", "a secret\n".to_owned()); 5];
    expected[3].1 = "Hello, World!\n".to_owned();
    assert_eq!(responses(seen), expected);
    assert!(seen.streams[3].upstream.is_none(), "/hello goes nowhere");
}

/// Its SDK panics when it is asked for the context of a stream.
fn fails(seen: &Seen) {
    assert_eq!(response(&seen.streams[0]).start, "503");
    assert!(seen.streams[0].upstream.is_none());
}

/// An example that lets requests pass where the byte of another cluster is even.
fn asks(module: &str, byte: u8, check: fn(&Seen)) {
    let case = Case::new(Filter::new("filter", self::module(module)))
        .cluster("httpbin", Reply::new(200).body([byte]))
        .request(Request::get("/"));
    play(&format!("{module}-{byte}"), case, check);
}

fn grants(seen: &Seen) {
    assert_eq!(responses(seen), [("200", String::new())]);
    assert!(seen.streams[0].upstream.is_some());
    let powered = values(seen.streams.iter().map(response), "powered-by");
    assert_eq!(powered, ["proxy-wasm"]);
}

fn forbids(seen: &Seen) {
    assert_eq!(responses(seen), [("403", "Access forbidden.\n".to_owned())]);
    assert!(seen.streams[0].upstream.is_none());
}

macro_rules! played {
    ($($name:ident $root_id:literal $module:literal $check:expr;)*) => {
        $(
            #[test]
            #[ignore = "needs Envoy and the other toolchains"]
            fn $name() {
                play($module, case($module, $root_id), $check);
            }
        )*
    };
}

played! {
    c_answers_alike "filter" "c" |seen| the_filter(seen, "c");
    assemblyscript_answers_alike "filter" "assemblyscript" |seen| the_filter(seen, "assemblyscript");
    rust_on_wasip1_answers_alike "filter" "rust-wasip1" |seen| the_filter(seen, "rust-wasip1");
    go_answers_alike "filter" "go" |seen| the_filter(seen, "go");
    the_readme_of_an_sdk_answers_alike "add_header" "assemblyscript-readme"
        |seen| says_in_each_response(seen, "hello", "my text");
    a_published_example_that_rewrites_bodies_answers_alike "filter" "abi_0_1_0_http_body" redacts;
    a_published_example_that_is_configured_answers_alike "filter" "abi_0_1_0_http_config"
        |seen| says_in_each_response(seen, "custom-header", "my text");
    a_published_example_that_replies_answers_alike "filter" "abi_0_1_0_http_headers" greets;
    a_later_example_that_rewrites_bodies_answers_alike "filter" "abi_0_2_0_http_body" redacts;
    a_later_example_that_is_configured_answers_alike "filter" "abi_0_2_0_http_config"
        |seen| says_in_each_response(seen, "custom-header", "my text");
    a_later_example_that_replies_answers_alike "filter" "abi_0_2_0_http_headers" greets;
}

#[test]
#[ignore = "needs Envoy and the other toolchains"]
fn published_examples_that_ask_another_cluster_answer_alike() {
    for module in ["abi_0_1_0_http_auth_random", "abi_0_2_0_http_auth_random"] {
        asks(module, 2, grants);
        asks(module, 3, forbids);
    }
}

#[test]
#[ignore = "needs Envoy and the other toolchains"]
fn published_examples_without_stream_contexts_fail_alike() {
    for name in ["abi_0_1_0_hello_world", "abi_0_2_0_hello_world"] {
        let case = Case::new(Filter::new("filter", module(name))).request(Request::get("/"));
        play(name, case, fails);
    }
}
