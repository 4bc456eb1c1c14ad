use attache_harness::{HostError, Request};

use crate::guest::{Guest, guest, said, transparent};

type Tested = Result<(), HostError>;

/// What a request headers callback with this body says.
fn in_request_headers(body: &str) -> Guest {
    guest().on("request_headers", &format!("{body} i32.const 0"))
}

fn request() -> Request {
    Request::get("/")
        .header("X-Multi", "one")
        .header("x-multi", "two")
        .header("x-empty", "")
}

fn heard(body: &str) -> Vec<String> {
    let exchange = in_request_headers(body)
        .host()
        .send(request())
        .expect("a host that lives");
    said(exchange.log())
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_first_value_is_handed_out_in_any_case_of_the_name() {
    let body = "(call $tell (call $get_header_map_value (i32.const 0) s(X-mULTI) ret))";
    assert_eq!(heard(body), ["0", "one"]);
}

#[test]
fn an_empty_value_is_a_null_pointer_and_a_missing_one_is_not_found() {
    let body = "(call $tell (call $get_header_map_value (i32.const 0) s(x-empty) ret))
                (call $tell (call $get_header_map_value (i32.const 0) s(x-none) ret))";
    assert_eq!(heard(body), ["0", "null", "1", "-"]);
}

#[test]
fn host_is_the_authority() {
    let body = "(call $tell (call $get_header_map_value (i32.const 0) s(host) ret))";
    assert_eq!(heard(body), ["0", "example.com"]);
}

#[test]
fn a_map_of_another_phase_is_a_bad_argument_but_an_empty_list() {
    let body = "(call $tell (call $get_header_map_value (i32.const 2) s(x) ret))
                (call $tell (call $get_header_map_pairs (i32.const 2) ret))
                (call $say (call $get_header_map_size (i32.const 2) (i32.const 24)))
                (call $say (call $add_header_map_value (i32.const 1) s(a) s(b)))
                (call $say (call $replace_header_map_value (i32.const 2) s(a) s(b)))
                (call $say (call $remove_header_map_value (i32.const 3) s(a)))
                (call $say (call $set_header_map_pairs (i32.const 2) s()))";
    assert_eq!(
        heard(body),
        ["2", "-", "0", "null", "2", "2", "2", "2", "2"]
    );
}

#[test]
fn maps_of_calls_are_read_only_and_absent_and_an_unknown_type_is_refused() {
    let body = "(call $tell (call $get_header_map_value (i32.const 4) s(a) ret))
                (call $tell (call $get_header_map_pairs (i32.const 6) ret))
                (call $say (call $get_header_map_size (i32.const 7) (i32.const 24)))
                (call $say (call $add_header_map_value (i32.const 6) s(a) s(b)))
                (call $tell (call $get_header_map_value (i32.const 8) s(a) ret))
                (call $tell (call $get_header_map_pairs (i32.const 8) ret))";
    assert_eq!(
        heard(body),
        ["2", "-", "0", "null", "2", "2", "2", "-", "2", "-"]
    );
}

#[test]
fn the_size_counts_the_bytes_of_names_and_values() -> Tested {
    let body = "(call $say (call $get_header_map_size (i32.const 0) (i32.const 24)))
                (call $say (i32.load (i32.const 24)))";
    let exchange = in_request_headers(body).host().send(request())?;
    let mut expected = "x-envoy-expected-rq-timeout-ms15000".len();
    let sent = exchange.upstream_request().headers();
    expected = sent
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>()
        - expected;
    assert_eq!(said(exchange.log()), ["0", &expected.to_string()]);
    Ok(())
}

#[test]
fn add_appends_replace_leaves_one_and_remove_takes_all() -> Tested {
    let body = "(call $say (call $add_header_map_value (i32.const 0) s(X-Multi) s(three)))
                (call $say (call $replace_header_map_value (i32.const 0) s(x-empty) s(full)))
                (call $say (call $replace_header_map_value (i32.const 0) s(x-new) s(new)))
                (call $say (call $remove_header_map_value (i32.const 0) s(x-none)))";
    let exchange = in_request_headers(body).host().send(request())?;
    assert_eq!(said(exchange.log()), ["0", "0", "0", "0"]);
    let headers = exchange.upstream_request().headers();
    assert_eq!(
        headers.get_all("x-multi").collect::<Vec<_>>(),
        [&b"one"[..], b"two", b"three"]
    );
    assert_eq!(headers.get_all("x-empty").collect::<Vec<_>>(), [b"full"]);
    assert_eq!(headers.get("x-new"), Some(&b"new"[..]));

    let body = "(call $say (call $remove_header_map_value (i32.const 0) s(X-MULTI)))";
    let exchange = in_request_headers(body).host().send(request())?;
    assert!(
        !exchange
            .upstream_request()
            .headers()
            .contains_key("x-multi")
    );
    Ok(())
}

#[test]
fn an_added_path_is_joined_with_a_comma() -> Tested {
    let body = "(drop (call $replace_header_map_value (i32.const 0) s(:path) s(/newpath)))
                (drop (call $add_header_map_value (i32.const 0) s(:path) s(/dup)))";
    let exchange = in_request_headers(body).host().send(request())?;
    assert_eq!(exchange.upstream_request().path(), b"/newpath,/dup");
    Ok(())
}

#[test]
fn values_that_are_no_text_pass_unharmed() -> Tested {
    let body = "(call $tell (call $get_header_map_value (i32.const 0) s(x-raw) ret))
                (drop (call $add_header_map_value (i32.const 0) s(x-own) s(\\fe\\80)))";
    let exchange = in_request_headers(body)
        .host()
        .send(Request::get("/").header("x-raw", b"\xff\x80"))?;
    assert_eq!(said(exchange.log()), ["0", "\u{fffd}\u{fffd}"]);
    assert_eq!(
        exchange.upstream_request().headers().get("x-raw"),
        Some(&b"\xff\x80"[..])
    );
    assert_eq!(
        exchange.upstream_request().headers().get("x-own"),
        Some(&b"\xfe\x80"[..])
    );
    Ok(())
}

#[test]
fn the_pairs_of_a_map_can_be_given_back() -> Tested {
    let body = "(drop (call $get_header_map_pairs (i32.const 0) ret))
                (call $say (call $set_header_map_pairs (i32.const 0) (i32.load (i32.const 16)) (i32.load (i32.const 20))))";
    let exchange = in_request_headers(body).host().send(request())?;
    assert_eq!(said(exchange.log()), ["0"]);
    let untouched = transparent().host().send(request())?;
    assert_eq!(
        exchange.upstream_request().headers(),
        untouched.upstream_request().headers()
    );
    Ok(())
}

#[test]
fn garbage_for_pairs_wipes_the_map_and_the_request_has_no_route() -> Tested {
    let body = "(call $say (call $set_header_map_pairs (i32.const 0) s(garbage)))
                (call $tell (call $get_header_map_pairs (i32.const 0) ret))";
    let exchange = in_request_headers(body).host().send(request())?;
    assert_eq!(said(exchange.log()), ["0", "0", "null"]);
    assert!(exchange.try_upstream_request().is_none());
    assert_eq!(
        (exchange.response().status(), exchange.details()),
        (404, Some("route_not_found"))
    );
    Ok(())
}

#[test]
fn pointers_out_of_memory_are_told() {
    let body = "(call $tell (call $get_header_map_value (i32.const 0) (i32.const 0x7fffffff) (i32.const 9) ret))
                (call $say (call $get_header_map_value (i32.const 0) s(x-multi) (i32.const 0x7fffffff) (i32.const 20)))
                (call $say (call $log (i32.const 2) (i32.const 131072) (i32.const 1)))
                (call $say (call $log (i32.const 6) s(x)))";
    assert_eq!(heard(body), ["6", "-", "6", "6", "2"]);
}

#[test]
fn an_allocator_that_gives_nothing_is_told() -> Tested {
    let wat = r#"(module
      (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "host")
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "malloc") (param i32) (result i32) i32.const 0)
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $reply (call $get (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 12))
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))))"#;
    let plugin =
        attache_harness::Plugin::from_bytes("stingy", wat::parse_str(wat).expect("a module"));
    let exchange = attache_harness::Host::with(plugin)?.send(Request::get("/"))?;
    assert_eq!(exchange.response().status(), 6);
    Ok(())
}

