use std::path::PathBuf;

use clap::Parser;

/// Make a suite of traffic: a case for each request of a HAR file.
///
/// Browsers write HAR files (the developer tools' Network panel), and so does `attache run --har FILE`, of
/// the requests that were sent to it. What the upstream answers in a case is what was answered. The cases
/// expect nothing; `attache test FILE --bless` writes down what is seen of them, for review.
///
/// Values of authorization, cookies and whatever is called like a secret, in headers, queries and bodies,
/// become stand-ins: `stand-in-1` for the first one, wherever it stands. Bodies are left out.
#[derive(Debug, Parser)]
#[command(
    name = "attache-test",
    bin_name = "attache record",
    version,
    after_help = "Exit status: 0 done, 1 not done (standard error says why), 2 arguments not understood, 141 nobody read the output to its end.",
    after_long_help = "\
Examples:
  attache record shop.har -o tests/shop.suite.yaml     for the package in this folder
  attache record shop.har --plugin auth-scrub          for another one; to standard output
  attache record shop.har --plugin f.wasm --only /api  only requests with that in their URL
  attache run auth-scrub --har traffic.har             … to have such a file of your own requests

Exit status: 0 done, 1 not done (standard error says why), 2 arguments not understood, 141 nobody read the output to its end."
)]
pub(super) struct Arguments {
    /// The traffic: an HTTP archive (HAR)
    #[arg(value_name = "FILE.har")]
    pub(super) har: PathBuf,

    /// The suite to write; standard output without it
    #[arg(short, long, value_name = "FILE.suite.yaml")]
    pub(super) output: Option<PathBuf>,

    /// The plugin that the suite is about: a package, or a module; the package here without
    #[arg(long, value_name = "NAME|FILE.wasm")]
    pub(super) plugin: Option<String>,

    /// The plugin's configuration: a file with JSON
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Only requests whose URL contains this
    #[arg(long, value_name = "TEXT")]
    pub(super) only: Option<String>,

    /// Keep bodies, too
    #[arg(long)]
    pub(super) bodies: bool,

    /// Keep secrets as they are, in a file that is to be kept like them
    #[arg(long)]
    pub(super) keep_secrets: bool,
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
