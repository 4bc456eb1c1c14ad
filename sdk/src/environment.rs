use crate::error::Error;
use crate::host::surroundings;
use crate::plugin::Plugin;
use crate::secret::wipe;

impl Plugin {
    /// A variable of the VM's environment (`environment_variables` of Envoy's `VmConfig`); `None`
    /// when it is not there. This is the place for secrets, which then stand in no plugin
    /// configuration.
    ///
    /// Envoy takes them from the configuration, or, by `host_env_keys`, from its own environment; a
    /// key that Envoy's environment lacks is silently not there. Two host calls.
    ///
    /// ```
    /// # use attache::{ConfigError, Plugin};
    /// fn token(plugin: &Plugin) -> Result<String, ConfigError> {
    ///     plugin
    ///         .variable("UPSTREAM_TOKEN")?
    ///         .ok_or_else(|| ConfigError::at("", "the environment lacks UPSTREAM_TOKEN"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses, as one without the capabilities `environ_get` and
    /// `environ_sizes_get` does, and when the value is not UTF-8.
    pub fn variable(&self, name: &str) -> Result<Option<String>, Error> {
        variable(name)
    }
}

/// As [`Plugin::variable`].
pub(crate) fn variable(name: &str) -> Result<Option<String>, Error> {
    let bytes = surroundings::environment()?;
    let value = find(&bytes, name.as_bytes()).map(|value| String::from_utf8(value.to_vec()));
    // Whatever else is there may be a secret.
    wipe(bytes);
    value.transpose().map_err(|_| Error::garbled("environ_get"))
}

fn find<'a>(environment: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::double::{self, Answer};

    fn seen(environment: &[u8], name: &str) -> Result<Option<String>, Error> {
        double::answer([Answer::bytes(environment)]);
        variable(name)
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environment = b"TOKEN_OLD=a\0TOKEN=b=c\0EMPTY=\0";
        assert_eq!(seen(environment, "TOKEN").unwrap().unwrap(), "b=c");
        assert_eq!(seen(environment, "EMPTY").unwrap().unwrap(), "");
        assert_eq!(seen(environment, "TOK").unwrap(), None);
        assert_eq!(seen(environment, "").unwrap(), None);
        assert_eq!(seen(b"", "TOKEN").unwrap(), None);
    }

    #[test]
    fn a_value_that_is_no_text_is_an_error() {
        assert!(seen(b"TOKEN=\xff\0", "TOKEN").is_err());
    }

    #[test]
    fn whatever_the_host_answers_is_a_value_or_an_error() {
        for answer in double::hostile() {
            let good = answer.status == 0;
            double::answer([answer]);
            assert_eq!(variable("text").is_ok(), good);
        }
    }
}