#[test]
fn headers_are_gone_once_their_callback_has_continued() -> Tested {
    let guest = guest().on("request_headers", "i32.const 0").on(
        "request_body",
        "(call $tell (call $get_header_map_value (i32.const 0) s(x-multi) ret))
         (call $tell (call $get_header_map_pairs (i32.const 0) ret))
         (call $say (call $add_header_map_value (i32.const 0) s(a) s(b))) i32.const 0",
    );
    let exchange = guest
        .host()
        .send(Request::post("/").header("x-multi", "1").chunk("body"))?;
    assert_eq!(said(exchange.log())[..5], ["2", "-", "0", "null", "2"]);
    Ok(())
}

#[test]
fn response_headers_are_writable_in_their_callback() -> Tested {
    let guest = guest().on(
        "response_headers",
        "(call $tell (call $get_header_map_value (i32.const 2) s(:status) ret))
         (call $tell (call $get_header_map_value (i32.const 0) s(:path) ret))
         (call $say (call $add_header_map_value (i32.const 2) s(x-by) s(guest))) i32.const 0",
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["0", "200", "2", "-", "0"]);
    assert_eq!(
        exchange.response().headers().get("x-by"),
        Some(&b"guest"[..])
    );
    Ok(())
}

#[test]
fn in_the_log_headers_can_be_read_and_nothing_be_changed() -> Tested {
    let guest = guest().on(
        "log",
        "(call $tell (call $get_header_map_value (i32.const 0) s(x-envoy-expected-rq-timeout-ms) ret))
         (call $tell (call $get_header_map_value (i32.const 2) s(server) ret))
         (call $tell (call $get_header_map_value (i32.const 1) s(t) ret))
         (call $tell (call $get_header_map_pairs (i32.const 1) ret))
         (call $say (call $add_header_map_value (i32.const 0) s(a) s(b)))",
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        ["0", "15000", "0", "envoy", "1", "-", "0", "null", "2"]
    );
    Ok(())
}

