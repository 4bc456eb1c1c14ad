use super::EnvoyVersion;

/// Builds the differences from their names, the line that each came with, what is so since then, what
/// was so before, and the case of `conformance/suites/versions.suite.yaml` that shows it.
macro_rules! differences {
    ($($name:ident in $since:ident: $now:literal, before: $before:literal, shown: $case:literal;)*) => {
        /// What an Envoy does otherwise than the lines before it, of what a filter or a peer can see.
        ///
        /// Each was seen on the binaries of the line named and of the one before, and is shown by a
        /// case that is played on all of them.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum VersionDifference {
            $(#[doc = $now] $name,)*
        }

        impl VersionDifference {
            /// All of them, in the order of the lines that they came with.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The first line that does it.
            #[must_use]
            pub fn since(self) -> EnvoyVersion {
                match self {
                    $(Self::$name => EnvoyVersion::$since,)*
                }
            }

            /// What is so since then.
            #[must_use]
            pub fn now(self) -> &'static str {
                match self {
                    $(Self::$name => $now,)*
                }
            }

            /// What was so before.
            #[must_use]
            pub fn before(self) -> &'static str {
                match self {
                    $(Self::$name => $before,)*
                }
            }

            /// The name of the case that shows it.
            #[must_use]
            pub fn case(self) -> &'static str {
                match self {
                    $(Self::$name => $case,)*
                }
            }
        }
    };
}

differences! {
    MoreOfSignatures in V1_37:
        "There is a foreign function `sign`; `verify_signature` reads keys in PEM, too, and is answered 2 without a key.",
        before: "No `sign`; `verify_signature` knows keys in DER only and answers 0, with a text that says what is wrong.",
        shown: "signatures without a key";
    ForeignFunctionsFollowTheEffectiveContext in V1_37:
        "`set_envoy_filter_state` writes to the stream that is the effective context.",
        before: "It writes to the stream whose callback runs, and is answered 1 where there is none.",
        shown: "filter state of the effective context";
    CookiesStayApart in V1_37:
        "Lines of `cookie` stay apart where Envoy writes them over HTTP/2.",
        before: "They are put together by `; `, in the place of the first.",
        shown: "cookies over HTTP/2";
    NetworkNamespaces in V1_37:
        "`set_envoy_filter_state` makes `envoy.network.network_namespace`.",
        before: "It is not found.",
        shown: "objects of filter state that came later";
    HashableStrings in V1_38:
        "`set_envoy_filter_state` makes `envoy.hashable_string`.",
        before: "It is not found.",
        shown: "objects of filter state that came later";
    RepliesHideTheTransport in V1_38:
        "The reply for an upstream that cannot be connected to ends in `reset reason: remote connection failure`, of call-outs too.",
        before: "It goes on with `, transport failure reason: delayed connect error: Connection refused`.",
        shown: "the reply for an upstream where nobody listens";
    KeepAliveIsOfTheUpstream in V1_38:
        "`keep-alive` is taken out of a response before the filters see it, of a call-out's too; one that a filter adds goes out.",
        before: "Filters see the upstream's, and whoever set it, it is taken out behind them.",
        shown: "keep-alive of a response";
    UpstreamResetsArePassedOn in V1_38:
        "An upstream's reset of a TCP connection resets the client's.",
        before: "It ends the client's as an orderly close does, and leaves no flag.",
        shown: "a TCP upstream that resets";
    PollingWorks in V1_39:
        "`poll_oneoff` answers 0.",
        before: "It answers 52.",
        shown: "polling";
    VariablesPartVms in V1_39:
        "Plugins with other environment variables have VMs of their own.",
        before: "They share a VM, with the variables of the plugin that started it.",
        shown: "plugins with other variables";
    MoreOfWasi in V1_39:
        "The functions of WASI are all there but for those of threads.",
        before: "27 are missing, such as `clock_res_get` and `fd_filestat_get`: a module that imports one does not load.",
        shown: "a module that imports all of WASI";
    RefusedCallsCloseTheirConnection in V1_39:
        "A call with a name or value that the codec refuses closes the connection that it has got.",
        before: "A new connection that it has got stays for others.",
        shown: "two calls that the codec refuses";
    ModelsAndBooleans in V1_40:
        "`set_envoy_filter_state` makes `envoy.bool` and `envoy.ai.model.request`.",
        before: "They are not found.",
        shown: "objects of filter state that came later";
    ClientResetsArePassedOn in V1_40:
        "A client's reset of a TCP connection resets the upstream's.",
        before: "It ends the upstream's as an orderly close does.",
        shown: "a TCP client that resets";
    QueryIsKnown in V1_40:
        "QUERY is a method; without `content-type` it is answered 400, `query_missing_content_type`.",
        before: "The codec of HTTP/1.1 does not know it, and answers 400.",
        shown: "QUERY as a method";
}

/// The functions of WASI that came with [`VersionDifference::MoreOfWasi`].
pub(crate) const MORE_OF_WASI: [&str; 27] = [
    "clock_res_get",
    "fd_advise",
    "fd_allocate",
    "fd_datasync",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_pwrite",
    "fd_readdir",
    "fd_renumber",
    "fd_sync",
    "fd_tell",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::AbiVersion;
    use crate::imports::lookup;

    #[test]
    fn differences_stand_in_the_order_of_versions() {
        let since = |difference: &VersionDifference| difference.since();
        assert!(VersionDifference::ALL.is_sorted_by_key(since));
        assert!(
            VersionDifference::ALL
                .iter()
                .all(|one| one.since() > EnvoyVersion::V1_36)
        );
    }

    #[test]
    fn what_came_later_is_there_now() {
        for name in MORE_OF_WASI {
            let found = |version| lookup(AbiVersion::V0_2_1, version, "wasi_unstable", name);
            assert!(found(EnvoyVersion::V1_39).is_some(), "{name}");
            assert!(found(EnvoyVersion::V1_38).is_none(), "{name}");
        }
    }
}
