use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::Listener;

use crate::running::{LIMIT, Stage};

/// Says to a run of this test binary that it is the parent to be killed.
const ROLE: &str = "ATTACHE_TEST_PARENT";

#[test]
#[ignore = "needs Envoy"]
fn an_envoy_whose_parent_is_killed_ends() {
    if env::var_os(ROLE).is_some() {
        start_and_wait();
    }
    let (mut parent, folder) = parent("parent::an_envoy_whose_parent_is_killed_ends");
    assert!(!processes_of(&folder).is_empty());
    // SIGKILL: nothing of the parent's own code runs any more.
    parent.kill().unwrap();
    parent.wait().unwrap();
    await_none(&folder);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn a_dropped_envoy_is_gone() {
    let stage = Stage::new();
    let envoy = stage
        .start(&stage.bootstrap(vec![Listener::new("a")]))
        .unwrap();
    let folder = stage.folder.display().to_string();
    assert!(!processes_of(&folder).is_empty());
    drop(envoy);
    assert_eq!(processes_of(&folder), [""; 0]);
}

/// Runs one test of this binary in the role of the parent, until it says in
/// which folder its Envoy runs.
fn parent(test: &str) -> (Child, String) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(ROLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("running in ")?.1.to_owned()));
    (child, told.expect("the parent started no Envoy"))
}

fn start_and_wait() -> ! {
    let stage = Stage::new();
    let _envoy = stage
        .start(&stage.bootstrap(vec![Listener::new("a")]))
        .unwrap();
    println!("running in {}", stage.folder.display());
    thread::sleep(LIMIT * 2);
    panic!("nobody killed this process");
}

fn await_none(folder: &str) {
    let deadline = Instant::now() + LIMIT;
    while !processes_of(folder).is_empty() {
        assert!(
            Instant::now() < deadline,
            "still running: {:?}",
            processes_of(folder)
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// The command lines of the processes that name this folder.
fn processes_of(folder: &str) -> Vec<String> {
    let lines = if Path::new("/proc/self/cmdline").exists() {
        from_proc()
    } else {
        from_ps()
    };
    lines
        .into_iter()
        .filter(|line| line.contains(folder))
        .collect()
}

fn from_proc() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    // A process may end between the two looks.
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

fn from_ps() -> Vec<String> {
    let output = Command::new("ps")
        .args(["-A", "-o", "command"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}
