use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::command::{attache, folder};

/// What a command says on standard output, line by line.
struct Said(Lines<BufReader<ChildStdout>>);

impl Said {
    fn by(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()).lines())
    }

    fn line(&mut self) -> String {
        self.0.next().unwrap().unwrap()
    }

    /// The next line that starts so.
    fn until(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.trim_start().starts_with(start) {
                return line;
            }
        }
    }

    /// Where Envoy listens, by the command that is shown to try it.
    fn address(&mut self) -> SocketAddr {
        let curl = self.until("curl -i");
        let (_, address) = curl.split_once("http://").unwrap();
        address.split('/').next().unwrap().parse().unwrap()
    }
}

#[test]
#[ignore = "needs Envoy"]
fn requests_of_the_users_are_shown_with_what_changed_in_them() {
    let har = folder("live").join("live.har");
    let mut child = attache(&["run", "auth-scrub", "--har", har.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Said::by(&mut child);
    let address = said.address();
    let request =
        b"GET /live?key=1&page=2 HTTP/1.1\r\nhost: h\r\nauthorization: x\r\nx-kept: 1\r\n\r\n";
    let answer = attache_envoy::http1::exchange(address, request, Duration::from_secs(10)).unwrap();
    assert_eq!(answer.status, 200);
    said.until("GET /live?key=1&page=2 200, ");
    let block = [
        "to the upstream:",
        "~ GET /live?key=1&page=2",
        "GET /live?page=2",
        "- authorization: x",
        "to the client: nothing changed",
    ];
    for expected in block {
        assert_eq!(said.line().trim(), expected);
    }
    let har: Value = serde_json::from_str(&fs::read_to_string(&har).unwrap()).unwrap();
    let request = &har["log"]["entries"][0]["request"];
    assert_eq!(request["url"], "http://h/live?key=stand-in-1&page=2");
    assert_eq!(request["headers"][1]["value"], "stand-in-2");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn of_a_chain_the_live_view_shows_which_filter_changed_what() {
    let folder = folder("live-chain");
    let rules = folder.join("rules.json");
    let changes = r#"{"request": {"rules": [{"steps": [
        {"op": "set", "header": "x-tenant", "value": "acme"},
        {"op": "replace", "body": "/role", "value": "guest"}]}], "body": {"hold_headers": true}}}"#;
    fs::write(&rules, changes).unwrap();
    let denied = folder.join("deny.json");
    fs::write(&denied, r#"{"paths": ["/denied"]}"#).unwrap();
    let configs = [
        format!("transform={}", rules.display()),
        format!("deny-list={}", denied.display()),
    ];
    let mut child = attache(&["run", "auth-scrub", "transform", "deny-list"])
        .args(["--config", &configs[0], "--config", &configs[1]])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Said::by(&mut child);
    let address = said.address();
    let body = br#"{"role":"admin"}"#;
    let head = format!(
        "POST /live?key=1 HTTP/1.1\r\nhost: h\r\nauthorization: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let answer =
        attache_envoy::http1::exchange(address, &request, Duration::from_secs(10)).unwrap();
    assert_eq!(answer.status, 200);
    said.until("POST /live?key=1 200, ");
    let block = [
        "auth-scrub, to the upstream:",
        "~ POST /live?key=1",
        "POST /live",
        "- authorization: x",
        "transform, to the upstream:",
        "+ x-tenant: acme",
        r#"~ (body): {"role":"admin"}"#,
        r#"(body): {"role":"guest"}"#,
        "deny-list, to the upstream: nothing changed",
        "deny-list, to the client: nothing changed",
        "transform, to the client: nothing changed",
        "auth-scrub, to the client: nothing changed",
    ];
    let mut told = Vec::new();
    while told
        .last()
        .is_none_or(|line: &String| line != block[block.len() - 1])
    {
        told.push(said.line().trim().to_owned());
    }
    told.retain(|line| !line.contains("content-length"));
    assert_eq!(told, block);

    let head = "GET /denied HTTP/1.1\r\nhost: h\r\n\r\n";
    let answer =
        attache_envoy::http1::exchange(address, head.as_bytes(), Duration::from_secs(10)).unwrap();
    let block = [
        format!("GET /denied {}, ", answer.status),
        "the upstream received nothing".to_owned(),
        "auth-scrub, to the upstream: nothing changed".to_owned(),
        "transform, to the upstream:".to_owned(),
        "+ x-tenant: acme".to_owned(),
        "deny-list: the request went no further".to_owned(),
    ];
    let told = said.0.by_ref().map(|line| line.unwrap().trim().to_owned());
    let mut told = told.skip_while(|line| !line.starts_with(&block[0])).skip(1);
    for expected in &block[1..] {
        assert_eq!(&told.next().unwrap(), expected);
    }

    // Envoy makes a path of it before the first filter.
    let wire = b"GET http://h/whole HTTP/1.1\r\nhost: h\r\n\r\n";
    attache_envoy::http1::exchange(address, wire, Duration::from_secs(10)).unwrap();
    let mut told = told.skip_while(|line| !line.starts_with("GET http://h/whole 200, "));
    assert!(
        told.nth(1)
            .unwrap()
            .starts_with("auth-scrub, to the upstream")
    );
    child.kill().unwrap();
    child.wait().unwrap();
}
