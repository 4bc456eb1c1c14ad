//! Images in a real registry, which has no lists of what is attached, pushed and fetched by clients of ours and of
//! others.

pub(crate) mod corpus;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use attache_package::registry::{Access, Client, Credentials, Options, Reference};
use attache_package::{About, Image, Layout};
use serde_json::Value;

use crate::modules::{Folder, guard};
use crate::registries::{client, graph, wait, whole};

/// For these tests only: nobody trusts them.
const AUTHORITY: &str = include_str!("registry/ca.pem");
const CERTIFICATE: &str = include_str!("registry/certificate.pem");
const KEY: &str = include_str!("registry/key.pem");

/// The user `ada` with the password `secret`.
const USERS: &str = "ada:$2b$04$Zvk1jlt3YzGDiqHk/j.jpOYGCwrax27cACBFXTx3dEBcATOL3Rcbm\n";

fn programs() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/registry");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), ".ci/registry finds no registry");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

pub(crate) struct Registry {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Registry {
    /// It cannot be asked for a free port, so another one is tried where somebody else took it meanwhile.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, "", "")
    }

    fn start_with(folder: &Path, http: &str, more: &str) -> Self {
        for _ in 0..10 {
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let data = folder.join("data");
            let configuration = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'{http}}}\n{more}",
                data.display(),
            );
            let file = folder.join("registry.yaml");
            fs::write(&file, configuration).unwrap();
            let process = Command::new(programs().join("docker-registry"))
                .arg("serve")
                .arg(&file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut registry = Self { process, address };
            if registry.is_ready() {
                return registry;
            }
        }
        panic!("no registry starts");
    }

    fn name(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    fn is_ready(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end && self.process.try_wait().unwrap().is_none() {
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new(programs().join("skopeo"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs a registry and skopeo, which .ci/registry fetches"]
fn an_image_goes_through_a_real_registry_byte_for_byte() {
    let folder = Folder::new("registry");
    let registry = Registry::start(folder.path());
    let image = Image::new(&guard(), About::new("guard", "1.2.0")).unwrap();
    let images = folder.path().join("images");
    Layout::create(&images)
        .unwrap()
        .add(&image, "1.2.0")
        .unwrap();

    let remote = format!("docker://{}/filters/guard:1.2.0", registry.address);
    let local = format!("oci:{}:1.2.0", images.display());
    skopeo(&["copy", "--dest-tls-verify=false", &local, &remote]);
    let shown: Value =
        serde_json::from_str(&skopeo(&["inspect", "--tls-verify=false", &remote])).unwrap();
    assert_eq!(shown["Digest"], image.descriptor().digest.to_string());
    assert_eq!(
        (&shown["Os"], &shown["Architecture"]),
        (&"linux".into(), &"amd64".into())
    );

    let back = folder.path().join("back");
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        &remote,
        &format!("oci:{}:back", back.display()),
    ]);
    let published = Layout::open(&back).unwrap().module("back").unwrap();
    assert_eq!(published.bytes, guard());
    assert_eq!(published.descriptor.digest, image.descriptor().digest);
}

#[test]
#[ignore = "needs a registry and skopeo, which .ci/registry fetches"]
fn what_we_publish_is_read_by_others_and_what_is_attached_is_found_again() {
    let folder = Folder::new("published");
    let registry = Registry::start(folder.path());
    let name = registry.name("filters/guard:1.2.0");
    let pushed = wait(client().push(&graph(), &name)).unwrap();
    assert!(pushed.fallback, "this registry keeps no lists");
    let remote = format!("docker://{}/filters/guard:1.2.0", registry.address);
    let shown: Value =
        serde_json::from_str(&skopeo(&["inspect", "--tls-verify=false", &remote])).unwrap();
    assert_eq!(shown["Digest"], graph().descriptor().digest.to_string());

    // The list that we wrote is an image index, as every client of OCI 1.1 looks for it.
    let list = graph().descriptor().digest.to_string().replace(':', "-");
    let remote = format!("docker://{}/filters/guard:{list}", registry.address);
    let list = skopeo(&["inspect", "--raw", "--tls-verify=false", &remote]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["mediaType"], "application/vnd.oci.image.index.v1+json");
    let kinds = list["manifests"].as_array().unwrap().iter();
    let mut kinds: Vec<&str> = kinds
        .map(|it| it["artifactType"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["application/vnd.attache.suite.v1+yaml", "text/markdown"]
    );

    let pulled = wait(client().pull(&pushed.reference)).unwrap();
    assert_eq!(pulled.image.bytes, guard());
    assert_eq!(pulled.attached.len(), 2);
    assert_eq!(pulled.suites().count(), 1);
    let tags = wait(client().tags(&name)).unwrap();
    assert_eq!(tags.len(), 2);
    let repositories = wait(client().repositories(&name)).unwrap();
    assert_eq!(repositories, ["filters/guard"]);

    // To another repository and back, nothing is lost and nothing goes twice.
    let copy = registry.name("mirror/guard:1.2.0");
    wait(client().push(&pulled.graph, &copy)).unwrap();
    assert_eq!(wait(client().pull(&copy)).unwrap().attached.len(), 2);
    assert_eq!(wait(client().push(&pulled.graph, &copy)).unwrap().sent, 0);
}

#[test]
#[ignore = "needs a registry and skopeo, which .ci/registry fetches"]
fn a_registry_with_tls_and_users_lets_in_who_is_known() {
    let folder = Folder::new("users");
    let here = folder.path().display();
    for (file, text) in [
        ("certificate.pem", CERTIFICATE),
        ("key.pem", KEY),
        ("users", USERS),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let registry = Registry::start_with(
        folder.path(),
        &format!(", tls: {{certificate: {here}/certificate.pem, key: {here}/key.pem}}"),
        &format!("auth: {{htpasswd: {{realm: here, path: {here}/users}}}}\n"),
    );
    let name = registry.name("filters/guard:1.2.0");
    let client = |certificates: &[&str], password: &str| {
        let mut options = Options::default();
        options.certificates = certificates
            .iter()
            .map(|it| it.as_bytes().to_vec())
            .collect();
        options.backoff = Duration::from_millis(1);
        options.access = Access::As(Credentials::Password {
            user: "ada".to_owned(),
            password: password.to_owned(),
        });
        Client::new(options).unwrap()
    };
    wait(client(&[AUTHORITY], "secret").push(&graph(), &name)).unwrap();
    let pulled = wait(client(&[AUTHORITY], "secret").pull(&name)).unwrap();
    assert_eq!(pulled.image.bytes, guard());

    let error = wait(client(&[AUTHORITY], "wrong").pull(&name)).unwrap_err();
    let said = whole(&error);
    assert!(
        said.contains("does not let the user `ada` give the manifest"),
        "{said}"
    );
    assert!(!said.contains("wrong"), "{said}");
    // Certificates that do not go with it: TLS all the same, and refused.
    let error = wait(client(&[CERTIFICATE], "secret").pull(&name)).unwrap_err();
    assert!(whole(&error).contains("certificate"), "{}", whole(&error));
    // Without certificates it is a registry on this machine, which has no TLS.
    let error = wait(client(&[], "secret").pull(&name)).unwrap_err();
    assert!(whole(&error).contains("answered 400"), "{}", whole(&error));
}
