//! `attache registry`

use std::io;

use anyhow::Context;
use attache_package::registry::{Server, Writers};
use serde_json::json;
use tokio::net::TcpListener;

use super::arguments::Registry;
use super::{print, stage, warn};

pub(super) fn registry(arguments: &Registry) -> anyhow::Result<()> {
    let writers = match arguments.read_only {
        true => Writers::Nobody,
        false => Writers::Anybody,
    };
    let server = Server::open(&arguments.folder, writers)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen)
            .await
            .with_context(|| format!("cannot listen on {}", arguments.listen))?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() && writers == Writers::Anybody {
            warn("whoever reaches this address may publish here; --read-only lets them fetch only");
        }
        // Asked for before anybody is told that it is there.
        let end = end()?;
        print(&match arguments.json {
            true => format!(
                "{}\n",
                json!({ "address": address, "folder": arguments.folder })
            ),
            false => format!("{address}\n"),
        })?;
        stage(
            "Ready",
            format_args!(
                "on http://{address}, images in {}",
                arguments.folder.display()
            ),
        );
        server.serve(listener, end).await?;
        stage("Ended", "");
        Ok(())
    })
}

/// When somebody wants it to end.
fn end() -> io::Result<impl Future<Output = ()> + Send> {
    #[cfg(unix)]
    let mut terminated = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate())?
    };
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
