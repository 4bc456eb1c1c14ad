//! Images in a real registry, pushed and fetched by a client that is not ours.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use attache_package::{About, Image, Layout};
use serde_json::Value;

use crate::modules::{Folder, guard};

fn programs() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/registry");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), ".ci/registry finds no registry");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

struct Registry {
    process: Child,
    address: SocketAddr,
}

impl Registry {
    /// It cannot be asked for a free port, so another one is tried where somebody else took it meanwhile.
    fn start(folder: &Path) -> Self {
        for _ in 0..10 {
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let data = folder.join("data");
            let configuration = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
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
