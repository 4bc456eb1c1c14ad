//! What the command's exit status means. `clap` exits with 2 for arguments it cannot read, and a
//! shell shows 130 after Ctrl-C. [`attache_module::UNREAD`] is 141, where nobody reads the output to its end.

/// Something could not be done; standard error says what, why and what to do.
pub(crate) const FAILED: u8 = 1;
