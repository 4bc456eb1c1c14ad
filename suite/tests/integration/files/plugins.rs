//! What is refused of a plugin.

use super::{refusal, suite};
use crate::both::module;

#[test]
fn capabilities_are_names_of_host_calls_and_callbacks() {
    for (names, place, reason) in [
        ("[]", "allowed_capabilities: ", "at least one name"),
        ("proxy_log", "allowed_capabilities: ", "expected a list"),
        (
            "[proxy_log, proxy_log]",
            "allowed_capabilities[1]: ",
            "is given twice",
        ),
        (
            "[env.proxy_log]",
            "allowed_capabilities[0]: ",
            "such as `proxy_log` or `fd_write`, found `env.proxy_log`",
        ),
    ] {
        let module = module("auth-scrub");
        let plugin = format!(
            "{{module: {}, allowed_capabilities: {names}}}",
            module.display()
        );
        let refusal = refusal(&suite(&format!("plugins: [{plugin}]\nrequest: {{}}")));
        let place = format!("cases[0].plugins[0].{place}");
        assert!(refusal.contains(&place), "{names}: {refusal}");
        assert!(refusal.contains(reason), "{names}: {refusal}");
    }
}

#[test]
fn plugins_that_are_no_filters_are_refused_where_they_stand() {
    for (case, place, reason) in [
        (
            "request: {}\naccess_loggers: [{package: p, singleton: true}]",
            "access_loggers[0].singleton: ",
            "only a service",
        ),
        (
            "request: {}\nservices: [{package: p, module: m}]",
            "services[0]: ",
            "either `package`",
        ),
        (
            "request: {}\nplugins: []",
            "cases[0]: ",
            "with at least one plugin",
        ),
        (
            "request: {}\nlog_from: begin",
            "log_from: ",
            "`begin` is unknown; expected one of `start`",
        ),
        (
            "request: {}\nstats_flush_interval: 5",
            "stats_flush_interval: ",
            "such as `500ms`",
        ),
    ] {
        let refusal = refusal(&suite(case));
        assert!(refusal.contains(place), "{case}: {refusal}");
        assert!(refusal.contains(reason), "{case}: {refusal}");
    }
}
