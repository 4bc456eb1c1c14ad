//! The program is ended without a word, and has a disk that takes nothing more.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use attache_control_plane::status::{EnvoyState, Phase, RolloutStatus, Status};
use attache_envoy::http1::exchange;
use tokio::runtime::Runtime;

use crate::clients::follow_as_good;
use crate::load::Load;
use crate::stage::{LIMIT, Made, Stage, module, module_with, says};

/// A control plane in a process of its own, with the folders of a stage.
struct Program {
    child: Child,
    discovery: SocketAddr,
    api: SocketAddr,
}

impl Program {
    /// With files of at most so many bytes, if something is said of it.
    fn start(stage: &Stage, discovery: &str, largest_file: Option<usize>) -> Self {
        let mut command = Command::new("sh");
        // Writing more is an error then, and not the end.
        let limit = largest_file.map_or_else(String::new, |bytes| {
            format!("trap '' XFSZ; ulimit -f {}; ", bytes / 512)
        });
        command
            .args(["-c", &format!("{limit}exec \"$@\""), "sh"])
            .arg(env!("CARGO_BIN_EXE_attache-control-plane"))
            .args(["serve", "--listen", discovery, "--api", "127.0.0.1:0"])
            .arg("--rollouts")
            .arg(stage.folder.join("rollouts"))
            .arg("--state")
            .arg(stage.folder.join("own-state"));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut address = |before: &str| -> SocketAddr {
            let mut lines = lines.by_ref().map(Result::unwrap);
            let line = lines.find(|line| line.contains(before)).unwrap();
            let address = line.split(before).nth(1).unwrap();
            address.trim_end_matches('/').trim().parse().unwrap()
        };
        let (discovery, api) = (address("Envoys on "), address("http://"));
        // It may say more.
        thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            discovery,
            api,
        }
    }

    fn status(&self) -> Status {
        let request = b"GET /v1/rollouts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = exchange(self.api, request, LIMIT).unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn reaches(&self, wanted: impl Fn(&Status, &RolloutStatus) -> bool) -> RolloutStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            let status = self.status();
            let found = status.rollouts.iter().find(|one| wanted(&status, one));
            if let Some(found) = found {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "{status:#?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as `kill -9` does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the state on the disk says this.
fn kept(stage: &Stage, wanted: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + LIMIT;
    let path = stage.folder.join("own-state/state.json");
    while !fs::read_to_string(&path).is_ok_and(|text| wanted(&text)) {
        assert!(Instant::now() < deadline, "it was never kept");
        thread::sleep(Duration::from_millis(5));
    }
}

fn serves(status: &RolloutStatus, wanted: &RolloutStatus) -> bool {
    let configuration = |status: &RolloutStatus| {
        let serving = status.serving.as_ref();
        serving.map(|version| (version.module.clone(), version.configuration.clone()))
    };
    status.serving.is_some() && configuration(status) == configuration(wanted)
}

#[test]
fn a_disk_that_is_full_stops_no_push_and_loses_nothing_that_was_kept() {
    let stage = Stage::new();
    let patient = "fails_when: { watched_for: 0s, not_confirmed_within: 1h }\n";
    stage.write("r.wasm", module());
    stage.declare("r", "a", patient);
    let follow = |program: &Program| {
        let runtime = Runtime::new().unwrap();
        let discovery = program.discovery;
        runtime.spawn(follow_as_good(discovery));
        runtime
    };
    let acknowledged = |_: &Status, one: &RolloutStatus| {
        one.phase == Phase::AcknowledgedUnconfirmed && one.serving.is_some()
    };
    let program = Program::start(&stage, "127.0.0.1:0", None);
    let envoy = follow(&program);
    let first = program.reaches(acknowledged);
    kept(&stage, |text| text.contains("\"interrupted\": false"));
    program.kill();
    drop(envoy);

    // The state itself has room, another module has none.
    let program = Program::start(&stage, "127.0.0.1:0", Some(64 << 10));
    let envoy = follow(&program);
    program.reaches(|_, one| serves(one, &first));
    stage.write("r.wasm", module_with("other"));
    let second = program.reaches(|status, one| {
        let mut faults = status.faults.iter();
        acknowledged(status, one)
            && one.declared.module != first.declared.module
            && faults.any(|fault| fault.reason.contains("the state is not kept"))
    });
    assert_eq!(second.envoys.len(), 1, "{second:#?}");
    program.kill();
    drop(envoy);

    // Nothing that the next one could read is broken: what was kept last serves.
    fs::remove_file(stage.folder.join("r.wasm")).unwrap();
    let program = Program::start(&stage, "127.0.0.1:0", None);
    let envoy = follow(&program);
    program.reaches(|_, one| {
        let mut envoys = one.envoys.iter();
        serves(one, &first) && envoys.any(|one| one.state == EnvoyState::Acknowledged)
    });
    let leftovers = fs::read_dir(stage.folder.join("own-state/modules")).unwrap();
    for file in leftovers.map(|entry| entry.unwrap().path()) {
        assert!(
            file.extension().is_some_and(|end| end == "wasm"),
            "{file:?}"
        );
    }
    drop(envoy);
}

#[test]
fn two_programs_do_not_share_a_state() {
    let stage = Stage::new();
    let _first = Program::start(&stage, "127.0.0.1:0", None);
    let second = Command::new(env!("CARGO_BIN_EXE_attache-control-plane"))
        .args(["serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"])
        .arg("--rollouts")
        .arg(stage.folder.join("rollouts"))
        .arg("--state")
        .arg(stage.folder.join("own-state"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another control plane"), "{said}");
}

#[test]
fn a_damaged_module_of_the_state_is_written_anew() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let status = stage.reaches("r", Phase::Pushed);
    let name = format!("state/modules/{}.wasm", status.declared.module);
    let deadline = Instant::now() + LIMIT;
    let whole = || fs::read(stage.folder.join(&name)).is_ok_and(|bytes| bytes == module());
    while !whole() {
        assert!(Instant::now() < deadline, "it was never kept");
    }
    let mut damaged = module().to_vec();
    damaged[100] ^= 1;
    stage.write(&name, damaged);
    stage.write("state/modules/left.new", "half");
    fs::create_dir_all(stage.folder.join("state/trials")).unwrap();
    stage.write("state/trials/left.wasm", "half");
    let stage = stage.begin_again();
    assert!(!stage.folder.join("state/modules/left.new").exists());
    assert!(!stage.folder.join("state/trials/left.wasm").exists());
    let deadline = Instant::now() + LIMIT;
    while !fs::read(stage.folder.join(&name)).is_ok_and(|bytes| bytes == module()) {
        assert!(Instant::now() < deadline, "it was never mended");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_program_that_is_killed_under_load_and_started_again_loses_no_request() {
    let stage = Stage::new();
    let quick = "fails_when: { watched_for: 0s }\n";
    stage.write("r.wasm", module());
    stage.declare("r", "a", quick);
    let program = Program::start(&stage, "127.0.0.1:0", None);
    let discovery = program.discovery;
    let envoy = stage.make_for(discovery, Made::of("edge"));
    let address = envoy.listener_address("filtered").unwrap();
    let confirmed = |_: &Status, one: &RolloutStatus| one.phase == Phase::Confirmed;
    program.reaches(confirmed);
    let load = Load::start(address, 4, Duration::from_millis(1));
    // Once while nothing is on its way, then at each step of a version on its way.
    kept(&stage, |text| text.contains("\"interrupted\": false"));
    let mut program = program;
    for (number, phase) in [None, Some(Phase::Validating), Some(Phase::Pushed)]
        .into_iter()
        .enumerate()
    {
        let word = format!("w{number}");
        if let Some(phase) = phase {
            let before = program.status().rollouts[0].declared.configuration.clone();
            stage.declare("r", &word, quick);
            // Or any later one: it may go by unseen.
            program.reaches(|_, one| one.phase == phase || one.declared.configuration != before);
        }
        program.kill();
        program = Program::start(&stage, &discovery.to_string(), None);
        stage.declare("r", &word, quick);
        says(address, &word);
        program.reaches(confirmed);
    }
    let (served, lost) = load.stop();
    assert_eq!(lost, 0, "{served} were answered");
}
