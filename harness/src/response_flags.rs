//! Envoy's response flags: short words for what went wrong with a stream.

use std::fmt;

/// The response flags of a stream, as `%RESPONSE_FLAGS%` prints them: `UF`, `UC,URX`, or `-`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ResponseFlags(u64);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident $short:literal $bit:literal;)*) => {
        impl ResponseFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Bits and short names, in the order in which Envoy lists them.
            const NAMES: &[(Self, &str)] = &[$((Self::$name, $short)),*];
        }
    };
}

// The bits are those of Envoy's `CoreResponseFlag`; filters read them as `response.flags`.
flags! {
    /// `UH`: the cluster has no healthy endpoint.
    NO_HEALTHY_UPSTREAM "UH" 1;
    /// `UT`: the upstream did not answer within the route's timeout.
    UPSTREAM_REQUEST_TIMEOUT "UT" 2;
    /// `UR`: the upstream reset the stream.
    UPSTREAM_REMOTE_RESET "UR" 4;
    /// `UF`: the connection to the upstream failed.
    UPSTREAM_CONNECTION_FAILURE "UF" 5;
    /// `UC`: the upstream closed the connection.
    UPSTREAM_CONNECTION_TERMINATION "UC" 6;
    /// `NR`: no route.
    NO_ROUTE_FOUND "NR" 8;
    /// `DC`: the client went away.
    DOWNSTREAM_CONNECTION_TERMINATION "DC" 14;
    /// `URX`: a TCP connection was tried as often as it may be.
    UPSTREAM_RETRY_LIMIT_EXCEEDED "URX" 15;
    /// `SI`: nothing moved for the stream's idle timeout.
    STREAM_IDLE_TIMEOUT "SI" 16;
    /// `DPE`: the request cannot be sent.
    DOWNSTREAM_PROTOCOL_ERROR "DPE" 18;
    /// `UPE`: the upstream's answer cannot be read.
    UPSTREAM_PROTOCOL_ERROR "UPE" 23;
}

impl ResponseFlags {
    /// The flags as bits, as the property `response.flags` has them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (flag, name) in Self::NAMES {
            if self.contains(*flag) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        if separator.is_empty() {
            f.write_str("-")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_printed_as_in_an_access_log() {
        let mut flags = ResponseFlags::default();
        assert_eq!(flags.to_string(), "-");
        flags.set(ResponseFlags::UPSTREAM_CONNECTION_FAILURE);
        flags.set(ResponseFlags::NO_HEALTHY_UPSTREAM);
        assert_eq!((flags.to_string().as_str(), flags.bits()), ("UH,UF", 0x22));
    }
}
