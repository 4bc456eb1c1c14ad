//! Metrics as Prometheus reads them.

use std::fmt::Write as _;

use crate::status::{EnvoyState, Phase, Status};
use crate::totals::Totals;

pub(crate) fn write(status: &Status, totals: &Totals) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, u64)>| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let rollouts = &status.rollouts;
    let phases = rollouts.iter().flat_map(|rollout| {
        Phase::ALL.map(|phase| {
            let labels = labels(&[("rollout", &rollout.name), ("phase", phase.name())]);
            (labels, u64::from(rollout.phase == phase))
        })
    });
    family(
        "attache_rollout_phase",
        "gauge",
        "1 for the phase that a rollout is in.",
        phases.collect(),
    );
    let serving = rollouts.iter().filter_map(|rollout| {
        let generation = rollout.serving.as_ref()?.generation?;
        Some((labels(&[("rollout", &rollout.name)]), generation))
    });
    family(
        "attache_rollout_serving_generation",
        "gauge",
        "The generation of the last good version.",
        serving.collect(),
    );
    let envoys = rollouts.iter().flat_map(|rollout| {
        STATES.map(|(state, word)| {
            let count = rollout
                .envoys
                .iter()
                .filter(|one| one.state == state)
                .count();
            let labels = labels(&[("rollout", &rollout.name), ("state", word)]);
            (labels, count as u64)
        })
    });
    family(
        "attache_rollout_envoys",
        "gauge",
        "Envoys that a rollout is for, by how far they are.",
        envoys.collect(),
    );
    let faults = status.faults.len() as u64;
    family(
        "attache_rollout_file_faults",
        "gauge",
        "Files of rollouts that cannot be read as such.",
        vec![(String::new(), faults)],
    );
    for (name, help, value) in [
        (
            "attache_pushes_total",
            "Versions sent to an Envoy.",
            totals.pushes,
        ),
        (
            "attache_acknowledged_total",
            "Pushes that an Envoy acknowledged.",
            totals.acknowledged,
        ),
        (
            "attache_refused_total",
            "Pushes that an Envoy refused.",
            totals.refused,
        ),
        (
            "attache_refused_here_total",
            "Versions that were refused before any push.",
            totals.refused_here,
        ),
        (
            "attache_connections_total",
            "Streams that Envoys opened.",
            totals.connections,
        ),
    ] {
        family(name, "counter", help, vec![(String::new(), value)]);
    }
    text
}

const STATES: [(EnvoyState, &str); 6] = [
    (EnvoyState::Waiting, "waiting"),
    (EnvoyState::Sent, "sent"),
    (EnvoyState::Acknowledged, "acknowledged"),
    (EnvoyState::Refused, "refused"),
    (EnvoyState::Confirmed, "confirmed"),
    (EnvoyState::Disconnected, "disconnected"),
];

fn labels(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}
