//! All fields. What is said of them is for people: the module's own code never names it.

use super::{Field, Kind, Shape};

/// What is said of a shape and its fields, and the default of each, as JSON.
pub(super) struct Words {
    pub(super) shape: &'static str,
    pub(super) about: &'static str,
    pub(super) fields: &'static [(&'static str, &'static str)],
}

/// Shapes, and apart from them the words. A field is `name: kind`, with `(required)` where it is, and
/// `= default` where there is one to tell.
macro_rules! shapes {
    ($(
        #[doc = $about:literal]
        $shape:ident = $title:literal {
            $(#[doc = $doc:literal] $field:literal $($required:ident)?: $kind:expr $(; $default:literal)?,)+
        }
    )+) => {
        $(
            pub(super) static $shape: Shape = Shape {
                name: $title,
                fields: &[$(Field {
                    name: $field,
                    kind: $kind,
                    required: shapes!(@ $($required)?),
                }),+],
            };
        )+

        pub(super) static WORDS: &[Words] = &[$(Words {
            shape: $title,
            about: $about,
            fields: &[$(($doc, concat!($($default)?))),+],
        }),+];
    };
    (@ required) => { true };
    (@) => { false };
}

const MODES: &[&str] = &["enforce", "report_only"];
const FAILURE_MODES: &[&str] = &["deny", "allow"];
const ALGORITHMS: &[&str] = &["hmac-sha256"];
const ACTIONS: &[&str] = &["remove", "replace", "mask", "hash", "truncate", "keep"];
const IP_ACTIONS: &[&str] = &["truncate", "remove"];
const JWT_ACTIONS: &[&str] = &["strip_signature", "remove", "keep"];

shapes! {
    /// The plugin configuration.
    CONFIG = "Config" {
        /// Whether anything is changed, or only counted and shown to the access log.
        "mode": Kind::Word(MODES); "\"enforce\"",
        /// What becomes of a request when the filter fails, as when Envoy refuses a host call.
        "failure_mode": Kind::Word(FAILURE_MODES); "\"deny\"",
        /// How values are hashed.
        "hash": Kind::Object(&HASH),
        /// What goes, and where; absent for the default credentials everywhere. An empty list is refused.
        "rules": Kind::Objects(&RULE),
        /// Which names count as the same.
        "name_matching": Kind::Object(&NAME_MATCHING),
        /// What the access log may show of a request, as filter state.
        "access_log": Kind::Object(&ACCESS_LOG),
    }

    /// A keyed hash: equal values are told to be equal, and short ones cannot be guessed.
    HASH = "Hash" {
        /// The only one.
        "algorithm": Kind::Word(ALGORITHMS); "\"hmac-sha256\"",
        /// At least 16 bytes.
        "key" required: Kind::Object(&KEY),
        /// How many hexadecimal digits are kept, 8 to 64.
        "length": Kind::Number; "16",
        /// What stands before the digits.
        "prefix": Kind::Text; "\"h:\"",
    }

    /// One of both.
    KEY = "Key" {
        /// The key itself.
        "inline": Kind::Text,
        /// The variable of the VM's environment that holds it.
        "env": Kind::Text,
    }

    /// Of the rules whose `match` holds, the first that names something decides on it; within a rule a whole name before a prefix, and a longer prefix before a shorter.
    RULE = "Rule" {
        /// A word for people.
        "name": Kind::Text,
        /// Which requests it is for; absent for all.
        "match": Kind::Object(&MATCH),
        /// What it does to requests.
        "request": Kind::Object(&REQUEST),
        /// What it does to responses.
        "response": Kind::Object(&RESPONSE),
        /// Destinations that may see what the rule takes from others.
        "allow": Kind::Objects(&ALLOW),
    }

    /// Each list that is there has to match, by one of its elements.
    MATCH = "Match" {
        /// The host asked for, in lower case, without port and final dot.
        "authority": Kind::Patterns,
        /// The path without its query.
        "path": Kind::Patterns,
        /// Methods, such as `GET`.
        "methods": Kind::Texts,
        /// The cluster that Envoy has chosen.
        "cluster": Kind::Patterns,
    }

    /// What a rule does to requests.
    REQUEST = "Request" {
        /// Whether the default credentials go too.
        "defaults": Kind::Flag; "false",
        /// Headers, each line of them.
        "headers": Kind::Objects(&ITEM),
        /// Cookies.
        "cookies": Kind::Objects(&ITEM),
        /// Query parameters, by their decoded name.
        "query_parameters": Kind::Objects(&ITEM),
        /// Headers that carry the client's address.
        "client_ip": Kind::Object(&CLIENT_IP),
        /// A JSON Web Token that stays in part. What is none is left to `headers`, and goes where these do not name it.
        "jwt": Kind::Object(&JWT),
        /// Whether trailers are treated as headers are.
        "trailers": Kind::Flag; "true",
        /// Whether copies go too: parameters in `referer` and original paths, `grpc-metadata-` and `grpcgateway-` before and `-bin` behind a header's name, tokens in `sec-websocket-protocol`, passwords before a host.
        "copies": Kind::Flag; "true",
    }

    /// What a rule does to responses.
    RESPONSE = "Response" {
        /// Headers, each line of them.
        "headers": Kind::Objects(&ITEM),
        /// Cookies that are set.
        "set_cookies": Kind::Objects(&ITEM),
        /// Whether the query of `location` is treated as that of requests.
        "location_query": Kind::Flag; "false",
        /// Whether trailers are treated as headers are.
        "trailers": Kind::Flag; "true",
    }

    /// A header, cookie or parameter, and what is done to its value.
    ITEM = "Item" {
        /// A name, `{"exact": …}` or `{"prefix": …}`.
        "name" required: Kind::Name,
        /// What is done.
        "action" required: Kind::Word(ACTIONS),
        /// `replace`: the new value.
        "value": Kind::Text,
        /// `mask`: how many bytes stay at the beginning; a value of no more than stay is masked whole.
        "keep_first": Kind::Number; "0",
        /// `mask`: how many bytes stay at the end.
        "keep_last": Kind::Number; "0",
        /// `mask`: what stands in place of each other byte; required where some stay, else `*`.
        "char": Kind::Text,
        /// `truncate`: how many bytes stay.
        "length": Kind::Number,
        /// Headers: only values of these schemes, such as `basic`, in any part between commas, and those without one.
        "schemes": Kind::Texts,
        /// Headers: whether the scheme before the value stays.
        "keep_scheme": Kind::Flag; "false",
    }

    /// Addresses of the client, in lists too.
    CLIENT_IP = "ClientIp" {
        /// Cut them, or remove the headers.
        "action" required: Kind::Word(IP_ACTIONS),
        /// How many bits of an IPv4 address stay, 0 to 32.
        "ipv4_prefix_length": Kind::Number; "24",
        /// How many bits of an IPv6 address stay, 0 to 128.
        "ipv6_prefix_length": Kind::Number; "48",
        /// Headers that carry addresses besides the known ones.
        "headers": Kind::Texts,
    }

    /// A signed JSON Web Token.
    JWT = "Jwt" {
        /// The header that it stands in.
        "from": Kind::Text; "\"authorization\"",
        /// What is done to it.
        "action" required: Kind::Word(JWT_ACTIONS),
        /// Headers by claim; `a.b` is the claim `b` in `a`. What a client sends under their names goes.
        "claims_to_headers": Kind::Map,
    }

    /// Destinations, as in `match`, and what they may see.
    ALLOW = "Allow" {
        /// The host asked for.
        "authority": Kind::Patterns,
        /// The path without its query.
        "path": Kind::Patterns,
        /// Methods.
        "methods": Kind::Texts,
        /// The cluster that Envoy has chosen.
        "cluster": Kind::Patterns,
        /// Headers that stay.
        "headers": Kind::Texts,
        /// Cookies that stay.
        "cookies": Kind::Texts,
        /// Query parameters that stay.
        "query_parameters": Kind::Texts,
    }

    /// Which names count as the same.
    NAME_MATCHING = "NameMatching" {
        /// Whether `x_api_key`, `x.api.key` and `x~api~key` are `x-api-key`, as to CGI, WSGI and PHP.
        "underscore_equals_hyphen": Kind::Flag; "true",
        /// Whether `TOKEN` is the parameter `token`, as to ASP.NET.
        "query_ignores_case": Kind::Flag; "true",
        /// Whether `SESSION` is the cookie `session`, as to ASP.NET.
        "cookies_ignore_case": Kind::Flag; "true",
    }

    /// Read by `%FILTER_STATE(wasm.PREFIX.FIELD:PLAIN)%`.
    ACCESS_LOG = "AccessLog" {
        /// What stands before a field's name.
        "filter_state_prefix": Kind::Text; "\"scrub\"",
        /// `path`, `changes` (their kinds), and a header's name with `_scheme` or `_hash`.
        "fields" required: Kind::Texts,
    }
}
