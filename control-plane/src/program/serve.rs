use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use attache_control_plane::{Images, Plane, Store, api, folder, xds};
use attache_package::signing::Policy;
use tokio::net::TcpListener;

use super::arguments::Serve;
use super::screen::stage;

/// What still runs at the end has so long.
const LAST_MOMENT: Duration = Duration::from_secs(1);

pub(super) fn serve(serve: Serve) -> anyhow::Result<()> {
    if !serve.rollouts.is_dir() {
        let folder = serve.rollouts.display();
        bail!(
            "`{folder}` is no folder; make it, and put a rollout into it as docs/hot-reload.md shows"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(attend(serve));
    // A trial or an image that is being fetched is not waited for.
    runtime.shutdown_timeout(LAST_MOMENT);
    done
}

async fn attend(serve: Serve) -> anyhow::Result<()> {
    let tls = tls(&serve)?;
    let _lock = claim(&serve.state)?;
    let discovery = listen(serve.listen, "--listen").await?;
    let status = listen(serve.api, "--api").await?;
    stage(
        "Listening",
        format_args!("for Envoys on {}", discovery.local_addr()?),
    );
    stage(
        "Listening",
        format_args!(
            "for people and programs on http://{}/",
            status.local_addr()?
        ),
    );
    let limits = xds::Limits {
        connections: serve.max_connections.get(),
        connections_per_address: serve.max_connections_per_address.get(),
        ..xds::Limits::default()
    };
    let mut images = Images::default();
    images.policy = serve.policy;
    images.plain_http = serve.plain_http;
    images.certificates = serve.ca_file;
    if let Some(path) = &images.policy {
        Policy::read(path).with_context(|| format!("cannot use `{}`", path.display()))?;
    }
    // However the folder is named, its files are the same.
    let rollouts = fs::canonicalize(&serve.rollouts)
        .with_context(|| format!("cannot read `{}`", serve.rollouts.display()))?;
    let plane =
        Plane::with_images(Store::new(serve.state), images).context("cannot take up the state")?;
    tokio::select! {
        () = plane.clone().attend() => {}
        done = xds::serve_within(discovery, plane.clone(), tls, limits) => done.context("cannot serve Envoys")?,
        done = api::serve(status, plane.clone()) => done.context("cannot serve the API")?,
        done = folder::watch(rollouts, plane.clone()) => done?,
        done = end() => done.context("cannot wait for the end")?,
    }
    plane.keep_now().context("cannot keep the state")
}

/// Waits until somebody wishes that the program ends.
async fn end() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Takes the folder of the state for this program alone, for as long as it runs.
fn claim(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let make = || {
        fs::create_dir_all(folder)?;
        File::create(&path)
    };
    let lock = make().with_context(|| format!("cannot write `{}`", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!(
            "another control plane keeps its state in `{}`; --state names another folder",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock `{}`", path.display()))
        }
    }
}

fn tls(serve: &Serve) -> anyhow::Result<Option<xds::Tls>> {
    let (Some(certificates), Some(key), Some(authorities)) =
        (&serve.tls_cert, &serve.tls_key, &serve.tls_client_ca)
    else {
        return Ok(None);
    };
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read `{}`", path.display()));
    Ok(Some(xds::Tls::new(
        read(certificates)?,
        read(key)?,
        read(authorities)?,
    )))
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on `{address}`; {option} names another address"))
}
