//! What is sent to a registry, piece by piece.

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::client::{Client, broken, said, text};
use super::connection::{Ask, Right};
use super::error::RegistryError;
use super::options::Progress;
use super::reference::Reference;
use crate::manifest::Descriptor;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

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
        // Where an upload goes that broke off.
        let mut place: Option<Url> = None;
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
                if let Some(begun) = &mut place {
                    match self.go_on(&begin, begun, descriptor, bytes).await {
                        Ok(true) => return Ok(true),
                        Err(error) if error.may_pass() => return Err(error),
                        // It is forgotten, or not what was sent: then all of it goes again.
                        Ok(false) | Err(_) => place = None,
                    }
                }
                let begun = self.connection.send(&begin).await?;
                let url = location(&begin, &begun)?;
                place = Some(url.clone());
                self.end(&begin, url, descriptor, bytes.clone()).await?;
                Ok(true)
            })
            .await
    }

    /// Goes on with an upload behind what the registry has of it. Tells whether it has anything.
    async fn go_on(
        &self,
        begin: &Ask<'_>,
        place: &mut Url,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<bool, RegistryError> {
        let look = part(
            begin,
            Method::GET,
            place.clone(),
            HeaderMap::new(),
            Bytes::new(),
        );
        let held = self.connection.send(&look).await?;
        // `0-0` is said of nothing and of one byte.
        let last = text(&held, &RANGE).and_then(|range| {
            let (_, last) = range.trim_start_matches("bytes=").split_once('-')?;
            last.parse::<usize>().ok()
        });
        let Some(had) = last
            .map(|last| last.saturating_add(1))
            .filter(|had| *had > 1)
        else {
            return Ok(false);
        };
        if had > bytes.len() {
            return Ok(false);
        }
        if let Ok(url) = location(&look, &held) {
            *place = url;
        }
        if had < bytes.len() {
            let range = format!("{had}-{}", bytes.len() - 1);
            let range = HeaderValue::from_str(&range)
                .map_err(|_| broken(begin, "the range cannot stand in a header"))?;
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, OCTETS), (CONTENT_RANGE, range)]);
            let rest = part(
                begin,
                Method::PATCH,
                place.clone(),
                headers,
                bytes.slice(had..),
            );
            let taken = self.connection.send(&rest).await?;
            *place = location(&rest, &taken)?;
        }
        self.end(begin, place.clone(), descriptor, Bytes::new())
            .await?;
        Ok(true)
    }

    /// Ends an upload, with what is left of it.
    async fn end(
        &self,
        begin: &Ask<'_>,
        mut url: Url,
        descriptor: &Descriptor,
        rest: Bytes,
    ) -> Result<(), RegistryError> {
        url.query_pairs_mut()
            .append_pair("digest", &descriptor.digest.to_string());
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, OCTETS)]);
        let put = part(begin, Method::PUT, url, headers, rest);
        let done = self.connection.send(&put).await?;
        match done.status() {
            StatusCode::CREATED => Ok(()),
            other => Err(broken(&put, &format!("it answers {other} and not 201"))),
        }
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

/// A part of the same upload.
fn part<'r>(begin: &Ask<'r>, method: Method, url: Url, headers: HeaderMap, body: Bytes) -> Ask<'r> {
    Ask {
        method,
        url,
        headers,
        body,
        reference: begin.reference,
        right: Right::Push,
        what: begin.what.clone(),
        thing: begin.thing.clone(),
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
