//! `attache package`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attache_module::harmless;
use attache_module::{Facts, Guest, Output};
use attache_package::{About, Image, Layout, Linked, bill_of_materials, media_type};
use serde_json::json;

use super::arguments::{Described, Package};
use super::{bytes, evidence, print, stage, warn};

/// What an image is made of.
pub(super) struct Subject {
    pub(super) module: Vec<u8>,
    facts: Facts,
    /// The package's folder, where the module is one that we built.
    pub(super) folder: Option<PathBuf>,
}

/// The image of a module, a package's folder or a package of the workspace.
pub(super) struct Made {
    pub(super) image: Image,
    name: String,
    version: String,
    pub(super) module_bytes: usize,
}

/// Builds what a word on the command line names, and makes an image of it.
pub(super) fn make(filter: &str, described: &Described) -> anyhow::Result<Made> {
    let subject = Subject::load(filter)?;
    let mut about = about(filter, described, &subject)?;
    let suites = suites(described, &subject)?;
    if described.test {
        let file = subject.folder.is_none().then_some(Path::new(filter));
        evidence::play(&suites, file)?;
    }
    if described.cost {
        about.cost = Some(evidence::cost(filter)?);
    }
    let (name, version) = (about.name.clone(), about.version.clone());
    let mut image = Image::for_architecture(&subject.module, about, &described.architecture)?;
    attach(described, &subject, suites, &mut image)?;
    warn_of_needs(&subject.facts);
    Ok(Made {
        image,
        name,
        version,
        module_bytes: subject.module.len(),
    })
}

pub(super) fn package(arguments: &Package) -> anyhow::Result<()> {
    let made = make(&arguments.filter, &arguments.about)?;
    let tag = match &arguments.tag {
        Some(tag) => tag.clone(),
        None => format!("{}-{}", made.name, made.version),
    };
    if !is_tag(&tag) {
        bail!(
            "`{tag}` cannot name an image: expected up to 128 letters, digits, `.`, `_` and `-`, not beginning with `.` or `-`"
        );
    }
    let layout = Layout::create(&arguments.output)?;
    if let Some(before) = layout.add(&made.image, &tag)? {
        stage(
            "Moved",
            format_args!(
                "the tag {tag}, which named {before}: that stays in the folder by its digest"
            ),
        );
    }
    show(arguments, &made.image, &tag, made.module_bytes)
}

impl Subject {
    /// A file that ends in `.wasm` is a module, a folder is a package's, and any other word names a package of
    /// the workspace here.
    pub(super) fn load(word: &str) -> anyhow::Result<Self> {
        let path = Path::new(word);
        if path.extension().is_some_and(|ending| ending == "wasm") {
            let module = fs::read(path).with_context(|| format!("cannot read `{word}`"))?;
            let facts = Facts::read(&module).with_context(|| format!("cannot load `{word}`"))?;
            return Ok(Self {
                module,
                facts,
                folder: None,
            });
        }
        let guest = if path.join("Cargo.toml").is_file() {
            Guest::in_workspace(path, None)
        } else if word.contains(['/', '\\']) || word.is_empty() {
            bail!(
                "`{word}` is neither a folder with a `Cargo.toml` nor a file that ends in `.wasm`"
            );
        } else {
            Guest::find(Path::new("."), word)?
        };
        let output = Output {
            color: false,
            writer: &mut std::io::stderr(),
        };
        let built = guest.build_showing(output, &mut |notice| stage("Target", notice))?;
        Ok(Self {
            module: built.bytes,
            facts: built.facts,
            folder: built.manifest.parent().map(Path::to_owned),
        })
    }
}

fn about(filter: &str, arguments: &Described, subject: &Subject) -> anyhow::Result<About> {
    let described = subject.facts.description.as_ref();
    let name = arguments
        .name
        .clone()
        .or_else(|| Some(described?.name.clone()));
    let version = arguments
        .version
        .clone()
        .or_else(|| Some(described?.version.clone()));
    let (Some(name), Some(version)) = (name, version) else {
        bail!(
            "`{filter}` does not say its name and version, as modules of other SDKs do not: name them with --name and --version"
        );
    };
    let mut about = About::new(&name, &version);
    about.licenses = arguments.license.clone().or_else(|| {
        let license = &described?.license;
        (!license.is_empty()).then(|| license.clone())
    });
    about.description = described
        .map(|described| described.description.clone())
        .unwrap_or_default();
    about.source.clone_from(&arguments.source);
    about.revision.clone_from(&arguments.revision);
    Ok(about)
}

