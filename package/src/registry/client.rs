//! What a registry has, piece by piece (OCI distribution specification 1.1).

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::connection::{Ask, Connection, Right};
use super::error::RegistryError;
use super::options::{Options, Progress};
use super::reference::Reference;
use crate::digest::Digest;
use crate::layer::MODULE_LIMIT;
use crate::layout::DOCUMENT_LIMIT;
use crate::manifest::{Descriptor, Index, media_type};

/// What a manifest may be.
const DOCUMENTS: &str = concat!(
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, ",
    "application/vnd.docker.distribution.manifest.v2+json, ",
    "application/vnd.docker.distribution.manifest.list.v2+json"
);

/// The most pages of a list that are asked for.
const PAGES: usize = 1_000;

/// The most of them of what is attached to one image.
const REFERRER_PAGES: usize = 100;

/// A client of OCI registries: fetches images, publishes them, and lists them.
///
/// Credentials come from where Docker, podman and skopeo keep them. TLS is left out for registries on this machine, and
/// for others where [`Options::plain_http`] says so. Every byte that comes is held against its digest and its size,
/// and nothing larger than a filter has reason to be is fetched.
///
/// It needs a runtime of tokio with time and network.
#[derive(Debug)]
pub struct Client {
    pub(super) connection: Connection,
}

/// A page of tags or of repositories.
#[derive(Deserialize)]
struct Page {
    #[serde(alias = "repositories")]
    tags: Option<Vec<String>>,
}

impl Client {
    /// A client.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Tls`], when the certificates cannot be used.
    pub fn new(options: Options) -> Result<Self, RegistryError> {
        Ok(Self {
            connection: Connection::new(options)?,
        })
    }

