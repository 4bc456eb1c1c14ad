//! What is sent to a registry, piece by piece.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};

use super::client::{Client, broken, said, text};
use super::connection::{Ask, Right};
use super::error::RegistryError;
use super::options::Progress;
use super::reference::Reference;
use crate::manifest::Descriptor;

impl Client {
    /// Sends a blob, unless the registry has it. Tells whether it went.
    pub(super) async fn send_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<bool, RegistryError> {
        let path = format!("blobs/{}", descriptor.digest);
        let mut look = self.ask(reference, Right::Push, &path, "look for a blob")?;
        look.method = Method::HEAD;
        let mut begin = self.ask(reference, Right::Push, "blobs/uploads/", "take a blob")?;
        begin.method = Method::POST;
        self.connection
            .again(async || {
                match self.connection.send(&look).await {
                    Ok(_) => {
                        self.connection
                            .options
                            .tell(&Progress::There { of: descriptor });
                        return Ok(false);
                    }
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
                self.connection
                    .options
                    .tell(&Progress::Sending { of: descriptor });
                let begun = self.connection.send(&begin).await?;
                let mut url = location(&begin, &begun)?;
                url.query_pairs_mut()
                    .append_pair("digest", &descriptor.digest.to_string());
                let octets = HeaderValue::from_static("application/octet-stream");
                let put = Ask {
                    method: Method::PUT,
                    url,
                    headers: HeaderMap::from_iter([(CONTENT_TYPE, octets)]),
                    body: bytes.clone(),
                    reference,
                    right: Right::Push,
                    what: begin.what.clone(),
                    thing: begin.thing.clone(),
                };
                let done = self.connection.send(&put).await?;
                match done.status() {
                    StatusCode::CREATED => Ok(true),
                    other => Err(broken(&put, &format!("it answers {other} and not 201"))),
                }
            })
            .await
    }

    /// Sends a manifest under a tag or its digest. Tells whether the registry has taken note of its subject.
    pub(super) async fn send_manifest(
        &self,
        reference: &Reference,
        wanted: &str,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<bool, RegistryError> {
        let path = format!("manifests/{wanted}");
        let mut ask = self.ask(reference, Right::Push, &path, "take the manifest")?;
        let kind = HeaderValue::from_str(&descriptor.media_type)
            .map_err(|_| broken(&ask, "the media type cannot stand in a header"))?;
        ask.method = Method::PUT;
        ask.headers.insert(CONTENT_TYPE, kind);
        ask.body = bytes.clone();
        let response = self
            .connection
            .again(async || self.connection.send(&ask).await)
            .await?;
        match said(&response) {
            Some(found) if found != descriptor.digest => Err(RegistryError::Digest {
                registry: reference.registry().to_owned(),
                what: format!("the manifest `{wanted}`"),
                found,
                expected: descriptor.digest,
            }),
            _ => Ok(response.headers().contains_key("oci-subject")),
        }
    }
}

/// Where an upload goes.
fn location(ask: &Ask<'_>, response: &Response) -> Result<Url, RegistryError> {
    let place = text(response, &LOCATION).ok_or_else(|| broken(ask, "it says no `Location`"))?;
    let url = ask
        .url
        .join(place)
        .map_err(|_| broken(ask, "its `Location` is no address"))?;
    match (ask.url.scheme(), url.scheme()) {
        ("https", "https") | ("http", "http" | "https") => Ok(url),
        _ => Err(broken(ask, "its `Location` leaves TLS")),
    }
}
