//! The tests that `attache new` gives a crate, as they are before they are given away.

#[path = "../../../cli/templates/add-header/harness.rs"]
mod add_header;
#[path = "../../../cli/templates/audit/harness.rs"]
mod audit;
#[path = "../../../cli/templates/body-rewrite/harness.rs"]
mod body_rewrite;
#[path = "../../../cli/templates/deny-list/harness.rs"]
mod deny_list;
#[path = "../../../cli/templates/ext-auth/harness.rs"]
mod ext_auth;
#[path = "../../../cli/templates/rate-limit/harness.rs"]
mod rate_limit;
#[path = "../../../cli/templates/sse/harness.rs"]
mod sse;
#[path = "../../../cli/templates/tcp-allow-list/harness.rs"]
mod tcp_allow_list;