/// README, configuration schemas, suites, and the crates in the module.
fn attach(
    arguments: &Described,
    subject: &Subject,
    suites: Vec<PathBuf>,
    image: &mut Image,
) -> anyhow::Result<()> {
    let folder = subject.folder.as_deref();
    let own_readme = folder
        .map(|folder| folder.join("README.md"))
        .filter(|path| path.is_file());
    if let Some(path) = arguments.readme.as_ref().or(own_readme.as_ref()) {
        image.refer("text/markdown", "README.md", read(path)?)?;
    }
    for filter in subject
        .facts
        .description
        .iter()
        .flat_map(|described| &described.filters)
    {
        let title = format!("{}.schema.json", filter.root_id);
        let schema = serde_json::to_vec_pretty(&filter.configuration)?;
        image.refer("application/schema+json", &title, schema)?;
    }
    for path in suites {
        let title = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        image.refer(media_type::SUITE, &title, read(&path)?)?;
    }
    if let Some(folder) = folder {
        let bom = bill_of_materials(folder, Linked::Module(image.module_digest()))?;
        image.refer("application/vnd.cyclonedx+json", "bom.cdx.json", bom)?;
    }
    Ok(())
}

/// The suites that were named, or else those of the package.
fn suites(arguments: &Described, subject: &Subject) -> anyhow::Result<Vec<PathBuf>> {
    let folder = match (&arguments.suite[..], &subject.folder) {
        ([], Some(folder)) => folder,
        (named, _) => return Ok(named.to_vec()),
    };
    let tests = folder.join("tests");
    if !tests.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for file in
        fs::read_dir(&tests).with_context(|| format!("cannot read `{}`", tests.display()))?
    {
        let path = file?.path();
        if path.to_string_lossy().ends_with(".suite.yaml") {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// OCI distribution specification, "pull": what a tag may be.
fn is_tag(tag: &str) -> bool {
    let fits = |symbol: char| symbol.is_ascii_alphanumeric() || "._-".contains(symbol);
    !tag.is_empty() && tag.len() <= 128 && tag.chars().all(fits) && !tag.starts_with(['.', '-'])
}

fn warn_of_needs(facts: &Facts) {
    let Some(described) = &facts.description else {
        return;
    };
    if described.host_options.allow_on_headers_stop_iteration {
        warn(
            "the filter holds headers, for which Envoy needs `allow_on_headers_stop_iteration`; Istio and Envoy Gateway cannot set it",
        );
    }
}

fn show(arguments: &Package, image: &Image, tag: &str, size: usize) -> anyhow::Result<()> {
    let attached: Vec<_> = image
        .referrers()
        .iter()
        .map(|referrer| {
            let descriptor = referrer.descriptor();
            (
                title(&descriptor.annotations),
                descriptor.artifact_type.clone().unwrap_or_default(),
                descriptor.digest,
            )
        })
        .collect();
    let digest = image.descriptor().digest;
    let folder = arguments.output.display();
    if arguments.json {
        let attached: Vec<_> = attached
            .iter()
            .map(|(title, kind, digest)| json!({ "title": title, "type": kind, "digest": digest }))
            .collect();
        let line = json!({
            "tag": tag,
            "layout": arguments.output,
            "digest": digest,
            "module_sha256": image.module_digest().hex(),
            "module_bytes": size,
            "layer_bytes": image.manifest().layers.first().map(|layer| layer.size),
            "attached": attached,
        });
        print(&format!("{line}\n"))?;
        return Ok(());
    }
    let layer = image
        .manifest()
        .layers
        .first()
        .map_or(0, |layer| layer.size);
    let mut text = format!(
        "{tag}\n  folder    {folder}\n  digest    {digest}\n  module    {} ({}; {} as a layer)\n",
        image.module_digest(),
        bytes(size as u64),
        bytes(layer),
    );
    for (title, kind, _) in &attached {
        text += &format!("  attached  {} ({})\n", harmless(title), harmless(kind));
    }
    text += &format!("\nPublish it:  attache push oci:{folder}:{tag} REGISTRY/REPOSITORY\n");
    print(&text)?;
    Ok(())
}

fn title(annotations: &std::collections::BTreeMap<String, String>) -> String {
    annotations
        .get("org.opencontainers.image.title")
        .cloned()
        .unwrap_or_default()
}
