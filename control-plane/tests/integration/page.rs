//! The page for people, in a real browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use attache_control_plane::status::{EnvoyState, EnvoyStatus, Phase};
use attache_control_plane::{Event, Node, StreamId};
use attache_envoy::http1::{Response, exchange};

use crate::scratch::Scratch;
use crate::stage::{LIMIT, PLUGIN, Stage, module};

/// Who an attacker says that he is.
const HOSTILE: &str =
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

fn ask(stage: &Stage, request: &str) -> Response {
    let request = request.replace('\n', "\r\n");
    exchange(stage.api, request.as_bytes(), LIMIT).unwrap()
}

/// An Envoy that asks for the plugin.
fn envoy(stage: &Stage, node: Node, stream: StreamId) {
    stage.plane.tell(Event::Connected { stream, node });
    stage.plane.tell(Event::Subscribed {
        stream,
        plugin: PLUGIN.into(),
        holds: None,
    });
}

fn staged() -> Stage {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    stage.write("rollouts/s.yaml", "version: \"1\"\nplugin: <b>s</b>\n");
    stage.reaches("r", Phase::Pushed);
    // Numbers that no stream of a real Envoy has here.
    for (number, node, group, address) in [
        (1_001, "edge-1", "edge", "10.0.0.7:41234"),
        (1_002, "edge-2", "edge", "10.0.0.8:41236"),
        (1_003, HOSTILE, "inner", "10.0.0.9:55002"),
    ] {
        envoy(&stage, Node::new(node, group, address), StreamId(number));
    }
    // Where much happens at once, the next tick is the first to look at all of it.
    let status = stage.reaches_as("r", |status| {
        let sent = |envoy: &EnvoyStatus| envoy.state == EnvoyState::Sent;
        status.envoys.len() == 3 && status.envoys.iter().all(sent)
    });
    stage.plane.tell(Event::Acknowledged {
        stream: StreamId(1_001),
        plugin: PLUGIN.into(),
        generation: status.declared.generation.unwrap(),
    });
    stage
}

#[test]
fn the_page_lets_no_other_script_run() {
    let stage = Stage::new();
    let page = ask(&stage, "GET / HTTP/1.1\nhost: x\nconnection: close\n\n");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").next().unwrap();
    let policy = String::from_utf8(policy.to_vec()).unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        page.header("x-content-type-options").next(),
        Some(&b"nosniff"[..])
    );
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let stage = Stage::new();
    let post = |headers: &str| {
        let rest = "content-length: 0\nconnection: close\n\n";
        ask(
            &stage,
            &format!("POST /v1/rollouts/r/undo HTTP/1.1\n{headers}{rest}"),
        )
    };
    for headers in [
        "host: 127.0.0.1\n",
        "host: 127.0.0.1\nx-attache-request: 1\norigin: http://evil.example\n",
        "host: evil.example\nx-attache-request: 1\norigin: http://evil.example\n",
    ] {
        let refused = post(headers);
        assert_eq!(refused.status, 403, "{headers}");
        assert!(refused.text().contains("\"error\":"), "{}", refused.text());
    }
    let allowed = post("host: 127.0.0.1\nx-attache-request: 1\norigin: http://127.0.0.1\n");
    assert_eq!(
        allowed.status,
        404,
        "there is no such rollout: {}",
        allowed.text()
    );
}

/// A browser, which `.ci/browser` puts on the machine.
pub(crate) fn browser() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/browser");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), ".ci/browser finds no browser");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn browse(stage: &Stage, profile: &Path, arguments: &[&str]) -> String {
    let output = Command::new(browser())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=4000",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .arg(format!("http://{}/", stage.api))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `SCREENSHOTS=FOLDER` keeps pictures, wide and narrow, light and dark.
fn keep_pictures(stage: &Stage, profile: &Path) {
    let Some(folder) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) else {
        return;
    };
    for (name, size, dark) in [
        ("wide", "1280,900", false),
        ("narrow", "500,1400", false),
        ("dark", "1280,900", true),
    ] {
        let picture = format!("--screenshot={}/{name}.png", folder.display());
        let size = format!("--window-size={size}");
        let mut arguments = vec![picture.as_str(), &size, "--hide-scrollbars"];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0");
        }
        browse(stage, profile, &arguments);
    }
}

#[test]
#[ignore = "needs a browser, which .ci/browser installs"]
fn a_browser_shows_rollouts_and_runs_nothing_that_an_envoy_says() {
    let stage = staged();
    let profile = Scratch::new();
    keep_pictures(&stage, &profile);
    let page = browse(&stage, &profile, &["--dump-dom"]);
    for part in [
        "Up to date; looks every second.",
        "<h2 id=\"rollout-0\">r</h2>",
        "Group edge: 1 of 2 have what they should",
        "edge-2",
        "s.yaml",
        "&lt;img src=x onerror=",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("<title>Rollouts</title>"), "{page}");
    let (_, shown) = page.split_once("<main>").unwrap();
    let (shown, _) = shown.split_once("</main>").unwrap();
    assert!(!shown.contains("<img") && !shown.contains("<b>"), "{shown}");
}
