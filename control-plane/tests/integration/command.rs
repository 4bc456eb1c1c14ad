//! `attache rollout`, as its user meets it.

use std::process::{Command, Output};

use attache_control_plane::status::{EnvoyState, History, Phase, Status};
use attache_control_plane::{Event, Node, StreamId};

use crate::stage::{PLUGIN, Stage, module};

fn rollout(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attache-control-plane"));
    command.arg("rollout").args(words);
    command.env_remove("ATTACHE_CONTROL_PLANE");
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A rollout without Envoys, and a file that is none.
fn staged() -> Stage {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    stage.write("rollouts/s.yaml", "version: \"1\"\nplugins: s\n");
    stage.reaches("r", Phase::Pushed);
    stage
}

#[test]
fn the_overview_has_a_line_a_rollout_and_names_faults() {
    let stage = staged();
    let (code, out, err) = output(&mut rollout(&["status", "--api", &stage.api.to_string()]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines[0]),
        ["ROLLOUT", "PHASE", "FOR", "SERVING", "ENVOYS"]
    );
    assert_eq!(words(lines[1])[..2], ["r", "pushed"]);
    assert!(lines[2].starts_with("  no Envoy"), "{out}");
    assert!(
        out.contains("fault: ") && out.contains("s.yaml:2:1\n"),
        "{out}"
    );
    assert!(!out.contains('\x1b'), "colours are for terminals: {out:?}");
}

#[test]
fn a_rollout_is_shown_with_its_envoys_and_nothing_of_theirs_steers_the_terminal() {
    let stage = staged();
    let stream = StreamId(1_001);
    let node = Node::new("edge\x1b[2J-1", "edge", "10.0.0.7:41234");
    stage.plane.tell(Event::Connected { stream, node });
    stage.plane.tell(Event::Subscribed {
        stream,
        plugin: PLUGIN.into(),
        holds: None,
    });
    // Where much happens at once, the next tick is the first to look at all of it.
    stage.reaches_as(
        "r",
        |status| matches!(&status.envoys[..], [envoy] if envoy.state == EnvoyState::Sent),
    );
    let api = format!("http://{}/", stage.api);
    let (code, out, err) = output(rollout(&["status", "r"]).env("ATTACHE_CONTROL_PLANE", &api));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("r  pushed for "), "{out}");
    assert!(out.contains("edge   edge\\u001b[2J-1  sent"), "{out}");
}

#[test]
fn programs_get_what_the_api_says() {
    let stage = staged();
    let api = stage.api.to_string();
    let (_, out, _) = output(&mut rollout(&["status", "--json", "--api", &api]));
    let status: Status = serde_json::from_str(&out).unwrap();
    assert_eq!(status.rollouts[0].name, "r");
    let (_, out, _) = output(&mut rollout(&["history", "r", "--json", "--api", &api]));
    let history: History = serde_json::from_str(&out).unwrap();
    assert_eq!(history.entries[0].phase, Phase::Validating);
    let (_, out, _) = output(&mut rollout(&["history", "r", "--api", &api]));
    assert!(out.contains("  pushed  "), "{out}");
}

#[test]
fn what_cannot_be_done_is_said_with_the_next_step() {
    let stage = staged();
    let api = stage.api.to_string();
    for verb in ["status", "history", "promote", "undo"] {
        let (code, out, err) = output(&mut rollout(&[verb, "nobody", "--api", &api]));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(
            err.starts_with("error: ") && err.contains("there are"),
            "{err}"
        );
    }
    let (code, _, err) = output(&mut rollout(&["undo", "--api", &api]));
    assert_eq!(code, Some(2));
    assert!(err.contains("<NAME>"), "{err}");
    let (code, _, err) = output(&mut rollout(&["status", "--api", "https://plane"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("--api names no control plane"), "{err}");
    assert!(
        err.contains("`https` is not spoken here, only http"),
        "{err}"
    );
}

#[test]
fn a_control_plane_that_does_not_answer_is_named() {
    // A port that programs are not given.
    let address = "127.0.0.1:1";
    let (code, _, err) = output(&mut rollout(&["status", "--api", address]));
    assert_eq!(code, Some(1));
    let expected = format!(
        "error: no control plane answers at `http://{address}`; `attache control-plane serve` starts one"
    );
    assert!(err.starts_with(&expected), "{err}");
    assert!(err.contains("  caused by: "), "{err}");
}
