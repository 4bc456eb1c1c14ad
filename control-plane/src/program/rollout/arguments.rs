use clap::{Args, Subcommand};

/// Ask a control plane what has become of its rollouts, and decide on them.
///
/// The control plane is the one at `--api`, or that the variable ATTACHE_CONTROL_PLANE names, or that of this machine at 127.0.0.1:18001.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache rollout status                         all rollouts, a line each, and what is wrong with files
  attache rollout status auth-scrub --watch      one with its Envoys, again whenever something changes
  attache rollout undo auth-scrub                the version before
  attache rollout history auth-scrub --json | jq '.entries[-1].reason'
  ATTACHE_CONTROL_PLANE=http://plane.example:18001 attache rollout status")]
pub(in crate::program) struct Rollout {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Status(Status),
    History(History),
    Promote(Promote),
    Undo(Undo),
}

/// Show what has become of each rollout, or of one with all its Envoys.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache rollout status
  attache rollout status auth-scrub --watch
  attache rollout status --json | jq '.rollouts[] | select(.phase == \"returned\") | .reason'")]
pub(super) struct Status {
    /// The rollout; all without it
    #[arg(value_name = "NAME")]
    pub(super) name: Option<String>,

    /// Show it again whenever something changes, until Ctrl-C
    #[arg(long)]
    pub(super) watch: bool,

    #[command(flatten)]
    pub(super) api: Api,
}

/// Show what has happened to a rollout, latest last.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache rollout history auth-scrub
  attache rollout history auth-scrub --json | jq '.entries[] | {at, phase, reason}'")]
pub(super) struct History {
    /// The rollout
    #[arg(value_name = "NAME")]
    pub(super) name: String,

    #[command(flatten)]
    pub(super) api: Api,
}

/// Give a version that a canary group tries to the other groups now.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache rollout promote auth-scrub

Exit status: 0 it goes to the other groups, 1 there is no trial to end, or no control plane.")]
pub(super) struct Promote {
    /// The rollout
    #[arg(value_name = "NAME")]
    pub(super) name: String,

    #[command(flatten)]
    pub(super) api: Api,
}

/// Return to the version before, until the file of the rollout changes.
///
/// A version that is still on its way is given up for the last good one; otherwise the last good one is given up for the good one before it. The file stays as it is: correct it, so that it says what serves.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache rollout undo auth-scrub
  attache rollout undo auth-scrub && attache rollout status auth-scrub --watch

Exit status: 0 the version before is on its way, 1 there is none, or no control plane.")]
pub(super) struct Undo {
    /// The rollout
    #[arg(value_name = "NAME")]
    pub(super) name: String,

    #[command(flatten)]
    pub(super) api: Api,
}

/// Whom to ask, and for whom.
#[derive(Args, Debug)]
pub(super) struct Api {
    /// The address of the control plane's API
    #[arg(long = "api", value_name = "URL")]
    pub(super) address: Option<String>,

    /// Print JSON, a line for each answer, for programs
    #[arg(long)]
    pub(super) json: bool,
}
