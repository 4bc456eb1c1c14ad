use attache::ConfigError;

use crate::config::{Config, NameMatching, RuleConfig};

/// What goes by default. The README's table is held against these by a test.
pub(crate) const DEFAULT_HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "x-forwarded-access-token",
];

/// What goes by default from the query.
pub(crate) const DEFAULT_PARAMETERS: [&str; 10] = [
    "access_token",
    "id_token",
    "token",
    "api_key",
    "apikey",
    "key",
    "sig",
    "signature",
    "password",
    "client_secret",
];

/// The configuration, ready to decide.
#[derive(Debug)]
pub struct Rules {
    matching: NameMatching,
    headers: Names,
    parameters: Names,
}

/// Names, folded as [`Rules::matching`] says.
#[derive(Debug, Default)]
struct Names {
    names: Vec<Vec<u8>>,
    /// A bit for each length that occurs, the last one for all from 63 on. Most headers differ from
    /// all names in length already, and each of them asks.
    lengths: u64,
}

impl Names {
    fn push(&mut self, name: Vec<u8>) {
        self.lengths |= length_bit(&name);
        self.names.push(name);
    }

    /// Whether `name`, folded, is among them.
    fn contain(&self, name: &[u8], fold: impl Fn(u8) -> u8) -> bool {
        self.lengths & length_bit(name) != 0 && self.names.iter().any(|own| same(own, name, &fold))
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

impl Rules {
    /// Checks a configuration.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for rules that would remove nothing.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let mut rules = Self {
            matching: config.name_matching,
            headers: Names::default(),
            parameters: Names::default(),
        };
        match config.rules {
            None => {
                for name in DEFAULT_HEADERS {
                    rules.add_header(name.as_bytes());
                }
                for name in DEFAULT_PARAMETERS {
                    rules.add_parameter(name.as_bytes());
                }
            }
            Some(list) if list.is_empty() => {
                return Err(ConfigError::at(
                    "/rules",
                    "an empty list removes nothing; leave `rules` out for the default credentials",
                ));
            }
            Some(list) => {
                for (index, rule) in list.iter().enumerate() {
                    rules.add(rule, index)?;
                }
            }
        }
        Ok(rules)
    }

    /// Whether a header of this name goes.
    #[must_use]
    pub fn names_header(&self, name: &[u8]) -> bool {
        self.headers.contain(name, |byte| self.fold_header(byte))
    }

    /// Whether a query parameter of this decoded name goes.
    #[must_use]
    pub fn names_parameter(&self, name: &[u8]) -> bool {
        self.parameters
            .contain(name, |byte| self.fold_parameter(byte))
    }

    fn add(&mut self, rule: &RuleConfig, index: usize) -> Result<(), ConfigError> {
        let request = &rule.request;
        if request.headers.is_empty() && request.query_parameters.is_empty() {
            return Err(ConfigError::at(
                format!("/rules/{index}/request"),
                "names neither `headers` nor `query_parameters`, so the rule removes nothing",
            ));
        }
        for header in &request.headers {
            self.add_header(header.name.as_bytes());
        }
        for parameter in &request.query_parameters {
            self.add_parameter(parameter.name.as_bytes());
        }
        Ok(())
    }

    fn add_header(&mut self, name: &[u8]) {
        let name = name.iter().map(|&byte| self.fold_header(byte)).collect();
        self.headers.push(name);
    }

    fn add_parameter(&mut self, name: &[u8]) {
        let name = name.iter().map(|&byte| self.fold_parameter(byte)).collect();
        self.parameters.push(name);
    }

    fn fold_header(&self, byte: u8) -> u8 {
        match byte {
            b'_' | b'.' if self.matching.underscore_equals_hyphen => b'-',
            byte => byte.to_ascii_lowercase(),
        }
    }

    /// The reader of the query hands names over with `.` and blank as `_`, so these are folded in
    /// the configuration too.
    fn fold_parameter(&self, byte: u8) -> u8 {
        match byte {
            b'.' | b' ' => b'_',
            byte if self.matching.query_ignores_case => byte.to_ascii_lowercase(),
            byte => byte,
        }
    }
}

/// Whether `name`, folded, is `own`, which already is.
fn same(own: &[u8], name: &[u8], fold: &impl Fn(u8) -> u8) -> bool {
    own.len() == name.len() && own.iter().zip(name).all(|(&own, &byte)| own == fold(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn rules(matching: NameMatching) -> Rules {
        Rules::new(Config {
            rules: None,
            name_matching: matching,
        })
        .unwrap()
    }

    #[test]
    fn each_spelling_of_a_default_header_goes() {
        let rules = rules(NameMatching::default());
        for name in DEFAULT_HEADERS {
            for spelling in [
                name.to_owned(),
                name.to_uppercase(),
                name.replace('-', "_"),
                name.replace('-', "."),
            ] {
                assert!(rules.names_header(spelling.as_bytes()), "{spelling}");
            }
        }
        for other in ["authorization2", "x-authorization", "cookie", "x-api", ""] {
            assert!(!rules.names_header(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn underscores_can_be_kept_apart() {
        let matching = NameMatching {
            underscore_equals_hyphen: false,
            ..NameMatching::default()
        };
        assert!(rules(matching).names_header(b"x-api-key"));
        assert!(!rules(matching).names_header(b"x_api_key"));
    }

    #[test]
    fn the_case_of_parameters_can_be_kept_apart() {
        let mut matching = NameMatching::default();
        assert!(rules(matching).names_parameter(b"Access_Token"));
        matching.query_ignores_case = false;
        assert!(!rules(matching).names_parameter(b"Access_Token"));
        assert!(rules(matching).names_parameter(b"access_token"));
    }
}
