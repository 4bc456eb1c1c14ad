//! YAML with the line of every value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) line: u64,
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Located>),
    Map(Vec<(String, Located)>),
}

impl Located {
    /// The documents of a file.
    pub(crate) fn documents(text: &str) -> Result<Vec<Self>, serde_saphyr::Error> {
        serde_saphyr::from_multiple::<Spanned<Node>>(text)
            .map(|documents| documents.into_iter().map(Self::from).collect())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.node {
            Node::Map(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value at the end of some keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(&self.node, Node::Scalar(Value::Bool(true)))
    }

    /// The values of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.node {
            Node::List(items) => items,
            _ => &[],
        }
    }

    /// The value without its lines.
    pub(crate) fn json(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => items.iter().map(Self::json).collect(),
            Node::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.json()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// The line of the value that a JSON Pointer names, or of the last one on the way that is there.
    pub(crate) fn line_at(&self, pointer: &str) -> u64 {
        let mut here = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &here.node {
                Node::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
                _ => here.get(&step),
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here.line
    }

    /// Calls `visit` with this value and everything in it, parents first.
    pub(crate) fn walk<'l>(&'l self, visit: &mut dyn FnMut(&'l Self)) {
        visit(self);
        match &self.node {
            Node::Scalar(_) => {}
            Node::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Node::Map(entries) => entries.iter().for_each(|(_, value)| value.walk(visit)),
        }
    }
}

impl From<Spanned<Node>> for Located {
    fn from(spanned: Spanned<Node>) -> Self {
        Self {
            line: spanned.referenced.line(),
            node: spanned.value,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).map_or(Value::Null, Value::Number);
        Ok(Node::Scalar(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Spanned<Node>>()? {
            items.push(item.into());
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Spanned<Node>>()? {
            entries.push((key, value.into()));
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_line() {
        let text = "a:\n  - b: 1\n    c: 'no'\n  - ~\n---\nd: [true,\n  1.5]\n";
        let documents = Located::documents(text).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].line_at("/a/0/c"), 3);
        assert_eq!(documents[0].line_at("/a/1"), 4);
        assert_eq!(documents[0].line_at("/a/0/nothing"), 2);
        assert_eq!(documents[1].line_at("/d/1"), 7);
        let values = documents[0].json();
        assert_eq!(
            values,
            serde_json::json!({ "a": [{ "b": 1, "c": "no" }, null] })
        );
        assert_eq!(documents[1].json(), serde_json::json!({ "d": [true, 1.5] }));
    }
}
