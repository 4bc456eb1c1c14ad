//! Whole images from a registry.

use bytes::Bytes;

use super::client::Client;
use super::error::RegistryError;
use super::reference::Reference;
use super::transfer::Pulled;
use crate::digest::Digest;
use crate::graph::{
    Document, Graph, LeftOut, Need, NoModule, Part, Refused, Unread, Walk, pieces, signature_tag,
};
use crate::layout::DOCUMENT_LIMIT;
use crate::manifest::Descriptor;
use crate::signing::Verdict;
use attache_module::harmless;

/// What becomes of failures to fetch what is attached that another attempt may not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Passing {
    /// What is attached is left out.
    LeavesOut,
    /// Whoever wants all of it is told so by a failure.
    Fails,
}

impl Client {
    /// Fetches an image and what is attached to it, into memory.
    ///
    /// Where the reference names a list of images, the one for linux/amd64 is taken, as Istio and Envoy Gateway do. What
    /// is attached and cannot be had or is of a foreign kind is left out, see [`Graph::left_out`].
    ///
    /// # Errors
    ///
    /// [`RegistryError`], which says what is missing, refused, or not what it is said to be.
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, RegistryError> {
        let graph = self
            .image(reference, Part::Whole, Passing::LeavesOut)
            .await?;
        let verdict = self.judge(reference, &graph)?;
        let image = graph.module().map_err(|error| match error {
            NoModule::Refused(error) => error.into(),
            NoModule::Layer(error) => error.into(),
            NoModule::Module(error) => error.into(),
            NoModule::List => RegistryError::Platform {
                what: format!("`{reference}`"),
                platforms: "lists in a list".to_owned(),
            },
        })?;
        Ok(Pulled {
            reference: reference.pinned(graph.root.digest),
            image,
            attached: graph.attached(),
            verdict,
            graph,
        })
    }

    /// Fetches whatever a reference names, with all that it names and what is attached to it, into memory: lists of
    /// images whole, and images that hold no module.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], which says what is missing or not what it is said to be.
    pub async fn fetch(&self, reference: &Reference) -> Result<Graph, RegistryError> {
        let root = self.root(reference).await?;
        let graph = self
            .around(reference, root, Part::Whole, Passing::Fails)
            .await?;
        self.judge(reference, &graph)?;
        Ok(graph)
    }

    /// Fetches what it takes to judge an image by its signatures, and no more: its manifest, the list that names it, and
    /// the signatures of both. Of a list the image for linux/amd64 is meant, as for [`Client::pull`].
    ///
    /// # Errors
    ///
    /// [`RegistryError`], which says what is missing or not what it is said to be.
    pub async fn signatures(&self, reference: &Reference) -> Result<Graph, RegistryError> {
        self.image(reference, Part::Signatures, Passing::Fails)
            .await
    }

    /// What names the manifest that a reference names now.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the registry has none or does not answer.
    pub async fn describe(&self, reference: &Reference) -> Result<Descriptor, RegistryError> {
        Ok(self.root(reference).await?.descriptor)
    }

    pub(super) async fn root(&self, reference: &Reference) -> Result<Document, RegistryError> {
        let (descriptor, bytes) = self
            .manifest(reference, &reference.wanted(), DOCUMENT_LIMIT)
            .await?;
        read(&format!("`{reference}`"), &descriptor, bytes)
    }

    fn judge(
        &self,
        reference: &Reference,
        graph: &Graph,
    ) -> Result<Option<Verdict>, RegistryError> {
        let policy = self.connection.options.policy.as_ref();
        let verdict = policy.map(|policy| graph.judge(policy, &reference.name()));
        Ok(verdict.transpose()?)
    }

    /// An image, or that of a list which proxies take, with the list.
    async fn image(
        &self,
        reference: &Reference,
        part: Part,
        passing: Passing,
    ) -> Result<Graph, RegistryError> {
        let root = self.root(reference).await?;
        let Some(index) = root.index() else {
            return self.around(reference, root, part, passing).await;
        };
        let Some(child) = index.for_proxies() else {
            return Err(RegistryError::Platform {
                what: format!("`{reference}`"),
                platforms: index.platforms(),
            });
        };
        let child = child.clone();
        let pinned = reference.pinned(child.digest);
        let found = self.root(&pinned).await?;
        if found.descriptor.media_type != child.media_type {
            return Err(RegistryError::Ambiguous {
                what: format!("`{pinned}`"),
                why: "it is of another kind than the list says".to_owned(),
            });
        }
        let mut graph = self.around(reference, found, part, passing).await?;
        let list = self
            .around(reference, root, Part::Signatures, passing)
            .await?;
        graph.lists.push(list);
        Ok(graph)
    }

