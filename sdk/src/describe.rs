//! What a module says of itself when it is built.
//!
//! `attache build` calls the export `attache_describe` once, in an interpreter without a host, writes
//! the answer to the module's custom section `attache.module`, and drops the export with all that only
//! it needs. No proxy ever calls it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::json;

use crate::kind::Registered;

/// The package that a module is made of, as its manifest says.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "written by `filters!`")]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// A line for people; may be empty.
    pub description: &'static str,
    /// Its licence, as an SPDX expression; may be empty.
    pub license: &'static str,
}

/// A filter, as the description shows it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Described {
    root_id: &'static str,
    kind: &'static str,
    configuration: fn() -> Schema,
}

/// Describes a filter. Its kind is inferred.
#[doc(hidden)]
#[must_use]
pub const fn described<F: Registered<Kind>, Kind>(root_id: &'static str) -> Described {
    Described {
        root_id,
        kind: F::KIND,
        configuration: schema_of::<F::Settings>,
    }
}

/// The schema of a configuration.
pub(crate) fn schema_of<T: JsonSchema>() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<T>();
    // Without a configuration, Envoy hands over nothing, which is read as the empty object.
    if schema.get("type").is_some_and(|kind| kind == "null") {
        schema.insert("type".to_owned(), json!(["null", "object"]));
        schema.insert("maxProperties".to_owned(), json!(0));
    }
    schema
}

/// The answer of `attache_describe`: where the description is, in the upper half, and how long it
/// is. The memory is never freed, because the module is thrown away then.
#[doc(hidden)]
#[must_use]
pub fn describe(package: &Package, filters: &[Described]) -> u64 {
    let text: &'static mut str = description(package, filters).leak();
    (text.as_ptr().addr() as u64) << 32 | text.len() as u64
}

fn description(package: &Package, filters: &[Described]) -> String {
    #[derive(Serialize)]
    struct Module<'a> {
        sdk: &'static str,
        #[serde(flatten)]
        package: &'a Package,
        filters: Vec<Filter>,
    }
    #[derive(Serialize)]
    struct Filter {
        root_id: &'static str,
        kind: &'static str,
        configuration: Schema,
    }
    let module = Module {
        sdk: env!("CARGO_PKG_VERSION"),
        package,
        filters: filters
            .iter()
            .map(|filter| Filter {
                root_id: filter.root_id,
                kind: filter.kind,
                configuration: (filter.configuration)(),
            })
            .collect(),
    };
    // Texts, lists and schemas always become JSON; what reads the answer refuses an empty one.
    serde_json::to_string(&module).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::{ConfigError, Error, HttpFilter, Next, Plugin, Request, Response};

    /// What it is for.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        /// How many.
        #[expect(dead_code, reason = "the schema is the subject")]
        limit: u8,
    }

    struct Limit;

    impl HttpFilter for Limit {
        type Config = Config;

        fn configure(_config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
            next.forward(request)
        }
    }

    #[test]
    fn where_there_is_nothing_to_configure_an_empty_object_is_valid_too() {
        let schema = schema_of::<()>();
        assert_eq!(schema.get("type"), Some(&json!(["null", "object"])));
        assert_eq!(schema.get("maxProperties"), Some(&json!(0)));
    }

    #[test]
    fn a_description_names_package_and_filters_with_their_schemas() {
        let package = Package {
            name: "limits",
            version: "1.2.3",
            description: "",
            license: "Apache-2.0",
        };
        let text = description(&package, &[described::<Limit, _>("limit")]);
        let module: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(module["name"], "limits");
        assert_eq!(module["sdk"], env!("CARGO_PKG_VERSION"));
        let filter = &module["filters"][0];
        assert_eq!(
            (&filter["root_id"], &filter["kind"]),
            (&"limit".into(), &"http".into())
        );
        let schema = &filter["configuration"];
        assert_eq!(schema["description"], "What it is for.");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["limit"]["maximum"], 255);
    }
}
