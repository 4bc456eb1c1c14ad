/// The callbacks that the filters of a module need, all of them together.
///
/// The bits are those of `attache::Phases`; the contract is the line that the SDK's `filters!`
/// leaves in the custom section `attache.filters`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Callbacks(u32);

impl Callbacks {
    const REQUEST: u32 = 1;
    const RESPONSE: u32 = 1 << 1;
    const WAITS: u32 = 1 << 2;
    const REQUEST_BODY: u32 = 1 << 3;
    const REQUEST_TRAILERS: u32 = 1 << 4;
    const RESPONSE_BODY: u32 = 1 << 5;
    const RESPONSE_TRAILERS: u32 = 1 << 6;
    const COMPLETE: u32 = 1 << 7;
    const HOLDS: u32 = 1 << 8;
    const BESIDE: u32 = 1 << 9;

    const CONNECTION: u32 = 1 << 16;
    const DOWNSTREAM: u32 = 1 << 17;
    const UPSTREAM: u32 = 1 << 18;
    const CLOSE: u32 = 1 << 19;
    const ACCESS_LOG: u32 = 1 << 20;
    const SERVICE: u32 = 1 << 21;

    const KNOWN: u32 = 0x003f_03ff;

    /// `None` for bits of an SDK that is newer than this crate: what they ask for must not be
    /// dropped.
    pub(crate) fn new(bits: u32) -> Option<Self> {
        (bits & !Self::KNOWN == 0).then_some(Self(bits))
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `bits` is there.
    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Whether a filter of the module may hold a stream while it waits.
    #[must_use]
    pub fn waits(self) -> bool {
        self.has(Self::WAITS)
    }

    /// Whether a filter of the module may hold headers until it knows the body, which needs
    /// Envoy's `allow_on_headers_stop_iteration`.
    #[must_use]
    pub fn holds(self) -> bool {
        self.has(Self::HOLDS)
    }

    /// Whether the host has to find the export `name`. Names that are no callbacks are kept,
    /// but for the linker's own marks.
    #[must_use]
    pub fn keeps(self, name: &str) -> bool {
        match name {
            // Envoy looks neither up; wasm-ld exports them for tools.
            "__data_end" | "__heap_base" => false,
            // Only building calls it.
            crate::interpreter::EXPORT => false,
            _ if self.required().any(|required| required == name) => true,
            _ if self.has(Self::WAITS | Self::BESIDE) && AWAITED.contains(&name) => true,
            // A filter that is configured where it cannot work refuses there: without the first
            // callback of a TCP connection it would let everything pass. Where it is right, the host
            // never makes that callback.
            "proxy_on_new_connection" => true,
            _ => !name.starts_with("proxy_on_"),
        }
    }

    /// What they are for, in the words of `attache::Phases`.
    pub fn phases(self) -> impl Iterator<Item = &'static str> {
        let words = [
            (Self::REQUEST, "request"),
            (Self::RESPONSE, "response"),
            (Self::REQUEST_BODY, "request_body"),
            (Self::REQUEST_TRAILERS, "request_trailers"),
            (Self::RESPONSE_BODY, "response_body"),
            (Self::RESPONSE_TRAILERS, "response_trailers"),
            (Self::COMPLETE, "complete"),
            (Self::CONNECTION, "connection"),
            (Self::DOWNSTREAM, "downstream"),
            (Self::UPSTREAM, "upstream"),
            (Self::CLOSE, "close"),
            (Self::WAITS, "waits"),
            (Self::HOLDS, "holds"),
            (Self::BESIDE, "beside"),
            (Self::ACCESS_LOG, "access_log"),
            (Self::SERVICE, "service"),
        ];
        words
            .into_iter()
            .filter_map(move |(bit, word)| self.has(bit).then_some(word))
    }

