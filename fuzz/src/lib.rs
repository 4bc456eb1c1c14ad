//! What each target does with its bytes, so that a plain test can replay a corpus on a stable compiler.
//!
//! `cargo +nightly fuzz run TARGET` in the root of the repository looks for more; each function panics where
//! something does not hold.

mod counts;
mod credentials;
mod guest;
mod message;

use transform::Fuel;
use transform::coding::{Coding, gzip};
use transform::jmespath::{Dialect, Expression};
use transform::json::{
    Pointer, equal, get, keep, owned, parse, print, print_document, remove, set,
};
use transform::json_patch::Patch;
use transform::pairs::Pairs;
use transform::template::{Put, Template};

pub use counts::{expressions, frames, metrics, templates};
pub use credentials::{addresses, auth_scrub, cookies, copies, parameters, token};
pub use guest::{allocator, decoding};
pub use message::transform;

/// What is done with a target's bytes.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 17] = [
    ("allocator", allocator),
    ("decoding", decoding),
    ("cookies", cookies),
    ("copies", copies),
    ("parameters", parameters),
    ("token", token),
    ("addresses", addresses),
    ("auth-scrub", auth_scrub),
    ("templates", templates),
    ("frames", frames),
    ("expressions", expressions),
    ("metrics", metrics),
    ("json", json),
    ("jmespath", jmespath),
    ("coding", coding),
    ("pairs", pairs),
    ("transform", transform),
];

/// How large what is made may become.
const LIMIT: usize = 1 << 16;

/// Two texts, cut at the first line feed.
fn lines(data: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(data).ok()?.split_once('\n')
}

/// A pointer or a patch in the first line, JSON behind it: what is read is written as it was, and what is
/// changed is JSON.
pub fn json(data: &[u8]) {
    let Some((first, text)) = lines(data) else {
        return;
    };
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let Ok(document) = parse(text) else {
        assert!(!is_json, "{text}");
        return;
    };
    assert_eq!(print_document(&document, usize::MAX).as_deref(), Ok(text));
    let fuel = Fuel::new(1 << 20);
    let value = document.value;
    if let Ok(pointer) = Pointer::parse(first) {
        let found = get(&value, &pointer).cloned();
        let mut changed = value.clone();
        if let (Some(found), Ok(1..)) = (&found, set(&mut changed, &pointer, &value, &fuel)) {
            let _ = equal(found, &changed, &fuel);
        }
        reads(&print(&changed, LIMIT));
        let mut changed = value.clone();
        if remove(&mut changed, &pointer, &fuel).is_ok() && !pointer.is_root() {
            let is_element = pointer
                .tokens()
                .last()
                .is_some_and(|token| token.parse::<usize>().is_ok());
            assert!(is_element || get(&changed, &pointer).is_none());
        }
        reads(&print(&changed, LIMIT));
        let mut changed = value.clone();
        let _ = keep(&mut changed, &[pointer], &fuel);
        reads(&print(&changed, LIMIT));
    }
    // Operations outlive bodies.
    let operations = parse(first).map(|operations| owned(&operations.value));
    if let Ok(Ok(patch)) = operations.map(|operations| Patch::new(&operations)) {
        let mut changed = value.clone();
        let before = print(&changed, LIMIT);
        if patch.apply(&mut changed, &fuel).is_err() {
            assert_eq!(print(&changed, LIMIT), before);
        }
        reads(&print(&changed, LIMIT));
    }
}

fn reads(made: &Result<String, transform::Failure>) {
    if let Ok(made) = made {
        assert!(parse(made).is_ok(), "{made}");
    }
}

/// An expression or a template in the first line, JSON behind it.
pub fn jmespath(data: &[u8]) {
    let Some((first, text)) = lines(data) else {
        return;
    };
    let Ok(document) = parse(text) else {
        return;
    };
    for dialect in [Dialect::Standard, Dialect::Template] {
        let fuel = Fuel::new(1 << 18);
        if let Ok(expression) = Expression::parse(first, dialect)
            && let Ok(found) = expression.search(&document.value, &fuel)
        {
            reads(&print(&found, LIMIT));
        }
    }
    if let Ok(template) = Template::parse(first) {
        let fuel = Fuel::new(1 << 18);
        for put in [Put::Plain, Put::Segment] {
            let _ = template.render(&document.value, put, LIMIT, &fuel);
        }
        let _ = template.render_json(&document.value, LIMIT, &fuel);
    }
}

/// A coding by the first byte's lowest bits, and a body in it.
pub fn coding(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let codings = [Coding::Gzip, Coding::Brotli, Coding::Zstd];
    let coding = codings[usize::from(first % 3)];
    if let Ok(decoded) = coding.decode(body, LIMIT) {
        assert!(decoded.len() <= LIMIT);
    }
    let body = &body[..body.len().min(LIMIT)];
    assert_eq!(Coding::Gzip.decode(&gzip(body), LIMIT).as_deref(), Ok(body));
}

/// A name in the first line, and a query behind it: what is not named keeps its bytes.
pub fn pairs(data: &[u8]) {
    let Some((name, query)) = lines(data) else {
        return;
    };
    let mut pairs = Pairs::parse(query.as_bytes());
    assert!(pairs.changed().is_none());
    let had = pairs.has(name);
    assert_eq!(pairs.remove(name), had);
    assert!(!pairs.has(name));
    assert_eq!(pairs.changed().is_some(), had);
    if name.is_empty() {
        return;
    }
    pairs.append(name, b"a&b=c%");
    let made = pairs.changed().unwrap_or_default();
    let again = Pairs::parse(&made);
    let values: Vec<_> = again.values(name).collect();
    assert_eq!(values, [&b"a&b=c%"[..]]);
}
