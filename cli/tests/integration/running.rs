mod shown;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{attache, folder, said};

#[test]
fn a_file_that_is_no_module_is_refused_before_anything_starts() {
    let folder = folder("no-module");
    let file = folder.join("script.wasm");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    let said = said(attache(&["run", file.to_str().unwrap()]).env("ENVOY", "/bin/sh"));
    said.refuses("caused by: not a WebAssembly module: it begins with `#!/bin/s`");
}

#[test]
fn words_that_name_nothing_are_refused() {
    said(&mut attache(&["run", "nowhere.wasm"])).refuses("error: there is no file `nowhere.wasm`");
    said(&mut attache(&["run", "./nowhere"]))
        .refuses("error: `./nowhere` is neither a folder with a `Cargo.toml` nor a file");
}

#[test]
fn a_configuration_that_is_not_json_is_refused_with_its_line() {
    let file = folder("no-json").join("config.json");
    fs::write(&file, "{\n  rules: []\n}\n").unwrap();
    let said = said(&mut attache(&[
        "run",
        "auth-scrub",
        "--config",
        file.to_str().unwrap(),
    ]));
    said.refuses("config.json` is not JSON");
    said.refuses("caused by: key must be a string at line 2 column 3");

    // Whatever it is called, a filter of ours reads nothing else.
    let text = folder("no-json-at-all").join("config.txt");
    fs::write(&text, "hello\n").unwrap();
    let text = text.to_str().unwrap();
    let mut command = attache(&["run", "auth-scrub", "--config", text]);
    super::command::said(&mut command).refuses("config.txt` is not JSON");
}

#[test]
fn a_configuration_that_is_not_there_is_refused() {
    said(&mut attache(&[
        "run",
        "auth-scrub",
        "--config",
        "nowhere.json",
    ]))
    .refuses("error: cannot read the configuration `nowhere.json`");
}

#[test]
fn mistakes_in_words_and_files_are_told_before_anything_is_built() {
    let folder = folder("run-mistakes");
    let suite = folder.join("a.suite.yaml");
    let list = folder.join("list.yaml");
    fs::write(&suite, "version: \"1\"\n").unwrap();
    fs::write(&list, "- a\n").unwrap();
    let (suite, list) = (suite.to_str().unwrap(), list.to_str().unwrap());
    for (words, message) in [
        (
            &["--config", r#"{"rules": []}"#][..],
            r#"`{"rules": []}` is a configuration, and `--config` takes the file of one"#,
        ),
        (&["--config", suite], "is a suite, which `attache test"),
        (
            &["-H", "a: b", "-H", "token"],
            "--header number 2 has no name",
        ),
        (&["--bootstrap", list], "it has no `static_resources`"),
        (
            &["--bootstrap", "nowhere.yaml"],
            "cannot read the bootstrap `nowhere.yaml`",
        ),
        (
            &["--har", "/nowhere/a.har"],
            "cannot write `/nowhere/a.har`",
        ),
        (
            &["auth-scrub"],
            "name a copy of the module under another name, such as `auth-scrub-2.wasm`",
        ),
        (&[suite], "it is a suite, which `attache test"),
    ] {
        let said = said(attache(&["run", "auth-scrub"]).args(words));
        said.refuses(message);
        assert!(!said.err.contains("Finished"), "{}", said.err);
    }
}

#[test]
fn the_harness_runs_http_filters_too_and_no_others() {
    said(&mut attache(&["run", "tcp-allow-list", "--harness"])).refuses(
        "error: `tcp-allow-list` is of the kind `tcp`, and `attache run` runs HTTP filters",
    );
}

#[test]
#[ignore = "needs Envoy"]
fn what_a_filter_says_of_the_first_request_is_shown() {
    let config = folder("says").join("config.json");
    fs::write(&config, r#"{"cluster": "authz"}"#).unwrap();
    let config = config.to_str().unwrap();
    let said = said(&mut attache(&[
        "run", "ext-auth", "--once", "--config", config,
    ]));
    assert_eq!(said.status, Some(0), "{}", said.err);
    for words in [
        "a call-out failed: cluster `authz`: the host refused the call",
        "a filter calls out to a cluster that this configuration does not have",
    ] {
        assert_eq!(said.err.matches(words).count(), 1, "{}", said.err);
    }
}

#[test]
fn an_envoy_that_is_not_there_is_refused() {
    said(&mut attache(&[
        "run",
        "auth-scrub",
        "--once",
        "--envoy",
        "/nowhere/envoy",
    ]))
    .refuses("/nowhere/envoy");
}

#[test]
fn a_version_that_is_not_known_is_a_usage_error() {
    let said = said(&mut attache(&["run", "auth-scrub", "--envoy", "0.9"]));
    assert_eq!(said.status, Some(2));
    assert!(said.err.contains("1.40"), "{}", said.err);
}

#[test]
#[ignore = "needs Envoy"]
fn a_program_sees_what_the_filter_took_away() {
    let arguments = [
        "run",
        "auth-scrub",
        "--once",
        "--json",
        "-H",
        "AUTHORIZATION: s",
        "-H",
        "x-kept: 1",
        "--path",
        "/?key=s&page=2",
    ];
    let said = said(&mut attache(&arguments));
    assert_eq!(said.status, Some(0), "{}", said.err);
    let line: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(line["past"]["upstream"]["path"], "/?key=s&page=2");
    assert_eq!(line["through"]["upstream"]["path"], "/?page=2");
    let names = |way: &str| -> Vec<String> {
        let headers = line[way]["upstream"]["headers"].as_array().unwrap();
        headers
            .iter()
            .map(|header| header[0].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(names("past").contains(&"authorization".to_owned()));
    assert!(!names("through").contains(&"authorization".to_owned()));
    assert!(names("through").contains(&"x-kept".to_owned()));
    assert!(line["through"]["envoy_microseconds"].as_u64().unwrap() > 0);
    assert!(fs::exists(line["envoy"]["configuration"].as_str().unwrap()).unwrap());
}

#[test]
#[ignore = "needs Envoy"]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = said(&mut attache(&[
        "run",
        "auth-scrub",
        "--once",
        "--port",
        &port,
    ]));
    said.refuses(&format!("`127.0.0.1:{port}` is in use"));
}