    async fn around(
        &self,
        reference: &Reference,
        root: Document,
        part: Part,
        passing: Passing,
    ) -> Result<Graph, RegistryError> {
        let refused = |error: Refused| match error {
            Refused::TooLarge { unit, size, limit } => RegistryError::TooMuch {
                what: format!("`{reference}`"),
                size,
                unit,
                limit,
            },
            other => RegistryError::Ambiguous {
                what: format!("`{reference}`"),
                why: other.to_string(),
            },
        };
        let mut walk = Walk::new(root, part).map_err(refused)?;
        while let Some(need) = walk.next() {
            let failed = match &need {
                Need::Document(named) => match self.document(reference, named).await {
                    Ok(document) => {
                        walk.document(document).map_err(refused)?;
                        continue;
                    }
                    Err(error) => error,
                },
                Need::Blob(named) => match self.blob(reference, named).await {
                    Ok(bytes) => {
                        walk.blob(bytes.into());
                        continue;
                    }
                    Err(error) => error,
                },
                Need::Attached(subject) => match self.referrers(reference, *subject).await {
                    Ok(list) => {
                        walk.attached(list);
                        continue;
                    }
                    Err(error) => error,
                },
            };
            let fails = passing == Passing::Fails && failed.may_pass();
            if walk.is_for_image() || fails {
                return Err(failed);
            }
            walk.leave_out(said(&failed));
        }
        let mut graph = walk.finish();
        for subject in graph.images() {
            match self.simple(reference, subject).await {
                Ok(None) => {}
                Ok(Some((document, pieces))) => graph.keep_simple(subject, document, pieces),
                Err(error) if passing == Passing::Fails && error.may_pass() => return Err(error),
                Err(error) => graph.left_out.push(LeftOut {
                    what: format!("what is under the tag `{}`", signature_tag(subject)),
                    why: said(&error),
                }),
            }
        }
        Ok(graph)
    }

    /// The signatures under the tag of a document, where it has one.
    async fn simple(
        &self,
        reference: &Reference,
        subject: Digest,
    ) -> Result<Option<(Document, Vec<(Descriptor, Bytes)>)>, RegistryError> {
        let tag = signature_tag(subject);
        let what = format!("what is under the tag `{tag}`");
        let found = self.manifest(reference, &tag, DOCUMENT_LIMIT).await;
        let document = match found {
            Ok((descriptor, bytes)) => read(&what, &descriptor, bytes)?,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let named = pieces(&document).map_err(|why| RegistryError::Ambiguous { what, why })?;
        let mut pieces = Vec::new();
        for piece in named {
            let bytes = self.blob(reference, &piece).await?;
            pieces.push((piece, bytes.into()));
        }
        Ok(Some((document, pieces)))
    }

    async fn document(
        &self,
        reference: &Reference,
        named: &Descriptor,
    ) -> Result<Document, RegistryError> {
        let wanted = named.digest.to_string();
        let limit = named.size.min(DOCUMENT_LIMIT);
        let (found, bytes) = self.manifest(reference, &wanted, limit).await?;
        read(&format!("the manifest `{wanted}`"), &found, bytes)
    }
}

/// What a failure says, with its causes, on one line.
fn said(error: &RegistryError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    harmless(&text)
}

fn read(what: &str, descriptor: &Descriptor, bytes: Vec<u8>) -> Result<Document, RegistryError> {
    Document::read(descriptor, bytes.into()).map_err(|error| match error {
        Unread::Kind(kind) => RegistryError::Kind {
            what: what.to_owned(),
            media_type: harmless(&kind),
        },
        Unread::Json(source) => RegistryError::Document {
            what: what.to_owned(),
            source,
        },
        Unread::Ambiguous(why) => RegistryError::Ambiguous {
            what: what.to_owned(),
            why,
        },
    })
}