    /// The digest of the manifest that a reference names now, without fetching it where the registry says.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the registry has none or does not answer.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        let wanted = reference.wanted();
        let mut ask = self.ask(
            reference,
            Right::Pull,
            &format!("manifests/{wanted}"),
            "find it",
        )?;
        ask.method = Method::HEAD;
        ask.headers
            .insert(ACCEPT, HeaderValue::from_static(DOCUMENTS));
        let response = self
            .connection
            .again(async || self.connection.send(&ask).await)
            .await?;
        match (said(&response), reference.digest()) {
            (Some(digest), None) => Ok(digest),
            _ => {
                let (found, _) = self.manifest(reference, &wanted, DOCUMENT_LIMIT).await?;
                Ok(found.digest)
            }
        }
    }

    /// The tags of a repository, in the registry's order.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when there is no such repository or the registry does not answer.
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, RegistryError> {
        let ask = self.ask(reference, Right::Pull, "tags/list?n=1000", "list its tags")?;
        self.pages(ask).await
    }

    /// The repositories of a registry that the client may see; many registries show none to anybody.
    ///
    /// `at` is any reference in the registry.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the registry has no catalogue or does not answer.
    pub async fn repositories(&self, at: &Reference) -> Result<Vec<String>, RegistryError> {
        let mut ask = self.ask(at, Right::Catalog, "", "list its repositories")?;
        ask.url = self.connection.url(at, "_catalog?n=1000")?;
        self.pages(ask).await
    }

    async fn pages(&self, mut ask: Ask<'_>) -> Result<Vec<String>, RegistryError> {
        let mut names = Vec::new();
        for _ in 0..PAGES {
            let (answer, next) = self
                .connection
                .again(async || {
                    let mut response = self.connection.send(&ask).await?;
                    let next = next_page(&ask, &response);
                    let answer = self
                        .connection
                        .document(&ask, &mut response, DOCUMENT_LIMIT)
                        .await?;
                    Ok((answer, next))
                })
                .await?;
            let page: Page = parse(&ask, &answer)?;
            names.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) => ask.url = next,
                None => return Ok(names),
            }
        }
        Err(broken(&ask, "its list does not end"))
    }

    /// A manifest or a list of them, with what names it; no more bytes of it than the limit are read.
    pub(super) async fn manifest(
        &self,
        reference: &Reference,
        wanted: &str,
        limit: u64,
    ) -> Result<(Descriptor, Vec<u8>), RegistryError> {
        let path = format!("manifests/{wanted}");
        let mut ask = self.ask(reference, Right::Pull, &path, "give the manifest")?;
        ask.headers
            .insert(ACCEPT, HeaderValue::from_static(DOCUMENTS));
        let (bytes, said, kind) = self
            .connection
            .again(async || {
                let mut response = self.connection.send(&ask).await?;
                let kind = media_type(&response);
                let said = said(&response);
                let bytes = self.connection.document(&ask, &mut response, limit).await?;
                Ok((bytes, said, kind))
            })
            .await?;
        let found = Digest::of(&bytes);
        let asked = wanted.parse::<Digest>().ok();
        if let Some(expected) = asked.or(said).filter(|expected| *expected != found) {
            return Err(RegistryError::Digest {
                registry: reference.registry().to_owned(),
                what: format!("the manifest `{wanted}`"),
                found,
                expected,
            });
        }
        Ok((Descriptor::of(&kind, &bytes), bytes))
    }

    /// A configuration or a layer. A connection that is cut is taken up where it was.
    pub(super) async fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        let what = format!("the blob `{}`", descriptor.digest);
        if descriptor.size > MODULE_LIMIT {
            return Err(RegistryError::TooLarge {
                what,
                size: descriptor.size,
                limit: MODULE_LIMIT,
            });
        }
        let path = format!("blobs/{}", descriptor.digest);
        let mut ask = self.ask(reference, Right::Pull, &path, "give a blob")?;
        let mut bytes = Vec::new();
        self.connection
            .again(async || self.more(&mut ask, descriptor, &mut bytes).await)
            .await?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(RegistryError::Digest {
                registry: reference.registry().to_owned(),
                what,
                found,
                expected: descriptor.digest,
            });
        }
        Ok(bytes)
    }

    /// The rest of a blob.
    async fn more(
        &self,
        ask: &mut Ask<'_>,
        descriptor: &Descriptor,
        bytes: &mut Vec<u8>,
    ) -> Result<(), RegistryError> {
        ask.headers.remove(RANGE);
        if !bytes.is_empty() {
            let range = format!("bytes={}-", bytes.len());
            if let Ok(range) = HeaderValue::from_str(&range) {
                ask.headers.insert(RANGE, range);
            }
        }
        let mut response = self.connection.send(ask).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            bytes.clear();
        }
        let cut = |got: usize| RegistryError::Cut {
            registry: ask.reference.registry().to_owned(),
            what: format!("the blob `{}`", descriptor.digest),
            got: got as u64,
            expected: descriptor.size,
        };
        loop {
            let piece = match self.connection.next(ask, &mut response).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(RegistryError::Unreachable { .. }) => return Err(cut(bytes.len())),
                Err(error) => return Err(error),
            };
            bytes.extend_from_slice(&piece);
            let got = bytes.len() as u64;
            if got > descriptor.size {
                return Err(RegistryError::TooLarge {
                    what: format!("the blob `{}`", descriptor.digest),
                    size: got,
                    limit: descriptor.size,
                });
            }
            let of = descriptor;
            self.connection
                .options
                .tell(&Progress::Fetched { of, bytes: got });
        }
        match bytes.len() {
            got if got as u64 == descriptor.size => Ok(()),
            got => Err(cut(got)),
        }
    }

    /// What says that it is about a manifest: by the registry's own list, or else by the one under the tag
    /// `sha256-…` that publishers keep where a registry has none. A list that is too long is read in part, and says so.
    pub(super) async fn referrers(
        &self,
        reference: &Reference,
        subject: Digest,
    ) -> Result<Index, RegistryError> {
        let path = format!("referrers/{subject}");
        let what = "list what is attached";
        let mut ask = self.ask(reference, Right::Pull, &path, what)?;
        ask.headers
            .insert(ACCEPT, HeaderValue::from_static(media_type::INDEX));
        let mut found = Index::default();
        let mut room = DOCUMENT_LIMIT;
        for page in 0..REFERRER_PAGES {
            let answer = self
                .connection
                .again(async || {
                    let mut response = self.connection.send(&ask).await?;
                    let next = next_page(&ask, &response);
                    let answer = self.connection.document(&ask, &mut response, room).await?;
                    Ok((answer, next))
                })
                .await;
            let (answer, next) = match answer {
                Ok(answer) => answer,
                Err(error) if page == 0 && is_unknown(&error) => {
                    return self.fallback(&ask, subject).await;
                }
                Err(error) if page == 0 || error.may_pass() => return Err(error),
                // What came so far counts, as what is attached does piece by piece.
                Err(error) => {
                    found
                        .foreign
                        .texts
                        .push(format!("the rest of the list ({error})"));
                    return Ok(found);
                }
            };
            room = room.saturating_sub(answer.len() as u64);
            let page: Index = parse(&ask, &answer)?;
            found.manifests.extend(page.manifests);
            let texts = &mut found.foreign.texts;
            texts.extend(page.foreign.texts);
            found.foreign.more += page.foreign.more + texts.len().saturating_sub(8);
            texts.truncate(8);
            match next {
                Some(next) => ask.url = next,
                None => return Ok(found),
            }
        }
        found
            .foreign
            .texts
            .push("the rest of a list that does not end".to_owned());
        Ok(found)
    }

    async fn fallback(&self, ask: &Ask<'_>, subject: Digest) -> Result<Index, RegistryError> {
        let tag = fallback_tag(subject);
        match self.manifest(ask.reference, &tag, DOCUMENT_LIMIT).await {
            Ok((_, bytes)) => parse(ask, &bytes),
            Err(error) if error.is_not_found() => Ok(Index::default()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn ask<'a>(
        &self,
        reference: &'a Reference,
        right: Right,
        path: &str,
        what: &str,
    ) -> Result<Ask<'a>, RegistryError> {
        let repository = reference.repository();
        let thing = match path.split_once('/') {
            Some(("manifests", name)) => {
                let sign = if name.contains(':') { '@' } else { ':' };
                let repository = format!("`{repository}{sign}{name}`");
                format!(
                    "{repository}; `attache tags {}` lists what there is",
                    reference.name()
                )
            }
            Some(("blobs", name)) if !name.contains("uploads") => {
                format!("blob `{name}` in `{repository}`")
            }
            _ => format!("repository `{repository}`"),
        };
        let path = format!("{}/{path}", reference.repository());
        Ok(Ask {
            method: Method::GET,
            url: self.connection.url(reference, &path)?,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            reference,
            right,
            what: what.to_owned(),
            thing,
        })
    }
}

