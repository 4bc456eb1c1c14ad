use std::collections::BTreeMap;

/// What the upstream of a TCP chain does.
#[derive(Clone, Debug, Default)]
pub(crate) struct TcpUpstream {
    /// Sent as soon as Envoy is connected.
    pub(crate) greeting: Option<Vec<u8>>,
    /// Sent for each piece that arrives.
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) ends: TcpEnds,
    pub(crate) fault: Option<TcpFault>,
    /// Others, by the names of their clusters.
    pub(crate) clusters: BTreeMap<String, Self>,
}

/// When an upstream ends its side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum TcpEnds {
    /// When downstream has ended its side.
    #[default]
    WithClient,
    /// With its greeting.
    AfterGreeting,
    /// With its first answer.
    AfterAnswer,
    Never,
}

/// What goes wrong at an upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TcpFault {
    /// Nobody listens.
    Refused,
    /// It resets the connection at the first piece.
    Reset,
}

/// What a client of a TCP chain does; connections are counted from 0.
#[derive(Clone, Debug)]
pub(crate) enum TcpStep {
    Connect,
    Send(usize, Vec<u8>),
    /// It ends its side.
    HalfClose(usize),
    /// It resets the connection.
    Abort(usize),
}
