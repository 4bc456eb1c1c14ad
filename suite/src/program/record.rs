//! `attache record`: suites made of traffic.

mod arguments;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use attache_module::{BuildError, Guest, configuration};
use attache_suite::{RecordedPlugin, Recording};
use clap::Parser;

use self::arguments::Arguments;
use super::find;
use super::screen::Screen;

/// Parses the command line, and does what it says.
pub(super) fn record(words: Vec<OsString>, screen: &Screen) -> anyhow::Result<bool> {
    let arguments = Arguments::parse_from(words);
    let name = arguments.har.display();
    let har = traffic(&arguments.har)?;
    if let Some(output) = arguments.output.as_deref().filter(|path| path.exists()) {
        bail!(
            "`{}` is there already; name another file, or move it away",
            output.display()
        );
    }
    if let Some(output) = arguments
        .output
        .as_deref()
        .filter(|path| !find::is_suite(path))
    {
        screen.warn(format_args!(
            "`attache test` looks for files that end in `.suite.yaml`, and has to be told of `{}`",
            output.display()
        ));
    }
    let mut recording = Recording::new(plugin(&arguments)?);
    recording.only.clone_from(&arguments.only);
    recording.bodies = arguments.bodies;
    recording.secrets = arguments.keep_secrets;
    recording.configuration = match &arguments.config {
        Some(path) => {
            let text = configuration(path)?;
            let value = serde_json::from_str(&text)
                .with_context(|| format!("the configuration `{}` is not JSON", path.display()))?;
            Some(value)
        }
        None => None,
    };
    let recorded = recording
        .suite(&har)
        .with_context(|| format!("cannot make a suite of `{name}`"))?;
    for left in &recorded.left {
        screen.stage("Left out", left);
    }
    let (cases, secrets) = (recorded.cases, recorded.secrets);
    match &arguments.output {
        Some(path) => {
            fs::write(path, &recorded.text)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            let shown = path.display();
            screen.stage(
                "Recorded",
                format_args!(
                    "{} in {shown}; {}",
                    counted(cases, "case", "cases"),
                    counted(secrets, "secret has a stand-in", "secrets have stand-ins")
                ),
            );
            screen.stage(
                "Next",
                format_args!("attache test {shown} --bless writes down what is seen of them"),
            );
        }
        None => screen.print(&recorded.text)?,
    }
    Ok(true)
}

/// The text of the archive.
fn traffic(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    if path.to_string_lossy().contains("://") {
        bail!(
            "`{name}` is no file: `attache record` reads traffic that was saved, by a browser (the developer \
             tools' Network panel) or by `attache run FILTER --har FILE`"
        );
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read the traffic `{name}`"))?;
    String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("`{name}` is no HAR file: expected JSON, and it is no text"))
}

fn counted(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

/// The plugin that the suite is about, as it names it.
fn plugin(arguments: &Arguments) -> anyhow::Result<RecordedPlugin> {
    match arguments.plugin.as_deref() {
        Some(word) if word.ends_with(".wasm") => {
            if !Path::new(word).is_file() {
                bail!("there is no file `{word}`");
            }
            Ok(RecordedPlugin::Module(from_suite(arguments, word)?))
        }
        Some(word) => {
            // Where the suite will be, it is looked for in the workspace there.
            let folder = arguments.output.as_deref().and_then(Path::parent);
            let folder = folder.filter(|folder| *folder != Path::new(""));
            let found = Guest::find(folder.unwrap_or(Path::new(".")), word);
            // Where there is no workspace, one may come later.
            if let Err(error @ (BuildError::NoSuchPackage { .. } | BuildError::NoModule { .. })) =
                found
            {
                return Err(error.into());
            }
            Ok(RecordedPlugin::Package(word.to_owned()))
        }
        None => {
            let guests = Guest::all(Path::new("."))?;
            let names: Vec<&str> = guests.iter().filter_map(Guest::package).collect();
            match names[..] {
                [name] => Ok(RecordedPlugin::Package(name.to_owned())),
                _ => bail!(
                    "which filter is the suite about? Say --plugin with one of: {}",
                    names.join(", ")
                ),
            }
        }
    }
}

/// The path of the module as the suite's folder sees it.
fn from_suite(arguments: &Arguments, module: &str) -> anyhow::Result<String> {
    let folder = arguments.output.as_deref().and_then(Path::parent);
    let beside = folder.is_none_or(|folder| folder == Path::new(""));
    if beside || Path::new(module).is_absolute() {
        return Ok(module.to_owned());
    }
    let absolute = std::path::absolute(module)?;
    Ok(absolute.to_string_lossy().into_owned())
}
