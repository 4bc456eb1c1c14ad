use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::http1::Header;
use attache_envoy::{AccessEntry, Listener, Plugin, RequestId, ServerHeader, Trailers};

use crate::modules::Verdict;
use crate::running::{LIMIT, Stage, with_plugin};

#[test]
#[ignore = "needs Envoy"]
fn one_listener_has_the_plugin_and_the_other_has_not() {
    let stage = Stage::new();
    let plugin = Plugin::new("p", stage.module("one", Verdict::Accepts));
    let log = stage.folder.join("access.log");
    let listeners = [Listener::new("plain"), with_plugin(plugin)].map(|mut listener| {
        listener.access_log = Some(log.clone());
        listener.server_header = ServerHeader::Untouched;
        listener.request_id = RequestId::Untouched;
        listener
    });
    let envoy = stage.start(&stage.bootstrap(listeners.to_vec())).unwrap();

    let request = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\nX-Raw: \xc3\x28\r\nx-raw: 2\r\n\r\n";
    for (name, written) in [("plain", None), ("filtered", Some(&b"one"[..]))] {
        let address = envoy.listener_address(name).unwrap();
        let (response, received) = stage.send(address, request);
        assert_eq!(received.header("x-module").next(), written, "{name}");
        assert_eq!(
            received.header("x-raw").collect::<Vec<_>>(),
            [&b"\xc3\x28"[..], b"2"]
        );
        assert_eq!(received.header("x-request-id").count(), 0);
        assert_eq!(response.header("server").count(), 0);
        assert_eq!(response.body, received.to_text());
    }
    assert_eq!(
        envoy.stat("http.filtered.downstream_rq_2xx").unwrap(),
        Some(1)
    );
    assert_eq!(envoy.stat("no.such.stat").unwrap(), None);

    let deadline = Instant::now() + LIMIT;
    let entries = loop {
        let entries = AccessEntry::read_all(&log).unwrap();
        if entries.len() == 2 {
            break entries;
        }
        assert!(Instant::now() < deadline, "{entries:?}");
        thread::sleep(Duration::from_millis(10));
    };
    let entry = entries
        .iter()
        .find(|entry| entry.listener == "filtered")
        .unwrap();
    assert_eq!(
        (entry.method.as_deref(), entry.path.as_deref()),
        (Some("GET"), Some("/a?b=1"))
    );
    assert_eq!(
        (entry.status, entry.details.as_deref()),
        (200, Some("via_upstream"))
    );
    let (whole, before) = (entry.duration.unwrap(), entry.to_upstream.unwrap());
    assert!(
        Duration::ZERO < before && before < whole && whole < LIMIT,
        "{entry:?}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn a_configuration_reaches_the_filter_byte_for_byte() {
    for configuration in [
        "{\n  \"a\": [1, 2]\n}",
        "tabs\tand \"quotes\" \\ and 'these' # : - { % \r\n end \n",
        "größer 😀 \u{85}\u{2028}\u{feff}\u{7f}\u{1}",
        " leading\n\nand trailing ",
        "- |\n  text: |-",
        "",
    ] {
        let stage = Stage::new();
        let plugin =
            Plugin::new("p", stage.module("x", Verdict::Accepts)).configured(configuration);
        let envoy = stage
            .start(&stage.bootstrap(vec![with_plugin(plugin)]))
            .unwrap();
        let logged = format!("wasm log p p: {configuration}");
        let lines = envoy.log_lines().unwrap();
        assert!(
            lines.iter().any(|line| line.message == logged),
            "{logged:?} is not in {lines:?}"
        );
    }
}

#[test]
#[ignore = "needs Envoy"]
fn names_from_outside_stay_what_they_are() {
    let stage = Stage::new();
    let mut plugin = Plugin::new(
        "a\"b: 'c' #\\ é %REQ(X)%",
        stage.module("x", Verdict::Accepts),
    );
    plugin.environment.insert("K #\"".into(), "v: \\".into());
    plugin.allow_on_headers_stop_iteration = true;
    let mut listener = with_plugin(plugin);
    listener.name = "100% \"sure\": #1".into();
    listener.access_log = Some(stage.folder.join("access %d \"log\".json"));
    listener.buffer_limit = Some(1234);
    let envoy = stage.start(&stage.bootstrap(vec![listener])).unwrap();
    let address = envoy.listener_address("100% \"sure\": #1").unwrap();
    stage.send(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
}

#[test]
#[ignore = "needs Envoy"]
fn trailers_pass_in_both_directions_only_when_they_are_kept() {
    use attache_envoy::upstream::{Reply, Upstream};
    let mut stage = Stage::new();
    stage.upstream =
        Upstream::start(|_| Reply::new(200).body("hi").trailer("t-back", "2")).unwrap();
    let mut kept = Listener::new("kept");
    kept.trailers = Trailers::Kept;
    let envoy = stage
        .start(&stage.bootstrap(vec![Listener::new("dropped"), kept]))
        .unwrap();
    let request = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nt-there: 1\r\n\r\n";
    let send = |name| stage.send(envoy.listener_address(name).unwrap(), request);

    let (response, received) = send("kept");
    assert_eq!(received.trailers, [Header::new("t-there", "1")]);
    assert_eq!(response.trailers, [Header::new("t-back", "2")]);
    let (response, received) = send("dropped");
    assert!(received.trailers.is_empty() && response.trailers.is_empty());
    assert_eq!(
        (response.text().as_str(), &received.body[..]),
        ("hi", &b"a"[..])
    );
}

#[test]
#[ignore = "needs Envoy"]
fn a_body_past_the_buffer_limit_passes_where_nothing_holds_it() {
    let stage = Stage::new();
    let mut listener = Listener::new("small");
    listener.buffer_limit = Some(1024);
    let envoy = stage.start(&stage.bootstrap(vec![listener])).unwrap();
    let mut request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n".to_vec();
    request.extend(vec![b'x'; 100_000]);
    let (response, received) = stage.send(envoy.listener_address("small").unwrap(), &request);
    assert_eq!((response.status, received.body.len()), (200, 100_000));
}
