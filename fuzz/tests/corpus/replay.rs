//! Replays the corpus of each target, and small changes of it.

use std::path::Path;

/// A target and its name, which is that of its folder.
type Target = (&'static str, fn(&[u8]));

/// The files of a target.
fn corpus(all: &Path, name: &str) -> Vec<Vec<u8>> {
    let folder = all.join(name);
    let entries = std::fs::read_dir(&folder).expect("each target has a corpus");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    let read = |path| std::fs::read(path).expect("the file can be read");
    paths.into_iter().map(read).collect()
}

/// All of it, as it is.
pub(crate) fn as_it_is(all: &Path, targets: &[Target]) {
    for (name, target) in targets {
        corpus(all, name).iter().for_each(|data| target(data));
    }
}

/// The same ones each time; `FUZZ_CHANGES` asks for more of them.
pub(crate) fn changed(all: &Path, targets: &[Target]) {
    let changes = std::env::var("FUZZ_CHANGES").ok();
    let changes = changes.and_then(|count| count.parse().ok()).unwrap_or(60);
    let mut state = 7_u64;
    let mut below = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap_or(0) % limit.max(1)
    };
    for (name, target) in targets {
        let inputs = corpus(all, name);
        for data in &inputs {
            for _ in 0..changes {
                let mut changed = data.clone();
                for _ in 0..=below(3) {
                    let at = below(changed.len());
                    match below(4) {
                        0 => drop(changed.splice(at..at, [b"{}[]\",:0'`@\\|"[below(13)]])),
                        1 if !changed.is_empty() => drop(changed.remove(at)),
                        2 if !changed.is_empty() => changed[at] ^= 1 << below(8),
                        _ => {
                            let other = &inputs[below(inputs.len())];
                            let from = below(other.len());
                            let to = (from + below(24)).min(other.len());
                            drop(changed.splice(at..at, other[from..to].iter().copied()));
                        }
                    }
                }
                target(&changed);
            }
        }
    }
}
