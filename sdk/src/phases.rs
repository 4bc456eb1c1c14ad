use std::ops::BitOr;

use crate::filter::HttpFilter;
use crate::mode::Mode;

/// The callbacks that a filter needs.
///
/// Each callback that a module exports costs a crossing an event, so `attache build` drops those
/// that no filter of the module needs. The declaration is safe to get wrong in one direction only,
/// and the other is caught at run time: what a filter does without having declared it becomes an
/// [`Error`](crate::Error), which meets its [`FailureMode`](crate::FailureMode).
///
/// ```
/// use attache::Phases;
///
/// const PHASES: Phases = Phases::REQUEST.union(Phases::RESPONSE);
///
/// assert!(PHASES.contains(Phases::REQUEST));
/// assert!(!PHASES.contains(Phases::WAITS));
/// ```
///
/// ```
/// use attache::Phases;
///
/// /// Of a filter that judges requests by a call-out, and rewrites bodies.
/// const JUDGE: Phases = Phases::REQUEST
///     .union(Phases::RESPONSE)
///     .union(Phases::WAITS)
///     .union(Phases::REQUEST_BODY)
///     .union(Phases::RESPONSE_BODY);
/// /// Of one that looks at trailers, and at each stream's end.
/// const TRAILERS: Phases = Phases::REQUEST
///     .union(Phases::REQUEST_TRAILERS)
///     .union(Phases::RESPONSE_TRAILERS)
///     .union(Phases::COMPLETE);
/// /// Of a TCP filter that meters both directions.
/// const METER: Phases = Phases::CONNECTION
///     .union(Phases::DOWNSTREAM)
///     .union(Phases::UPSTREAM)
///     .union(Phases::CLOSE);
///
/// /// Of one that only adds headers, which it fetches from time to time.
/// const FETCHED: Phases = Phases::REQUEST.union(Phases::BESIDE);
///
/// assert!(Phases::ALL.contains(JUDGE | TRAILERS | FETCHED));
/// assert!(Phases::TCP.contains(METER) && !Phases::ALL.contains(METER));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Phases(u32);

impl Phases {
    /// Request headers; every HTTP filter has them.
    pub const REQUEST: Self = Self(1);
    /// Response headers: needed to wake after [`Next::run`](crate::Next::run).
    pub const RESPONSE: Self = Self(1 << 1);
    /// The future may wait for something other than `next`. While it does, the stream's body and
    /// trailers are held, so those callbacks stay exported (with Envoy's
    /// `allow_on_headers_stop_iteration`, a request would otherwise go on unjudged).
    ///
    /// What is awaited beside `next`, such as a [`timeout`](crate::timeout()) around it, is something other, too. Without this
    /// it is a fault of the stream, also where it is given up in the same turn; but for wakers that something outside of this
    /// crate keeps: those are not heard.
    pub const WAITS: Self = Self(1 << 2);
    /// The request's body, and its trailers, behind which a body may end.
    pub const REQUEST_BODY: Self = Self(1 << 3);
    /// The request's trailers.
    pub const REQUEST_TRAILERS: Self = Self(1 << 4);
    /// The response's body, and its trailers.
    pub const RESPONSE_BODY: Self = Self(1 << 5);
    /// The response's trailers.
    pub const RESPONSE_TRAILERS: Self = Self(1 << 6);
    /// The end of the stream, or the TCP connection, when its access log is written.
    pub const COMPLETE: Self = Self(1 << 7);
    /// What goes on beside the streams: [`HttpFilter::run`], and calls that are
    /// [sent and forgotten](crate::cluster::Call::send_and_forget). Costs streams no callback.
    pub const BESIDE: Self = Self(1 << 9);
    /// Everything of an HTTP filter.
    pub const ALL: Self = Self(0xff | Self::BESIDE.0);

    /// New connections; every TCP filter has them.
    pub const CONNECTION: Self = Self(1 << 16);
    /// What the client of a TCP connection sends.
    pub const DOWNSTREAM: Self = Self(1 << 17);
    /// What the upstream of a TCP connection sends.
    pub const UPSTREAM: Self = Self(1 << 18);
    /// The end of a TCP connection.
    pub const CLOSE: Self = Self(1 << 19);
    /// Everything of a TCP filter.
    pub const TCP: Self = Self(0b1111 << 16 | Self::WAITS.0 | Self::COMPLETE.0 | Self::BESIDE.0);

    /// What an access logger needs.
    pub(crate) const ACCESS_LOG: Self = Self(1 << 20 | Self::WAITS.0);
    /// What a service needs.
    pub(crate) const SERVICE: Self = Self(1 << 21 | Self::WAITS.0);

    /// Headers may be held until the body is known; said by the filter's [`Mode`], not by its
    /// author.
    const HOLDS: Self = Self(1 << 8);

    /// What an HTTP filter declares, with what its mode adds.
    pub(crate) const fn of_http<F: HttpFilter<M>, M: Mode>() -> Self {
        if M::HOLDS {
            F::PHASES.union(Self::HOLDS).union(Self::WAITS)
        } else {
            F::PHASES
        }
    }

    /// Whether all of `other` is declared.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together; `|` in a constant.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Phases {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// How many bytes [`declaration`] adds to the root id: a blank, eight digits, a line feed.
#[doc(hidden)]
pub const DECLARATION_EXTRA: usize = 10;

/// One line of the custom section `attache.filters`: `<root id> <phases as eight hex digits>`.
///
/// # Panics
///
/// While compiling, when `N` is not the root id's length plus [`DECLARATION_EXTRA`], or when the
/// root id has a byte that would break the line.
#[doc(hidden)]
#[must_use]
pub const fn declaration<const N: usize>(root_id: &str, phases: Phases) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let name = root_id.as_bytes();
    assert!(N == name.len() + DECLARATION_EXTRA, "wrong length");
    let mut line = [0; N];
    let mut index = 0;
    while index < name.len() {
        assert!(name[index] > b' ', "a root id has no blanks or controls");
        line[index] = name[index];
        index += 1;
    }
    line[index] = b' ';
    let mut digit = 0;
    while digit < 8 {
        line[index + 8 - digit] = DIGITS[(phases.0 >> (4 * digit) & 15) as usize];
        digit += 1;
    }
    line[index + 9] = b'\n';
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_one_line() {
        let line: [u8; 17] =
            declaration("a-scrub", Phases::REQUEST | Phases::WAITS | Phases::HOLDS);
        assert_eq!(&line, b"a-scrub 00000105\n");
        let line: [u8; 14] = declaration("list", Phases::TCP);
        assert_eq!(&line, b"list 000f0284\n");
    }

    #[test]
    fn all_contains_each() {
        for phase in [Phases::REQUEST, Phases::RESPONSE, Phases::WAITS] {
            assert!(Phases::ALL.contains(phase));
            assert!(!Phases::REQUEST.contains(Phases::RESPONSE));
        }
    }
}
