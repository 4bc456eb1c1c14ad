//! The corpus on harnesses that are wrong in one place.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io, thread};

use attache_harness::mutation::{Mutation, Mutator};
use attache_suite::{Rehearsal, Shown, Suite, SuiteError};
use fastrand::Rng;

use crate::{corpus, repository};

/// The corpus, read, built, and played once on the harness as it is.
pub struct Stage {
    suites: Vec<Rehearsal>,
    cases: Vec<Case>,
    failing: Vec<String>,
}

struct Case {
    suite: usize,
    number: usize,
    /// The suite's file name and the case's name.
    name: String,
    shown: Shown,
    /// The mutations that it may notice.
    reached: BTreeSet<Mutation>,
}

/// What came of a mutation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Which one.
    pub mutation: Mutation,
    /// How many cases come to where it decides.
    pub reached: usize,
    /// The cases that noticed, in order; no more than were asked for.
    pub noticed: Vec<String>,
}

/// Which cases are asked about a mutation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Thoroughness {
    /// As many as it takes until one notices.
    First,
    /// All.
    All,
}

/// Why the corpus cannot be put on the stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The folder cannot be read.
    #[error("cannot list the corpus")]
    List(#[source] io::Error),
    /// A suite is at fault.
    #[error("cannot read the corpus")]
    Suite(#[from] SuiteError),
}

impl Stage {
    /// Reads and builds the corpus, and plays every case once. One that fails then is left out.
    ///
    /// # Errors
    ///
    /// [`StageError`].
    pub fn set() -> Result<Self, StageError> {
        Self::of(&corpus().map_err(StageError::List)?)
    }

    /// The same with some suites.
    ///
    /// # Errors
    ///
    /// [`StageError`].
    pub fn of(files: &[PathBuf]) -> Result<Self, StageError> {
        let suites: Result<Vec<_>, _> = files.iter().map(Suite::load).collect();
        let suites = Rehearsal::of(&suites?)?;
        let mut places = Vec::new();
        for (at, (file, suite)) in files.iter().zip(&suites).enumerate() {
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            let named = suite.cases().map(|case| format!("{file}: {case}"));
            places.extend(named.enumerate().map(|(number, name)| (at, number, name)));
        }
        let played = in_parallel(places, |(suite, number, name)| {
            let watching = Arc::new(Mutator::watching());
            let shown = suites[suite].play(number, Arc::clone(&watching));
            match shown.filter(Shown::passed) {
                None => Err(name),
                Some(shown) => Ok(Case {
                    suite,
                    number,
                    name,
                    shown,
                    reached: watching.reached(),
                }),
            }
        });
        let (mut cases, mut failing) = (Vec::new(), Vec::new());
        for case in played {
            match case {
                Ok(case) => cases.push(case),
                Err(name) => failing.push(name),
            }
        }
        Ok(Self {
            suites,
            cases,
            failing,
        })
    }

    /// The cases that fail on the harness as it is.
    #[must_use]
    pub fn failing(&self) -> &[String] {
        &self.failing
    }

    /// How many cases there are.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// The cases that show something else when they are played again without a mutation.
    #[must_use]
    pub fn unsteady(&self) -> Vec<&str> {
        let cases = in_parallel(self.cases.iter().collect(), |case| {
            let again = self.suites[case.suite].play(case.number, Arc::new(Mutator::watching()));
            (again.as_ref() != Some(&case.shown)).then_some(case.name.as_str())
        });
        cases.into_iter().flatten().collect()
    }

    /// Plays the cases on harnesses with a mutation each.
    #[must_use]
    pub fn play(&self, mutations: &[Mutation], thoroughness: Thoroughness) -> Vec<Outcome> {
        in_parallel(mutations.to_vec(), |mutation| {
            let reached = |case: &&Case| case.reached.contains(&mutation);
            let cases = || self.cases.iter().filter(reached);
            let noticing = cases().filter(|case| self.notices(case, mutation));
            let most = match thoroughness {
                Thoroughness::First => 1,
                Thoroughness::All => usize::MAX,
            };
            let noticed = noticing.take(most).map(|case| case.name.clone());
            Outcome {
                mutation,
                reached: cases().count(),
                noticed: noticed.collect(),
            }
        })
    }

    /// A harness that panics has been noticed, too.
    fn notices(&self, case: &Case, mutation: Mutation) -> bool {
        let mutator = Arc::new(Mutator::of(mutation));
        let play = || self.suites[case.suite].play(case.number, mutator);
        let played: Result<_, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(play));
        !matches!(played, Ok(Some(shown)) if shown == case.shown)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("cases", &self.cases.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noticed, reached) = (self.noticed.len(), self.reached);
        write!(
            f,
            "{:<64} {noticed:>4} of {reached:<4}",
            self.mutation.to_string()
        )?;
        match self.noticed.first() {
            Some(first) => write!(f, " {first}"),
            None => write!(f, " SURVIVES: {}", self.mutation.description()),
        }
    }
}

/// The mutations that are known to survive: the lines of `conformance/survivors.txt`. The aim is that
/// there are none.
///
/// # Errors
///
/// Those of reading the file; there are none where it does not exist.
pub fn known_survivors() -> io::Result<BTreeSet<String>> {
    let text = match fs::read_to_string(survivors_file()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let lines = text.lines().map(str::trim);
    let ids = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(ids.map(str::to_owned).collect())
}

fn survivors_file() -> PathBuf {
    repository().join(Path::new("conformance/survivors.txt"))
}

/// So many mutations, drawn by lot.
#[must_use]
pub fn sample(mut mutations: Vec<Mutation>, count: usize, seed: u64) -> Vec<Mutation> {
    Rng::with_seed(seed).shuffle(&mut mutations);
    mutations.truncate(count);
    mutations
}

/// A seed from a text: a number in decimal, or as hexadecimal as a commit is.
#[must_use]
pub fn seed_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let hexadecimal = || {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let head = text.get(..text.len().min(16)).filter(|_| digits)?;
        u64::from_str_radix(head, 16).ok()
    };
    text.parse().ok().or_else(hexadecimal)
}

/// Does something with each item on all processors, and keeps the order.
fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let jobs: Vec<_> = items
        .into_iter()
        .map(|item| Mutex::new(Some(item)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return };
            let item = job.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(item) = item {
                let result = work(item);
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((at, result));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(run);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_no_mutation_twice() {
        let drawn = sample(Mutation::all(), 50, 7);
        assert_eq!(drawn, sample(Mutation::all(), 50, 7));
        assert_ne!(drawn, sample(Mutation::all(), 50, 8));
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 50);
        let all = Mutation::all().len();
        assert_eq!(sample(Mutation::all(), all + 1, 7).len(), all);
    }

    #[test]
    fn a_seed_is_a_number_or_a_commit() {
        assert_eq!(seed_of("12\n"), Some(12));
        assert_eq!(seed_of("06975ddf"), Some(0x0697_5ddf));
        assert_eq!(seed_of("ffffffffffffffffffffffff"), Some(u64::MAX));
        assert_eq!(seed_of("seed"), None);
        assert_eq!(seed_of(""), None);
    }

    #[test]
    fn work_in_parallel_keeps_the_order() {
        let squares = in_parallel((0..100).collect(), |number: u32| number * number);
        assert!(
            squares
                .iter()
                .copied()
                .eq((0..100).map(|number| number * number))
        );
    }
}
