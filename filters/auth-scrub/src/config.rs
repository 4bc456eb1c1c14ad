use attache::schemars::{self, JsonSchema};
use serde::Deserialize;

/// The plugin configuration, as JSON. The README has the table of all fields.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// What to remove; absent for the default credentials. An empty list is refused: a filter that
    /// removes nothing is almost always a mistake.
    pub rules: Option<Vec<RuleConfig>>,
    /// Which names count as the same.
    #[serde(default)]
    pub name_matching: NameMatching,
}

/// One rule. All rules apply.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RuleConfig {
    /// A word for people who read the configuration.
    #[serde(default)]
    pub name: String,
    /// What to remove from requests.
    pub request: RequestConfig,
}

/// What a rule removes from requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RequestConfig {
    /// Headers by name.
    #[serde(default)]
    pub headers: Vec<HeaderConfig>,
    /// Query parameters by their decoded name.
    #[serde(default)]
    pub query_parameters: Vec<ParameterConfig>,
}

/// A header to remove.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HeaderConfig {
    /// Its name, in any case.
    pub name: Removable,
    /// What to do with it.
    pub action: Action,
}

/// A query parameter to remove.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ParameterConfig {
    /// Its name, decoded.
    pub name: ParameterName,
    /// What to do with it.
    pub action: Action,
}

/// What to do with a credential.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Take it out, in all its repetitions.
    Remove,
}

/// Which names count as the same.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct NameMatching {
    /// Whether `x_api_key` and `x.api.key` are `x-api-key`: CGI, WSGI and PHP upstreams read them
    /// as one variable. Default: true.
    pub underscore_equals_hyphen: bool,
    /// Whether `ACCESS_TOKEN` is the query parameter `access_token`, as it is to ASP.NET.
    /// Default: true.
    pub query_ignores_case: bool,
}

impl Default for NameMatching {
    fn default() -> Self {
        Self {
            underscore_equals_hyphen: true,
            query_ignores_case: true,
        }
    }
}

/// The name of a header that may be removed, in lower case: a token (RFC 9110, 5.6.2), and not a
/// header that the message itself needs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Removable(String);

impl Removable {
    /// In lower case.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<String> for Removable {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        // Not `http::HeaderName`: its table of standard names alone is a tenth of the module.
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.starts_with(':') {
            return Err("expected a header, found a pseudo header");
        }
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err("expected a header name: letters, digits and !#$%&'*+-.^_`|~");
        }
        match name.to_ascii_lowercase() {
            name if ["host", "content-length", "transfer-encoding"].contains(&name.as_str()) => {
                Err("this header is part of the message and cannot be removed")
            }
            name => Ok(Self(name)),
        }
    }
}

/// The name of a query parameter; never empty.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct ParameterName(String);

impl ParameterName {
    /// As it was given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<String> for ParameterName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.is_empty() {
            return Err("expected the name of a query parameter, found an empty string");
        }
        Ok(Self(name))
    }
}
