//! From a text to a tree.

use std::iter::Peekable;
use std::str::CharIndices;

use super::{Fault, Value};

/// How deep a tree may be.
const DEPTH: usize = 100;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Value(Value),
    /// `self`, or the word of a loop.
    Name(String),
    List(Vec<Self>),
    Select(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    Has(Box<Self>, String),
    Call(&'static str, Vec<Self>),
    Loop(Loop, Box<Self>, String, Box<Self>),
    Not(Box<Self>),
    Minus(Box<Self>),
    Binary(&'static str, Box<Self>, Box<Self>),
    Choice(Box<[Self; 3]>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Loop {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

/// What can be called of a value or of nothing, and with how many arguments beside it.
const METHODS: [(&str, usize); 11] = [
    ("size", 0),
    ("contains", 1),
    ("startsWith", 1),
    ("endsWith", 1),
    ("upperAscii", 0),
    ("lowerAscii", 0),
    ("getScheme", 0),
    ("getHost", 0),
    ("getHostname", 0),
    ("getPort", 0),
    ("getEscapedPath", 0),
];
const FUNCTIONS: [&str; 4] = ["size", "isURL", "url", "duration"];

/// Operators by how tightly they bind.
const OPERATORS: [&[&str]; 5] = [
    &["||"],
    &["&&"],
    &["==", "!=", "<=", ">=", "<", ">", "in"],
    &["+", "-"],
    &["*", "/", "%"],
];

const SIGNS: [&str; 25] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}", "=",
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Value(Value),
    Word(String),
    Sign(&'static str),
}

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        names: vec!["self".to_owned()],
        depth: 0,
    };
    let node = parser.expression()?;
    match parser.tokens {
        [] => Ok(node),
        [next, ..] => Err(unknown(next)),
    }
}

fn unknown(token: &Token) -> Fault {
    Fault::Unknown(match token {
        Token::Value(_) => "a value in this place".to_owned(),
        Token::Word(word) => word.clone(),
        Token::Sign(sign) => (*sign).to_owned(),
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut symbols = text.char_indices().peekable();
    while let Some(&(at, symbol)) = symbols.peek() {
        let rest = &text[at..];
        if symbol.is_whitespace() {
            symbols.next();
        } else if let Some(quote) = ["r'", "r\"", "'", "\""]
            .iter()
            .find(|it| rest.starts_with(**it))
        {
            for _ in quote.chars() {
                symbols.next();
            }
            tokens.push(Token::Value(Value::Text(quoted(&mut symbols, quote)?)));
        } else if symbol.is_ascii_digit() {
            let word = taken(&mut symbols, |it| it.is_ascii_alphanumeric() || it == '.');
            let number = match word.parse::<i64>() {
                Ok(it) => Value::Int(it),
                Err(_) => Value::Double(word.parse().map_err(|_| Fault::Unknown(word))?),
            };
            tokens.push(Token::Value(number));
        } else if symbol.is_ascii_alphabetic() || symbol == '_' {
            let word = taken(&mut symbols, |it| it.is_ascii_alphanumeric() || it == '_');
            tokens.push(match word.as_str() {
                "true" => Token::Value(Value::Bool(true)),
                "false" => Token::Value(Value::Bool(false)),
                "null" => Token::Value(Value::Null),
                "in" => Token::Sign("in"),
                _ => Token::Word(word),
            });
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| Fault::Unknown(symbol.to_string()))?;
            for _ in sign.chars() {
                symbols.next();
            }
            tokens.push(Token::Sign(sign));
        }
    }
    Ok(tokens)
}

fn taken(symbols: &mut Peekable<CharIndices<'_>>, fits: impl Fn(char) -> bool) -> String {
    let mut word = String::new();
    while let Some((_, symbol)) = symbols.next_if(|(_, symbol)| fits(*symbol)) {
        word.push(symbol);
    }
    word
}

fn quoted(symbols: &mut Peekable<CharIndices<'_>>, quote: &str) -> Result<String, Fault> {
    let is_raw = quote.starts_with('r');
    let end = quote.chars().last();
    let mut text = String::new();
    while let Some((_, symbol)) = symbols.next() {
        match symbol {
            symbol if Some(symbol) == end => return Ok(text),
            '\\' if !is_raw => text.push(match symbols.next().map(|(_, it)| it) {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(it @ ('\\' | '\'' | '"' | '`' | '?')) => it,
                _ => return Err(Fault::Unknown("\\".to_owned())),
            }),
            symbol => text.push(symbol),
        }
    }
    Err(Fault::Unknown("a text without end".to_owned()))
}

struct Parser<'t> {
    tokens: &'t [Token],
    names: Vec<String>,
    depth: usize,
}

impl Parser<'_> {
    fn expression(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::Unknown("an expression so deep".to_owned()));
        }
        let mut node = self.binary(0)?;
        if self.takes("?") {
            let one = self.expression()?;
            self.expect(":")?;
            let other = self.expression()?;
            node = Node::Choice(Box::new([node, one, other]));
        }
        self.depth -= 1;
        Ok(node)
    }

    fn binary(&mut self, level: usize) -> Result<Node, Fault> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        let mut count = 0;
        while let Some(Token::Sign(sign)) = self.tokens.first()
            && operators.contains(sign)
        {
            count += 1;
            if count > DEPTH {
                return Err(Fault::Unknown("an expression so long".to_owned()));
            }
            self.tokens = &self.tokens[1..];
            let right = self.binary(level + 1)?;
            left = Node::Binary(sign, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::Unknown("an expression so deep".to_owned()));
        }
        let node = if self.takes("!") {
            Node::Not(Box::new(self.unary()?))
        } else if self.takes("-") {
            Node::Minus(Box::new(self.unary()?))
        } else {
            self.member()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn member(&mut self) -> Result<Node, Fault> {
        let mut node = self.primary()?;
        for _ in 0..DEPTH {
            if self.takes("[") {
                let index = self.expression()?;
                self.expect("]")?;
                node = Node::Index(Box::new(node), Box::new(index));
            } else if self.takes(".") {
                let word = self.word()?;
                node = match self.takes("(") {
                    true => self.method(node, &word)?,
                    false => Node::Select(Box::new(node), word),
                };
            } else {
                return Ok(node);
            }
        }
        Err(Fault::Unknown("a chain so long".to_owned()))
    }

    fn method(&mut self, of: Node, word: &str) -> Result<Node, Fault> {
        let kind = match word {
            "all" => Loop::All,
            "exists" => Loop::Exists,
            "exists_one" => Loop::ExistsOne,
            "map" => Loop::Map,
            "filter" => Loop::Filter,
            _ => {
                let arguments = self.arguments()?;
                let known = METHODS.iter().find(|(name, _)| *name == word);
                return match known {
                    Some((name, count)) if *count == arguments.len() => {
                        let all = [of].into_iter().chain(arguments);
                        Ok(Node::Call(name, all.collect()))
                    }
                    _ => Err(Fault::Unknown(format!("{word}()"))),
                };
            }
        };
        let name = self.word()?;
        self.expect(",")?;
        self.names.push(name.clone());
        let body = self.expression();
        self.names.pop();
        self.expect(")")?;
        Ok(Node::Loop(kind, Box::new(of), name, Box::new(body?)))
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let Some((token, rest)) = self.tokens.split_first() else {
            return Err(Fault::Unknown("an end in this place".to_owned()));
        };
        self.tokens = rest;
        match token {
            Token::Value(value) => Ok(Node::Value(value.clone())),
            Token::Sign("(") => {
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            Token::Sign("[") => Ok(Node::List(self.elements("]")?)),
            Token::Word(word) if self.takes("(") => self.function(word),
            Token::Word(word) if self.names.contains(word) => Ok(Node::Name(word.clone())),
            other => Err(unknown(other)),
        }
    }

    fn function(&mut self, word: &str) -> Result<Node, Fault> {
        let mut arguments = self.arguments()?;
        if word == "has" {
            return match (arguments.pop(), arguments.is_empty()) {
                (Some(Node::Select(of, name)), true) => Ok(Node::Has(of, name)),
                _ => Err(Fault::Unknown("has() of no field".to_owned())),
            };
        }
        let known = FUNCTIONS.iter().find(|name| **name == word);
        match known {
            Some(name) if arguments.len() == 1 => Ok(Node::Call(name, arguments)),
            _ => Err(Fault::Unknown(format!("{word}()"))),
        }
    }

    fn arguments(&mut self) -> Result<Vec<Node>, Fault> {
        self.elements(")")
    }

    fn elements(&mut self, end: &'static str) -> Result<Vec<Node>, Fault> {
        let mut all = Vec::new();
        while !self.takes(end) {
            if !all.is_empty() {
                self.expect(",")?;
            }
            all.push(self.expression()?);
        }
        Ok(all)
    }

    fn word(&mut self) -> Result<String, Fault> {
        match self.tokens.split_first() {
            Some((Token::Word(word), rest)) => {
                self.tokens = rest;
                Ok(word.clone())
            }
            Some((other, _)) => Err(unknown(other)),
            None => Err(Fault::Unknown("an end in this place".to_owned())),
        }
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Sign(next), rest)) if *next == sign => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Fault> {
        match (self.takes(sign), self.tokens.first()) {
            (true, _) => Ok(()),
            (false, Some(other)) => Err(unknown(other)),
            (false, None) => Err(Fault::Unknown("an end in this place".to_owned())),
        }
    }
}
