//! The module that `attache build` makes, in a host that answers as Envoy does.

use attache_harness::{Host, HostError, plugin};

#[test]
fn a_client_of_the_networks_reaches_the_upstream() -> Result<(), HostError> {
    let plugin = plugin!("tcp-allow-list").config(include_str!("config.json"));
    let mut host = Host::builder().tcp_chain("tcp", [plugin]).start()?;
    let client = host.connect()?;
    host.send_data(client, "hello")?;
    assert_eq!(host.connection(client)?.upstream().bytes(), b"hello");
    Ok(())
}
