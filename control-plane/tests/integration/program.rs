use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use attache_envoy::http1::exchange;

use crate::scratch::Scratch;
use crate::stage::{LIMIT, Stage, module};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_attache-control-plane"))
}

/// Ends a program that a test has started.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_missing_folder_is_named() {
    let output = program()
        .args(["serve", "--rollouts", "/no/such/folder"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`/no/such/folder` is no folder"), "{said}");
}

#[test]
fn the_program_says_where_it_listens_and_answers_there() {
    let folder = Scratch::new();
    let child = program()
        .args(["serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"])
        .arg("--rollouts")
        .arg(&*folder)
        .arg("--state")
        .arg(folder.join("state"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let url = lines.find(|line| line.contains("http://")).unwrap();
    let address = url.split("http://").nth(1).unwrap();
    let address = address.split('/').next().unwrap().parse().unwrap();
    let request = b"GET /v1/rollouts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let response = exchange(address, request, LIMIT).unwrap();
    assert_eq!(response.status, 200);
    assert!(
        response.text().contains("\"rollouts\":[]"),
        "{}",
        response.text()
    );
}

#[test]
fn the_api_names_rollouts_and_faults_of_files() {
    let stage = Stage::new();
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        exchange(stage.api, request.as_bytes(), LIMIT).unwrap()
    };
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    stage.declare("s", "a", "group: [edge]\n");
    stage.reaches("r", attache_control_plane::status::Phase::Pushed);
    let answer = get("/v1/rollouts");
    let status: attache_control_plane::status::Status =
        serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(status.rollouts[0].name, "r");
    let fault = &status.faults[0];
    assert!(fault.file.ends_with("s.yaml"), "{fault:?}");
    assert_eq!((fault.line, fault.column), (Some(6), Some(1)), "{fault:?}");
    assert!(fault.reason.contains("group"), "{fault:?}");
    let missing = get("/v1/rollouts/x");
    assert_eq!(missing.status, 404);
    assert!(
        missing.text().contains("there are `r`"),
        "{}",
        missing.text()
    );
    let history = get("/v1/rollouts/r/history").text();
    assert!(history.contains("\"phase\":\"validating\""), "{history}");
    let metrics = get("/metrics").text();
    let line = "attache_rollout_phase{rollout=\"r\",phase=\"pushed\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}
