//! Envoy's response flags: short words for what went wrong with a stream.

use std::fmt;

/// The response flags of a stream, as `%RESPONSE_FLAGS%` prints them: `UF`, `UC,URX`, or `-`.
///
/// They are printed in the order in which they came to be; two are equal that have the same flags in any order.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseFlags {
    bits: u64,
    /// The numbers of the bits, each in five bits, the last one lowest.
    order: u64,
}

/// How many bits a number has in there.
const NUMBER: u32 = 5;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident $short:literal $bit:literal;)*) => {
        impl ResponseFlags {
            $($(#[$doc])* pub const $name: Self = Self { bits: 1 << $bit, order: $bit };)*

            const _FIT: () = assert!([$($bit),*].len() <= 12 $(&& $bit < 1 << NUMBER)*);

            /// The short name of a bit.
            fn name(bit: u64) -> &'static str {
                match bit {
                    $($bit => $short,)*
                    _ => "",
                }
            }
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
    /// `URX`: a request or a TCP connection was tried as often as it may be.
    UPSTREAM_RETRY_LIMIT_EXCEEDED "URX" 15;
    /// `SI`: nothing moved for the stream's idle timeout.
    STREAM_IDLE_TIMEOUT "SI" 16;
    /// `DPE`: the request cannot be sent.
    DOWNSTREAM_PROTOCOL_ERROR "DPE" 18;
    /// `UPE`: the upstream's answer cannot be read.
    UPSTREAM_PROTOCOL_ERROR "UPE" 23;
    /// `NC`: no cluster is called as the one that a connection is to go to.
    NO_CLUSTER_FOUND "NC" 24;
}

impl ResponseFlags {
    /// The flags as bits, as the property `response.flags` has them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.bits & other.bits == other.bits
    }

    /// Sets a flag, behind those that are set.
    pub(crate) fn set(&mut self, flag: Self) {
        if !self.contains(flag) {
            self.bits |= flag.bits;
            self.order = self.order << NUMBER | flag.order;
        }
    }
}

impl PartialEq for ResponseFlags {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl Eq for ResponseFlags {}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for place in (0..self.bits.count_ones()).rev() {
            let bit = self.order >> (NUMBER * place) & ((1 << NUMBER) - 1);
            write!(f, "{separator}{}", Self::name(bit))?;
            separator = ",";
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
        flags.set(ResponseFlags::UPSTREAM_CONNECTION_FAILURE);
        assert_eq!((flags.to_string().as_str(), flags.bits()), ("UF,UH", 0x22));
        let mut other = ResponseFlags::NO_HEALTHY_UPSTREAM;
        other.set(ResponseFlags::UPSTREAM_CONNECTION_FAILURE);
        assert_eq!((flags, other.to_string().as_str()), (other, "UH,UF"));
    }
}