#[test]
#[ignore = "needs Envoy"]
fn a_configuration_that_the_filter_refuses_is_shown_with_its_place() {
    for (name, text, place) in [
        (
            "unknown-field",
            r#"{"rules": [{"requests": {}}]}"#,
            "/rules/0/requests",
        ),
        (
            "wrong-type",
            r#"{"name_matching": {"query_ignores_case": 1}}"#,
            "/name_matching/query_ignores_case",
        ),
    ] {
        let file = folder(name).join("config.json");
        fs::write(&file, text).unwrap();
        let arguments = [
            "run",
            "auth-scrub",
            "--once",
            "--config",
            file.to_str().unwrap(),
        ];
        let said = said(&mut attache(&arguments));
        said.refuses(&format!(
            "filter=auth-scrub configuration refused: path={place:?}"
        ));
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_changed_configuration_is_reloaded_and_a_bad_one_is_not() {
    let file = folder("reloaded").join("config.json");
    let rule = |header: &str| {
        format!(
            r#"{{"rules": [{{"request": {{"headers": [{{"name": {header:?}, "action": "remove"}}]}}}}]}}"#
        )
    };
    fs::write(&file, rule("accept")).unwrap();
    let arguments = [
        "run",
        "auth-scrub",
        "--json",
        "--config",
        file.to_str().unwrap(),
    ];
    let mut child = attache(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut gone = |name: &str| {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let headers = line["through"]["upstream"]["headers"]
            .as_array()
            .unwrap()
            .clone();
        !headers.iter().any(|header| header[0] == name)
    };
    assert!(gone("accept"));
    fs::write(&file, "{").unwrap();
    fs::write(&file, rule("cookie")).unwrap();
    assert!(gone("cookie"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn a_chain_is_taken_back_when_one_of_its_filters_is_refused() {
    let folder = folder("reloads-chain");
    let [add, deny] = ["add.json", "deny.json"].map(|name| folder.join(name));
    let adds = |value: &str| format!(r#"{{"response": [{{"name": "x-by", "value": "{value}"}}]}}"#);
    fs::write(&add, adds("old")).unwrap();
    fs::write(&deny, r#"{"paths": ["/a"]}"#).unwrap();
    let mut child = attache(&["run", "add-header", "deny-list"])
        .args(["--config", &format!("add-header={}", add.display())])
        .args(["--config", &format!("deny-list={}", deny.display())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = |words: &str| {
        let lines = err.by_ref().map(|line| line.unwrap());
        let mut lines = lines.skip_while(|line| !line.contains(words));
        lines.next().unwrap_or_else(|| panic!("never said {words}"))
    };
    let line = out.find_map(|line| {
        let line = line.unwrap();
        line.trim_start().starts_with("curl").then_some(line)
    });
    let line = line.unwrap();
    let (_, address) = line.split_once("http://").unwrap();
    let address = address.split('/').next().unwrap().parse().unwrap();
    let by = || {
        let request = b"GET /b HTTP/1.1\r\nhost: h\r\n\r\n";
        let answer = attache_envoy::http1::exchange(address, request, Duration::from_secs(10));
        let answer = answer.unwrap();
        let by = answer.header("x-by").next().unwrap().to_vec();
        String::from_utf8(by).unwrap()
    };
    assert_eq!(by(), "old");
    // Whichever is seen first, the second filter is refused while the first is new.
    fs::write(&deny, r#"{"path": 1}"#).unwrap();
    fs::write(&add, adds("new")).unwrap();
    told("Took back add-header");
    assert_eq!(by(), "old");
    fs::write(&deny, r#"{"paths": ["/c"]}"#).unwrap();
    told("Reloaded add-header, deny-list");
    assert_eq!(by(), "new");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn a_filter_asks_a_server_of_the_users() {
    let folder = folder("asks");
    let authz = attache_envoy::upstream::Upstream::start(|request| {
        let known = request
            .header("authorization")
            .any(|it| it == b"Bearer good");
        attache_envoy::upstream::Reply::new(if known { 200 } else { 403 })
    })
    .unwrap();
    let config = folder.join("auth.json");
    fs::write(&config, r#"{"cluster": "authz"}"#).unwrap();
    let cluster = format!("authz={}", authz.address());
    let status = |credential: &str| {
        let mut command = attache(&["run", "ext-auth", "--once", "--json", "--cluster", &cluster]);
        command.args([
            "-H",
            &format!("authorization: Bearer {credential}"),
            "--config",
        ]);
        let said = said(command.arg(&config));
        assert_eq!(said.status, Some(0), "{}", said.err);
        let line: Value = serde_json::from_str(&said.out).unwrap();
        line["through"]["response"]["status"].clone()
    };
    assert_eq!((status("good"), status("bad")), (200.into(), 401.into()));
}

#[test]
#[ignore = "needs Envoy"]
fn no_envoy_is_left_when_the_command_is_killed() {
    let arguments = ["run", "auth-scrub", "--json"];
    let mut child = attache(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let admin = line["envoy"]["admin"].as_str().unwrap();
    assert!(std::net::TcpStream::connect(admin).is_ok());
    // SIGKILL: the command cannot clean up after itself.
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    while std::net::TcpStream::connect(admin).is_ok() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "Envoy still runs"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_upstream_without_a_port_is_a_usage_error() {
    let said = said(&mut attache(&[
        "run",
        "auth-scrub",
        "--upstream",
        "localhost",
    ]));
    assert_eq!(said.status, Some(2));
    assert!(said.err.contains("localhost"), "{}", said.err);
}

#[test]
#[ignore = "needs Envoy"]
fn an_upstream_of_ones_own_answers() {
    let upstream = attache_envoy::upstream::Upstream::echo().unwrap();
    let address = upstream.address().to_string();
    let arguments = ["run", "auth-scrub", "--once", "--upstream", &address];
    let said = said(&mut attache(&arguments));
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(
        !said.out.contains("What the upstream received"),
        "{}",
        said.out
    );
    assert!(said.out.contains("What the client got"), "{}", said.out);
    let received = upstream.take();
    assert_eq!(received.len(), 2, "once past the filter, once through it");
    let names = |index: usize| {
        let headers = received[index].headers.iter();
        let names = headers.map(|header| String::from_utf8_lossy(&header.name).to_lowercase());
        names.collect::<Vec<_>>()
    };
    assert!(names(0).contains(&"authorization".to_owned()));
    assert!(!names(1).contains(&"authorization".to_owned()));
}

#[test]
#[ignore = "needs Envoy"]
fn a_filter_that_holds_headers_gets_the_option_that_it_needs() {
    let config = folder("holds").join("config.json");
    fs::write(&config, r#"{"replace": {"role": "guest"}}"#).unwrap();
    let arguments = [
        "run",
        "body-rewrite",
        "--once",
        "--config",
        config.to_str().unwrap(),
        "-X",
        "POST",
        "-H",
        "content-type: application/json",
        "-d",
        r#"{"role":"admin!"}"#,
    ];
    let said = said(&mut attache(&arguments));
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(said.out.contains("(body): 17 B"), "{}", said.out);
    assert!(said.out.contains("(body): 16 B"), "{}", said.out);
}

#[test]
#[ignore = "needs Envoy"]
fn a_filter_of_another_kind_is_told_where_it_runs() {
    for (name, kind) in [("tcp-allow-list", "tcp"), ("audit", "access_logger")] {
        let said = said(&mut attache(&["run", name, "--once"]));
        said.refuses(&format!(
            "error: `{name}` is of the kind `{kind}`, and `attache run` runs HTTP"
        ));
    }
}

#[test]
fn a_chain_says_whose_configuration_is_meant() {
    let folder = folder("chains");
    let config = folder.join("config.json");
    fs::write(&config, "{}").unwrap();
    let config = config.to_str().unwrap();
    for (arguments, message) in [
        (
            &["auth-scrub", "metrics", "--config", config][..],
            "write `--config NAME=…`, where NAME is one of: auth-scrub, metrics",
        ),
        (
            &["auth-scrub", "auth-scrub"],
            "two filters of this chain are called `auth-scrub`",
        ),
        (
            &["auth-scrub", "metrics", "--config", "metrics=nowhere.json"],
            "cannot read the configuration `nowhere.json`",
        ),
        (
            &["auth-scrub", "--root-id", "a", "--root-id", "b"],
            "`auth-scrub` has --root-id twice",
        ),
    ] {
        said(&mut attache(&[&["run"], arguments].concat())).refuses(message);
    }
    let said = said(&mut attache(&[
        "run",
        "auth-scrub",
        "--bootstrap",
        "e.yaml",
        "--port",
        "1",
    ]));
    assert_eq!(said.status, Some(2));
    assert!(said.err.contains("--bootstrap <FILE>"), "{}", said.err);
}

#[test]
#[ignore = "needs Envoy"]
fn a_request_passes_a_chain_from_left_to_right() {
    let said = said(&mut attache(&[
        "run",
        "auth-scrub",
        "metrics",
        "--once",
        "--json",
    ]));
    assert_eq!(said.status, Some(0), "{}", said.err);
    let line: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(line["filter"], "auth-scrub, metrics");
    assert_eq!(line["modules"].as_array().unwrap().len(), 2);
    let config = fs::read_to_string(line["envoy"]["configuration"].as_str().unwrap()).unwrap();
    let [first, second] =
        ["- name: \"auth-scrub\"", "- name: \"metrics\""].map(|name| config.find(name).unwrap());
    assert!(first < second);
    assert_eq!(line["through"]["upstream"]["path"], "/orders?page=2");
}

#[test]
#[ignore = "needs Envoy"]
fn filters_are_put_into_a_configuration_of_the_users_own() {
    let folder = folder("own-bootstrap");
    let bootstrap = folder.join("envoy.yaml");
    let own = "static_resources:
  listeners:
  - name: front
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            virtual_hosts:
            - { name: all, domains: ['*'], routes: [{ match: { prefix: / }, direct_response: { status: 204 } }] }
          http_filters: # in order
          - name: router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
";
    fs::write(&bootstrap, own).unwrap();
    let path = bootstrap.to_str().unwrap();
    let started = said(&mut attache(&[
        "run",
        "--bootstrap",
        path,
        "--insert",
        "auth-scrub",
        "--once",
    ]));
    assert_eq!(started.status, Some(0), "{}", started.err);
    for words in ["Inserted before 1 router; ", "Ready `front` on 127.0.0.1:"] {
        assert!(started.err.contains(words), "{}", started.err);
    }
    assert_eq!(fs::read_to_string(&bootstrap).unwrap(), own);

    fs::write(
        &bootstrap,
        own.replace("          - name: router", "          - {name: router,")
            .replace("v3.Router", "v3.Other"),
    )
    .unwrap();
    said(&mut attache(&[
        "run",
        "auth-scrub",
        "--bootstrap",
        path,
        "--once",
    ]))
    .refuses("it has no HTTP router");
    said(&mut attache(&[
        "run",
        "auth-scrub",
        "--bootstrap",
        "nowhere.yaml",
        "--once",
    ]))
    .refuses("cannot read the bootstrap `nowhere.yaml`");
}
