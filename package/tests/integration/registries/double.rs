//! A registry in this process, which can be told to lie, to stumble and to cut connections.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use attache_package::{Digest, Graph};
use serde_json::{Value, json};

/// What a client asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What it is told.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The bytes of the body after which the connection ends.
    pub(crate) cut: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: None,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// What is in place of the registry's own answer to a question.
type Whim = dyn Fn(&Question, &mut Shelf) -> Option<Reply> + Send + Sync;

/// What the registry has.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and by digest: media type and bytes.
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// Whether it keeps lists of what is attached.
    pub(crate) lists: bool,
    pub(crate) asked: Vec<Question>,
}

pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
}

impl Double {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| None)
    }

    pub(crate) fn with(
        whim: impl Fn(&Question, &mut Shelf) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Mutex::new(Shelf {
            lists: true,
            ..Shelf::default()
        }));
        let whim: Arc<Whim> = Arc::new(whim);
        let kept = Arc::clone(&shelf);
        // Both threads end with the process: a test has no use for their end.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (whim, shelf) = (Arc::clone(&whim), Arc::clone(&kept));
                std::thread::spawn(move || serve(&stream, &*whim, &shelf));
            }
        });
        Self { address, shelf }
    }

    pub(crate) fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    pub(crate) fn name(&self, rest: &str) -> attache_package::registry::Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    /// How often something was asked that has these words in it.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        let shelf = self.shelf();
        let fits = |it: &&Question| it.method == method && it.target.contains(part);
        shelf.asked.iter().filter(fits).count()
    }

    /// Puts a graph onto the shelf, as if somebody had published it.
    pub(crate) fn hold(&self, graph: &Graph, tag: &str) {
        let folder = crate::modules::Folder::new(&format!("hold-{}", self.address.port()));
        let layout = attache_package::Layout::create(folder.path()).unwrap();
        layout.put(graph, tag).unwrap();
        let mut shelf = self.shelf();
        for file in std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let digest = Digest::of(&bytes).to_string();
            let media_type = serde_json::from_slice::<Value>(&bytes)
                .ok()
                .and_then(|it| Some(it.get("mediaType")?.as_str()?.to_owned()))
                // A bundle says its kind, too.
                .filter(|kind| kind.contains(".oci.image."));
            match media_type {
                Some(kind) => shelf.manifests.insert(digest, (kind, bytes)).map(|_| ()),
                None => shelf.blobs.insert(digest, bytes).map(|_| ()),
            };
        }
        let root = shelf.manifests[&graph.descriptor().digest.to_string()].clone();
        shelf.manifests.insert(tag.to_owned(), root);
    }
}

fn serve(stream: &TcpStream, whim: &Whim, shelf: &Mutex<Shelf>) {
    let mut reader = BufReader::new(stream);
    while let Some(question) = read(&mut reader) {
        let mut shelf = shelf.lock().unwrap();
        shelf.asked.push(question.clone());
        let reply = whim(&question, &mut shelf).unwrap_or_else(|| answer(&question, &mut shelf));
        drop(shelf);
        let mut head = format!("HTTP/1.1 {} x\r\n", reply.status);
        let length = reply.body.len().to_string();
        if !reply
            .headers
            .iter()
            .any(|(name, _)| name == "content-length")
        {
            head += &format!("content-length: {length}\r\n");
        }
        for (name, value) in &reply.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        if question.method != "HEAD" {
            bytes.extend_from_slice(&reply.body[..reply.cut.unwrap_or(reply.body.len())]);
        }
        // A client that has seen enough may be gone.
        let mut stream = stream;
        if stream.write_all(&bytes).is_err() || reply.cut.is_some() {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Question> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length");
    let length = length.map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Question {
        method,
        target,
        headers,
        body,
    })
}

/// As a registry answers that is what it should be, to what our client asks.
fn answer(question: &Question, shelf: &mut Shelf) -> Reply {
    let missing = || {
        let body = json!({ "errors": [{ "code": "UNKNOWN", "message": "there is none" }] });
        Reply::new(404, body.to_string())
    };
    let (path, query) = question
        .target
        .split_once('?')
        .unwrap_or((&question.target, ""));
    let Some((_, rest)) = path.split_once("/filter/") else {
        return missing();
    };
    match (question.method.as_str(), rest.split_once('/')) {
        ("POST", Some(("blobs", "uploads/"))) => {
            Reply::new(202, "").with("location", "/v2/filter/blobs/uploads/1?state=a")
        }
        ("PUT", Some(("blobs", _))) => {
            let digest = Digest::of(&question.body).to_string();
            let said = format!("digest={}", digest.replace(':', "%3A"));
            assert!(
                query.contains(&said) && query.contains("state=a"),
                "{query}"
            );
            shelf.blobs.insert(digest, question.body.clone());
            Reply::new(201, "")
        }
        ("PUT", Some(("manifests", name))) => {
            let digest = Digest::of(&question.body).to_string();
            let kind = question.headers["content-type"].clone();
            for name in [name, &digest] {
                let manifest = (kind.clone(), question.body.clone());
                shelf.manifests.insert(name.to_owned(), manifest);
            }
            let reply = Reply::new(201, "").with("docker-content-digest", &digest);
            match subject(&question.body).filter(|_| shelf.lists) {
                Some(subject) => reply.with("oci-subject", subject),
                None => reply,
            }
        }
        ("GET" | "HEAD", Some(("blobs", digest))) => match shelf.blobs.get(digest) {
            Some(bytes) => part(bytes, question.headers.get("range")),
            None => missing(),
        },
        ("GET" | "HEAD", Some(("manifests", name))) => match shelf.manifests.get(name) {
            Some((kind, bytes)) => Reply::new(200, bytes.clone())
                .with("content-type", kind)
                .with("docker-content-digest", Digest::of(bytes)),
            None => missing(),
        },
        ("GET", Some(("referrers", digest))) if shelf.lists => {
            let about = shelf.manifests.iter().filter(|(name, (_, bytes))| {
                name.starts_with("sha256:") && subject(bytes).as_deref() == Some(digest)
            });
            let list = about.map(|(name, (kind, bytes))| {
                json!({ "mediaType": kind, "digest": name, "size": bytes.len() })
            });
            let list = json!({ "schemaVersion": 2, "manifests": list.collect::<Value>() });
            Reply::new(200, list.to_string())
        }
        ("GET", Some(("tags", "list"))) => {
            let tags: Vec<_> = shelf
                .manifests
                .keys()
                .filter(|it| !it.contains(':'))
                .collect();
            Reply::new(200, json!({ "name": "filter", "tags": tags }).to_string())
        }
        _ => missing(),
    }
}

fn part(bytes: &[u8], range: Option<&String>) -> Reply {
    let from = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    match from {
        Some(from) => Reply::new(206, &bytes[from..]),
        None => Reply::new(200, bytes),
    }
}

fn subject(manifest: &[u8]) -> Option<String> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    Some(manifest.get("subject")?.get("digest")?.as_str()?.to_owned())
}
