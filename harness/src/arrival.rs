//! How a message's body arrives: in pieces, with pauses, or not to its end.

use std::collections::VecDeque;
use std::time::Duration;

use crate::upstream_failure::UpstreamFailure;

/// A step of a message after its headers.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Chunk(Vec<u8>),
    /// Time passes.
    Pause(Duration),
    /// What follows is there from this time on: a pause of a message under way.
    Until(Duration),
    /// The peer goes away instead of sending the rest.
    Cut(UpstreamFailure),
    /// Nothing more comes, and the connection stays.
    Stall,
}

/// A body that begins to arrive at `start`: a peer sends in its own time, whether Envoy reads or
/// not.
pub(crate) fn arriving(pieces: Vec<Piece>, start: Duration) -> VecDeque<Piece> {
    let mut time = start;
    let mut arriving = VecDeque::from(pieces);
    for piece in &mut arriving {
        if let Piece::Pause(pause) = piece {
            time = time.saturating_add(*pause);
            *piece = Piece::Until(time);
        }
    }
    arriving
}

/// A body that comes as a whole, if there is any.
pub(crate) fn whole(body: &[u8]) -> Vec<Piece> {
    if body.is_empty() {
        Vec::new()
    } else {
        vec![Piece::Chunk(body.to_vec())]
    }
}
