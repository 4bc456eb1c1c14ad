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