    /// The callbacks without which the filters would not do what they declare.
    pub fn required(self) -> impl Iterator<Item = &'static str> {
        // While the headers are held, so are body and trailers: where the plugin has Envoy's
        // `allow_on_headers_stop_iteration`, a missing callback counts as Continue and lets the
        // message through unjudged. A body may also end with its trailers.
        let holds_request = self.waits() && self.has(Self::REQUEST);
        let holds_response = self.waits() && self.has(Self::RESPONSE);
        let request_body = holds_request || self.has(Self::REQUEST_BODY);
        let response_body = holds_response || self.has(Self::RESPONSE_BODY);
        let table: [(&str, bool); 16] = [
            ("proxy_on_context_create", true),
            ("proxy_on_configure", true),
            ("proxy_on_request_headers", true),
            ("proxy_on_delete", true),
            // A response that comes before the request is judged ends the wait.
            (
                "proxy_on_response_headers",
                holds_request || self.has(Self::RESPONSE),
            ),
            ("proxy_on_request_body", request_body),
            (
                "proxy_on_request_trailers",
                request_body || self.has(Self::REQUEST_TRAILERS),
            ),
            ("proxy_on_response_body", response_body),
            (
                "proxy_on_response_trailers",
                response_body || self.has(Self::RESPONSE_TRAILERS),
            ),
            // After the access log a stream must not be acted on, and another stream may wake it.
            (
                "proxy_on_log",
                holds_request || self.has(Self::COMPLETE | Self::ACCESS_LOG),
            ),
            (
                "proxy_on_queue_ready",
                self.has(Self::ACCESS_LOG | Self::SERVICE),
            ),
            ("proxy_on_new_connection", self.has(Self::CONNECTION)),
            ("proxy_on_downstream_data", self.has(Self::DOWNSTREAM)),
            ("proxy_on_upstream_data", self.has(Self::UPSTREAM)),
            (
                "proxy_on_downstream_connection_close",
                self.has(Self::CLOSE),
            ),
            ("proxy_on_upstream_connection_close", self.has(Self::CLOSE)),
        ];
        table
            .into_iter()
            .filter_map(|(name, needed)| needed.then_some(name))
    }
}

/// What a future may wait for besides events of streams. The host calls these only where the module
/// asked for ticks, called out or receives from a queue, so that keeping them costs no crossing.
const AWAITED: [&str; 7] = [
    "proxy_on_tick",
    "proxy_on_queue_ready",
    "proxy_on_http_call_response",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
];

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
    fn what_goes_on_beside_the_streams_costs_them_no_callback() {
        let beside = Callbacks(1 | Callbacks::BESIDE);
        assert_eq!(
            beside.required().collect::<Vec<_>>(),
            Callbacks(1).required().collect::<Vec<_>>()
        );
        for name in AWAITED {
            assert!(beside.keeps(name) && !Callbacks(1).keeps(name), "{name}");
        }
    }

    #[test]
    fn a_body_keeps_the_trailers_of_its_direction() {
        let body = Callbacks(1 | Callbacks::RESPONSE_BODY);
        assert!(body.keeps("proxy_on_response_body"));
        assert!(body.keeps("proxy_on_response_trailers"));
        assert!(!body.keeps("proxy_on_request_trailers"));
        let trailers = Callbacks(1 | Callbacks::REQUEST_TRAILERS);
        assert!(trailers.keeps("proxy_on_request_trailers"));
        assert!(!trailers.keeps("proxy_on_request_body"));
    }

    #[test]
    fn a_look_at_the_end_keeps_the_access_log() {
        assert!(Callbacks(1 | Callbacks::COMPLETE).keeps("proxy_on_log"));
        assert!(!Callbacks(1).keeps("proxy_on_log"));
    }

    #[test]
    fn each_kind_of_filter_has_its_own_callbacks() {
        let of = |bits| Callbacks(bits).required().collect::<Vec<_>>();
        assert_eq!(
            of(0x000f_0000 | Callbacks::WAITS),
            [
                "proxy_on_context_create",
                "proxy_on_configure",
                "proxy_on_request_headers",
                "proxy_on_delete",
                "proxy_on_new_connection",
                "proxy_on_downstream_data",
                "proxy_on_upstream_data",
                "proxy_on_downstream_connection_close",
                "proxy_on_upstream_connection_close",
            ]
        );
        let log = of(Callbacks::ACCESS_LOG | Callbacks::WAITS);
        assert!(log.contains(&"proxy_on_log") && !log.contains(&"proxy_on_request_body"));
        assert!(of(Callbacks::SERVICE).contains(&"proxy_on_queue_ready"));
        for name in of(0x000f_0000).iter().skip(5) {
            assert!(!Callbacks(0x1ff).keeps(name), "{name}");
        }
    }

    #[test]
    fn each_phase_has_a_word() {
        for bit in (0..32).map(|bit| 1 << bit) {
            if let Some(callbacks) = Callbacks::new(bit) {
                assert_eq!(callbacks.phases().count(), 1, "{bit:#x}");
            }
        }
        let words: Vec<_> = Callbacks(0b1_0000_0101).phases().collect();
        assert_eq!(words, ["request", "waits", "holds"]);
    }

    #[test]
    fn what_is_no_callback_stays() {
        for name in ["memory", "malloc", "_initialize", "proxy_abi_version_0_2_1"] {
            assert!(Callbacks(1).keeps(name), "{name}");
        }
        assert!(!Callbacks(0b111).keeps("proxy_on_foreign_function"));
    }

    #[test]
    fn only_a_filter_that_waits_hears_of_ticks_and_answers() {
        for name in AWAITED {
            assert!(Callbacks(0b101).keeps(name), "{name}");
            assert!(!Callbacks(0b011).keeps(name), "{name}");
        }
    }
}
