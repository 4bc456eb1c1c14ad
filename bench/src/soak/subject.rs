//! The filters, and what each should make of a request.

use super::client::size;
use super::draw::Lot;
use super::message::filler;
use super::upstream::SECRET;

/// A filter of the collection, or none, whose streams show what is Envoy's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    AuthScrub,
    Metrics,
    Transform,
    Nothing,
}

/// A request without its framing.
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// The body as the upstream should have it.
    pub(super) arrives: Vec<u8>,
}

impl Subject {
    pub(super) const ALL: [Self; 4] = [
        Self::AuthScrub,
        Self::Metrics,
        Self::Transform,
        Self::Nothing,
    ];

    /// The package of the filter, or what stands in the place of its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no filter",
            Self::AuthScrub => "auth-scrub",
            Self::Metrics => "metrics",
            Self::Transform => "transform",
        }
    }

    /// Whether its requests have secrets that the upstream must not see.
    pub(super) fn hides(self) -> bool {
        self == Self::AuthScrub
    }

    /// Two configurations of a filter that do the same, for reloads to and fro.
    pub(super) fn configurations(self) -> &'static [&'static str] {
        match self {
            Self::Nothing => &[],
            Self::AuthScrub => &[
                "{}",
                r#"{"rules": [{"name": "credentials", "request": {"defaults": true}}]}"#,
            ],
            Self::Metrics => &[
                r#"{"reporter": "source"}"#,
                r#"{"reporter": "destination"}"#,
            ],
            Self::Transform => &[
                r#"{"request": {"body": {"hold_headers": true}, "rules": [{"steps": [
                    {"op": "set", "header": "x-bench", "value": "1"},
                    {"op": "replace", "body": "/role", "value": "guest"}]}]}}"#,
                r#"{"request": {"body": {"hold_headers": true}, "rules": [
                    {"steps": [{"op": "set", "header": "x-bench", "value": "1"}]},
                    {"steps": [{"op": "replace", "body": "/role", "value": "guest"}]}]}}"#,
            ],
        }
    }

    pub(super) fn draw(self, lot: &mut Lot) -> Request {
        let number = lot.below(1 << 30);
        let has_body = lot.happens(40);
        let method = if has_body { "POST" } else { "GET" };
        let target = format!("/orders/{number}?page={}&q=a%20b+c", number % 97);
        let mut sent = target.clone();
        let mut headers = format!("host: soak\r\nx-target: {target}\r\nuser-agent: soak/1.0\r\n");
        let mut body = if has_body {
            filler(size(lot), number)
        } else {
            Vec::new()
        };
        let mut arrives = body.clone();
        match self {
            Self::AuthScrub => {
                for name in [
                    "authorization",
                    "X-Api-Key",
                    "x_auth.token",
                    "X-ACCESS-TOKEN",
                ] {
                    if lot.happens(40) {
                        headers.push_str(&format!("{name}: {SECRET}-{number}\r\n"));
                    }
                }
                for name in ["access_token", "%61pi_key", "Password"] {
                    if lot.happens(40) {
                        sent.push_str(&format!("&{name}={SECRET}-{number}"));
                    }
                }
            }
            Self::Nothing | Self::Metrics => {}
            Self::Transform => {
                headers.push_str("x-wants: 1\r\n");
                if has_body {
                    headers.push_str("content-type: application/json\r\n");
                    let pad = String::from_utf8_lossy(&body).into_owned();
                    let json = |role| format!("{{\"pad\": \"{pad}\", \"role\":\"{role}\" }}");
                    body = json("admin").into_bytes();
                    arrives = json("guest").into_bytes();
                }
            }
        }
        Request {
            head: format!("{method} {sent} HTTP/1.1\r\n{headers}"),
            body,
            arrives,
        }
    }
}
