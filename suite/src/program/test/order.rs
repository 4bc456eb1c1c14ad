//! Work at the same time, with its results in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Does the work for each file, so many at a time, and hands over what came of them in their order.
pub(super) fn in_order<T: Send>(
    files: &[PathBuf],
    jobs: usize,
    work: impl Fn(&Path) -> T + Sync,
    mut done: impl FnMut(&Path, T),
) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = files.get(number) else { break };
                    // Who hands over waits for all of them.
                    let _ = sender.send((number, work(path)));
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut turn = 0;
        for (number, result) in receiver {
            early.insert(number, result);
            while let Some(result) = early.remove(&turn) {
                done(&files[turn], result);
                turn += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_files() {
        let files: Vec<PathBuf> = (0..20)
            .map(|number: u32| number.to_string().into())
            .collect();
        let first = AtomicUsize::new(0);
        let mut came = Vec::new();
        in_order(
            &files,
            3,
            |path| {
                // The first file waits until others are done.
                if path == files[0] {
                    while first.load(Ordering::Relaxed) < 5 {
                        thread::yield_now();
                    }
                }
                first.fetch_add(1, Ordering::Relaxed);
            },
            |path, ()| came.push(path.to_owned()),
        );
        assert_eq!(came, files);
    }
}
