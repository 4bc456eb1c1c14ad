//! Which repositories a rule names.

use crate::registry::one_spelling;

/// Why a pattern can name no repository, so that its rule would be passed by without a word.
pub(super) fn names_nothing(pattern: &str) -> Option<&'static str> {
    let (registry, path) = match pattern.split_once('/') {
        Some((registry, path)) => (registry, path),
        None if pattern == "**" => return None,
        None => return Some("expected registry/repository, such as `ghcr.io/me/**`"),
    };
    if pattern.contains("://") {
        return Some("write it without a scheme");
    }
    if path.contains([':', '@']) {
        return Some("a rule is for a repository: write it without tag and digest");
    }
    if pattern.chars().any(char::is_uppercase) {
        return Some("write it in lower case");
    }
    if !registry.contains(['.', ':', '*']) && registry != "localhost" {
        return Some("it begins with no registry; those of Docker Hub begin with `docker.io/`");
    }
    if !registry.contains('*') && one_spelling(registry) != registry {
        return Some(
            "write the registry as it is shown: without port 443, and Docker Hub as `docker.io`",
        );
    }
    if registry == "docker.io" && !path.contains(['/', '*']) {
        return Some("write `docker.io/library/…`");
    }
    None
}

/// Whether a pattern names a repository: `*` is any text in one part of the name, `**` any number of parts.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    parts_fit(&pattern, &name)
}

fn parts_fit(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (["**", rest @ ..], name) => (0..=name.len()).any(|skip| parts_fit(rest, &name[skip..])),
        ([part, pattern @ ..], [word, name @ ..]) => {
            part_fits(part, word) && parts_fit(pattern, name)
        }
        _ => false,
    }
}

fn part_fits(pattern: &str, word: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == word;
    };
    let Some(rest) = word.strip_prefix(before) else {
        return false;
    };
    let mut ends = (0..=rest.len()).filter(|end| rest.is_char_boundary(*end));
    ends.any(|end| part_fits(after, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_repositories_part_by_part() {
        for (pattern, name) in [
            ("r.io/a", "r.io/a"),
            ("r.io/*", "r.io/a"),
            ("r.io/a-*", "r.io/a-b"),
            ("r.io/*-*-c", "r.io/a-b-c"),
            ("r.io/**", "r.io/a/b/c"),
            ("**", "r.io/a"),
            ("**/b", "r.io/a/b"),
            ("*/a", "r.io:5000/a"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("r.io/*", "r.io/a/b"),
            ("r.io/a", "r.io/ab"),
            ("r.io/a", "r.io/a/b"),
            ("r.io/a*", "r.io.evil/a"),
            ("r.io", "r.io/a"),
            ("", "r.io/a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
