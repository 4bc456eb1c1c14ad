use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use ferro_blob_store::{BlobStoreError, FsBlobStore};
use ferro_oci_server::{METADATA_FILE_NAME, build_app_persisted};
use tokio::net::TcpListener;

/// A registry of images in a folder, for one machine: OCI distribution specification 1.1, with lists of what is attached.
///
/// It asks nobody who they are, so it is for this machine, or for a network where everybody may fetch
/// ([`Writers::Nobody`]).
#[derive(Debug)]
pub struct Server {
    app: Router,
    /// Held as long as the registry is: two in one folder would lose each other's images.
    lock: File,
}

/// Who may publish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Writers {
    /// Whoever reaches the registry.
    Anybody,
    /// Nobody: images are there to be fetched.
    Nobody,
}

/// Why a folder cannot be a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The folder cannot be made, read or written.
    #[error("cannot keep images in `{}`", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another registry has it.
    #[error("another registry keeps its images in `{}`; it has to end first", folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// What it says of its images is broken.
    #[error(
        "`{}` is damaged: put it back from a copy, or move it away to begin without tags (the images stay)",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        source: serde_json::Error,
    },
    /// Its blobs cannot be kept.
    #[error("cannot keep blobs in `{}`", folder.display())]
    Store {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: BlobStoreError,
    },
}

impl Server {
    /// The registry in a folder, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`ServerError`], when the folder cannot be used, is in use, or was damaged.
    pub fn open(folder: &Path, writers: Writers) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Folder {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ServerError::Taken {
                folder: folder.to_owned(),
            },
            TryLockError::Error(source) => failed(source),
        })?;
        // The server takes a broken file for an empty registry, and would write that over it.
        let path = folder.join(METADATA_FILE_NAME);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes)
                    .map_err(|source| ServerError::Damaged { path, source })?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let store = FsBlobStore::new(folder).map_err(|source| ServerError::Store {
            folder: folder.to_owned(),
            source,
        })?;
        let app = build_app_persisted(Arc::new(store), folder);
        Ok(Self {
            app: match writers {
                Writers::Anybody => app,
                Writers::Nobody => app.layer(middleware::from_fn(only_reads)),
            },
            lock,
        })
    }

    /// Answers until `end` comes, and finishes what was begun then.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let served = axum::serve(listener, self.app)
            .with_graceful_shutdown(end)
            .await;
        drop(self.lock);
        served
    }
}

async fn only_reads(request: Request, next: Next) -> Response {
    if [Method::GET, Method::HEAD].contains(request.method()) {
        return next.run(request).await;
    }
    let body = r#"{"errors":[{"code":"UNSUPPORTED","message":"images can only be fetched here"}]}"#;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::METHOD_NOT_ALLOWED, kind, body).into_response()
}
