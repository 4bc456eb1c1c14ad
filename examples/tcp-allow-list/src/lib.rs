//! Lets connections in from some networks, and from nowhere else.
//!
//! A new connection is held until `call` says what becomes of it: nothing of it reaches the upstream
//! before.

#![forbid(unsafe_code)]

use std::net::IpAddr;

use attache::prelude::*;

/// The filter.
#[derive(Debug)]
pub struct TcpAllowList {
    networks: Vec<Network>,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The networks that may connect.
    networks: Vec<Network>,
}

/// Addresses that begin with the same bits, such as `10.0.0.0/8`, or one address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl TryFrom<String> for Network {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.as_str(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| "expected an address")?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse);
        let bits = bits.ok().filter(|bits| *bits <= most);
        let bits = bits.ok_or("expected as many bits as the address has, or fewer")?;
        Ok(Self { address, bits })
    }
}

impl Network {
    fn contains(&self, client: IpAddr) -> bool {
        // An IPv4 client of a socket for both is written as ::ffff:10.0.0.1.
        let differing = match (self.address, client.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros()
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        differing >= self.bits
    }
}

impl TcpFilter for TcpAllowList {
    type Config = Config;

    const PHASES: Phases = Phases::CONNECTION;

    fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
        let networks = config.networks;
        Ok(Self { networks })
    }

    async fn call(&self, connection: Connection, next: TcpNext) -> Result<Ending, Error> {
        // A client without an address, of a Unix socket, is in no network.
        let client = connection.source();
        match client.is_some_and(|client| self.networks.iter().any(|n| n.contains(client.ip()))) {
            true => next.forward(connection),
            false => Ok(Ending::close()),
        }
    }
}

attache::filters! { "tcp-allow-list" => TcpAllowList }