/// The tag under which publishers keep a list of what is attached to a manifest ("Referrers Tag Schema").
pub(super) fn fallback_tag(subject: Digest) -> String {
    subject.to_string().replace(':', "-")
}

/// Whether a registry may be one that has no list of what is attached.
fn is_unknown(error: &RegistryError) -> bool {
    let by_status = matches!(
        error,
        RegistryError::Status {
            status: 400 | 405 | 406 | 501,
            ..
        }
    );
    error.is_not_found() || by_status
}

/// The digest that a registry says something has.
pub(super) fn said(response: &Response) -> Option<Digest> {
    text(response, &HeaderName::from_static("docker-content-digest"))?
        .parse()
        .ok()
}

fn media_type(response: &Response) -> String {
    let kind = text(response, &CONTENT_TYPE).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_owned()
}

pub(super) fn text<'r>(response: &'r Response, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Where the list goes on (RFC 8288), in the same registry.
fn next_page(ask: &Ask<'_>, response: &Response) -> Option<Url> {
    let link = text(response, &LINK)?;
    let (target, parameters) = link.split_once('<')?.1.split_once('>')?;
    let is_next = parameters.contains("rel=\"next\"") || parameters.contains("rel=next");
    let url = ask.url.join(target).ok()?;
    (is_next && url.origin() == ask.url.origin()).then_some(url)
}

fn parse<T: serde::de::DeserializeOwned>(ask: &Ask<'_>, bytes: &[u8]) -> Result<T, RegistryError> {
    serde_json::from_slice(bytes).map_err(|source| RegistryError::Document {
        what: format!(
            "the answer of `{}` to {}",
            ask.reference.registry(),
            ask.what
        ),
        source,
    })
}

pub(super) fn broken(ask: &Ask<'_>, why: &str) -> RegistryError {
    RegistryError::Broken {
        registry: ask.reference.registry().to_owned(),
        what: ask.what.clone(),
        why: why.to_owned(),
    }
}
