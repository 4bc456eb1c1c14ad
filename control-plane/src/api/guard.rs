use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::fault;

/// The header that a request has to have which changes something, with any value.
///
/// A browser puts it into no request of another site's page without asking first, and is not allowed it.
pub const REQUIRED_HEADER: &str = "x-attache-request";

/// Lets nobody change anything by way of somebody else's browser.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let mut response = match check(request.headers()) {
        Err(reason) if !reads => fault(StatusCode::FORBIDDEN, reason),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn check(headers: &HeaderMap) -> Result<(), String> {
    if !headers.contains_key(REQUIRED_HEADER) {
        return Err(format!(
            "what changes something needs the header `{REQUIRED_HEADER}`, with any value"
        ));
    }
    let Some(origin) = headers.get(ORIGIN) else {
        // No browser leaves it out.
        return Ok(());
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok();
    let authority = origin.and_then(|origin| origin.split_once("://"));
    match (authority, host) {
        (Some((_, authority)), Some(host)) if authority == host => named_here(host),
        _ => Err("a page of another site may change nothing here".to_owned()),
    }
}

/// Whether nobody else can have given this name to our address: a name of the public DNS may lead here
/// and belong to a stranger, whose page would then count as ours.
fn named_here(host: &str) -> Result<(), String> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() || !name.contains('.') {
        return Ok(());
    }
    Err(format!(
        "a browser that calls this control plane `{name}` may look and change nothing: use its address, \
         or `attache rollout`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        check(&headers).is_ok()
    }

    #[test]
    fn only_programs_and_our_own_page_change_something() {
        let ours = ("x-attache-request", "page");
        let local = ("host", "127.0.0.1:18001");
        assert!(verdict(&[ours, local]));
        assert!(verdict(&[
            ours,
            local,
            ("origin", "http://127.0.0.1:18001")
        ]));
        assert!(verdict(&[
            ours,
            ("host", "plane:1"),
            ("origin", "http://plane:1")
        ]));
        assert!(verdict(&[
            ours,
            ("host", "[::1]:1"),
            ("origin", "http://[::1]:1")
        ]));
        assert!(!verdict(&[local]));
        assert!(!verdict(&[local, ("origin", "http://127.0.0.1:18001")]));
        assert!(!verdict(&[
            ours,
            local,
            ("origin", "http://127.0.0.1:18002")
        ]));
        assert!(!verdict(&[ours, local, ("origin", "null")]));
        // A name that a stranger made lead here.
        assert!(!verdict(&[
            ours,
            ("host", "evil.example:18001"),
            ("origin", "http://evil.example:18001")
        ]));
    }
}
