//! The surprises that the harness knows, each with why it surprises and what to do instead.

/// Makes the enum and its texts: name, why, instead, reference.
macro_rules! lints {
    ($($(#[$doc:meta])* $kind:ident $name:literal $why:literal, $instead:literal, $reference:literal;)*) => {
        /// A surprise that the harness knows.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum LintKind {
            $($(#[$doc])* $kind,)*
        }

        impl LintKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// A stable name, such as `first-of-several-values`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Why it surprises.
            #[must_use]
            pub const fn why(self) -> &'static str {
                match self { $(Self::$kind => $why,)* }
            }

            /// What to do instead.
            #[must_use]
            pub const fn instead(self) -> &'static str {
                match self { $(Self::$kind => $instead,)* }
            }

            /// Where it is told in public: an issue of a GitHub project, or a source file.
            #[must_use]
            pub const fn reference(self) -> &'static str {
                match self { $(Self::$kind => $reference,)* }
            }
        }
    };
}

lints! {
    // Life-cycle.
    /// The VM failed while the plugin started, in a way that Envoy does not notice.
    FailedAtStart "failed-at-start"
        "Envoy starts all the same, and every stream meets a failed VM",
        "let nothing trap in `proxy_on_context_create`, nor in the allocator",
        "proxy-wasm/proxy-wasm-cpp-host src/wasm.cc, WasmBase::start";
    /// A plugin that the canary took did not start in a thread.
    ThreadStartFailure "thread-start-failure"
        "Envoy starts or updates all the same, and streams of that thread pass without the filter, \
         whatever the failure policy says",
        "let start and configure depend on the configuration alone, not on metrics, shared data or \
         the clock",
        "envoyproxy/envoy source/extensions/common/wasm/wasm.cc, createContext";

    // Headers and trailers.
    /// `proxy_get_header_map_value` read one of several values.
    FirstOfSeveralValues "first-of-several-values"
        "the call hands out the first value only, a client can hide another behind it",
        "read all pairs with `proxy_get_header_map_pairs` and judge each value of the name",
        "proxy-wasm/spec#53";
    /// A header map was named in a phase in which it does not exist.
    MapOutsideItsPhase "map-outside-its-phase"
        "Envoy has headers and trailers in their own callbacks and in the log only, and answers \
         2 BadArgument elsewhere",
        "read what is needed in the headers callback and keep it",
        "proxy-wasm/proxy-wasm-rust-sdk#155";
    /// Pairs that cannot be read stand for an empty list.
    UnreadablePairs "unreadable-pairs"
        "pairs that do not parse count as none, and the call answers 0 Ok",
        "write the count, the sizes, and each name and value with a NUL after it; no more than 1024 \
         pairs and 1 MiB",
        "proxy-wasm/proxy-wasm-cpp-host src/pairs_util.cc";
    /// A filter added `transfer-encoding`.
    TransferEncodingAdded "transfer-encoding-added"
        "Envoy's codec writes its own, and the peer receives two",
        "remove `content-length` instead: Envoy then sends chunks",
        "envoyproxy/envoy source/common/http/http1/codec_impl.cc";

    // Bodies.
    /// A body was changed under a `content-length`.
    StaleContentLength "stale-content-length"
        "Envoy never corrects the length: the peer waits for the missing bytes, or takes the surplus \
         for its next message",
        "remove `content-length` in the headers callback before a body is changed",
        "proxy-wasm/proxy-wasm-cpp-sdk#127";
    /// A pause in headers kept body callbacks away.
    PausedHeadersHoldBody "paused-headers-hold-body"
        "a pause in headers stops body and trailers callbacks as well, until the stream is resumed",
        "return Continue from headers and pause in the body callback, or set \
         `allow_on_headers_stop_iteration`",
        "proxy-wasm/proxy-wasm-cpp-host#143";
    /// Headers that were paused went on without a resume.
    HeadersReleasedByBody "headers-released-by-body"
        "with `allow_on_headers_stop_iteration`, a body or trailers callback that continues, or is \
         not exported, also lets the paused headers go on",
        "return a pause from body and trailers callbacks while the headers wait",
        "envoyproxy/envoy#40213";

    // Call-outs.
    /// `proxy_http_call` was given trailers.
    CallTrailersDropped "call-trailers-dropped"
        "Envoy's client for call-outs sends no trailers",
        "send a header instead",
        "envoyproxy/envoy source/common/http/async_client_impl.cc";
}
