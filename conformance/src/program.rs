//! The larger commands.

pub(crate) mod generate;
