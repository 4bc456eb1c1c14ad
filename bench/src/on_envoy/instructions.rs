//! The same in instructions, as valgrind counts them while it plays Envoy. Two runs differ by some percent
//! for what is not compiled alike each time; what the machine does otherwise does not matter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use attache_envoy::{RunFolder, StartOptions};

use super::variant::{self, Variant};
use super::{Bench, installation};

/// Requests to each listener before anything counts: until then V8 has compiled all that it will.
const WARM: usize = 800;

/// Requests of one turn, and turns. What else happens in a turn only adds, so the cheapest counts.
const REQUESTS: usize = 200;
const TURNS: usize = 3;

/// Envoy needs a minute to start so.
const PATIENCE: Duration = Duration::from_secs(600);

/// Prints the table.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut installation = installation()?;
    let folder = RunFolder::claim(&root.join("target/tmp/bench-instructions"))?;
    let counts = folder.join("counts");
    let script = folder.join("envoy-in-valgrind");
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nexec valgrind -q --tool=callgrind --smc-check=all-non-file \
             --callgrind-out-file='{}' '{}' \"$@\"\n",
            counts.display(),
            installation.path.display()
        ),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    installation.path = script;
    let options = StartOptions {
        concurrency: 1,
        ready_within: PATIENCE,
        ..StartOptions::default()
    };
    let mut variants = variant::variants(root, &folder)?;
    variants.retain(Variant::is_counted);
    let Bench {
        variants,
        config,
        envoy,
        mut clients,
    } = Bench::start(variants, &folder, &installation, options)?;
    let valgrind = Valgrind::find(&config, counts)?;
    for (client, variant) in clients.iter_mut().zip(&variants) {
        eprintln!("warming up: {}", variant.name);
        client.send(WARM)?;
    }
    let mut cheapest = vec![f64::INFINITY; variants.len()];
    for _ in 0..TURNS {
        for (client, cheapest) in clients.iter_mut().zip(&mut cheapest) {
            valgrind.count()?;
            let (sent, _) = client.send(REQUESTS)?;
            *cheapest = cheapest.min(valgrind.count()? as f64 / sent as f64);
        }
    }
    envoy.stop()?;
    let position = |name: &str| {
        let found = variants.iter().position(|variant| variant.name == name);
        found.with_context(|| format!("no variant `{name}`"))
    };
    let added = |at: usize, without: usize| {
        (cheapest[at] - cheapest[without]) / variants[at].copies() as f64
    };
    println!(
        "{:<42} {:>9}   ratio; budget",
        "instructions a request", "added"
    );
    for (at, variant) in variants.iter().enumerate() {
        let Some(without) = variant.without else {
            println!("{:<42} {:>9.0}", variant.name, cheapest[at]);
            continue;
        };
        let without = position(without)?;
        let own = added(at, without);
        print!("{:<42} {own:>9.0}", variant.name);
        for (than, budget) in variant.compared {
            let ratio = own / added(position(than)?, without);
            print!("   {ratio:.2} of {than}; {budget}");
        }
        println!();
    }
    Ok(())
}

/// The process that plays Envoy.
struct Valgrind {
    process: String,
    counts: PathBuf,
}

impl Valgrind {
    /// The one that has `config` among its arguments.
    fn find(config: &Path, counts: PathBuf) -> anyhow::Result<Self> {
        let config = config.as_os_str().as_encoded_bytes();
        let plays = |folder: &Path| {
            let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
            let program = fs::read_link(folder.join("exe")).unwrap_or_default();
            program.to_string_lossy().contains("callgrind")
                && arguments.split(|&byte| byte == 0).any(|it| it == config)
        };
        let mut folders = fs::read_dir("/proc")?.filter_map(|entry| Some(entry.ok()?.path()));
        let folder = folders.find(|folder| plays(folder));
        let name = folder.as_deref().and_then(Path::file_name);
        let process = name.context("valgrind does not run Envoy")?;
        Ok(Self {
            process: process.to_string_lossy().into_owned(),
            counts,
        })
    }

    /// How many instructions there were since this was asked before.
    fn count(&self) -> anyhow::Result<u64> {
        let status = Command::new("vgdb")
            .arg(format!("--pid={}", self.process))
            .args(["dump", "turn"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run vgdb, which comes with valgrind")?;
        ensure!(status.success(), "valgrind does not answer vgdb");
        // Each dump is a file with the next number.
        let name = self.counts.file_name().context("no name")?;
        let prefix = format!("{}.", name.to_string_lossy());
        let folder = self.counts.parent().context("no folder")?;
        let number = |name: &str| name.strip_prefix(&prefix)?.parse::<u32>().ok();
        let names =
            fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let last = names.filter_map(|name| number(&name)).max();
        let last = last.context("valgrind has written no counts")?;
        let text = fs::read(folder.join(format!("{prefix}{last}")))?;
        let text = String::from_utf8_lossy(&text);
        let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
        Ok(summary
            .context("no summary in the counts")?
            .trim()
            .parse()?)
    }
}
