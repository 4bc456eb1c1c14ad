use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::demo::Demo;
use super::rollout::Rollout;

/// Hot reload of filters in running Envoys.
#[derive(Debug, Parser)]
#[command(name = "attache-control-plane", version, propagate_version = true, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

const EXIT_CODES: &str = "\
Exit status: 0 done, 1 failed (standard error says why), 2 arguments not understood.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Serve(Box<Serve>),
    Rollout(Rollout),
    Demo(Demo),
}

/// Push the rollouts of a folder to Envoys, and again whenever one changes.
///
/// A rollout is a YAML file that names a plugin, its module and its configuration. Envoys ask for plugins by extension configuration discovery (ECDS) over gRPC. What becomes of each push is at the address of `--api`: a page for people, `/v1/rollouts` for programs, `/metrics` for Prometheus.
///
/// Neither address asks for a password: keep them on loopback, or in a network of your own. With --tls-cert, --tls-key and --tls-client-ca only Envoys get in that have a certificate.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache-control-plane serve --rollouts rollouts
  attache-control-plane serve --rollouts rollouts --listen 0.0.0.0:18000
  curl -s http://127.0.0.1:18001/v1/rollouts | jq '.rollouts[] | {name, phase, reason}'")]
pub(super) struct Serve {
    /// The folder of rollouts; each *.yaml in it is one
    #[arg(long, value_name = "FOLDER")]
    pub(super) rollouts: PathBuf,

    /// The folder in which the last good versions outlive this program; made if there is none
    #[arg(long, value_name = "FOLDER", default_value = "attache-state")]
    pub(super) state: PathBuf,

    /// Where Envoys connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:18000")]
    pub(super) listen: SocketAddr,

    /// Where status, history and metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:18001")]
    pub(super) api: SocketAddr,

    /// The certificate for --listen, as PEM; Envoys then need one of their own
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_client_ca"])]
    pub(super) tls_cert: Option<PathBuf>,

    /// Its key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// Who vouches for Envoys: their certificates, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_client_ca: Option<PathBuf>,

    /// Whose signatures an image has to have to be fetched; it is read anew for each image
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,

    /// Speak HTTP without TLS to this registry, as is done with those on this machine anyway; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(super) plain_http: Vec<String>,

    /// Certificates for registries in PEM, beside those of the system; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Vec<PathBuf>,

    /// How many connections of Envoys may be open
    #[arg(long, value_name = "NUMBER", default_value = "4096")]
    pub(super) max_connections: NonZeroUsize,

    /// How many of them from one address; more where Envoys come through one gateway
    #[arg(long, value_name = "NUMBER", default_value = "256")]
    pub(super) max_connections_per_address: NonZeroUsize,
}
