use attache_harness::{
    Attributes, Downstream, Host, HostError, LintKind, Request, Response, Tls, TrafficDirection,
};
use serde_json::json;

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
        &format!("{} i32.const 0", ask("xds.node.extensions")),
    );
    let error = guest
        .host()
        .send(Request::get("/"))
        .expect_err("not known here")
        .to_string();
    assert!(
        error.starts_with("property `xds.node.extensions` is not answered by this harness yet"),
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

#[test]
fn what_surrounds_the_filter_is_what_the_test_says() -> Tested {
    for (path, expected) in [
        ("xds.node.id", "node-1"),
        ("xds.node.metadata.team", "edge"),
        ("xds.cluster_name", "orders"),
        ("xds.cluster_metadata.filter_metadata.a.k", "cluster"),
        ("xds.virtual_host_name", "shop"),
        ("xds.route_name", "checkout"),
        ("xds.route_metadata.filter_metadata.a.list.1", "two"),
        ("xds.listener_metadata.filter_metadata.a.k", "listener"),
        ("xds.filter_chain_name", "tls"),
        ("xds.listener_direction", "\u{2}\0\0\0\0\0\0\0"),
        ("metadata.filter_metadata.jwt.sub", "ada"),
        ("filter_state.origin", "mesh"),
        ("source.address", "203.0.113.7:50000"),
        ("source.port", "P\u{fffd}\0\0\0\0\0\0"),
        ("destination.address", "[::1]:443"),
        ("connection.mtls", "\u{1}"),
        ("connection.tls_version", "TLSv1.3"),
        ("connection.requested_server_name", "shop.example.com"),
        ("connection.subject_peer_certificate", "CN=ada"),
        ("connection.uri_san_peer_certificate", "spiffe://a/b"),
        ("connection.dns_san_local_certificate", "shop"),
        ("connection.sha256_peer_certificate_digest", "00ff"),
    ] {
        let guest = guest().on("request_headers", &format!("{} i32.const 0", ask(path)));
        let attributes = Attributes::default()
            .node_id("node-1")
            .node_metadata([("team", json!("edge"))])
            .cluster_name("orders")
            .cluster_metadata("a", [("k", json!("cluster"))])
            .virtual_host_name("shop")
            .route_name("checkout")
            .route_metadata("a", [("list", json!(["one", "two"]))])
            .listener_metadata("a", [("k", json!("listener"))])
            .listener_direction(TrafficDirection::Outbound)
            .filter_chain_name("tls");
        let tls = Tls::new("TLSv1.3")
            .server_name("shop.example.com")
            .peer_subject("CN=ada")
            .peer_uri_san("spiffe://a/b")
            .peer_digest("00ff")
            .local_dns_san("shop");
        let client = Downstream::default()
            .client(([203, 0, 113, 7], 50_000))
            .server((std::net::Ipv6Addr::LOCALHOST, 443))
            .tls(tls);
        let request = Request::get("/")
            .downstream(client)
            .dynamic_metadata("jwt", [("sub", json!("ada"))])
            .filter_state("origin", "mesh");
        let mut host = Host::builder()
            .plugin(guest.plugin("guest"))
            .attributes(attributes)
            .start()?;
        let exchange = host.send(request)?;
        assert_eq!(said(exchange.log()), ["0", expected], "{path}");
    }
    Ok(())
}

#[test]
fn header_properties_go_with_the_header_maps() -> Tested {
    let path = ask("request.path");
    let size = "(call $say (call $get_property s(request\\00total_size) ret))
                (call $say (i32.load (i32.load (i32.const 16))))";
    let guest = guest()
        .on("request_headers", &format!("{path} i32.const 0"))
        .on("request_body", &format!("{path} i32.const 0"))
        .on("response_headers", &format!("{path} {size} i32.const 0"))
        .on("log", &path)
        .on(
            "done",
            &format!("{path} {} i32.const 1", ask("xds.cluster_name")),
        );
    let exchange = guest.host().send(Request::post("/a").chunk("abc"))?;
    let rqb = ["1", "-"];
    let mut expected = vec!["0", "/a"];
    expected.extend(rqb.into_iter().chain(rqb));
    expected.extend(["1", "-", "0", "3"]);
    expected.extend(["0", "/a", "1", "-", "0", "upstream"]);
    assert_eq!(said(exchange.log()), expected);
    Ok(())
}

#[test]
fn the_upstream_is_known_from_the_router_on() -> Tested {
    let both = format!(
        "{} {}",
        ask("upstream.address"),
        ask("upstream.local_address")
    );
    let guest = guest()
        .on("request_headers", &format!("{both} i32.const 0"))
        .on("request_body", &format!("{both} i32.const 0"))
        .on("response_headers", &format!("{both} i32.const 0"));
    let exchange = guest.host().send(Request::post("/a").chunk("a"))?;
    let body = ["0", "127.0.0.1:8000", "1", "-"];
    let mut expected = vec!["1", "-", "1", "-"];
    expected.extend(body.into_iter().chain(body));
    expected.extend(["0", "127.0.0.1:8000", "0", "127.0.0.1:49200"]);
    assert_eq!(said(exchange.log()), expected);
    Ok(())
}

#[test]
fn kept_values_are_filter_state_under_a_prefix_and_a_literal_key() -> Tested {
    let guest = guest()
        .on(
            "request_headers",
            "(call $say (call $set_property s(k) s(kept))) (call $say (call $set_property s() s(empty)))
             (call $say (call $set_property s(a\\00b) s(two))) (call $say (call $set_property s(request) s(shadowed)))
             i32.const 0",
        )
        .on(
            "log",
            &["k", "wasm.k", "filter_state.wasm.k", "\\00", "a.b", "request"]
                .map(|path| match path {
                    "wasm.k" => "(call $tell (call $get_property s(wasm.k) ret))".to_owned(),
                    "filter_state.wasm.k" => {
                        "(call $tell (call $get_property s(filter_state\\00wasm.k) ret))".to_owned()
                    }
                    path => ask(path),
                })
                .concat(),
        );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        [
            "0", "0", "0", "0", "0", "kept", "1", "-", "0", "kept", "0", "empty", "1", "-", "3",
            "-"
        ]
    );
    assert_eq!(exchange.filter_state("wasm.k"), Some(&b"kept"[..]));
    assert_eq!(exchange.filter_state("wasm.a\0b"), Some(&b"two"[..]));
    assert_eq!(exchange.filter_state("k"), None);
    Ok(())
}

#[test]
fn names_that_lead_elsewhere_and_headers_that_are_gone_are_lints() -> Tested {
    let guest = guest()
        .on(
            "request_headers",
            "(drop (call $get_property s(request\\00path) ret)) (drop (call $get_property s(request\\00referer) ret))
             (drop (call $set_property s(source) s(here))) i32.const 0",
        )
        .on(
            "response_headers",
            "(drop (call $get_property s(request\\00path) ret)) (drop (call $get_property s(request\\00size) ret)) i32.const 0",
        );
    let exchange = guest.host().send(Request::get("/"))?;
    let lints: Vec<LintKind> = exchange.lints().iter().map(|lint| lint.kind).collect();
    assert_eq!(
        lints,
        [
            LintKind::ShadowedProperty,
            LintKind::HeaderPropertyOutsideItsPhase
        ]
    );
    Ok(())
}
