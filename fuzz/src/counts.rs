//! The filter metrics without a host: its parsers one by one, and any configuration.

use metrics::expression::Expression;
use metrics::grpc::{Frames, is_grpc};
use metrics::templates::Templates;
use metrics::{Config, stats_tags};

use crate::lines;

/// Templates in the first lines, and a path behind an empty one: what names a path is the first that a
/// plain reading of it takes, and no template of the list is without a path.
pub fn templates(data: &[u8]) {
    let Some(cut) = data.windows(2).position(|two| two == b"\n\n") else {
        return;
    };
    let (Ok(list), path) = (std::str::from_utf8(&data[..cut]), &data[cut + 2..]) else {
        return;
    };
    let list: Vec<&str> = list.split('\n').collect();
    let Ok(templates) = Templates::new(&list) else {
        return;
    };
    let first = list.iter().position(|template| takes(template, path));
    assert_eq!(templates.position(path), first);
    for (index, template) in list.iter().enumerate() {
        assert_eq!(templates.text(index), Some(*template));
    }
}

/// Segment by segment, with nothing prepared: `{name...}` and `**` take what is left, a name in braces and `*` a segment.
fn takes(template: &str, path: &[u8]) -> bool {
    let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();
    let mut parts = path.split(|&byte| byte == b'/');
    for segment in template.split('/') {
        let Some(part) = parts.next() else {
            return false;
        };
        if segment == "**" || segment.ends_with("=**}") || segment.ends_with("...}") {
            return true;
        }
        let fits = match segment == "*" || segment.starts_with('{') {
            true => !part.is_empty(),
            false => part == segment.as_bytes(),
        };
        if !fits {
            return false;
        }
    }
    parts.next().is_none()
}

/// The lengths of pieces up to the first 0xfe, and a body: however it is cut, it has as many messages.
pub fn frames(data: &[u8]) {
    let _ = is_grpc(data);
    let mut halves = data.splitn(2, |&byte| byte == 0xfe);
    let (Some(cuts), Some(body)) = (halves.next(), halves.next()) else {
        return;
    };
    let mut whole = Frames::default();
    whole.read(body);
    assert!(whole.count() <= body.len() as u64 / 5);
    let mut pieces = Frames::default();
    let mut rest = body;
    for cut in cuts
        .iter()
        .cycle()
        .take(body.len() * usize::from(!cuts.is_empty()))
    {
        let (piece, tail) = rest.split_at(usize::from(*cut).min(rest.len()));
        pieces.read(piece);
        rest = tail;
    }
    pieces.read(rest);
    assert_eq!(pieces.count(), whole.count());
}

/// An expression in the first line: what it reads is a path of names that are none of them empty.
pub fn expressions(data: &[u8]) {
    let Some((text, _)) = lines(data) else {
        return;
    };
    if let Ok(Expression::Property(path)) = Expression::parse(text) {
        assert!(path.bytes.split('\0').all(|part| !part.is_empty()));
        assert!(path.bytes.len() <= text.len());
    }
    assert_eq!(Expression::parse(text), Expression::parse(text));
}

/// A configuration: nothing panics, and what is accepted has its labels, each once.
pub fn metrics(data: &[u8]) {
    let Ok(config) = serde_json::from_slice::<Config>(data) else {
        return;
    };
    let Ok(tags) = stats_tags(&config) else {
        return;
    };
    let mut names: Vec<&str> = tags
        .lines()
        .filter_map(|line| line.split_once("tag_name:").map(|(_, name)| name.trim()))
        .collect();
    let all = names.len();
    assert!(all > 0, "{tags}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{tags}");
}
