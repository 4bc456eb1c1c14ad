//! `docs/benchmarks.md`: which parts it has, and how they are run and kept.

mod document;
pub(crate) mod machine;
pub(crate) mod outcome;
mod plot;
mod quote;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use self::machine::Machine;
use self::outcome::{Found, Outcome, Plot};
use self::quote::Outcomes;
use crate::fuzzing::{Findings, Wanted};
use crate::on_envoy;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Rounds of what takes time.
    pub(crate) rounds: usize,
    /// Streams of what grows over many.
    pub(crate) streams: usize,
    /// Minutes of each target of fuzzing.
    pub(crate) minutes: u64,
}

impl Extent {
    const FULL: Self = Self {
        rounds: 40,
        streams: 1_000_000,
        minutes: 10,
    };
    const QUICK: Self = Self {
        rounds: 8,
        streams: 20_000,
        minutes: 1,
    };
}

/// A page of the documentation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Page {
    Benchmarks,
    Reliability,
}

impl Page {
    const ALL: [Self; 2] = [Self::Benchmarks, Self::Reliability];

    /// The file's name without its ending, and the folder of what it is written from.
    fn name(self) -> &'static str {
        match self {
            Self::Benchmarks => "benchmarks",
            Self::Reliability => "reliability",
        }
    }

    /// What stands before the parts.
    fn introduction(self) -> &'static str {
        match self {
            Self::Benchmarks => include_str!("report/benchmarks.md"),
            Self::Reliability => include_str!("report/reliability.md"),
        }
    }
}

/// A part of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Work,
    Collection,
    Instructions,
    Harness,
    Memory,
    Sizes,
    Starts,
    Growth,
    Soak,
    Fuzz,
}

