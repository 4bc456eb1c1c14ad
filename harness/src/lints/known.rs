//! The surprises that the harness knows, each with why it surprises and what to do instead.

/// Makes the enum and its texts: name, why, instead, reference.
macro_rules! lints {
    ($($(#[$doc:meta])* $kind:ident $name:literal $why:literal, $instead:literal, $reference:literal;)*) => {
        /// A surprise that the harness knows.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum LintKind {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\n`", $name, "`: ", $why, "; ", $instead, ". See ", $reference, ".")]
                $kind,
            )*
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
        "let nothing trap in `proxy_on_context_create`, in the allocator, nor in `envoy_on_resolve_dns`",
        "proxy-wasm/proxy-wasm-cpp-host src/wasm.cc, WasmBase::start";
    /// A plugin that the canary took did not start in a thread.
    ThreadStartFailure "thread-start-failure"
        "Envoy starts or updates all the same, and streams of that thread pass without the filter, \
         whatever the failure policy says",
        "let start and configure depend on the configuration alone, not on metrics, shared data or \
         the clock",
        "envoyproxy/envoy source/extensions/common/wasm/wasm.cc, createContext";

    /// `proxy_on_done` of a stream asked for time.
    StreamDoneRefused "stream-done-refused"
        "only a root context can delay its end; a stream is deleted all the same",
        "return true, and finish what is left in the root context",
        "proxy-wasm/proxy-wasm-cpp-host src/context.cc, onDone";
    /// A filter saw the end of a stream of which it had seen nothing else.
    UnreachedFilterLogs "unreached-filter-logs"
        "a filter that the request never reached is created at the stream's end, only to be logged",
        "expect `proxy_on_log` without any callback before it",
        "envoyproxy/envoy-wasm#621";
    /// A counter was raised while a plugin started.
    CountedAtStart "counted-at-start"
        "a plugin starts in a canary, in the main thread and in each worker, and all of them share \
         the counter",
        "count in streams or ticks; set a gauge where a start should show",
        "proxy-wasm/proxy-wasm-cpp-host src/wasm.cc, canary";
    /// `proc_exit` was called.
    ExitReturns "exit-returns"
        "`proc_exit` comes back in Envoy, and the guest goes on behind it",
        "trap where the VM has to end, `unreachable` does",
        "proxy-wasm/proxy-wasm-cpp-host src/exports.cc";

    // Failures.
    /// A VM failed in a stream of a plugin that fails open.
    FailOpenGap "fail-open-gap"
        "`FAIL_OPEN` lets the streams pass that begin after the failure; this one gets a 503",
        "expect one failed request a worker, or set the deprecated `fail_open: true`, which lets this \
         one pass as well",
        "proxy-wasm/proxy-wasm-cpp-host src/context.cc, onRequestHeaders";
    /// A VM failed while streams waited in it.
    FailureLeavesStreams "failure-leaves-streams"
        "nothing resumes a stream that was paused in a VM that failed outside of that stream; it \
         hangs until the client or a timeout ends it",
        "set a stream timeout, and let nothing trap in ticks and answers to calls",
        "envoyproxy/envoy#38801";

    // Local replies and actions.
    /// A second local reply was asked for in one callback.
    SecondLocalReply "second-local-reply"
        "the first reply of a callback goes out, the others are ignored",
        "return after the first",
        "envoyproxy/envoy#28826";
    /// A local reply was asked for when the response had begun.
    LateLocalReply "late-local-reply"
        "after response headers went out a reply cannot; Envoy cuts the connection",
        "reply in `proxy_on_response_headers` at the latest",
        "envoyproxy/envoy source/common/http/filter_manager.cc, sendLocalReply";
    /// A local reply has a status that is none.
    LocalReplyStatus "local-reply-status"
        "Envoy checks no status, and sends what clients do not understand",
        "use a status from 200 to 599",
        "proxy-wasm/proxy-wasm-cpp-host src/exports.cc, send_local_response";
    /// A local reply has a body where its status allows none.
    LocalReplyBody "local-reply-body"
        "Envoy sends the body, and the client may take it for the next response",
        "leave the body of 204 and 304 empty",
        "RFC 9110, 15.3.5 and 15.4.5";
    /// A call about a stream was made where there is none.
    NoStream "no-stream"
        "without a stream the call does nothing and answers 0 Ok",
        "choose the stream with `proxy_set_effective_context` first",
        "proxy-wasm/proxy-wasm-cpp-host src/exports.cc";
    /// Headers went on though the filter asked for the end of the stream.
    EndStreamIgnored "end-stream-ignored"
        "Envoy treats ContinueAndEndStream as Continue",
        "remove the body in the body callback, or send a local reply",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, convertFilterHeadersStatus";

    // Metrics.
    /// A counter was to grow by nothing or less.
    CounterNotIncremented "counter-not-incremented"
        "a counter only grows; Envoy answers 2 BadArgument and leaves it",
        "use a gauge for what goes down",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, incrementMetric";
    /// A gauge went below 0.
    GaugeWrapped "gauge-wrapped"
        "a gauge is an unsigned number of 64 bits, and below 0 it begins at the top",
        "keep the value in the guest and set it with `proxy_record_metric`",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, incrementMetric";

    // Properties.
    /// A property that stands in a request header was asked for when the headers are gone.
    HeaderPropertyOutsideItsPhase "header-property-outside-its-phase"
        "Envoy looks in the headers that the filter may read, and there are none after \
         `proxy_on_request_headers` until `proxy_on_log`",
        "read it in `proxy_on_request_headers` and keep it",
        "envoyproxy/envoy source/extensions/filters/common/expr/context.cc";
    /// A value was kept under the name of an attribute.
    ShadowedProperty "shadowed-property"
        "`proxy_get_property` answers with Envoy's attribute of that name, and never with the value",
        "keep it under a name of your own",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, findValue";
    /// `proxy_set_property` was given a path of several parts.
    PropertyPathInParts "property-path-in-parts"
        "the key is taken as it is, NULs included, and a path of several parts never finds it",
        "use a key of one part",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, setProperty";
    // Lookups.
    /// A name was resolved while the guest asked for it.
    DnsAnsweredInside "dns-answered-inside"
        "Envoy answers an address, `localhost` and an impossible name at once: the callback enters \
         the guest in the middle of its host call, which most SDKs do not expect",
        "resolve names only, and be ready for a callback before the call has returned",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, onResolveDns";

    // Headers and trailers.
    /// `proxy_get_header_map_value` read one of several values.
    FirstOfSeveralValues "first-of-several-values"
        "the call hands out the first value only, a client can hide another behind it",
        "read all pairs with `proxy_get_header_map_pairs` and judge each value of the name",
        "proxy-wasm/spec#53";
    /// A header map was named in a phase in which it does not exist.
    MapOutsideItsPhase "map-outside-its-phase"
        "Envoy has headers and trailers in their own callbacks and in the log only; elsewhere it \
         answers 2 BadArgument, or hands out an empty list with 0 Ok",
        "read what is needed in the headers callback and keep it",
        "proxy-wasm/proxy-wasm-rust-sdk#155";
    /// Pairs that cannot be read stand for an empty list.
    UnreadablePairs "unreadable-pairs"
        "pairs that do not parse count as none, and the call answers 0 Ok",
        "write the count, the sizes, and each name and value with a NUL after it; no more than 1024 \
         pairs and 1 MiB",
        "proxy-wasm/proxy-wasm-cpp-host src/pairs_util.cc";
    /// A value was added to a header that can have one only.
    AddedToSingleHeader "added-to-single-header"
        "Envoy joins the new value to the old one with a comma, which is no path, no authority and no \
         status",
        "use `proxy_replace_header_map_value`",
        "proxy-wasm/spec#87";
    /// A filter added `transfer-encoding`.
    TransferEncodingAdded "transfer-encoding-added"
        "Envoy's codec writes its own, and the peer receives two",
        "remove `content-length` instead: Envoy then sends chunks",
        "envoyproxy/envoy source/common/http/http1/codec_impl.cc";

    /// The route was to be chosen anew when the stream was over.
    RouteCacheInLog "route-cache-in-log"
        "Envoy logs an internal bug, and goes on",
        "clear the route cache while the request is under way",
        "envoyproxy/envoy source/common/http/filter_manager.cc, clearRouteCache";

    // Bodies.
    /// A body was written to after it had gone into the stream's buffer.
    MovedBodyWritten "moved-body-written"
        "after StopAndWatermark or StopNoBuffer the bytes of the callback are gone from the guest's \
         view; what is written then answers 0 Ok and is lost",
        "write in the body callback itself, or return StopAndBuffer",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, decodeData";
    /// A body that a filter held back was dropped when the trailers came.
    HeldBodyLost "held-body-lost"
        "a filter that was resumed after it had stopped everything, held the body back then and let the \
         trailers go loses that body: Envoy takes the filter for one that has seen the end",
        "let the body go in the callback, or hold the trailers too and resume the stream",
        "envoyproxy/envoy source/common/http/filter_manager.cc, commonContinue";
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
    /// A gRPC stream was used after its peer had closed it.
    GrpcStreamUsedAfterClose "grpc-stream-used-after-close"
        "Envoy frees the stream and keeps the token, so that it uses freed memory; yet the token is \
         released only by a close or a cancel",
        "close or half-close the stream before the peer ends it, and forget its token in \
         `proxy_on_grpc_close`",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, grpcSend and grpcClose";
    /// A gRPC stream called back before `proxy_grpc_stream` returned.
    GrpcStreamReentered "grpc-stream-reentered"
        "a stream to a cluster without an endpoint calls the guest back while it is in the host \
         call, with a token that it does not know yet; SDKs that lock their state panic",
        "make a gRPC call instead, or see that the cluster has an endpoint",
        "envoyproxy/envoy source/common/grpc/async_client_impl.cc";
    /// A body callback threw bytes away.
    BodyDropped "body-dropped"
        "StopIterationNoBuffer forgets the bytes of the callback, and at the end of the message \
         leaves the stream waiting",
        "return StopIterationAndBuffer, or copy the bytes first and write them back later",
        "envoyproxy/envoy include envoy/http/filter.h, FilterDataStatus";

    // Other entry points.
    /// A TCP filter held the last bytes of an upstream.
    UpstreamEndHeld "upstream-end-held"
        "nothing but more data moves on what a filter holds of an upstream, and after the end there \
         is none: the bytes are lost",
        "let the data pass in the callback that tells of the end",
        "envoyproxy/envoy source/common/network/filter_manager_impl.cc, onWrite";
    /// `proxy_continue_stream(2)` was called in a data callback that let the data pass as well.
    EndToldTwice "end-told-twice"
        "Envoy goes on to the filters behind for the call and once more for the result, and tells \
         them of the end of the data twice",
        "return Continue, and call `proxy_continue_stream` only from other callbacks",
        "envoyproxy/envoy source/common/network/filter_manager_impl.cc, onContinueReading";
    /// A stats sink believed the size that it was told.
    StatsBufferSize "stats-buffer-size"
        "Envoy adds the size up wrongly, hundreds of megabytes where there are a few kilobytes",
        "read piece by piece: the head of a block, then each stat as its name's length says, until \
         the counters' block is over and the gauges' end in zeros",
        "envoyproxy/envoy source/extensions/common/wasm/context.cc, onStatsUpdate";
}
