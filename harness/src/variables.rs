//! The environment variables of a VM: Envoy's `environment_variables`.

use std::collections::BTreeMap;

/// Variables as they are configured; part of a VM's identity, the order of `host_keys` included.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Variables {
    /// `key_values`.
    pub(crate) values: BTreeMap<String, String>,
    /// `host_env_keys`.
    pub(crate) host_keys: Vec<String>,
}

impl Variables {
    /// What a guest sees where the host's own variables are these, or the key that stands twice.
    pub(crate) fn seen(
        &self,
        host: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut seen = self.values.clone();
        for (index, key) in self.host_keys.iter().enumerate() {
            if self.values.contains_key(key) || self.host_keys[..index].contains(key) {
                return Err(key.clone());
            }
            if let Some(value) = host.get(key) {
                seen.insert(key.clone(), value.clone());
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once_even_where_the_host_has_it_not() {
        let of = |key: &str| (key.to_owned(), "1".to_owned());
        let host = BTreeMap::from([of("A"), of("B")]);
        let mut variables = Variables {
            values: BTreeMap::from([of("C")]),
            host_keys: vec!["A".to_owned(), "D".to_owned()],
        };
        assert_eq!(
            variables.seen(&host),
            Ok(BTreeMap::from([of("A"), of("C")]))
        );
        variables.host_keys.push("D".to_owned());
        assert_eq!(variables.seen(&host), Err("D".to_owned()));
        variables.host_keys = vec!["C".to_owned()];
        assert_eq!(variables.seen(&host), Err("C".to_owned()));
    }
}