impl Part {
    const ALL: [Self; 10] = [
        Self::Work,
        Self::Collection,
        Self::Instructions,
        Self::Harness,
        Self::Memory,
        Self::Sizes,
        Self::Starts,
        Self::Growth,
        Self::Soak,
        Self::Fuzz,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Collection => "collection",
            Self::Instructions => "instructions",
            Self::Harness => "harness",
            Self::Memory => "memory",
            Self::Sizes => "sizes",
            Self::Starts => "starts",
            Self::Growth => "growth",
            Self::Soak => "soak",
            Self::Fuzz => "fuzz",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Work => "The same work, done by everything that can extend Envoy",
            Self::Collection => "The filters of the collection, beside what else does the same",
            Self::Instructions => "Instructions, which no other load disturbs",
            Self::Harness => "The harness",
            Self::Memory => "Memory",
            Self::Sizes => "Sizes, and what they cost at the start",
            Self::Starts => "Starts of one module, the first and further ones",
            Self::Growth => "What grows with what",
            Self::Soak => "Streams by lot",
            Self::Fuzz => "Fuzzing",
        }
    }

    /// What the part is about.
    fn words(self) -> &'static str {
        match self {
            Self::Work => {
                "Each row does what the headline says. `raw imports` is written against the ABI, without an SDK: the least \
                 that a Wasm filter can cost. `dynamic module` is a shared library in Rust, written against the C interface of Envoy's dynamic \
                 modules. `bare proxy-wasm` is the crate of that name as its users build it; `pruned` has \
                 the callbacks dropped that the work does not need. Latency is that of a connection with one request \
                 at a time, less that of such a request to the listener without a filter, with which it takes turns. What a chain has four times stands there as a fourth."
            }
            Self::Collection => {
                "One request with a credential, a cookie and ten headers, or with a JSON body. Lua scripts and native filters \
                 do as much of the same as they can; each row says what they leave out."
            }
            Self::Instructions => {
                "Counted by valgrind, which plays Envoy: the same on a busy machine. What a request takes more than without the \
                 filter, once V8 has compiled all that it will; of three turns the cheapest. Behind a budget, \
                 the interval goes from the lowest to the highest of the turns."
            }
            Self::Harness => {
                "Medians of the host for tests, and what else starts code beside it. Of the hosts for tests that others publish none \
                 could be measured beside it: on crates.io `pdk-unit` comes without an open licence, and `proxy-wasm-host` 0.2.0 \
                 asks for a newer Rust than this project's; Google's is built by Bazel, from sources alone."
            }
            Self::Memory => {
                "Resident memory is that of the whole process, by the kernel's count. The tables of streams are single measurements, \
                 each row in an Envoy of its own."
            }
            Self::Sizes => {
                "Bytes of what is shipped, and how long Envoy takes until it is ready with a plugin of the module, less \
                 than without."
            }
            Self::Starts => {
                "From the start of an Envoy with one worker until it is ready, in turns without a plugin, with one, and with many; \
                 and the processor time of all its threads until then."
            }
            Self::Growth => {
                "Fuel is the harness's count of executed instructions in the module, host calls not among them: the same on \
                 every machine. The exponent is the slope of each curve's upper half, both axes by logarithms: 1 is \
                 twice the cost for twice as much, 2 is four times. Bodies that are collected end at 256 KiB, since the guest \
                 that does so takes less than a MiB; the other bodies go as far as the line below says."
            }
            Self::Fuzz => {
                "What reads bytes that somebody else chose is given bytes by libFuzzer, which looks for ways that no input took \
                 before, with the address sanitizer, on one core."
            }
            Self::Soak => {
                "Requests by lot go through each filter on a real Envoy with two workers, with and without bodies, of a known \
                 length or in chunks, with trailers, cut anywhere. Of a hundred, four are reset by the client somewhere, and four \
                 by the upstream, before its answer or in it. Once a second the plugin is replaced by one of another configuration, in \
                 a new VM. Each request says what the upstream should get and answer, and both ends check it to the last byte."
            }
        }
    }

    fn page(self) -> Page {
        match self {
            Self::Soak | Self::Fuzz => Page::Reliability,
            _ => Page::Benchmarks,
        }
    }

    fn run(self, root: &Path, extent: Extent, fuzzing: &Wanted) -> anyhow::Result<Found> {
        match self {
            Self::Work => on_envoy::work::run(root, extent),
            Self::Collection => on_envoy::collection::run(root, extent),
            Self::Instructions => on_envoy::instructions::run(root),
            Self::Memory => on_envoy::memory::run(root, extent),
            Self::Sizes => on_envoy::sizes::run(root, extent),
            Self::Starts => on_envoy::sizes::starts(root, extent),
            Self::Soak => crate::soak::run(root, extent),
            Self::Fuzz => crate::fuzzing::run(root, extent, fuzzing),
            #[cfg(feature = "harness")]
            Self::Harness => crate::harness::run(root, extent),
            #[cfg(feature = "harness")]
            Self::Growth => crate::growth::run(root, extent),
            #[cfg(not(feature = "harness"))]
            Self::Harness | Self::Growth => {
                bail!("this bench was built without the feature `harness`")
            }
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
struct Arguments {
    parts: Vec<Part>,
    extent: Extent,
    fuzzing: Wanted,
    /// What says the extent, as it was said.
    options: String,
}

impl Arguments {
    fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let quick = words.contains(&"--quick");
        let mut parsed = Self {
            parts: Vec::new(),
            extent: if quick { Extent::QUICK } else { Extent::FULL },
            fuzzing: Wanted::default(),
            options: if quick { " --quick" } else { "" }.to_owned(),
        };
        let mut words = words.iter().filter(|word| **word != "--quick");
        while let Some(&word) = words.next() {
            if word == "--keep" {
                parsed.fuzzing.findings = Findings::Keep;
                continue;
            }
            let value = *words.next().with_context(|| format!("`{word}` of what?"))?;
            let number = |least: usize| {
                let number = value.parse().ok().filter(|number| *number >= least);
                number.with_context(|| {
                    format!("`{value}` is no number from {least} on, as {word} needs")
                })
            };
            match word {
                "--part" => {
                    let found = Part::ALL.into_iter().find(|part| part.name() == value);
                    let known = Part::ALL.map(Part::name).join(", ");
                    parsed.parts.push(
                        found.with_context(|| format!("no part `{value}`; there are {known}"))?,
                    );
                }
                "--rounds" => parsed.extent.rounds = number(6)?,
                "--streams" => parsed.extent.streams = number(10)?,
                "--minutes" => parsed.extent.minutes = number(1)? as u64,
                "--target" => parsed.fuzzing.targets.push(value.to_owned()),
                _ => bail!(
                    "`{word}` is no option; there are --part, --quick, --rounds, --streams, --minutes, --target and --keep"
                ),
            }
            if ["--rounds", "--streams", "--minutes"].contains(&word) {
                parsed.options.push_str(&format!(" {word} {value}"));
            }
        }
        let asks = !parsed.fuzzing.targets.is_empty() || parsed.fuzzing.findings == Findings::Keep;
        if asks && !parsed.parts.contains(&Part::Fuzz) {
            bail!("--target and --keep are for `--part fuzz`");
        }
        if parsed.parts.is_empty() {
            let parts = Part::ALL.into_iter();
            parsed.parts = parts
                .filter(|part| part.page() == Page::Benchmarks)
                .collect();
        }
        Ok(parsed)
    }
}

/// Runs the parts that the words ask for, and writes the pages from these and those of before.
pub(crate) fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let Arguments {
        parts,
        extent,
        fuzzing,
        options,
    } = Arguments::parse(words)?;
    let machine = Machine::this()?;
    let docs = root.join("docs");
    for part in parts {
        eprintln!("{}: {}", part.name(), part.title());
        let folder = docs.join(part.page().name());
        fs::create_dir_all(&folder)?;
        let Found {
            extent: done,
            tables,
            plots,
        } = part
            .run(root, extent, &fuzzing)
            .with_context(|| format!("the part `{}` did not end well", part.name()))?;
        let outcome = Outcome {
            command: format!(
                "cargo run --release -- report --part {}{options}",
                part.name()
            ),
            machine: machine.clone(),
            extent: done,
            tables,
            plots,
        };
        let text = serde_json::to_string_pretty(&outcome)? + "\n";
        fs::write(kept(&docs, part), text)?;
        // After each part, so that a later one that fails costs nothing but itself.
        write(root)?;
    }
    Ok(())
}

