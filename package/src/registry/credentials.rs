use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};

/// Who asks.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user.
    Password {
        /// The name.
        user: String,
        /// The password, or a token in its place.
        password: String,
    },
    /// A token that another token is got by (`identitytoken` in Docker's files).
    IdentityToken(String),
}

/// Why credentials that are kept cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read the credentials in `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not what Docker writes, or the helper that it names does not answer as one.
    #[error("the credentials for `{registry}` in `{}` cannot be used: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Whose credentials.
        registry: String,
        /// What is wrong, never with a secret.
        why: String,
    },
}

impl Credentials {
    /// Those that Docker, podman and skopeo keep for a repository: in `$DOCKER_CONFIG/config.json`
    /// (`~/.docker/config.json`), with its credential helpers, then in podman's `auth.json`; anonymous where none has
    /// any.
    ///
    /// A helper is a program and may take its time.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`], when there is a file or a helper that cannot be used. A guess at anonymity would
    /// hide the reason of the refusal that follows.
    pub fn kept_for(registry: &str, repository: &str) -> Result<Self, CredentialsError> {
        for path in files() {
            if let Some(found) = Self::in_file(&path, registry, repository)? {
                return Ok(found);
            }
        }
        Ok(Self::Anonymous)
    }

    fn in_file(
        path: &Path,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Self>, CredentialsError> {
        for key in keys(path, registry, repository) {
            let file = match File::open(path) {
                Ok(file) => BufReader::new(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(source) => {
                    return Err(CredentialsError::File {
                        path: path.to_owned(),
                        source,
                    });
                }
            };
            match docker_credential::get_credential_from_reader(file, &key) {
                // Helpers have no other way to say that a user never logged in.
                Ok(DockerCredential::UsernamePassword(user, password))
                    if user.is_empty() && password.is_empty() => {}
                Ok(DockerCredential::UsernamePassword(user, password)) => {
                    return Ok(Some(Self::Password { user, password }));
                }
                Ok(DockerCredential::IdentityToken(token)) => {
                    return Ok(Some(Self::IdentityToken(token)));
                }
                Err(error) => {
                    if let Some(why) = fault(&error) {
                        return Err(CredentialsError::Unusable {
                            path: path.to_owned(),
                            registry: registry.to_owned(),
                            why,
                        });
                    }
                }
            }
        }
        Ok(None)
    }
}

/// What is wrong, where the answer is more than "there is none".
fn fault(error: &CredentialRetrievalError) -> Option<String> {
    match error {
        CredentialRetrievalError::NoCredentialConfigured
        | CredentialRetrievalError::ConfigNotFound => None,
        // The text that Docker's helpers share, `credentials not found in native keychain`.
        CredentialRetrievalError::HelperFailure { stdout, stderr, .. }
            if stdout.contains("credentials not found")
                || stderr.contains("credentials not found") =>
        {
            None
        }
        CredentialRetrievalError::HelperFailure { helper, stderr, .. } => {
            let said = attache_module::harmless(stderr.trim());
            Some(format!("the program `{helper}` failed and said `{said}`"))
        }
        CredentialRetrievalError::HelperCommunicationError => {
            Some("the program `docker-credential-…` that it names does not run".to_owned())
        }
        CredentialRetrievalError::MalformedHelperResponse => Some(
            "the program `docker-credential-…` that it names answers something else".to_owned(),
        ),
        CredentialRetrievalError::CredentialDecodingError => {
            Some("`auth` is not a user and a password in Base64".to_owned())
        }
        CredentialRetrievalError::CredentialMismatchError => {
            Some("`auth` and `username` with `password` differ".to_owned())
        }
        CredentialRetrievalError::ConfigReadError => {
            Some("it is not JSON as Docker writes it".to_owned())
        }
    }
}

/// Under which names a file may have them: those in podman's may be for a path in the registry, the longest counts.
fn keys(path: &Path, registry: &str, repository: &str) -> Vec<String> {
    if registry == "docker.io" {
        return vec![
            "https://index.docker.io/v1/".to_owned(),
            registry.to_owned(),
        ];
    }
    if !path.ends_with("auth.json") {
        return vec![registry.to_owned()];
    }
    let mut key = format!("{registry}/{repository}");
    let mut keys = Vec::new();
    while let Some((shorter, _)) = key.rsplit_once('/') {
        keys.push(key.clone());
        key = shorter.to_owned();
    }
    keys.push(key);
    keys
}

fn files() -> Vec<PathBuf> {
    let variable = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = variable("HOME");
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(home.clone()?.join(".docker")));
    let named = variable("REGISTRY_AUTH_FILE");
    let podman = match named {
        Some(file) => vec![file],
        None => [
            variable("XDG_RUNTIME_DIR"),
            home.map(|home| home.join(".config")),
        ]
        .into_iter()
        .flatten()
        .map(|folder| folder.join("containers/auth.json"))
        .collect(),
    };
    docker
        .map(|folder| folder.join("config.json"))
        .into_iter()
        .chain(podman)
        .collect()
}

/// Secrets stay out of logs and messages.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(text: &str, registry: &str, repository: &str) -> Result<Option<Credentials>, String> {
        let thread = format!("{:?}", std::thread::current().id());
        let folder = env::temp_dir().join(format!(
            "attache-credentials-{}-{}",
            std::process::id(),
            thread.replace(['(', ')'], "-")
        ));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("auth.json");
        fs::write(&path, text).unwrap();
        let found = Credentials::in_file(&path, registry, repository);
        fs::remove_dir_all(&folder).unwrap();
        found.map_err(|error| error.to_string())
    }

    fn user(user: &str) -> Credentials {
        Credentials::Password {
            user: user.to_owned(),
            password: "secret".to_owned(),
        }
    }

    #[test]
    fn a_file_of_docker_and_one_of_podman_are_read() {
        // ada:secret, bob:secret
        let text = r#"{ "auths": {
            "registry.example.com": { "auth": "YWRhOnNlY3JldA==" },
            "registry.example.com/team": { "auth": "Ym9iOnNlY3JldA==" },
            "https://index.docker.io/v1/": { "identitytoken": "refresh" }
        } }"#;
        let registry = "registry.example.com";
        assert_eq!(
            found(text, registry, "other/filter").unwrap(),
            Some(user("ada"))
        );
        assert_eq!(
            found(text, registry, "team/filter").unwrap(),
            Some(user("bob"))
        );
        assert_eq!(
            found(text, "docker.io", "library/x").unwrap(),
            Some(Credentials::IdentityToken("refresh".to_owned()))
        );
        assert_eq!(found(text, "elsewhere.example.com", "x").unwrap(), None);
    }

    #[test]
    fn a_broken_file_is_told_without_its_secrets() {
        for (text, expected) in [
            ("{", "not JSON"),
            (r#"{ "auths": { "r.io": { "auth": "?" } } }"#, "Base64"),
            (
                r#"{ "credHelpers": { "r.io": "no-such-helper-anywhere" } }"#,
                "does not run",
            ),
        ] {
            let error = found(text, "r.io", "x").unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(!format!("{:?}", user("ada")).contains("secret"));
    }
}
