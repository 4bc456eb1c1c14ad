use std::sync::OnceLock;

use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::IntoResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// The page: one file, which fetches nothing but the API.
const PAGE: &str = include_str!("page.html");

pub(super) async fn page() -> impl IntoResponse {
    static POLICY: OnceLock<String> = OnceLock::new();
    let policy = POLICY.get_or_init(policy);
    let headers: [(HeaderName, &'static str); 3] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, PAGE)
}

/// Only the script and the style that stand in the page are run, whatever else gets into it.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest_of("script"),
        digest_of("style"),
    )
}

/// The digest of the element of this name, of which there is one.
fn digest_of(element: &str) -> String {
    let (_, rest) = PAGE.split_once(&format!("<{element}>")).unwrap_or_default();
    let (text, _) = rest
        .split_once(&format!("</{element}>"))
        .unwrap_or_default();
    BASE64_STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_fetches_nothing() {
        for element in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{element}>")).count(), 1);
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1);
        }
        for elsewhere in [
            "http:",
            "https:",
            "@import",
            "innerHTML",
            "url(",
            " style=",
            " onclick=",
        ] {
            assert!(!PAGE.contains(elsewhere), "{elsewhere}");
        }
    }
}