fn kept(docs: &Path, part: Part) -> PathBuf {
    docs.join(part.page().name())
        .join(format!("{}.json", part.name()))
}

/// Writes the pages from what was found, and the figures that other pages quote.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    for (path, text) in pages(root)? {
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        eprintln!("written: {}", path.display());
        fs::write(&path, text)?;
    }
    Ok(())
}

/// The pages with all that was found and their plots, and where each is kept.
fn pages(root: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let docs = root.join("docs");
    let mut outcomes = Outcomes::new();
    for part in Part::ALL {
        let path = kept(&docs, part);
        if path.is_file() {
            let outcome = serde_json::from_slice(&fs::read(&path)?)
                .with_context(|| format!("{} is not what this bench writes", path.display()))?;
            outcomes.insert(part.name(), outcome);
        }
    }
    let mut pages = Vec::new();
    for page in Page::ALL {
        let mut text = page.introduction().to_owned();
        for part in Part::ALL.into_iter().filter(|part| part.page() == page) {
            if let Some(outcome) = outcomes.get(part.name()) {
                text.push_str(&document::part(part, outcome, page.name()));
                let folder = docs.join(page.name());
                let file = |plot: &Plot| folder.join(format!("{}.svg", plot.name));
                pages.extend(outcome.plots.iter().map(|it| (file(it), plot::svg(it))));
            }
        }
        let path = docs.join(format!("{}.md", page.name()));
        pages.push((path, text.trim_end().to_owned() + "\n"));
    }
    let scope = quote::filled(include_str!("report/scope.md"), &outcomes)?;
    pages.push((docs.join("scope.md"), scope));
    for filter in fs::read_dir(root.join("filters"))? {
        let path = filter?.path().join("README.md");
        let text = quote::with_tables(&fs::read_to_string(&path)?, &outcomes)?;
        pages.push((path, text));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_and_the_extent_chosen() {
        let parsed = Arguments::parse(&["--part", "work", "--quick", "--streams", "5000"]).unwrap();
        assert_eq!(parsed.parts, [Part::Work]);
        assert_eq!((parsed.extent.rounds, parsed.extent.streams), (8, 5_000));
        // The page says how it was called.
        assert_eq!(parsed.options, " --quick --streams 5000");
        assert_eq!(Arguments::parse(&[]).unwrap().parts, Part::ALL[..8]);
        let words = ["--part", "fuzz", "--minutes", "2", "--target", "json"];
        let parsed = Arguments::parse(&words).unwrap();
        assert_eq!(parsed.extent.minutes, 2);
        assert_eq!(parsed.fuzzing.targets, ["json"]);
        assert_eq!(parsed.fuzzing.findings, Findings::Leave);
        let parsed = Arguments::parse(&["--keep", "--part", "fuzz"]).unwrap();
        assert_eq!(parsed.fuzzing.findings, Findings::Keep);
        let error = Arguments::parse(&["--keep"]).unwrap_err();
        assert!(error.to_string().contains("--part fuzz"), "{error}");
        let error = Arguments::parse(&["--part", "wrok"]).unwrap_err();
        assert!(
            error.to_string().contains("there are work, collection"),
            "{error}"
        );
    }

    /// The first line in which two texts differ, counted from 1, as both have it.
    fn first_difference<'t>(left: &'t str, right: &'t str) -> (usize, &'t str, &'t str) {
        let end = std::iter::repeat("(the end)");
        let both = left
            .split('\n')
            .chain(end.clone())
            .zip(right.split('\n').chain(end));
        let longer = left.split('\n').count().max(right.split('\n').count());
        let mut lines = (1..).zip(both).take(longer + 1);
        let (line, (left, right)) = lines.find(|(_, (left, right))| left != right).unwrap();
        (line, left, right)
    }

    #[test]
    fn the_pages_say_what_was_found_and_nothing_else() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let pages = pages(root).unwrap();
        let ends_with = |end| pages.iter().filter(|(path, _)| path.ends_with(end)).count();
        let kinds = ["README.md", "scope.md", "benchmarks.md", "reliability.md"];
        assert_eq!(kinds.map(ends_with), [3, 1, 1, 1]);
        for (path, text) in pages {
            let kept = fs::read_to_string(&path).unwrap();
            if kept == text {
                continue;
            }
            let (line, kept, text) = first_difference(&kept, &text);
            panic!(
                "{}:{line}: the page has\n  {kept}\nand the bench would write\n  {text}\n`bench pages` writes it",
                path.display()
            );
        }
    }
}
