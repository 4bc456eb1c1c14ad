use std::fmt;

/// What a host call answered: the numbers of the proxy-wasm ABI, any number at all.
///
/// The host is free to answer a number that no version of the ABI knows, so this is a number with
/// names and not an enum.
///
/// ```
/// use attache::Status;
///
/// assert_eq!(Status::new(1), Status::NOT_FOUND);
/// assert_eq!(Status::CAS_MISMATCH.name(), Some("CasMismatch"));
/// assert_eq!(Status::new(4711).name(), None);
/// assert_eq!(Status::OK.as_u32(), 0);
/// ```
///
/// ```
/// use attache::{Error, ErrorKind, Status};
///
/// /// What to do about a fault, for the log.
/// fn advice(error: &Error) -> &'static str {
///     let ErrorKind::Host(refusal) = error.kind() else {
///         return "see the cause";
///     };
///     match refusal.status {
///         Status::UNIMPLEMENTED => "the host lacks the call",
///         Status::INTERNAL_FAILURE => "the plugin may lack the capability",
///         Status::BAD_ARGUMENT => "the call is not for this callback, or an argument is wrong",
///         Status::CAS_MISMATCH | Status::EMPTY => "another worker was faster",
///         Status::SERIALIZATION_FAILURE | Status::INVALID_MEMORY_ACCESS => "report it",
///         _ => "see Envoy's log",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Status(u32);

impl Status {
    /// The call did what was asked.
    pub const OK: Self = Self(0);
    /// The object, key or property is not there.
    pub const NOT_FOUND: Self = Self(1);
    /// An argument is wrong, or the object cannot be used in this phase.
    pub const BAD_ARGUMENT: Self = Self(2);
    /// A value cannot be made of what is there.
    pub const SERIALIZATION_FAILURE: Self = Self(3);
    /// A pointer or length lies outside the module's memory, or its allocator failed.
    pub const INVALID_MEMORY_ACCESS: Self = Self(6);
    /// The queue has no item.
    pub const EMPTY: Self = Self(7);
    /// The value was changed by somebody else in the meantime.
    pub const CAS_MISMATCH: Self = Self(8);
    /// The host failed, or the plugin may not make this call.
    pub const INTERNAL_FAILURE: Self = Self(10);
    /// The host does not have this call; also every answer outside wasm32.
    pub const UNIMPLEMENTED: Self = Self(12);

    /// Wraps a number as the host answered it.
    #[must_use]
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// The number itself.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The name in the ABI's `proxy_status_t`, or `None` for a number without one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "Ok",
            1 => "NotFound",
            2 => "BadArgument",
            3 => "SerializationFailure",
            4 => "ParseFailure",
            5 => "BadExpression",
            6 => "InvalidMemoryAccess",
            7 => "Empty",
            8 => "CasMismatch",
            9 => "ResultMismatch",
            10 => "InternalFailure",
            11 => "BrokenConnection",
            12 => "Unimplemented",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{} ({name})", self.0),
            None => write!(formatter, "{} (not in the ABI)", self.0),
        }
    }
}

/// A host call that did not answer [`Status::OK`].
///
/// ```
/// use attache::{Status, foreign};
///
/// // Outside of a host each call answers so.
/// let error = foreign::call("clear_route_cache", b"").unwrap_err();
/// assert_eq!(error.status, Status::UNIMPLEMENTED);
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub struct HostError {
    /// The call's name in the ABI, such as `proxy_get_header_map_pairs`.
    pub call: &'static str,
    /// What it answered.
    pub status: Status,
}

impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` answered {}", self.call, self.status)
    }
}

/// In the same words: each error has its `Debug` in the module, and what is derived brings 9 KB along.
impl fmt::Debug for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HostError({self})")
    }
}

impl std::error::Error for HostError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_number_keeps_its_value() {
        let error = HostError {
            call: "proxy_log",
            status: Status::new(4711),
        };
        assert_eq!(
            error.to_string(),
            "`proxy_log` answered 4711 (not in the ABI)"
        );
    }

    #[test]
    fn a_known_number_has_its_name() {
        assert_eq!(Status::new(2).to_string(), "2 (BadArgument)");
    }
}
