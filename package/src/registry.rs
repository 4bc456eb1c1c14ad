//! Images in registries: fetched, published, listed; and a registry for one machine.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use attache_package::registry::{Client, Options, Reference};
//!
//! let client = Client::new(Options::default())?;
//! let reference: Reference = "registry.example.com/filters/scrub:1.2.0".parse()?;
//! let pulled = client.pull(&reference).await?;
//! println!("{} is a module of {} bytes", pulled.reference, pulled.image.bytes.len());
//! # Ok(())
//! # }
//! ```

mod admission;
mod catalogue;
mod client;
mod connection;
mod credentials;
mod error;
mod fetch;
mod options;
mod reference;
mod server;
mod token;
mod transfer;
mod upload;

pub use self::catalogue::Entry;
pub use self::client::Client;
pub use self::credentials::{Credentials, CredentialsError};
pub use self::error::RegistryError;
pub use self::options::{Access, Options, Progress, Told};
pub(crate) use self::reference::one_spelling;
pub use self::reference::{Reference, ReferenceError};
pub use self::server::{Server, ServerError, Writers};
pub use self::transfer::{Pulled, Pushed};
