//! The folder of rollouts: read when it begins, and again when a file in it or a module changes.

mod eye;
mod ledger;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use self::eye::Eye;
use self::ledger::{Ledger, Looked};
use crate::plane::Plane;

/// Files are often written in several steps; what comes so soon after is one change.
const SETTLED: Duration = Duration::from_millis(10);
/// What was read is taken when it reads the same so much later: whoever writes in place is not at work then.
const APART: Duration = Duration::from_millis(30);
/// What could not be read is tried again after this.
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Where the system tells nothing of a change, as on some network file systems, it is seen after this.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

/// The folder cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be read.
    #[error("cannot read the folder of rollouts `{}`", folder.display())]
    Read {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system cannot tell of changes.
    #[error("cannot watch the folder of rollouts `{}`", folder.display())]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: notify::Error,
    },
}

/// Reads the folder, tells the plane, and goes on to do so whenever something changes.
///
/// # Errors
///
/// [`FolderError`], at the beginning only; later the plane shows what is wrong.
pub async fn watch(folder: PathBuf, plane: Arc<Plane>) -> Result<(), FolderError> {
    let mut eye = Eye::new(&folder)?;
    std::fs::read_dir(&folder).map_err(|source| FolderError::Read {
        folder: folder.clone(),
        source,
    })?;
    let mut ledger = Ledger::new(folder.clone());
    loop {
        let mut before = std::mem::replace(&mut ledger, Ledger::new(folder.clone()));
        let looking = tokio::task::spawn_blocking(move || {
            let looked = before.look();
            (before, looked)
        });
        let Ok((after, looked)) = looking.await else {
            // A fault of this program; the next look begins anew, and withdraws nothing meanwhile.
            sleep(TRIED_AGAIN_AFTER).await;
            continue;
        };
        ledger = after;
        eye.look_at(&ledger);
        match looked {
            Looked::Settled => {
                plane.tell(ledger.event());
                // Either is a reason to look.
                let _ = timeout(LOOKED_AT_EVERY, eye.changed()).await;
                sleep(SETTLED).await;
            }
            Looked::Unsettled { has_taken } => {
                if has_taken {
                    plane.tell(ledger.event());
                }
                sleep(APART).await;
            }
            Looked::Failed => {
                plane.tell(ledger.event());
                sleep(TRIED_AGAIN_AFTER).await;
            }
        }
    }
}
