use attache_harness::{Host, HostError, Request, Response};

use crate::guest::{guest, said};

type Tested = Result<(), HostError>;

fn ask(path: &str) -> String {
    format!(
        "(call $tell (call $get_property s({}) ret))",
        path.replace('.', "\\00")
    )
}

#[test]
fn texts_of_plugin_and_request_are_answered() -> Tested {
    for (path, expected) in [
        ("plugin_name", "named"),
        ("plugin_root_id", "root"),
        ("plugin_vm_id", "vm"),
        ("request.path", "/a?b=c"),
        ("request.url_path", "/a"),
        ("request.query", "b=c"),
        ("request.host", "example.com"),
        ("request.scheme", "http"),
        ("request.method", "GET"),
        ("request.protocol", "HTTP/1.1"),
        ("request.referer", "there"),
        ("request.useragent", "test"),
        ("request.headers.x-a", "1,2"),
        ("request.id", "00000000-0000-4000-8000-000000000001"),
    ] {
        let guest = guest().on("request_headers", &format!("{} i32.const 0", ask(path)));
        let plugin = guest.plugin("named").root_id("root").vm_id("vm");
        let request = Request::get("/a?b=c")
            .header("referer", "there")
            .header("user-agent", "test")
            .header("x-a", "1")
            .header("x-a", "2");
        let exchange = Host::with(plugin)?.send(request)?;
        assert_eq!(said(exchange.log()), ["0", expected], "{path}");
    }
    Ok(())
}

#[test]
fn what_is_absent_or_cannot_be_written_has_a_status() -> Tested {
    for (path, status) in [
        ("", "3"),
        ("request", "3"),
        ("xds", "3"),
        ("request.referer", "1"),
        ("request.nonsense", "1"),
        ("request.path.below", "1"),
        ("request.duration", "1"),
        ("response.code", "1"),
        ("node", "1"),
        ("cluster_name", "1"),
        ("nothing.at.all", "1"),
    ] {
        let guest = guest().on("request_headers", &format!("{} i32.const 0", ask(path)));
        assert_eq!(
            said(guest.host().send(Request::get("/"))?.log()),
            [status, "-"],
            "{path}"
        );
    }
    Ok(())
}

#[test]
fn numbers_are_eight_bytes_and_known_in_the_log() -> Tested {
    for (path, expected) in [
        ("response.code", 201),
        ("response.flags", 0),
        ("response.grpc_status", 2),
        ("response.size", 5),
        ("request.size", 3),
        ("request.duration", 0),
        ("response.backend_latency", 0),
    ] {
        let guest = guest().on(
            "log",
            &format!(
                "(call $say (call $get_property s({}) ret)) (call $say (i32.load (i32.const 20)))
                 (call $say (i32.load (i32.load (i32.const 16))))",
                path.replace('.', "\\00")
            ),
        );
        let mut host = guest.host();
        host.upstream(|_| Response::new(201).body("hello"));
        let exchange = host.send(Request::post("/").body("abc"))?;
        assert_eq!(
            said(exchange.log()),
            ["0", "8", &expected.to_string()],
            "{path}"
        );
    }
    Ok(())
}

#[test]
fn an_empty_map_is_a_count_of_zero() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(call $say (call $get_property s(response\\00headers) ret)) (call $say (i32.load (i32.const 20)))
         (call $say (i32.load (i32.load (i32.const 16)))) i32.const 0",
    );
    assert_eq!(
        said(guest.host().send(Request::get("/"))?.log()),
        ["0", "4", "0"]
    );
    Ok(())
}

#[test]
fn a_property_that_only_envoy_knows_fails_the_exchange() {
    let guest = guest().on(
        "request_headers",
        &format!("{} i32.const 0", ask("xds.cluster_name")),
    );
    let error = guest
        .host()
        .send(Request::get("/"))
        .expect_err("not known here")
        .to_string();
    assert!(
        error.starts_with("property `xds.cluster_name` is not answered by this harness yet"),
        "{error}"
    );
}

#[test]
fn a_filter_reads_what_one_before_it_kept() -> Tested {
    let keeps = guest()
        .on(
            "request_headers",
            "(call $say (call $set_property s(k) s(kept))) i32.const 0",
        )
        .on(
            "configure",
            "(call $say (call $set_property s(k) s(kept))) i32.const 1",
        );
    let reads = guest().on("log", &format!("{} {}", ask("k"), ask("k.below")));
    let mut host = Host::builder()
        .plugin(keeps.plugin("keeps"))
        .plugin(reads.plugin("reads"))
        .start()?;
    assert_eq!(said(host.log()), ["1", "1", "1"], "a root has no stream");
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["0", "0", "kept", "1", "-"]);
    Ok(())
}
