//! What is refused of a reload, and how one fails.

use attache_suite::{Suite, Target};

use super::{refusal, suite};
use crate::both::module;

#[test]
fn a_reload_is_of_a_filter_of_the_chain() {
    let two = format!(
        "plugins: [{{module: {0}, name: one}}, {{module: {0}, name: two}}]",
        module("auth-scrub").display()
    );
    for (case, place, reason) in [
        (
            format!("{two}\nsteps: [{{reload: {{}}}}]"),
            "steps[0].reload: ",
            "expected `plugin`",
        ),
        (
            format!("{two}\nsteps: [{{reload: {{plugin: twoo}}}}]"),
            "steps[0].reload.plugin: ",
            "did you mean `two`?",
        ),
        (
            "steps: [{reload: {}, name: a}]".to_owned(),
            "steps[0].name: ",
            "belongs to a `request`",
        ),
        (
            "steps: [{reload: {}, wait: 1s}]".to_owned(),
            "steps[0]: ",
            "exactly one of `request`, `wait`, `send`, `disconnect` and `reload`",
        ),
        (
            "steps: [{reload: {package: a, module: b}}]".to_owned(),
            "steps[0].reload: ",
            "either `package`",
        ),
        (
            "tcp: {}\nsteps: [{reload: {}}]".to_owned(),
            "steps[0].reload: ",
            "only HTTP filters",
        ),
    ] {
        let refusal = refusal(&suite(&case));
        assert!(refusal.contains(place), "{case}: {refusal}");
        assert!(refusal.contains(reason), "{case}: {refusal}");
    }
}

#[test]
fn a_reload_that_comes_out_otherwise_fails() {
    for (reload, reason) in [
        (
            "{configuration: {rule: []}}",
            "expected  that the plugin is accepted",
        ),
        (
            "{refused: {contains: rule}}",
            "expected  that it is refused with something that contains",
        ),
        (
            "{configuration: {rule: []}, refused: no such line}",
            "steps[0].reload.refused",
        ),
    ] {
        let text = suite(&format!("steps: [{{reload: {reload}}}]"));
        let suite = Suite::from_text("s.suite.yaml", text).unwrap();
        let report = suite.run_on(&Target::Harness).unwrap();
        assert!(!report.passed(), "{reload}");
        let text = report.to_string();
        assert!(text.contains(reason), "{reload}: {text}");
    }
}
