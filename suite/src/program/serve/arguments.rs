use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::PathBuf;

use clap::Parser;

/// Serve filters by the harness.
///
/// `attache run --harness` does this.
#[derive(Debug, Parser)]
#[command(name = "attache-test", bin_name = "attache-test serve", version)]
pub(super) struct Arguments {
    /// A filter of the chain: NAME=FILE.wasm
    #[arg(long = "plugin", value_name = "NAME=FILE", required = true, value_parser = pair)]
    pub(super) plugins: Vec<(String, String)>,

    /// The configuration of one: NAME=FILE
    #[arg(long = "config", value_name = "NAME=FILE", value_parser = pair)]
    pub(super) configs: Vec<(String, String)>,

    /// Which filter of its module one is: NAME=ID
    #[arg(long = "root-id", value_name = "NAME=ID", value_parser = pair)]
    pub(super) root_ids: Vec<(String, String)>,

    /// An upstream, in the place of the one that answers with what it received
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub(super) upstream: Option<SocketAddr>,

    /// A server that filters call out to, by the name of its cluster: NAME=HOST:PORT
    #[arg(long = "cluster", value_name = "NAME=HOST:PORT", value_parser = cluster)]
    pub(super) clusters: Vec<(String, SocketAddr)>,

    /// Write the requests into a HAR file, without the secrets in them
    #[arg(long, value_name = "FILE")]
    pub(super) har: Option<PathBuf>,

    /// Where to listen on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(super) port: u16,

    /// The first request: its method, path, headers and body
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,

    #[arg(long, default_value = "/")]
    path: String,

    #[arg(short = 'H', long = "header")]
    headers: Vec<String>,

    #[arg(short = 'd', long)]
    body: Option<String>,

    /// End after the first request
    #[arg(long)]
    pub(super) once: bool,

    /// Print one line of JSON a request
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    pub(super) fn names(&self) -> Vec<&str> {
        self.plugins.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// What a pair of an option says of a name.
    pub(super) fn of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let pair = pairs.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// The files that a change in calls for another load.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let pairs = self.plugins.iter().chain(&self.configs);
        pairs.map(|(_, file)| PathBuf::from(file)).collect()
    }

    /// The first request.
    pub(super) fn wire(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let named = |wanted: &str| {
            self.headers.iter().any(|header| {
                let name = header.split(':').next().unwrap_or_default().trim();
                name.eq_ignore_ascii_case(wanted)
            })
        };
        if !named("host") {
            text.push_str("host: example.com\r\n");
        }
        for header in &self.headers {
            text.push_str(&format!("{header}\r\n"));
        }
        let body = self.body.as_deref().unwrap_or_default();
        if !body.is_empty() && !named("content-length") {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        format!("{text}\r\n{body}").into_bytes()
    }
}

fn pair(word: &str) -> Result<(String, String), String> {
    let (name, value) = word.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn cluster(word: &str) -> Result<(String, SocketAddr), String> {
    let (name, server) = pair(word)?;
    Ok((name, address(&server)?))
}

fn address(word: &str) -> Result<SocketAddr, String> {
    let mut addresses = word
        .to_socket_addrs()
        .map_err(|error| format!("`{word}` is not an upstream: {error}"))?;
    addresses
        .next()
        .ok_or_else(|| format!("`{word}` has no address"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
