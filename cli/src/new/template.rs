//! What a new filter can begin as: the examples of the repository, which are in this program.

use std::path::PathBuf;

/// An example, with what its crate needs beside.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    /// What it does, as the example's manifest says.
    manifest: &'static str,
    source: &'static str,
    suite: &'static str,
    test: &'static str,
    config: &'static str,
    /// What `attache run` can do with it.
    run: Run,
}

/// Where in Envoy a template's filter stands.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// Among the HTTP filters, where `attache run` puts it.
    Http,
    /// Elsewhere: suites play it there.
    InSuites,
}

macro_rules! example {
    ($name:literal, $run:expr) => {
        Template {
            name: $name,
            manifest: include_str!(concat!("../../../examples/", $name, "/Cargo.toml")),
            source: include_str!(concat!("../../../examples/", $name, "/src/lib.rs")),
            suite: include_str!(concat!(
                "../../../examples/",
                $name,
                "/tests/",
                $name,
                ".suite.yaml"
            )),
            test: include_str!(concat!("../../templates/", $name, "/harness.rs")),
            config: include_str!(concat!("../../templates/", $name, "/config.json")),
            run: $run,
        }
    };
}

/// All of them; the first is the one that is taken unless another is asked for.
pub(crate) const TEMPLATES: [Template; 8] = [
    example!("add-header", Run::Http),
    example!("audit", Run::InSuites),
    example!("body-rewrite", Run::Http),
    example!("deny-list", Run::Http),
    example!("ext-auth", Run::Http),
    example!("rate-limit", Run::Http),
    example!("sse", Run::Http),
    example!("tcp-allow-list", Run::InSuites),
];

const README: &str = include_str!("../../templates/README.md");
const RUN: &str =
    "attache run . --config config.json   # in a real Envoy, reloaded when its source changes\n";

impl Template {
    /// What it does, in a few words that follow a colon.
    pub(crate) fn about(&self) -> &'static str {
        let line = self
            .manifest
            .lines()
            .find_map(|line| line.strip_prefix("description = \"An example: "));
        line.unwrap_or_default().trim_end_matches('"')
    }

    /// The names of the packages that its module is made of.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &'static str> {
        super::manifest::table(self.manifest, "dependencies")
            .filter_map(|line| line.split(['.', ' ', '=']).next())
    }

    /// Whether `attache run` puts it into Envoy.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.run, Run::Http)
    }

    /// The files of a crate of that name, but for its manifest.
    pub(crate) fn files(&self, name: &str) -> Vec<(PathBuf, String)> {
        let title = capitalised(self.about());
        let readme = README
            .replace("NAME", name)
            .replace("ABOUT", &title)
            .replace("TEMPLATE", self.name)
            .replace("RUN\n", if self.runs() { RUN } else { "" });
        vec![
            ("README.md".into(), readme),
            ("config.json".into(), self.config.to_owned()),
            ("src/lib.rs".into(), self.source_of(name)),
            (
                format!("tests/{name}.suite.yaml").into(),
                self.suite_of(name),
            ),
            ("tests/harness.rs".into(), self.test_of(name)),
        ]
    }

    /// The test, with the suite of that name. In the repository, where it is played too, it names the
    /// example's package and stands beside the configuration.
    fn test_of(&self, name: &str) -> String {
        let own = self
            .test
            .replace(&format!("plugin!(\"{}\")", self.name), "plugin!()");
        let own = own.replace(
            "include_str!(\"config.json\")",
            "include_str!(\"../config.json\")",
        );
        let suite = format!("attache_suite::suite!(\"tests/{name}.suite.yaml\");\n\n");
        own.replacen("#[test]", &format!("{suite}#[test]"), 1)
    }

    /// The source, with the filter's type and its root id named anew.
    fn source_of(&self, name: &str) -> String {
        let (old, mut new) = (type_name(self.name), type_name(name));
        // A type of that name is there already, or a keyword.
        if words(self.source).any(|word| word == new && word != old) || new == "Self" {
            new.push_str("Filter");
        }
        self.source
            .replace(&format!("\"{}\" =>", self.name), &format!("\"{name}\" =>"))
            // In strings, a type's name is what a peer is told.
            .replace(&format!(" {old} "), &format!(" {new} "))
    }

    /// The suite, about the package of that name. The editor's line names a place in the repository.
    fn suite_of(&self, name: &str) -> String {
        let lines = self.suite.lines();
        let lines = lines.filter(|line| !line.starts_with("# yaml-language-server"));
        let mut suite: Vec<String> = Vec::new();
        for line in lines {
            let mut line = line.replace(
                &format!("What {} promises", self.name),
                &format!("What {name} promises"),
            );
            let package = format!("package: {}", self.name);
            if let Some((before, after)) = line.split_once(&package)
                && !after
                    .starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '-')
            {
                line = format!("{before}package: {name}{after}");
            }
            suite.push(line);
        }
        suite.join("\n") + "\n"
    }
}

/// The template of that name.
pub(crate) fn find(name: &str) -> Option<&'static Template> {
    const ALL: &[Template] = &TEMPLATES;
    ALL.iter().find(|template| template.name == name)
}

/// `my-filter` as the name of a type.
fn type_name(name: &str) -> String {
    name.split(['-', '_']).map(capitalised).collect()
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(template: &str, name: &str, file: &str) -> String {
        let template = find(template).unwrap();
        let mut files = template.files(name).into_iter();
        files.find(|(path, _)| path.ends_with(file)).unwrap().1
    }

    #[test]
    fn every_example_is_a_template() {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
        let folders = std::fs::read_dir(examples).unwrap();
        let mut folders: Vec<String> = folders
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        folders.sort();
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        assert_eq!(names, folders);
    }

    #[test]
    fn a_template_says_what_it_does() {
        for template in &TEMPLATES {
            assert!(!template.about().is_empty(), "{}", template.name);
            assert!(template.dependencies().any(|name| name == "attache"));
        }
    }

    #[test]
    fn a_filter_has_the_name_that_it_was_given() {
        let source = file("add-header", "my-filter", "lib.rs");
        assert!(
            source.contains("impl HttpFilter for MyFilter {"),
            "{source}"
        );
        assert!(source.contains("attache::filters! { \"my-filter\" => MyFilter }"));
        assert!(!source.contains("AddHeader"), "{source}");
        let suite = file("add-header", "my-filter", "my-filter.suite.yaml");
        assert!(suite.starts_with("version: \"1\"\n"), "{suite}");
        assert!(suite.contains("  - package: my-filter\n"), "{suite}");
        assert!(!suite.contains("add-header"), "{suite}");
    }

    #[test]
    fn what_peers_are_told_keeps_its_name() {
        let source = file("audit", "my-log", "lib.rs");
        assert!(source.contains("\"audit.Audit\""), "{source}");
        assert!(source.contains("impl AccessLogger for MyLog {"), "{source}");
    }

    #[test]
    fn a_type_does_not_take_the_name_of_another() {
        for (name, expected) in [("config", "ConfigFilter"), ("request", "RequestFilter")] {
            let source = file("add-header", name, "lib.rs");
            assert!(source.contains(&format!("impl HttpFilter for {expected} {{")));
        }
        let same = file("add-header", "add-header", "lib.rs");
        assert!(same.contains("impl HttpFilter for AddHeader {"));
    }
}
