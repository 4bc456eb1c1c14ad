//! Filters served by the harness.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use attache_envoy::http1::{Response, exchange};

use super::program::{folder, program};
use crate::both::module;

const PATIENCE: Duration = Duration::from_secs(60);

fn plugin(package: &'static str) -> String {
    format!("{package}={}", module(package).display())
}

/// The program while it serves.
struct Served {
    child: Child,
    told: std::io::Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Served {
    fn start(folder: &Path, words: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_attache-test"))
            .arg("serve")
            .args(words)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut served = Self {
            child,
            told,
            address: String::new(),
        };
        let line = served.until("Ready on http://");
        let (_, address) = line.split_once("http://").unwrap();
        served.address = address.split(',').next().unwrap().to_owned();
        served
    }

    /// The next line that says so.
    fn until(&mut self, words: &str) -> String {
        let lines = self.told.by_ref().map(|line| line.unwrap());
        let mut lines = lines.skip_while(|line| !line.contains(words));
        lines.next().unwrap_or_else(|| panic!("never said {words}"))
    }

    fn get(&self, path: &str) -> Response {
        let wire = format!("GET {path} HTTP/1.1\r\nhost: a.b\r\n\r\n");
        exchange(self.address.parse().unwrap(), wire.as_bytes(), PATIENCE).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_request_is_told_with_what_each_filter_changed() {
    let folder = folder("serve-once");
    fs::write(
        folder.join("add.json"),
        r#"{"request": [{"name": "x-from", "value": "me"}]}"#,
    )
    .unwrap();
    let (scrub, add) = (plugin("auth-scrub"), plugin("add-header"));
    let words = [
        "serve",
        "--plugin",
        &scrub,
        "--plugin",
        &add,
        "--config",
        "add-header=add.json",
        "--once",
        "-H",
        "authorization: Bearer x",
        "-H",
        "x-kept: 1",
        "--path",
        "/?access_token=1&page=2",
    ];
    let (status, out, err) = program(&folder, &words);
    assert_eq!(status, Some(0), "{err}");
    let expected = "\nGET /?access_token=1&page=2 200\n  to the upstream:\n    - GET /?access_token=1&page=2\n    \
                    - authorization: Bearer x\n    + GET /?page=2\n    + x-from: me\n  to the client: nothing \
                    changed\n  auth-scrub called:\n";
    assert!(out.starts_with(expected), "{out}");
    assert!(
        out.contains(
            "  add-header called:\n      remove_header_map_value(request headers, \"x-from\")\n"
        ),
        "{out}"
    );

    let (status, out, _) = program(&folder, &[&words[..], &["--json"]].concat());
    assert_eq!(status, Some(0));
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(line["response"]["status"], 200);
    assert_eq!(line["changes"][0]["filter"], "auth-scrub");
    assert!(
        line["upstream"]["headers"].to_string().contains("x-kept"),
        "{out}"
    );
}

#[test]
fn a_configuration_that_changes_is_taken_up_and_one_that_is_refused_is_not() {
    let folder = folder("serve-reloads");
    let config = folder.join("deny.json");
    fs::write(&config, r#"{"paths": ["/a"]}"#).unwrap();
    let plugin = plugin("deny-list");
    let mut served = Served::start(
        &folder,
        &["--plugin", &plugin, "--config", "deny-list=deny.json"],
    );
    let status = |served: &Served, path| served.get(path).status;
    // Whole at once, as it may be read at any time.
    let write = |text: &str| {
        fs::write(folder.join("next.json"), text).unwrap();
        fs::rename(folder.join("next.json"), &config).unwrap();
    };
    assert_eq!((status(&served, "/a"), status(&served, "/b")), (403, 200));

    write(r#"{"paths": ["/b"]}"#);
    served.until("Reloaded deny-list");
    assert_eq!((status(&served, "/a"), status(&served, "/b")), (200, 403));

    write(r#"{"path": 1}"#);
    served.until("`deny-list` is refused, as Envoy would refuse it");
    served.until("Serving what served before");
    assert_eq!((status(&served, "/a"), status(&served, "/b")), (200, 403));
}

#[test]
fn a_chain_is_replaced_as_a_whole_or_not_at_all() {
    let folder = folder("serve-chain");
    let write = |name: &str, text: &str| {
        fs::write(folder.join("next.json"), text).unwrap();
        fs::rename(folder.join("next.json"), folder.join(name)).unwrap();
    };
    let add = |value: &str| format!(r#"{{"response": [{{"name": "x-by", "value": "{value}"}}]}}"#);
    write("add.json", &add("old"));
    write("deny.json", r#"{"paths": ["/a"]}"#);
    let (adds, denies) = (plugin("add-header"), plugin("deny-list"));
    let words = ["--plugin", &adds, "--config", "add-header=add.json"];
    let more = ["--plugin", &denies, "--config", "deny-list=deny.json"];
    let mut served = Served::start(&folder, &[words, more].concat());
    let by = |served: &Served, path| {
        let response = served.get(path);
        let by = response.header("x-by").next().map(<[u8]>::to_vec);
        (response.status, String::from_utf8(by.unwrap()).unwrap())
    };
    assert_eq!(by(&served, "/b"), (200, "old".to_owned()));

    // Whichever is seen first, the second one is refused, and the first one serves as it did.
    write("deny.json", r#"{"path": 1}"#);
    served.until("`deny-list` is refused, as Envoy would refuse it");
    write("add.json", &add("new"));
    served.until("`deny-list` is refused, as Envoy would refuse it");
    served.until("Serving what served before");
    assert_eq!(by(&served, "/b"), (200, "old".to_owned()));
    assert_eq!(by(&served, "/a"), (403, "old".to_owned()));

    write("deny.json", r#"{"paths": ["/b"]}"#);
    served.until("Reloaded add-header, deny-list");
    assert_eq!(by(&served, "/b"), (403, "new".to_owned()));
    assert_eq!(by(&served, "/a"), (200, "new".to_owned()));

    // What did not change is not replaced.
    write("add.json", &add("newer"));
    let line = served.until("Reloaded ");
    assert!(line.ends_with("Reloaded add-header"), "{line}");
}

#[test]
fn filters_call_out_to_servers_of_the_users_and_requests_are_kept() {
    let folder = folder("serve-cluster");
    let authz = attache_envoy::upstream::Upstream::start(|request| {
        let known = request
            .header("authorization")
            .any(|it| it == b"Bearer good-credential");
        attache_envoy::upstream::Reply::new(if known { 200 } else { 403 })
    })
    .unwrap();
    let config = r#"{"cluster": "authz", "timeout": "30s"}"#;
    fs::write(folder.join("auth.json"), config).unwrap();
    let plugin = plugin("ext-auth");
    let cluster = format!("authz={}", authz.address());
    let words = ["--plugin", &plugin, "--config", "ext-auth=auth.json"];
    let more = ["--cluster", &cluster, "--har", "live.har"];
    let served = Served::start(&folder, &[&words[..], &more].concat());
    let status = |credential: &str| {
        let wire = format!(
            "GET /live?key=1 HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {credential}\r\n\r\n"
        );
        let address = served.address.parse().unwrap();
        exchange(address, wire.as_bytes(), PATIENCE).unwrap().status
    };
    assert_eq!((status("good-credential"), status("bad")), (200, 401));

    let entries = || {
        let text = fs::read_to_string(folder.join("live.har")).unwrap_or_default();
        let har: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        har["log"]["entries"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let begun = std::time::Instant::now();
    while entries().len() < 2 && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    let entries = entries();
    assert_eq!(entries[0]["request"]["url"], "http://h/live?key=stand-in-1");
    assert_eq!(entries[0]["response"]["status"], 200);
    assert_eq!(entries[1]["response"]["status"], 401);
    assert_eq!(entries[1]["comment"], "the upstream received nothing");
    assert!(
        !entries[0].to_string().contains("good-credential"),
        "{}",
        entries[0]
    );
}

#[test]
fn a_call_out_to_a_slow_server_of_the_users_times_out() {
    let folder = folder("serve-slow");
    let slow = attache_envoy::upstream::Upstream::start(|_| {
        std::thread::sleep(Duration::from_millis(500));
        attache_envoy::upstream::Reply::new(200)
    })
    .unwrap();
    let plugin = plugin("ext-auth");
    let cluster = format!("authz={}", slow.address());
    let status = |timeout: &str| {
        let config = format!(r#"{{"cluster": "authz", "timeout": "{timeout}"}}"#);
        fs::write(folder.join("auth.json"), config).unwrap();
        let words = ["--config", "ext-auth=auth.json", "--cluster", &cluster];
        let more = ["-H", "authorization: x", "--json"];
        let all = [&["serve", "--once", "--plugin", &plugin], &words[..], &more].concat();
        let (_, out, err) = program(&folder, &all);
        let line: serde_json::Value =
            serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        line["response"]["status"].clone()
    };
    assert_eq!((status("100ms"), status("10s")), (503.into(), 200.into()));
}

#[test]
fn what_cannot_be_served_says_why() {
    let folder = folder("serve-refuses");
    fs::write(folder.join("bad.json"), r#"{"no_such_field": 1}"#).unwrap();
    let plugin = plugin("auth-scrub");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (words, reason) in [
        (&["--config", "auth-scrub=bad.json"][..], "no_such_field"),
        (
            &["--config", "auth-scrub=none.json"],
            "cannot read the configuration `none.json`",
        ),
        (&["--port", &port], "--port 0 takes a free one"),
    ] {
        let words = [&["serve", "--once", "--plugin", &plugin], words].concat();
        let (status, out, err) = program(&folder, &words);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(reason), "{err}");
    }
    fs::write(folder.join("auth.json"), r#"{"cluster": "authz"}"#).unwrap();
    let asks = self::plugin("ext-auth");
    let words = [
        "serve",
        "--once",
        "--plugin",
        &asks,
        "--config",
        "ext-auth=auth.json",
    ];
    let (_, out, err) = program(&folder, &[&words[..], &["-H", "authorization: x"]].concat());
    assert!(
        out.contains("no cluster `authz` here: --cluster authz=HOST:PORT gives the filter one"),
        "{out}{err}"
    );

    // Nobody listens there: what Envoy answers then.
    let words = [
        "serve",
        "--once",
        "--plugin",
        &plugin,
        "--upstream",
        "127.0.0.1:1",
    ];
    let (status, out, err) = program(&folder, &words);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.starts_with("\nGET / 503\n"), "{out}");
}
