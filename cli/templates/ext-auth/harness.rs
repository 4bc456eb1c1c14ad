//! The module that `attache build` makes, in a host that answers as Envoy does.

use attache_harness::{Host, HostError, Request, Response, plugin};

#[test]
fn a_credential_that_the_cluster_refuses_goes_nowhere() -> Result<(), HostError> {
    let mut host = Host::builder()
        .plugin(plugin!("ext-auth").config(include_str!("config.json")))
        .cluster("authz", Response::new(403))
        .start()?;
    let exchange = host.send(Request::get("/").header("authorization", "Bearer x"))?;
    assert_eq!(exchange.response().status(), 401);
    assert!(exchange.try_upstream_request().is_none());
    Ok(())
}
