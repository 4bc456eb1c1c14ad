use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use attache_control_plane::status::{Phase, RolloutStatus};
use attache_control_plane::{Images, Plane, Store, api, folder, xds};
use attache_envoy::http1::exchange;
use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{
    Bootstrap, Cluster, Codec, Environment, Envoy, FilterSource, Installation, Listener, Selection,
    StartError, StartOptions, find,
};
use attache_module::Guest;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::scratch::Scratch;

pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// The name of the plugin in every rollout here.
pub(crate) const PLUGIN: &str = "marker";

/// The Envoy that all tests use.
pub(crate) fn installation() -> Installation {
    static FOUND: OnceLock<Installation> = OnceLock::new();
    let found = || find(&Selection::Default, &Environment::current(), &mut |_| ()).unwrap();
    FOUND.get_or_init(found).clone()
}

/// A filter that puts headers into responses, as it is shipped.
pub(crate) fn module() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| built("add-header"))
}

/// A package of the workspace, as it is shipped.
pub(crate) fn built(package: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Guest::in_workspace(root, Some(package)).build(&mut |_| ());
    fs::read(built.unwrap().path).unwrap()
}

/// The same filter in other bytes.
pub(crate) fn module_with(word: &str) -> Vec<u8> {
    marked(module(), word)
}

/// The same module in other bytes: a custom section says a word.
pub(crate) fn marked(module: &[u8], word: &str) -> Vec<u8> {
    let mut module = module.to_vec();
    let name = b"test";
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    module.extend([0, length(1 + name.len() + word.len()), length(name.len())]);
    module.extend(name);
    module.extend(word.as_bytes());
    module
}

/// A control plane, its folder of rollouts, and an upstream.
pub(crate) struct Stage {
    pub(crate) plane: Arc<Plane>,
    pub(crate) discovery: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) upstream: Upstream,
    runtime: Option<Runtime>,
    /// Goes last: what still runs would write into it anew.
    pub(crate) folder: Scratch,
}

/// What an Envoy says of itself, and what it has.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    pub(crate) group: &'static str,
    /// Whether it names its admin port.
    pub(crate) admin: bool,
    pub(crate) listeners: usize,
    /// How many configuration sources its listeners ask for the plugin, one after the other.
    pub(crate) sources: usize,
    pub(crate) workers: u32,
    /// Whether the kernel spreads connections over the workers; else one of them may take all.
    pub(crate) spread: bool,
}

impl Made {
    pub(crate) fn of(group: &'static str) -> Self {
        Self {
            group,
            admin: true,
            listeners: 1,
            sources: 1,
            workers: 2,
            spread: false,
        }
    }
}

