use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::{Fault, Node, Place, Value};

/// Values of a file, those that aliases repeat counted again.
const MOST_NODES: usize = 200_000;
const DEEPEST: usize = 64;

/// What YAML 1.1 has for a key takes in another map, and YAML 1.2 does not know.
const MERGE: &str = "<<";

/// Reads one document.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    reader.document()
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let marker = error.marker();
                let place = Place {
                    line: marker.line(),
                    column: marker.col() + 1,
                };
                Err(Fault::at(
                    place,
                    format!("this is not YAML: {}", error.info()),
                ))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node, Fault> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => {
                    return Err(Fault::at(
                        Place { line: 1, column: 1 },
                        "the file is empty; a suite begins with `version: \"1\"`",
                    ));
                }
                (event, span) => {
                    let node = self.node(event, &span, 0)?;
                    self.end()?;
                    return Ok(node);
                }
            }
        }
    }

    /// Nothing may follow the first document.
    fn end(&mut self) -> Result<(), Fault> {
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, span) => {
                    return Err(Fault::at(
                        place(&span),
                        "a second document begins here; write each suite to a file of its own",
                    ));
                }
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Fault> {
        let before = self.nodes;
        self.count(1, span)?;
        if depth > DEEPEST {
            let reason = format!("nested more than {DEEPEST} deep");
            return Err(Fault::at(place(span), reason));
        }
        let anchor = event.anchor_id();
        let mut node = Node {
            place: place(span),
            span: span.byte_range().unwrap_or_default(),
            value: Value::List(Vec::new()),
            shared: anchor.is_some() || matches!(event, Event::Alias(_)),
        };
        match event {
            Event::Scalar(text, style, ..) => {
                node.value = Value::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
            }
            Event::SequenceStart(..) => {
                let mut elements = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => {
                            node.close(elements.last(), &end);
                            break;
                        }
                        (event, span) => {
                            let element = self.node(event, &span, depth + 1);
                            let index = elements.len();
                            elements.push(element.map_err(|fault| fault.within(index))?);
                        }
                    }
                }
                node.value = Value::List(elements);
            }
            Event::MappingStart(style, ..) => {
                node.value = self.map(&mut node, style, depth)?;
            }
            Event::Alias(anchor) => {
                let Some((shared, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Fault::at(place(span), "this alias is within what it names"));
                };
                self.count(size, span)?;
                node.value = shared.value;
                return Ok(node);
            }
            _ => return Err(Fault::at(place(span), "expected a value")),
        }
        // A text of several lines ends with the empty ones after it.
        let end = self.text[..node.span.end].trim_end().len();
        node.span.end = end.max(node.span.start);
        if let Some(anchor) = anchor {
            let size = self.nodes - before;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn map(
        &mut self,
        node: &mut Node,
        style: StructureStyle,
        depth: usize,
    ) -> Result<Value, Fault> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut lines = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                node.close(entries.last().map(|(_, value)| value), &span);
                break;
            }
            let key = self.node(event, &span, depth + 1)?;
            let Some(name) = key.as_key().map(str::to_owned) else {
                return Err(Fault::at(key.place, "expected a key made of letters"));
            };
            if name == MERGE && matches!(key.value, Value::Scalar { plain: true, .. }) {
                let reason = "merge keys are not read; write the keys out, or repeat a whole value by \
                              its alias, as in `request: *name`";
                return Err(Fault::at(key.place, reason).under(name));
            }
            if let Some(line) = lines.insert(name.clone(), key.place.line) {
                let reason = format!("this key stands in line {line} already; write it once");
                return Err(Fault::at(key.place, reason).under(name));
            }
            let (event, span) = self.next()?;
            let value = self
                .node(event, &span, depth + 1)
                .map_err(|fault| fault.under(&name))?;
            if entries.is_empty() && style == StructureStyle::Block {
                node.place = key.place;
                node.span.start = key.span.start;
            }
            entries.push((key, value));
        }
        Ok(Value::Map {
            entries,
            flow: style == StructureStyle::Flow,
        })
    }

    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            let reason = format!("the file has more than {MOST_NODES} values");
            return Err(Fault::at(place(span), reason));
        }
        Ok(())
    }
}

impl Node {
    /// Ends where the last value in it does, or with its bracket.
    fn close(&mut self, last: Option<&Self>, end: &Span) {
        let bracket = end.byte_range().unwrap_or_default();
        self.span.end = match last {
            // In block style the end is an empty span before whatever comes next.
            Some(last) if bracket.is_empty() => last.span.end,
            _ => bracket.end.max(self.span.start),
        };
    }
}

fn place(span: &Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn values_know_their_bytes() {
        let text = "a: 'x'  # why\nb:\n  - one\n  - {c: [1, 2]}  # flow\nd: |\n  text\n";
        let node = parse(text).unwrap();
        let bytes = |node: &Node| text[node.span.clone()].to_owned();
        assert_eq!(bytes(node.get("a").unwrap()), "'x'");
        let list = node.get("b").unwrap();
        assert_eq!(bytes(list.at(0).unwrap()), "one");
        assert_eq!(bytes(list.at(1).unwrap()), "{c: [1, 2]}");
        assert_eq!(bytes(list), "- one\n  - {c: [1, 2]}");
        assert_eq!(list.at(1).unwrap().place, Place { line: 4, column: 5 });
    }

    #[test]
    fn a_value_of_several_lines_ends_with_its_last_letter() {
        let text = "a: |\n  one\n  two\n\nb: >-\n  x\n";
        let node = parse(text).unwrap();
        assert_eq!(&text[node.get("a").unwrap().span.clone()], "one\n  two");
        assert_eq!(node.span.end, text.len() - 1);
    }

    #[test]
    fn a_key_given_twice_is_refused_with_both_lines() {
        assert_eq!(
            refusal("a:\n  b: 1\n  b: 2\n"),
            "3:3: a.b: this key stands in line 2 already; write it once"
        );
    }

    #[test]
    fn a_merge_key_is_refused_with_another_way() {
        assert!(
            refusal("a: &a {k: v}\nb: {<<: *a}\n")
                .starts_with("2:5: b.<<: merge keys are not read"),
        );
        assert!(parse("a: {'<<': v}\n").is_ok());
    }

    #[test]
    fn an_alias_repeats_a_value_within_bounds() {
        let node = parse("a: &x {k: v}\nb: *x\n").unwrap();
        assert_eq!(node.get("b").unwrap().get("k").unwrap().as_key(), Some("v"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = level - 1;
            let aliases = vec![format!("*a{below}"); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(refusal(&bomb).contains("more than 200000 values"));
        let deep = "[".repeat(70) + &"]".repeat(70);
        assert!(refusal(&deep).contains("nested more than 64 deep"));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        assert!(
            refusal("a: [1\nb: 2\n").starts_with("2:"),
            "{}",
            refusal("a: [1\nb: 2\n")
        );
        assert!(refusal("").contains("the file is empty"));
        assert!(refusal("a: 1\n---\nb: 2\n").contains("a second document"));
    }
}
