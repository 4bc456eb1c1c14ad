//! The name of a new filter: of its package, its root id and its module.

use anyhow::bail;

/// Packages that a filter depends on, or may, and what rustc brings along: two of one name cannot be
/// told apart.
const TAKEN: [&str; 12] = [
    "alloc",
    "attache",
    "attache_harness",
    "attache_suite",
    "core",
    "log",
    "proc_macro",
    "proxy_wasm",
    "serde",
    "serde_json",
    "std",
    "test",
];

/// Refuses what cargo, a root id or a file could not be called.
pub(super) fn check(name: &str) -> anyhow::Result<()> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let begins = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if !begins
        || !name
            .bytes()
            .all(|byte| letter(byte) || b"-_".contains(&byte))
    {
        let better = better(name).unwrap_or_else(|| "my-filter".to_owned());
        bail!(
            "`{name}` is not a name for a filter; expected lower-case letters, digits, `-` and `_`, \
             with a letter first, such as `{better}`"
        );
    }
    if TAKEN.contains(&name.replace('-', "_").as_str()) {
        bail!("the name `{name}` is taken by a crate that filters are built with; try `my-{name}`");
    }
    Ok(())
}

/// The name that was probably meant.
fn better(name: &str) -> Option<String> {
    let mut better = String::new();
    for letter in name.trim().chars() {
        match letter.to_ascii_lowercase() {
            letter if letter.is_ascii_lowercase() => better.push(letter),
            letter if letter.is_ascii_digit() && !better.is_empty() => better.push(letter),
            _ if better.is_empty() || better.ends_with('-') => {}
            _ => better.push('-'),
        }
    }
    let better = better.trim_end_matches('-').to_owned();
    (!better.is_empty()).then_some(better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages() {
        for name in ["a", "my-filter", "my_filter", "http2-guard"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-a",
            "2fa",
            "My-Filter",
            "my filter",
            "ünter",
            "a.b",
            "serde-json",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_bad_name_is_told_a_better_one() {
        for (name, better) in [
            ("My Filter", "`my-filter`"),
            ("2fa", "`fa`"),
            ("_", "`my-filter`"),
            ("serde", "`my-serde`"),
        ] {
            let error = check(name).unwrap_err().to_string();
            assert!(error.contains(better), "{error}");
        }
    }
}