#[test]
fn in_done_and_delete_the_maps_are_gone() -> Tested {
    let ask = "(call $tell (call $get_header_map_value (i32.const 0) s(:path) ret))
               (call $tell (call $get_header_map_pairs (i32.const 2) ret))";
    let guest = guest()
        .on("done", &format!("{ask} i32.const 1"))
        .on("delete", ask);
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        ["2", "-", "0", "null", "2", "-", "0", "null"]
    );
    Ok(())
}

#[test]
fn trailers_can_be_read_changed_and_added() -> Tested {
    let guest = guest().on(
        "request_trailers",
        "(call $tell (call $get_header_map_value (i32.const 1) s(t) ret))
         (call $say (call $add_header_map_value (i32.const 1) s(u) s(2))) i32.const 0",
    );
    let exchange = guest
        .host()
        .send(Request::post("/").chunk("x").trailer("T", "1"))?;
    assert_eq!(said(exchange.log()), ["0", "1", "0"]);
    let trailers = exchange
        .upstream_request()
        .trailers()
        .expect("there are trailers");
    assert_eq!(format!("{trailers:?}"), r#"[("t", "1"), ("u", "2")]"#);

    let adds = crate::guest::guest().on(
        "request_body",
        "(call $tell (call $get_header_map_value (i32.const 1) s(t) ret))
         (call $say (call $add_header_map_value (i32.const 1) s(t) s(new))) i32.const 0",
    );
    let exchange = adds
        .on("request_trailers", "unreachable")
        .host()
        .send(Request::post("/").chunk("x"))?;
    assert_eq!(said(exchange.log()), ["2", "-", "2", "2", "-", "0"]);
    let trailers = exchange
        .upstream_request()
        .trailers()
        .expect("the last body callback made trailers");
    assert_eq!(format!("{trailers:?}"), r#"[("t", "new")]"#);
    Ok(())
}

#[test]
fn what_the_router_and_the_codec_cannot_take_becomes_a_reply() -> Tested {
    for (body, status, details) in [
        (
            "(drop (call $remove_header_map_value (i32.const 0) s(:path)))",
            404,
            "route_not_found",
        ),
        (
            "(drop (call $remove_header_map_value (i32.const 0) s(:method)))",
            503,
            "filter_removed_required_request_headers{missing_required_header:_:method}",
        ),
        (
            "(drop (call $add_header_map_value (i32.const 0) s(bad name) s(1)))",
            503,
            "filter_removed_required_request_headers{invalid_header_name:_bad_name}",
        ),
    ] {
        let exchange = in_request_headers(body).host().send(Request::get("/"))?;
        assert_eq!(
            (exchange.response().status(), exchange.details()),
            (status, Some(details))
        );
    }
    for change in [
        "(drop (call $remove_header_map_value (i32.const 2) s(:status)))",
        "(drop (call $replace_header_map_value (i32.const 2) s(:status) s(fine)))",
        "(drop (call $add_header_map_value (i32.const 2) s(:status) s(500)))",
    ] {
        let guest = guest().on("response_headers", &format!("{change} i32.const 0"));
        let exchange = guest.host().send(Request::get("/"))?;
        let details = "filter_removed_required_response_headers{missing_required_header:_:status}";
        assert_eq!(
            (exchange.response().status(), exchange.details()),
            (502, Some(details))
        );
    }
    Ok(())
}
