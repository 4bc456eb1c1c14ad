//! The module that `attache build` makes, in a host that answers as Envoy does.

use attache_harness::{Host, HostError, Request, plugin};

#[test]
fn a_path_on_the_list_never_reaches_the_upstream() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("deny-list").config(include_str!("config.json")))?;
    let exchange = host.send(Request::get("/admin/users"))?;
    assert_eq!(exchange.response().status(), 403);
    assert!(exchange.try_upstream_request().is_none());
    Ok(())
}