/// A port that nobody has now. Somebody may have it a moment later: whoever listens there tries again then.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = Scratch::new();
        fs::create_dir_all(folder.join("rollouts")).unwrap();
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let upstream = Upstream::start(|_| Reply::new(200)).unwrap();
        Self::begin(folder, upstream, loopback)
    }

    /// Ends the control plane at once, and starts another one in its place.
    pub(crate) fn begin_again(mut self) -> Self {
        let runtime = self.runtime.take().unwrap();
        runtime.shutdown_background();
        let deadline = Instant::now() + LIMIT;
        while std::net::TcpListener::bind(self.discovery).is_err() {
            assert!(Instant::now() < deadline, "the port is never free");
            thread::sleep(Duration::from_millis(5));
        }
        Self::begin(self.folder, self.upstream, self.discovery)
    }

    fn begin(folder: Scratch, upstream: Upstream, discovery: SocketAddr) -> Self {
        let rollouts = folder.join("rollouts");
        let runtime = Runtime::new().unwrap();
        let mut images = Images::default();
        let policy = folder.join("policy.yaml");
        images.policy = policy.exists().then_some(policy);
        let store = Store::new(folder.join("state"));
        let plane = Plane::with_images(store, images).unwrap();
        runtime.spawn(Arc::clone(&plane).attend());
        let listen = |address: SocketAddr| runtime.block_on(TcpListener::bind(address)).unwrap();
        let (discovery, status) = (listen(discovery), listen("127.0.0.1:0".parse().unwrap()));
        let addresses = (discovery.local_addr(), status.local_addr());
        runtime.spawn(xds::serve(discovery, Arc::clone(&plane), None));
        runtime.spawn(api::serve(status, Arc::clone(&plane)));
        let watched = Arc::clone(&plane);
        runtime.spawn(async move { folder::watch(rollouts, watched).await.unwrap() });
        Self {
            folder,
            plane,
            discovery: addresses.0.unwrap(),
            api: addresses.1.unwrap(),
            upstream,
            runtime: Some(runtime),
        }
    }

    /// Serves something more, on a port of its own.
    pub(crate) fn spawn<F>(&self, serve: impl FnOnce(TcpListener, Arc<Plane>) -> F) -> SocketAddr
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().unwrap();
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = runtime.block_on(TcpListener::bind(loopback)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, Arc::clone(&self.plane)));
        address
    }

    /// Replaces a file at one blow.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        let beside = self.folder.join("beside");
        fs::write(&beside, bytes).unwrap();
        fs::rename(beside, &path).unwrap();
        path
    }

    /// Declares a rollout with this text behind what every one has.
    pub(crate) fn declare_text(&self, name: &str, text: &str) {
        let text = format!("version: \"1\"\nplugin: {PLUGIN}\nmodule: ../{name}.wasm\n{text}");
        self.write(&format!("rollouts/{name}.yaml"), text);
    }

    /// Declares a rollout whose responses say a word.
    pub(crate) fn declare(&self, name: &str, word: &str, more: &str) {
        let text = format!(
            "version: \"1\"\nplugin: {PLUGIN}\nroot_id: add-header\nmodule: ../{name}.wasm\n\
             configuration: {{ response: [{{ name: x-word, value: {word} }}] }}\n{more}"
        );
        self.write(&format!("rollouts/{name}.yaml"), text);
    }

    /// An Envoy of a group, whose counters can be read.
    pub(crate) fn start_envoy(&self, group: &'static str) -> Envoy {
        self.make(Made::of(group))
    }

    pub(crate) fn make(&self, made: Made) -> Envoy {
        self.make_for(self.discovery, made)
    }

    /// An Envoy of another control plane than the one here.
    pub(crate) fn make_for(&self, discovery: SocketAddr, made: Made) -> Envoy {
        let mut envoy = self.try_to_make(discovery, made);
        for _ in 0..4 {
            // Another process may have taken the admin port meanwhile.
            if envoy.is_err() {
                envoy = self.try_to_make(discovery, made);
            }
        }
        envoy.unwrap()
    }

    fn try_to_make(&self, discovery: SocketAddr, made: Made) -> Result<Envoy, StartError> {
        let listeners = (0..made.listeners).map(|number| {
            let mut listener = Listener::new(match number {
                0 => "filtered".to_owned(),
                number => format!("filtered-{number}"),
            });
            listener.filters.push(FilterSource::Served {
                name: PLUGIN.into(),
                cluster: source(number % made.sources),
            });
            listener.reuse_port = made.spread;
            listener
        });
        let listeners = listeners.collect();
        let mut bootstrap = Bootstrap::new(self.upstream.address().into(), listeners);
        bootstrap.node.id = format!("envoy-of-{}", made.group);
        bootstrap.node.cluster = made.group.to_owned();
        if made.admin {
            bootstrap.admin.set_port(free_port());
            let own = serde_json::json!({ "admin_port": bootstrap.admin.port() });
            bootstrap.node.metadata.insert("attache".into(), own);
        }
        for number in 0..made.sources {
            let plane = Cluster::new(discovery, Codec::Http2);
            bootstrap.clusters.insert(source(number), plane);
        }
        let folder = self.folder.join(format!("envoy-{}", made.group));
        let config = bootstrap.write(&folder.join("envoy.yaml")).unwrap();
        let options = StartOptions {
            concurrency: made.workers,
            ..StartOptions::default()
        };
        Envoy::start(&installation(), &config, &folder, options)
    }

    /// A version that says this word, and that is watched to its end.
    pub(crate) fn prove(&self, word: &str) -> RolloutStatus {
        self.declare("r", word, "fails_when: { watched_for: 0s }\n");
        self.reaches_as("r", |status| {
            let reason = status.reason.as_deref().unwrap_or_default();
            status.phase == Phase::Confirmed && reason == "every worker runs it"
        })
    }

    /// Waits until a rollout is in this phase.
    pub(crate) fn reaches(&self, name: &str, phase: Phase) -> RolloutStatus {
        self.reaches_as(name, |status| status.phase == phase)
    }

    pub(crate) fn reaches_as(
        &self,
        name: &str,
        wanted: impl Fn(&RolloutStatus) -> bool,
    ) -> RolloutStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            let status = self.plane.rollout(name);
            match status {
                Some(status) if wanted(&status) => return status,
                status => assert!(Instant::now() < deadline, "{status:#?}"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A cluster of the control plane.
fn source(number: usize) -> String {
    format!("control-plane-{number}")
}

/// What the filter has put into a response.
pub(crate) fn word(address: SocketAddr) -> Option<String> {
    let response = exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", LIMIT).unwrap();
    assert_eq!(response.status, 200);
    let value = response.header("x-word").next().map(<[u8]>::to_vec);
    value.map(|value| String::from_utf8(value).unwrap())
}

/// Waits until responses say this word: workers follow the main thread.
pub(crate) fn says(address: SocketAddr, wanted: &str) {
    let deadline = Instant::now() + LIMIT;
    while word(address).as_deref() != Some(wanted) {
        assert!(Instant::now() < deadline, "`{wanted}` never came");
        thread::sleep(Duration::from_millis(5));
    }
}
