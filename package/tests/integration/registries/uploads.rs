//! Uploads that break off: what a registry has kept is not sent again, and what it has not is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use attache_package::Digest;

use super::double::{Double, Question, Reply};
use super::{client, graph, wait};
use crate::modules::guard;

const KEPT: usize = 100;

fn is_layer(question: &Question) -> bool {
    question.body.starts_with(&[0x1f, 0x8b])
}

/// A registry whose connection breaks when it has a part of a layer, and what it says then of what it has.
fn breaking(
    said: Option<&'static str>,
    kept: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> Double {
    let broken = AtomicUsize::new(0);
    let held = Mutex::new(Vec::new());
    Double::with(move |question, shelf| {
        let place = "/v2/filter/blobs/uploads/1?state=b";
        let is_upload = question.target.contains("blobs/uploads/1");
        let mut held = held.lock().unwrap();
        match question.method.as_str() {
            "PUT" if is_layer(question) && broken.fetch_add(1, Ordering::Relaxed) == 0 => {
                *held = kept(&question.body[..KEPT]);
                Some(Reply::new(503, "").with("retry-after", 0))
            }
            "GET" if is_upload => Some(match said {
                Some(range) => Reply::new(204, "")
                    .with("range", range)
                    .with("location", place),
                None => Reply::new(404, ""),
            }),
            "PATCH" if is_upload => {
                held.extend_from_slice(&question.body);
                Some(Reply::new(202, "").with("location", place))
            }
            "PUT" if question.target.contains("state=b") && question.target.contains("digest=") => {
                let digest = Digest::of(&held).to_string();
                if !question.target.contains(&digest.replace(':', "%3A")) {
                    return Some(Reply::new(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#));
                }
                shelf.blobs.insert(digest, held.clone());
                Some(Reply::new(201, ""))
            }
            _ => None,
        }
    })
}

fn pushes(registry: &Double) -> usize {
    let name = registry.name("filter:1");
    wait(client().push(&graph(), &name)).unwrap();
    assert_eq!(wait(client().pull(&name)).unwrap().image.bytes, guard());
    let shelf = registry.shelf();
    shelf
        .asked
        .iter()
        .filter(|it| it.method == "PUT" && is_layer(it))
        .count()
}

#[test]
fn an_upload_goes_on_behind_what_the_registry_has() {
    for range in ["0-99", "bytes=0-99"] {
        let registry = breaking(Some(range), <[u8]>::to_vec);
        assert_eq!(pushes(&registry), 1, "once, and broken off");
        let shelf = registry.shelf();
        let patches: Vec<_> = shelf
            .asked
            .iter()
            .filter(|it| it.method == "PATCH")
            .collect();
        let [patch] = patches[..] else {
            panic!("{}", patches.len());
        };
        let end = KEPT + patch.body.len() - 1;
        assert_eq!(patch.headers["content-range"], format!("{KEPT}-{end}"));
        assert_eq!(patch.headers["content-type"], "application/octet-stream");
    }
}

#[test]
fn an_upload_that_is_forgotten_or_spoilt_begins_anew() {
    for (said, is_spoilt) in [
        // As docker-registry does, which forgets a piece that was cut.
        (None, false),
        (Some("0-0"), false),
        (Some("nonsense"), false),
        (Some("0-99999999"), false),
        (Some("0-18446744073709551615"), false),
        // It has kept other bytes than those that were sent.
        (Some("0-99"), true),
    ] {
        let registry = breaking(said, move |sent| match is_spoilt {
            true => vec![0; sent.len()],
            false => sent.to_vec(),
        });
        assert_eq!(pushes(&registry), 2, "{said:?}: all of it went again");
    }
}
