/// The callbacks that the filters of a module need, all of them together.
///
/// The bits are those of `attache::Phases`; the contract is the line that the SDK's `filters!`
/// leaves in the custom section `attache.filters`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Callbacks(u8);

impl Callbacks {
    const RESPONSE: u8 = 1 << 1;
    const WAITS: u8 = 1 << 2;

    const KNOWN: u8 = 0b111;

    /// `None` for bits of an SDK that is newer than this crate: what they ask for must not be
    /// dropped.
    pub(crate) fn new(bits: u8) -> Option<Self> {
        (bits & !Self::KNOWN == 0).then_some(Self(bits))
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Whether a filter of the module may hold a stream while it waits.
    #[must_use]
    pub fn waits(self) -> bool {
        self.has(Self::WAITS)
    }

    /// Whether the host has to find the export `name`. Names that are no callbacks are kept,
    /// but for the linker's own marks.
    #[must_use]
    pub fn keeps(self, name: &str) -> bool {
        match name {
            // Envoy looks neither up; wasm-ld exports them for tools.
            "__data_end" | "__heap_base" => false,
            _ if self.required().any(|required| required == name) => true,
            _ => !name.starts_with("proxy_on_"),
        }
    }

    /// The callbacks without which the filters would not do what they declare.
    pub fn required(self) -> impl Iterator<Item = &'static str> {
        let table: [(&str, bool); 10] = [
            ("proxy_on_context_create", true),
            ("proxy_on_configure", true),
            ("proxy_on_request_headers", true),
            ("proxy_on_delete", true),
            // A response that comes before the request is judged ends the wait.
            (
                "proxy_on_response_headers",
                self.has(Self::RESPONSE | Self::WAITS),
            ),
            // While the headers are held, so are body and trailers: where the plugin has Envoy's
            // `allow_on_headers_stop_iteration`, a missing callback counts as Continue and lets the
            // request through unjudged.
            ("proxy_on_request_body", self.waits()),
            ("proxy_on_request_trailers", self.waits()),
            (
                "proxy_on_response_body",
                self.waits() && self.has(Self::RESPONSE),
            ),
            (
                "proxy_on_response_trailers",
                self.waits() && self.has(Self::RESPONSE),
            ),
            // After the access log a stream must not be acted on, and another stream may wake it.
            ("proxy_on_log", self.waits()),
        ];
        table
            .into_iter()
            .filter_map(|(name, needed)| needed.then_some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_request_headers_keeps_four_callbacks() {
        let required: Vec<_> = Callbacks(1).required().collect();
        assert_eq!(
            required,
            [
                "proxy_on_context_create",
                "proxy_on_configure",
                "proxy_on_request_headers",
                "proxy_on_delete"
            ]
        );
    }

    #[test]
    fn a_filter_that_waits_keeps_body_and_trailers_of_the_request() {
        let waits = Callbacks(0b101);
        for name in [
            "proxy_on_request_body",
            "proxy_on_request_trailers",
            "proxy_on_log",
        ] {
            assert!(waits.keeps(name), "{name}");
        }
        assert!(!waits.keeps("proxy_on_response_body"));
        assert!(Callbacks(0b111).keeps("proxy_on_response_trailers"));
    }

    #[test]
    fn what_is_no_callback_stays() {
        for name in ["memory", "malloc", "_initialize", "proxy_abi_version_0_2_1"] {
            assert!(Callbacks(1).keeps(name), "{name}");
        }
        assert!(!Callbacks(0b111).keeps("proxy_on_tick"));
    }
}
