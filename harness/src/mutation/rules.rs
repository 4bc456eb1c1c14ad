//! The rules that can be others, one by one. Each is asked for where the harness decides it.

/// Builds the rules from their names and what the harness does instead.
macro_rules! rules {
    ($($name:ident $description:literal;)*) => {
        /// A rule of Envoy's that a host can be made to break.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $description] $name,)*
        }

        impl Rule {
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            pub(super) fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)*
                }
            }
        }
    };
}

impl Rule {
    /// Its name in lower case, with hyphens.
    pub(super) fn id(self) -> String {
        let mut id = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !id.is_empty() {
                id.push('-');
            }
            id.push(letter.to_ascii_lowercase());
        }
        id
    }
}

rules! {
    // How plugins start.
    NoCanary "no plugin is tried in a canary";
    MainThreadDoesNotStart "no plugin is started in the main thread";
    MainThreadStartsLast "the main thread starts behind the workers";
    WorkersStartWithTheMainThread "a plugin starts in the workers before the next one starts in the main thread";
    DiscoveredPluginsStartInPlace "plugins that are discovered start in the order of the chain";
    LastPluginStartsFirst "plugins start in the opposite order";
    VmStartsOnce "`proxy_on_vm_start` is called for the first root of a VM only";
    VmStartIsNotAsked "what `proxy_on_vm_start` returns does not matter";
    ConfigureIsNotAsked "what `proxy_on_configure` returns does not matter";
    VmConfigurationIsMiscounted "`proxy_on_vm_start` is told of one byte more";
    ConfigurationIsMiscounted "`proxy_on_configure` is told of one byte more";
    OldConfigurationsAreSwapped "`proxy_get_configuration` shows the plugin's outside of configure and the VM's inside";
    // Upgrades.
    TunnelIsOpenAtOnce "what a client sends behind an upgrade goes to the upstream before its answer";
    UpgradeBringsNoPiece "the headers of an upgrade are not followed by a piece of the body that is empty";
    // Contexts.
    StreamIdsSkip "every other number of a stream's context is left out";
    EffectiveContextStays "the effective context stays behind the end of a callback";
    EffectiveContext0IsNone "0 does not go back to the callback's own context";
    UnreachedFiltersAreNotTold "a filter that the request did not reach hears nothing of the stream";
    UnreachedFiltersHearOfTheResponse "a filter that the request did not reach sees the response";
    LogAfterDone "`proxy_on_log` comes behind `proxy_on_done` and `proxy_on_delete`";
    LogOfTheLastFilterFirst "`proxy_on_log` is called from the last filter to the first";
    NoLog "`proxy_on_log` is not called";
    DoneOfTheLastFilterFirst "`proxy_on_done` and `proxy_on_delete` are called from the last filter to the first";
    DoneOfAllBeforeDelete "every filter is done before the first is deleted";
    DoneOfAStreamCanBeRefused "a stream's context whose `proxy_on_done` returned false is not deleted";
    DeleteBeforeDone "`proxy_on_delete` comes before `proxy_on_done`";
    NoDone "`proxy_on_done` of streams is not called";
    DeletedContextsAreUnknownAtOnce "a context cannot be named once it is deleted";
    InnerRepliesStopTheOuterCallback "a reply in a callback inside of a host call stops the stream of the outer one";
    SurplusIsReceived "what comes behind the declared length of a request that was answered belongs to it";
    ReplacedTrailersAreGone "a filter that has trailers in view loses them when a reply takes the place of their response";
    RepliesKeepTheRoute "a reply to a request whose headers were changed leaves it the route that it had";
    RefusedRequestsAreNotGone "a reply or close behind the end of a request that Envoy refused and closes for is survived";
    ReplyBehindAnUnreadRequestCrashes "a reply behind the end of a stream whose request was not read to its end crashes";
    RepliedRequestsAreNotResumed "a request is not resumed in the response headers of a reply to it";
    ReplacedReplyIsOverAtOnce "over HTTP/2, too, a reply is over when another takes its place";
    ReplacedReplyNeverEndsAtOnce "over HTTP/2 a reply goes on when another takes its place, whatever has made it";
    ReplyBehindAResetCrashes "a reply crashes Envoy behind a reset of the stream, too";
    LogsReadWhatTheyMake "the log reads headers and trailers of a response that it has made itself";
    ReplyOfTheLogHasNoBody "a reply of the log to a stream that was reset is sent without its body";
    ReplyBehindAResetIsNone "a reply behind a reset of the stream goes past no filter";
    ReplyBehindAResetDoesNotWait "a reply behind a reset does not wait for the callback that closed the stream";
    ReplyBehindACloseIsSurvived "a reply that headers end is survived where a request callback has closed the stream";
    NoDelete "`proxy_on_delete` of streams is not called";
    // What callbacks are told.
    HeadersAreMiscounted "headers callbacks are told of one header more";
    TrailersAreMiscounted "trailers callbacks are told of one trailer more";
    RequestHeadersEndIsFlipped "`proxy_on_request_headers` is told the opposite about the end of the stream";
    ResponseHeadersEndIsFlipped "`proxy_on_response_headers` is told the opposite about the end of the stream";
    RequestBodyEndIsFlipped "`proxy_on_request_body` is told the opposite about the end of the stream";
    ResponseBodyEndIsFlipped "`proxy_on_response_body` is told the opposite about the end of the stream";
    RequestBodyIsMiscounted "`proxy_on_request_body` is told of one byte more";
    ResponseBodyIsMiscounted "`proxy_on_response_body` is told of one byte more";
    Http1EndsWithTheLastPiece "a request over HTTP/1.1 ends together with its last piece";
    Http2EndsAfterTheLastPiece "a request over HTTP/2 ends after its last piece";
    Http1AnswerEndsWithTheLastPiece "a response over HTTP/1.1 ends together with its last piece";
    Http2AnswerEndsAfterTheLastPiece "a response over HTTP/2 ends after its last piece";
    // What results mean.
    Headers2Stops "2 of a headers callback stops";
    StopIterationIsAllowed "1 of a headers callback stops it alone, without `allow_on_headers_stop_iteration`";
    StopIterationIsNotAllowed "1 of a headers callback stops everything, with `allow_on_headers_stop_iteration`";
    Headers1Buffers "1 of a headers callback buffers up to the limit";
    Headers3Streams "3 of a headers callback stops reading at the limit";
    Headers4Buffers "4 of a headers callback buffers up to the limit";
    UnknownHeadersResultContinues "5 of a headers callback continues";
    Body1Streams "1 of a body callback stops reading at the limit";
    Body2Buffers "2 of a body callback buffers up to the limit";
    Body3Buffers "3 of a body callback buffers";
    UnknownBodyResultContinues "4 of a body callback continues";
    DroppedBodyIsKept "the bytes of a body callback that returned 3 are kept";
    BufferedBodyIsNotShownAgain "behind 1 of a body callback the next one sees the new bytes only";
    PausedBodyIsHidden "a paused body cannot be read";
    Trailers1Continues "1 of a trailers callback continues";
    UnknownTrailersResultContinues "2 of a trailers callback continues";
    // The way through the chain.
    RequestPassesBackwards "a request passes the last filter first";
    ResponsePassesForwards "a response passes the first filter first";
    StoppedFiltersHearOfTheBody "a filter that stopped everything in headers sees the body";
    BodyGoesOnBehindTheEnd "a filter sees what comes behind the end that it was told of";
    BodyDoesNotReleaseHeaders "Continue of a body callback does not release headers";
    TrailersDoNotRelease "Continue of a trailers callback does not release what was held";
    ResumePassesOwnBody "a resumed stream does not show its body to the filter that had stopped it";
    ResumeForgetsHeaders "a resumed stream does not send its headers on";
    ResumeForgetsTheBody "a resumed stream does not send its body on";
    ResumeForgetsTrailers "a resumed stream does not send its trailers on";
    ResumeIsIgnored "`proxy_continue_stream` does nothing";
    ContinueKeepsTheMaps "`proxy_continue_stream(0)` leaves the maps in view";
    MadeTrailersJoinThoseThatCame "trailers that a change makes join those that came before";
    ResumedBodyCanGetTrailers "trailers can be made for a request that `proxy_continue_stream` has resumed";
    ContinueOfAResponseKeepsTheMaps "`proxy_continue_stream(1)` leaves the request's maps in view";
    LastRequestFirst "what a callback asked for is done from the last to the first";
    LimitIsOneLess "a held body overflows at the limit";
    LimitIsOneMore "a held body does not overflow one byte behind the limit";
    NoLimit "a held body never overflows";
    StreamedBodyOverflows "a body that stops reading at the limit overflows, too";
    WritesDoNotOverflow "a held body does not overflow by a guest's write";
    RequestOverflowHasAnotherStatus "the reply to a request that overflows has another status";
    RequestOverflowHasAnotherBody "the reply to a request that overflows has another body";
    RequestOverflowHasNoDetails "the reply to a request that overflows has no details";
    ResponseOverflowHasAnotherStatus "the reply for a response that overflows has another status";
    ResponseOverflowHasAnotherBody "the reply for a response that overflows has another body";
    ResponseOverflowHasNoDetails "the reply for a response that overflows has no details";
    CloseIsIgnored "`proxy_close_stream` does not close";
    ClosedInsideGoesOn "a response that one of its callbacks has closed goes on when it is resumed behind that";
    CloseHasNoDetails "`proxy_close_stream` leaves no details";
    CloseReplacesDetails "`proxy_close_stream` replaces the details";
    // Local replies.
    ReplyDoesNotStopTheCallback "a callback that made a reply may continue";
    PassedHeadersStayInView "headers that a callback lets go on stay in view behind a reply that was made before it";
    ReplyPassesOwnFilter "a reply is not shown to the filter that made it";
    ReplyPassesNoFilter "a reply is shown to no filter";
    EmptyReplyHasABodyCallback "a reply without a body has a body callback";
    ReplyBodyEndsLater "the body of a reply ends after its last piece";
    SecondReplyWins "of two replies of one callback the second is sent";
    SecondReplyHasNoDetails "of two replies of one callback the first gives the details";
    LateReplyIsIgnored "a reply behind the response's headers does not cut it";
    ReplyTakesAGivenStatus "`:status` among the given headers counts";
    GrpcReplyDropsAGivenStatus "`grpc-status` among the given headers does not count";
    ReplyStatusIsChecked "a status below 200 becomes 500";
    ReplyHeadersAreReversed "the given headers are sent in the opposite order";
    ReplyToHeadHasABody "a reply to HEAD has a body";
    EmptyReplyKeepsItsType "a given `content-type` stays where there is no body";
    ReplyKeepsAGivenLength "a given `content-length` is not corrected";
    ReplyHasNoLength "a reply has no `content-length`";
    ReplyTypeIsOverwritten "a given `content-type` is replaced";
    ReplyHasNoType "a reply has no `content-type` of its own";
    DetailsKeepBlanks "blanks in details stay";
    GrpcHasOneType "`application/grpc+…` is no gRPC";
    GrpcReplyHasTheStatus "a reply to gRPC has the given HTTP status";
    GrpcReplyHasAnotherType "a reply to gRPC is plain text";
    GrpcReplyStatusIsDerived "a given gRPC status does not count";
    GrpcStatusIsUnknown "where none is given the gRPC status is 2";
    GrpcMessageIsNotEncoded "`grpc-message` is not percent-encoded";
    GrpcReplyHasNoMessage "a reply to gRPC has no `grpc-message`";
    HighestGrpcStatusIsRefused "the gRPC status 16 does not count";
    UnknownGrpcStatusIsTaken "a gRPC status above 16 counts";
    // Failures.
    FailOpenSavesTheStream "`FAIL_OPEN` lets the stream pass in which a VM fails";
    FailOpenFails "`FAIL_OPEN` fails the streams behind a failure";
    FailClosedPasses "`FAIL_CLOSED` lets the streams behind a failure pass";
    FailReloadFails "`FAIL_RELOAD` does not reload";
    ReloadsDoNotWait "a reload does not wait for its back-off";
    FailureHasAnotherStatus "the reply after a failure has another status";
    FailureHasNoDetails "the reply after a failure has no details";
    FailureHasABody "the reply after a failure has a body";
    FailureHasAnotherGrpcStatus "the reply to gRPC after a failure has another gRPC status";
    FailedFiltersHearOfTheResponse "a filter whose VM failed is asked about the reply";
    // Header maps.
    LastOfSeveralValues "of several values the last is read";
    HostIsNoAuthority "`host` is not read as `:authority`";
    NamesHaveCase "a name in upper case is not found";
    EmptyHeaderIsMissing "a header without a value is not found";
    OldMissingHeaderIsTold "ABI 0.1.0 tells that a header is missing";
    AddedValuesAreJoined "an added value is joined to the one that is there";
    SingleHeadersAreAddedApart "an added value stands apart where Envoy holds one only";
    AddReplaces "add replaces what is there";
    ReplaceInPlace "replace leaves a header at its place";
    ReplaceAdds "replace leaves what is there";
    ReplaceOnlyWhatIsThere "replace does not create a header";
    RemoveOnlyTheFirst "remove leaves all values but the first";
    EmptyMapIsCounted "an empty map is a count of 0 and no null pointer";
    PairsAreListedBackwards "pairs are listed from the last to the first";
    SetPairsMerges "setting pairs leaves the headers that are not among them";
    UnreadablePairsAreRefused "pairs that cannot be read are refused";
    SizeOfReadOnlyMaps "a map that cannot be written has a size";
    SizeCountsSeparators "a map's size counts one byte more for each header";
    EmptyDataIsNotNull "empty data is a pointer to something";
    // Buffers.
    ReadPastTheEndIsRefused "reading past the end of a buffer is refused";
    BufferIsLonger "`proxy_get_buffer_status` tells of one byte more";
    BufferHasFlags "`proxy_get_buffer_status` tells of a flag";
    WriteKnowsTheMiddle "bytes can be replaced in the middle of a buffer";
    PrependReplaces "writing nothing's length at the start replaces everything";
    AppendReplaces "writing behind the start counts from the start";
    // What the two peers see.
    InternalHeadersStay "`x-envoy-…` of a client reaches the filters";
    ExpectReachesFilters "`expect: 100-continue` of a client reaches the filters";
    NoForwardedProto "a request has no `x-forwarded-proto`";
    CertificatesAreForwarded "`x-forwarded-client-cert` of a client stays";
    SchemeIsThatOfTheConnection "`:scheme` over HTTP/1.1 does not follow `x-forwarded-proto`";
    NoRequestId "a request has no `x-request-id`";
    NoRouteHasNoFlag "a request without a route has no response flag";
    NoRouteHasAnotherStatus "a request without a route is answered with another status";
    NoRouteHasABody "a request without a route is answered with a body";
    NoRouteHasNoDetails "a request without a route has no details";
    BadHeadersHaveAnotherStatus "a request that cannot be sent is answered with another status";
    BadHeadersHaveAnotherBody "a request that cannot be sent is answered with another body";
    BadHeadersHaveNoDetails "a request that cannot be sent has no details";
    UpstreamIsToldNoTimeout "the upstream is not told the timeout";
    TimeoutIsNotOverruled "`x-envoy-upstream-rq-timeout-ms` does not count";
    TimeoutHasAnotherStatus "a timeout is answered with another status";
    TimeoutHasAnotherBody "a timeout is answered with another body";
    TimeoutHasNoDetails "a timeout has no details";
    RequestChunksAreNotDeclared "a request in chunks does not say so";
    ChunksAreDeclaredOnce "`transfer-encoding` of a filter's is not sent twice";
    EmptyRequestHasNoLength "a POST without a body has no `content-length`";
    RequestTrailersAreCarriedOtherwise "a request's trailers are sent where they should be dropped, or the other way round";
    ResponseTrailersAreCarriedOtherwise "a response's trailers are sent where they should be dropped, or the other way round";
    AnswersHaveNoDetails "an answer of the upstream has no details";
    FiltersSeeNoChunking "filters do not see that a response comes in chunks";
    FiltersSeeNoServiceTime "filters do not see how long the upstream took";
    LeftUpstreamsReceive "what a filter lets on behind a reply that left the upstream is received there";
    LostUpstreamsReceive "what a filter lets on behind the loss of the upstream is received there";
    LostUpstreamHasNoFlag "a lost upstream has no response flag";
    LostUpstreamHasAnotherStatus "a lost upstream is answered with another status";
    LostUpstreamHasAnotherBody "a lost upstream is answered with another body";
    LostUpstreamHasNoDetails "a lost upstream has no details";
    CutAnswerHasNoDetails "a response that was cut keeps its details";
    DisconnectHasNoFlag "a client that goes away has no response flag";
    DisconnectHasNoDetails "a client that goes away has no details";
    NoStatusHasAnotherStatus "a response without `:status` is answered with another status";
    NoStatusHasAnotherBody "a response without `:status` is answered with another body";
    NoStatusHasNoDetails "a response without `:status` has no details";
    ResponseKeepsHopByHopHeaders "`connection` and its like stay in a response";
    ResponseHasNoDate "a response has no `date`";
    ResponseHasNoServer "a response has no `server` of Envoy's";
    ResponseKeepsItsServer "a response keeps its `server`";
    BadRequestDoesNotClose "a local reply of 400 leaves the connection";
    TrailersAreNotLookedAt "over HTTP/2 any trailers of a request are taken";
    ForbiddenLinesAreTaken "servers take requests with what HTTP/2 forbids, and calls with a longer body than there is";
    CallsMayBecomeTunnels "a call for a WebSocket is answered as any other";
    Http2HasTheListenersLimit "over HTTP/2 the listener's limit of a buffer counts";
    CloseIsNotHeard "a connection stays although its client asks for a close";
    UnreadRequestDoesNotClose "a response to a request that was not read does not close the connection";
    EmptyResponseHasNoLength "a response without a body has no `content-length`";
    ChunksAreNotDeclared "a response in chunks does not say so";
    NoResponseHasACode "a stream without a response is logged with a code";
    // Properties.
    PropertiesHaveShortNumbers "numbers have four bytes";
    PropertiesHaveLongTruths "truth values have eight bytes";
    PropertiesEndTextsWithNul "texts end with NUL";
    PropertiesHaveWholeNumbers "numbers of metadata have their bytes in the opposite order";
    AbsentMapsAreNoBytes "an empty header map is no bytes";
    HeaderPropertiesLackTheLastByte "a header map lacks its last NUL";
    PropertyKeysEndAtNul "a key of `proxy_set_property` ends at NUL";
    LogPropertiesAreOfTheReply "`response.headers` is in the log the reply that took the place of what the filter had in view";
    PropertiesAreSetOnce "a property is not set a second time";
    NulAtTheEndIsAPart "NUL at the end of a path is a part of it";
    OwnPropertiesHavePrefix "what a guest has set is not read by its key";
    UrlPathHasQuery "`request.url_path` has the query";
    QueryIsThePath "`request.query` is the path";
    DurationIsThereEarly "`request.duration` is there before the end";
    RequestSizeIsWhatCame "`request.size` is not the declared size";
    TotalSizeIsTheBody "`request.total_size` does not count headers";
    GrpcStatusIsNotDerived "`response.grpc_status` is not derived from the status";
    OpenGrpcStreamsHaveATimeout "a gRPC stream has a timeout from its beginning on";
    TriesHaveNoTimeout "`x-envoy-upstream-rq-per-try-timeout-ms` ends no request";
    NothingIsTriedAgain "a request is tried once, whatever a filter asks for";
    WhatIsAskedOfEnvoyGoesOn "`x-envoy-retry-on` and others that ask the router for something are sent on";
    AnySchemeGoesOn "a `:scheme` that Envoy does not know stays";
    ConnectNeedsNoProtocol "CONNECT may have a path without `:protocol`";
    HeadIsAnsweredWithABody "over HTTP/1.1 the body that filters see of an answer to HEAD is sent";
    AnswersAreToTheClientsMethod "an answer's body depends on what the client asked for, not on what was sent";
    ConnectionIsSeenWithTheAnswer "properties of the upstream's connection are there with its answer only";
    LatencyIsThereEarly "`response.backend_latency` is there before the end";
    // Calls to clusters.
    GrpcHeadersAreUnchecked "a gRPC call may have any metadata";
    CallsSpeakHttp1Only "a call to a cluster of HTTP/2 is as one over HTTP/1.1";
    FailedCallsOfHeadHaveABody "what answers a call of HEAD that failed has a body";
    CallsNeedNoPath "a call needs no `:path`";
    CallsNeedNoMethod "a call needs no `:method`";
    CallsNeedNoAuthority "a call needs no `:authority`";
    CallTokensSkip "every other token of a call is left out";
    CallsAreNotInternal "a call has no `x-envoy-internal`";
    CallsTellNoTimeout "a call has no `x-envoy-expected-rq-timeout-ms`";
    CallsKeepAGivenLength "a given `content-length` of a call is not corrected";
    CallsHaveNoLength "a call with a body has no `content-length`";
    CallTimeoutIsNoResponse "a call that took too long is answered by nothing";
    CallFailureIsNoResponse "a call that failed is answered by nothing";
    CallTimeoutHasAnotherStatus "a call that took too long is answered with another status";
    CallFailureHasAnotherStatus "a call that failed is answered with another status";
    CallFailureHasNoBody "a call that failed is answered without a body";
    CallFailureHasNoType "a call that failed is answered without `content-type`";
    CallTellsNoServiceTime "the answer to a call does not tell how long it took";
    CallTrailersAreLost "the answer to a call has no trailers";
    CallHeadersAreMiscounted "`proxy_on_http_call_response` is told of one header more";
    CallBodyIsMiscounted "`proxy_on_http_call_response` is told of one byte more";
    CallTrailersAreMiscounted "`proxy_on_http_call_response` is told of one trailer more";
    CallsEndWithTheirStream "a call ends with the stream that made it";
    AnswersStayReadable "the answer to a call can be read behind its callback";
    StatusIsNotSticky "the code of `proxy_get_status` is there in the callback only";
    StatusHasNoMessage "`proxy_get_status` has no message";
    // Foreign functions.
    ForeignFunctionsHandOutNothing "what a foreign function returns is not handed out";
    PropertiesAreDeclaredAgain "a property can be declared twice";
    ReadOnlyPropertiesAreWritten "a read-only property can be set twice";
    EffectiveContextDeclares "`declare_property` is about the effective context";
    EffectiveContextEvaluates "`expr_evaluate` is about the effective context";
    ExpressionTokensBeginAt1 "the first token of an expression is 1";
    ExpressionsAreNotDeleted "`expr_delete` deletes nothing";
    // gRPC calls.
    GrpcCallTokensSkip "every other token of a gRPC call is left out";
    GrpcStreamTokensSkip "every other token of a gRPC stream is left out";
    GrpcCallsFailInSilence "a gRPC call that failed while it was made is not closed";
    GrpcCallsFailWithoutAWord "a gRPC call that failed while it was made has no message";
    GrpcCallsHearOfMetadata "a gRPC call with one answer is told of metadata";
    AnsweredGrpcCallsAreClosed "a gRPC call with one answer is also closed";
    GrpcMetadataIsMiscounted "callbacks about gRPC metadata are told of one entry more";
    GrpcMetadataTellsNoServiceTime "gRPC metadata does not tell how long the upstream took";
    CancelledGrpcStreamsAreSent "what a stream was sent in the turn that cancels it goes out";
    CancelledGrpcCallsLeaveNoConnection "the connection that a gRPC call opened goes with the call that is cancelled before it is sent";
    CancelledGrpcCallsAreNotSent "a gRPC call that is cancelled by the callback that made it is never sent";
    GrpcCallsEndBeforeTheirAnswer "the token of a gRPC call is unknown in the callback of its answer";
    GrpcStreamsEndBeforeTheirClose "the token of a gRPC stream is unknown in `proxy_on_grpc_close`";
    GrpcTrailersAreInitialMetadata "an answer of trailers only has initial metadata";
    GrpcMessagesAreMiscounted "`proxy_on_grpc_receive` is told of one byte more";
    GrpcMessagesHaveNoDetails "a gRPC message lacks the details behind it";
    GrpcCloseHasNoMessage "`proxy_get_status` has no message of a gRPC call that was closed";
    GrpcFailureHasAnotherStatus "a gRPC call that failed has another status";
    GrpcStatusOfHttpIsUnknown "an HTTP status that ends a gRPC call becomes 3";
    NoGrpcStatusIsOk "a gRPC answer without a status is 0";
    StrangeGrpcStatusIsUnknown "a gRPC status that is none is 2";
    // Connections without HTTP.
    TcpConnectionsAreNotHeld "a new connection passes whatever `proxy_on_new_connection` returns";
    TcpDataIsNotHeld "data of downstream passes whatever the callback returns";
    TcpAnswersAreNotHeld "data of the upstream passes whatever the callback returns";
    TcpHeldDataIsShownToItsHolder "filters before the one that holds data do not see it again";
    TcpDataIsMiscounted "`proxy_on_downstream_data` is told of one byte more";
    TcpAnswersAreMiscounted "`proxy_on_upstream_data` is told of one byte more";
    TcpEndIsNotTold "data of downstream never ends";
    TcpUpstreamEndIsNotTold "data of the upstream never ends";
    TcpHeldEndDoesNotClose "an end of downstream that was held does not close a connection whose upstream has ended";
    TcpClosedFilterHearsNoMore "a filter that closes in `proxy_on_upstream_data` is not told that its upstream has closed";
    TcpHeldDataIsCountedOnce "`request.size` of a TCP connection counts once what filters hold";
    TcpUpstreamCloseIsNotTold "`proxy_on_upstream_connection_close` is not called";
    TcpUpstreamCloseHasAType "`proxy_on_upstream_connection_close` is told of type 1";
    TcpUpstreamGoesForward "data of the upstream visits filters from the first to the last";
    TcpCloseIsNotTold "`proxy_on_downstream_connection_close` is not called";
    TcpCloseTypesAreSwapped "a close by downstream is Envoy's, and the other way round";
    TcpLoggersWriteAtOnce "access loggers write of a TCP connection in the middle of what closed it";
    TcpLogsBeforeDone "a TCP filter logs before it is done";
    TcpFiltersAreNotDone "`proxy_on_done` of a TCP filter is not called";
    TcpFiltersDoNotLog "`proxy_on_log` of a TCP filter is not called";
    TcpFiltersAreNotDeleted "`proxy_on_delete` of a TCP filter is not called";
    TcpContinueIsIgnored "`proxy_continue_stream(2)` does nothing";
    TcpResetsAreNoticedAfterTheEnd "a reset of a TCP connection is noticed even behind the client's end";
    TcpCloseIsIgnored "`proxy_close_stream(2)` does nothing";
    TcpBuffersStayInView "data that has passed can be read behind the callback";
    TcpFailuresHaveNoFlags "`response.flags` of a TCP connection is 0 whatever its upstream did";
    TcpClustersAreNotChosen "a TCP connection goes to the listener's cluster, whichever a filter has named";
    TcpIdleConnectionsStay "a TCP connection on which nothing moves stays, whatever a filter has said";
    TcpTrapsPass "a trap in a TCP filter lets everything pass";
    // Access loggers and stats sinks.
    LoggersAreNotAsked "access loggers are not called";
    LoggersLogFirst "access loggers log before the filters";
    LoggersSeeNoStream "an access logger sees nothing of the stream";
    LoggersKeepTheStream "an access logger sees the stream later, too";
    SinksAreNotTold "stats sinks are not called";
    SinksAreToldOnce "stats sinks are called once";
    StatsHaveAnotherOrder "gauges stand before counters";
    // Lookups of addresses.
    LookupsAreAnsweredLater "an address is told when the host call has returned";
    LookupTokensSkip "every other token of a lookup is left out";
    AddressesHaveNoPort "addresses have no port";
    LookupFailuresHaveACount "a lookup that failed tells of no addresses, with their count";
    LookupsAreMiscounted "`envoy_on_resolve_dns` is told of one byte more";
    // Callbacks inside of host calls.
    InnerContextStays "the context of an inner callback stays the effective one";
    InnerTrapsEndTheGuest "a trap inside of a host call ends the guest that made it";
    FailedVmsAreEnteredAgain "a VM that has failed inside of a host call is entered again";
    InnerActionsEndTheChoice "behind what is done inside of a host call the callback's own context is the effective one";
    InnerActionsWait "what a callback inside of a host call asks for other streams is done behind the outer callback";
    InnerRepliesAreLost "a reply made inside of a host call is dropped";
    // Expressions.
    ExpressionFaultsStay "`&&` and `||` make no error good";
    ExpressionNumbersHaveKinds "1, 1u and 1.0 are not equal";
    ExpressionsOverflow "sums that are too large begin at the least number";
    ExpressionsDivideBy0 "what is divided by 0 is 0";
    ExpressionsCountBytes "`size` of a text counts bytes";
    ExpressionIndexesBeginAt1 "the first element of a list is the one of index 1";
    ExpressionKeysAreNotMissed "a key that is not there has the value false";
    ExpressionsHaveAll "`has` is true of all fields";
    ExpressionChoicesAreSwapped "`?:` takes the other branch";
    ExpressionsDoNotNegate "`!` does nothing";
    ExpressionMacrosSkipTheLast "macros leave the last element out";
    ExpressionExistsOneIsExists "`exists_one` is true of several";
    ExpressionTurnsHaveNoEnd "macros may take more than 9,999 turns";
    ExpressionMatchesAreWhole "`matches` is about the whole text";
    ExpressionsStartAnywhere "`startsWith` looks everywhere";
    ExpressionMonthsBeginAt1 "`getMonth` of January is 1";
    ExpressionDaysBeginAt1 "`getDayOfMonth` of the first is 1";
    ExpressionWeeksBeginOnMonday "`getDayOfWeek` of Monday is 0";
    ExpressionIntsAreRounded "`int` takes the nearest number";
    ExpressionKeysAreTakenTwice "a map may have a key twice";
    ExpressionsJoinBackwards "`+` puts the second text first";
    // Capabilities.
    RestrictedCallsAreMade "a host call that is not allowed is made";
    RestrictedCallsAreUnknown "a host call that is not allowed answers 12";
    RestrictedWasiIsUnknown "a WASI function that is not allowed answers 52";
    RestrictedCallbacksAreMade "a callback that is not allowed is made";
    // What Envoy does not survive, and what no operator can want.
    ReplyBehindTheEndIsSurvived "a reply in `proxy_on_log` or behind is ignored";
    CloseBehindTheEndIsSurvived "`proxy_close_stream(0)` in `proxy_on_log` is ignored";
    ContinueOfNoResponseIsSurvived "`proxy_continue_stream(1)` before a response is ignored";
    ClosedContextsAreCreatedOnce "a context whose creation closes its stream is not created again for the log";
    EndedInsideIsResumed "a response that one of its callbacks has ended is resumed behind that end";
    CloseBesideATrapCrashes "a close beside a trap in a request callback crashes Envoy over HTTP/2, too";
    FiltersBehindTheEndStopNothing "what goes on behind the end of its stream crashes Envoy, whether a filter stops it or not";
    EveryCloseBehindTheEndCrashes "`proxy_close_stream` behind the end crashes Envoy, whoever ended the stream";
    NoResponseIsResumedInTheEnd "`proxy_continue_stream(1)` of an ended stream without a response is survived";
    EndingTwiceIsSurvived "the second end of a stream in one callback is ignored";
    ContinueBehindAReplyIsTaken "`proxy_continue_stream` behind a reply resumes";
    PassingTwiceIsTaken "a callback may resume and continue";
    RequestLengthIsNotLookedAt "a request's body may be shorter or longer than declared";
    ResponseLengthIsNotLookedAt "a response's body may be shorter or longer than declared";
    // Time and logs.
    PeriodOf0Ticks "a tick period of 0 does not stop the timer";
    FirstTickAtOnce "the first tick comes at once";
    HeadersAreWrittenBeforeTheConnection "what a filter changes of headers that have gone on while a connection is made is not sent";
    RequestIsRefusedBeforeItsConnection "a request that cannot be sent is refused before there is a connection";
    UpstreamIsConnectedAtOnce "a request is at the upstream in the turn in which its connection is begun";
    TicksSlowDown "every tick but the first takes two periods";
    TicksOnce "there is one tick";
    TimersStayInTheirPlace "another root's first timer leaves that of a tick where it is";
    CriticalIsAnError "a critical line is an error";
    ErrorsAreWarnings "an error is a warning";
    WarningsAreInfo "a warning is an information";
    DebugIsInfo "a debug line is an information";
    LogLevelIsOneMore "`proxy_get_log_level` tells the next level";
    LogPrefixIsTheCallbacks "a line begins with the callback's context, whatever the effective one is";
    LogPrefixHasNoRootId "a line of a stream lacks the root id";
    LogPrefixHasNoVmId "a line of a stream lacks the VM id";
    RootsLogTheirName "a line of a root context has the plugin's name";
    StreamsLogNoName "a line of a stream lacks the plugin's name";
    // Metrics, shared data, queues.
    MetricIdsSkip "every other id of a metric is left out";
    MetricsHaveOneId "a metric that is defined again keeps its id";
    CountersTake0 "a counter can be raised by 0";
    CountersTakeNegatives "a counter can be lowered";
    GaugesStopAt0 "a gauge does not wrap below 0";
    RecordSetsCounters "recording sets a counter";
    RecordAddsToGauges "recording adds to a gauge";
    HistogramsCanBeRead "a histogram can be read";
    Cas0IsNoWildcard "a cas of 0 does not fit";
    CasIsNotLookedAt "any cas fits";
    NewKeysHaveNoCas "a cas does not fit a new key";
    CasStays "a value that is set keeps its cas";
    CasSkips "every other cas is left out";
    EmptyValuesAreNotKept "an empty value does not replace what is there";
    QueuesAreStacks "the last message is taken first";
    QueuesAreNotTold "nobody is told of a message";
    QueuesAreToldOnce "of several messages one is told of";
    QueuesAreToldLast "messages are told of when all peers were heard";
    DrainedQueuesAreNotTold "nobody is told of a message that was taken";
    FirstRegistrantIsTold "who registered a queue first is told";
    NoVmIdIsNobodys "an empty VM id is not the guest's own";
    // WASI.
    ThereIsAnArgument "there is an argument";
    EnvironmentIsEmpty "there are no variables";
    ClocksAreCoarse "a clock's resolution is a microsecond";
    PollTellsOfAnEvent "`poll_oneoff` tells of an event";
    StandardErrorIsInfo "standard error is logged as information";
    LineFeedsAreLogged "a line feed at the end is logged";
    AllLineFeedsGo "all line feeds at the end go";
    LessIsWritten "`fd_write` tells of one byte less";
    DescriptorsHaveNoRights "a descriptor has no rights";
    DescriptorsHavePositions "a descriptor has a position";
    RandomLimitIsOneLess "65,536 bytes of chance are refused";
    RandomLimitIsOneMore "65,537 bytes of chance are handed out";
}
