use std::fmt::{self, Display};

use crate::layer::MODULE_LIMIT;
use crate::manifest::{Descriptor, Manifest, media_type};
use attache_module::harmless;

/// Who reads an image, each by rules of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Consumer {
    /// Istio's agent, `pkg/wasm/imagefetcher.go`.
    Istio,
    /// Envoy Gateway, `internal/wasm/imagefetcher.go`: the same rules.
    EnvoyGateway,
    /// Higress: the module is the last layer.
    Higress,
    /// Docker, podman, skopeo and containerd, and so Kubernetes' image volumes.
    Containers,
}

/// Where the module is in an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Found<'m> {
    /// In a tar file, compressed by gzip, under the base name `plugin.wasm`.
    Archive(&'m Descriptor),
    /// As it is.
    Raw(&'m Descriptor),
}

/// Why somebody does not take an image.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There are no layers at all.
    #[error("the image has no layers")]
    NoLayers,
    /// The layers are of no kind it knows.
    #[error(
        "the last layer is `{}`, expected `{expected}` with a file `plugin.wasm` in it, or exactly two layers of which one is `{raw}` (there are {count})",
        harmless(last),
        raw = media_type::MODULE
    )]
    Layers {
        /// The media type of the last layer.
        last: String,
        /// The media type that would do.
        expected: &'static str,
        /// How many there are.
        count: usize,
    },
    /// It is no container image.
    #[error(
        "the configuration is `{}`, expected `{}`",
        harmless(found),
        media_type::CONFIG
    )]
    Configuration {
        /// Its media type.
        found: String,
    },
    /// A layer that cannot be unpacked.
    #[error(
        "a layer is `{}`, which is not unpacked into a folder",
        harmless(found)
    )]
    NotUnpacked {
        /// Its media type.
        found: String,
    },
    /// More than it takes.
    #[error("the layer is {size} bytes, expected at most {MODULE_LIMIT}")]
    TooLarge {
        /// What it is.
        size: u64,
    },
}

impl Consumer {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Istio,
        Self::EnvoyGateway,
        Self::Higress,
        Self::Containers,
    ];

    /// Where it finds the module in an image.
    ///
    /// # Errors
    ///
    /// [`Refusal`], when its rules find none.
    pub fn find(self, manifest: &Manifest) -> Result<Found<'_>, Refusal> {
        let last = manifest.layers.last().ok_or(Refusal::NoLayers)?;
        let found = match self {
            Self::Istio | Self::EnvoyGateway | Self::Higress => {
                last_or_raw(manifest, last, self != Self::Higress)?
            }
            Self::Containers => unpacked(manifest, last)?,
        };
        let (Found::Archive(layer) | Found::Raw(layer)) = found;
        if layer.size > MODULE_LIMIT {
            return Err(Refusal::TooLarge { size: layer.size });
        }
        Ok(found)
    }
}

/// The last layer as an archive of the manifest's own kind, or one raw module of exactly two layers.
fn last_or_raw<'m>(
    manifest: &'m Manifest,
    last: &'m Descriptor,
    takes_raw: bool,
) -> Result<Found<'m>, Refusal> {
    let is_docker = manifest.media_type.as_deref() == Some(media_type::DOCKER_MANIFEST);
    let expected = if is_docker {
        media_type::DOCKER_LAYER
    } else {
        media_type::LAYER
    };
    if last.media_type == expected {
        return Ok(Found::Archive(last));
    }
    let raw = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type == media_type::MODULE);
    match raw {
        Some(raw) if takes_raw && !is_docker && manifest.layers.len() == 2 => Ok(Found::Raw(raw)),
        _ => Err(Refusal::Layers {
            last: last.media_type.clone(),
            expected,
            count: manifest.layers.len(),
        }),
    }
}

fn unpacked<'m>(manifest: &'m Manifest, last: &'m Descriptor) -> Result<Found<'m>, Refusal> {
    let docker_config = "application/vnd.docker.container.image.v1+json";
    let config = manifest.config.media_type.as_str();
    if ![media_type::CONFIG, docker_config].contains(&config) {
        return Err(Refusal::Configuration {
            found: config.to_owned(),
        });
    }
    let is_archive = |layer: &&Descriptor| {
        [media_type::LAYER, media_type::DOCKER_LAYER].contains(&layer.media_type.as_str())
    };
    match manifest.layers.iter().find(|layer| !is_archive(layer)) {
        Some(other) => Err(Refusal::NotUnpacked {
            found: other.media_type.clone(),
        }),
        None => Ok(Found::Archive(last)),
    }
}

impl Display for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Istio => "Istio",
            Self::EnvoyGateway => "Envoy Gateway",
            Self::Higress => "Higress",
            Self::Containers => "container tools",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(config: &str, layers: &[&str]) -> Manifest {
        let layers = layers.iter().map(|kind| Descriptor::of(kind, b""));
        Manifest::new(Descriptor::of(config, b"{}"), layers.collect())
    }

    fn takers(manifest: &Manifest) -> Vec<Consumer> {
        let mut all = Consumer::ALL.to_vec();
        all.retain(|consumer| consumer.find(manifest).is_ok());
        all
    }

    const JSON: &str = "application/vnd.module.wasm.config.v1+json";

    #[test]
    fn the_layout_that_everyone_uses_is_taken_by_all() {
        let image = manifest(media_type::CONFIG, &[media_type::LAYER]);
        assert_eq!(takers(&image), Consumer::ALL);
    }

    #[test]
    fn an_artifact_of_two_layers_is_for_proxies_only() {
        let artifact = manifest(media_type::EMPTY, &[media_type::MODULE, JSON]);
        assert_eq!(takers(&artifact), [Consumer::Istio, Consumer::EnvoyGateway]);
    }

    #[test]
    fn other_layouts_are_refused() {
        for layers in [
            &[][..],
            &[media_type::MODULE],
            &["application/wasm"],
            &["application/vnd.oci.image.layer.v1.tar"],
            &["application/vnd.oci.image.layer.v1.tar+zstd"],
            &[media_type::MODULE, JSON, JSON],
            &[media_type::LAYER, JSON],
        ] {
            assert_eq!(
                takers(&manifest(media_type::EMPTY, layers)),
                [],
                "{layers:?}"
            );
        }
    }

    #[test]
    fn a_manifest_of_docker_has_layers_of_docker() {
        let config = "application/vnd.docker.container.image.v1+json";
        let mut image = manifest(config, &[media_type::DOCKER_LAYER]);
        image.media_type = Some(media_type::DOCKER_MANIFEST.to_owned());
        assert_eq!(takers(&image), Consumer::ALL);
        image.layers[0].media_type = media_type::LAYER.to_owned();
        assert_eq!(takers(&image), [Consumer::Containers]);
    }

    #[test]
    fn a_layer_beyond_the_limit_is_refused_before_it_is_fetched() {
        let mut image = manifest(media_type::CONFIG, &[media_type::LAYER]);
        image.layers[0].size = MODULE_LIMIT + 1;
        assert_eq!(takers(&image), []);
    }
}
