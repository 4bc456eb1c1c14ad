//! Operator precedence, as the specification's own parser has it.

use super::functions::Function;
use super::lexer::Token;
use super::{Comparator, Dialect, Fault, Node};
use crate::json::Value;

/// What binds weaker ends a projection.
const PROJECTION_ENDS: u8 = 10;

/// How deeply expressions may be nested.
const MAX_DEPTH: usize = 256;

/// How many tokens an expression has at most: evaluation calls itself once for each.
const MAX_TOKENS: usize = 1024;

pub(super) fn parse(tokens: Vec<(usize, Token)>, dialect: Dialect) -> Result<Node, Fault> {
    if let Some((at, _)) = tokens.get(MAX_TOKENS) {
        return Err(Fault {
            at: *at,
            reason: "an expression has at most 1024 names and operators",
        });
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        dialect,
    };
    let node = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.fault("expected an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    dialect: Dialect,
}

fn power(token: &Token) -> u8 {
    match token {
        Token::Pipe => 1,
        Token::Or => 2,
        Token::And => 3,
        Token::Compare(_) => 5,
        Token::Flatten => 9,
        Token::Star => 20,
        Token::Filter => 21,
        Token::Dot => 40,
        Token::Not => 45,
        Token::LeftBrace => 50,
        Token::LeftBracket => 55,
        Token::LeftParenthesis => 60,
        _ => 0,
    }
}

fn then(first: Node, second: Node) -> Node {
    Node::Then(Box::new(first), Box::new(second))
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn peek_behind(&self) -> &Token {
        self.tokens
            .get(self.at + 1)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn fault(&self, reason: &'static str) -> Fault {
        let last = self.tokens.len().saturating_sub(1);
        let place = self.tokens.get(self.at.min(last));
        Fault {
            at: place.map_or(0, |(at, _)| *at),
            reason,
        }
    }

    fn expect(&mut self, is: fn(&Token) -> bool, reason: &'static str) -> Result<(), Fault> {
        if !is(self.peek()) {
            return Err(self.fault(reason));
        }
        self.at += 1;
        Ok(())
    }

    fn expression(&mut self, weaker: u8) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault("expressions are nested too deeply"));
        }
        let mut left = self.prefix()?;
        while power(self.peek()) > weaker {
            left = self.infix(left)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Node, Fault> {
        let is_call = matches!(self.peek_behind(), Token::LeftParenthesis);
        Ok(match self.next() {
            Token::Name(name) if is_call => self.call(&name)?,
            Token::Name(name) => Node::Field(name),
            Token::Quoted(_) if is_call => {
                return Err(self.fault("a function's name stands without quotes"));
            }
            Token::Quoted(name) => Node::Field(name),
            Token::Literal(value) => Node::Literal(value),
            Token::Raw(text) => Node::Literal(Value::string(&text)),
            Token::Current => Node::Current,
            Token::Star => {
                let right = if matches!(self.peek(), Token::RightBracket) {
                    Node::Current
                } else {
                    self.projected(power(&Token::Star))?
                };
                Node::Values(Box::new(Node::Current), Box::new(right))
            }
            Token::Filter => self.filter(Node::Current)?,
            Token::LeftBrace => self.hash()?,
            Token::LeftParenthesis => {
                let inner = self.expression(0)?;
                self.expect(
                    |token| matches!(token, Token::RightParenthesis),
                    "expected `)`",
                )?;
                inner
            }
            Token::Flatten => {
                let right = self.projected(power(&Token::Flatten))?;
                Node::Projection(
                    Box::new(Node::Flatten(Box::new(Node::Current))),
                    Box::new(right),
                )
            }
            Token::Not => Node::Not(Box::new(self.expression(power(&Token::Not))?)),
            Token::LeftBracket => match (self.peek(), self.peek_behind()) {
                (Token::Number(_) | Token::Colon, _) => self.index(Node::Current)?,
                (Token::Star, Token::RightBracket) => self.all(Node::Current)?,
                _ => self.list()?,
            },
            _ => {
                self.at -= 1;
                return Err(self.fault("expected an expression"));
            }
        })
    }

    fn infix(&mut self, left: Node) -> Result<Node, Fault> {
        let token = self.next();
        let strength = power(&token);
        Ok(match token {
            Token::Dot => {
                if matches!(self.peek(), Token::Star) {
                    self.at += 1;
                    let right = self.projected(power(&Token::Star))?;
                    return Ok(Node::Values(Box::new(left), Box::new(right)));
                }
                then(left, self.behind_dot(strength)?)
            }
            Token::Pipe => match self.filter_name() {
                Some(function) => then(left, Node::Call(function, vec![Node::Current])),
                None => then(left, self.expression(strength)?),
            },
            Token::Or => Node::Or(Box::new(left), Box::new(self.expression(strength)?)),
            Token::And => Node::And(Box::new(left), Box::new(self.expression(strength)?)),
            Token::Compare(comparator) => self.comparison(comparator, left)?,
            Token::Flatten => {
                let right = self.projected(strength)?;
                Node::Projection(Box::new(Node::Flatten(Box::new(left))), Box::new(right))
            }
            Token::Filter => self.filter(left)?,
            Token::LeftBracket => match self.peek().clone() {
                Token::Number(_) | Token::Colon => self.index(left)?,
                Token::Raw(name) | Token::Quoted(name) if self.dialect == Dialect::Template => {
                    self.at += 1;
                    self.close_bracket()?;
                    then(left, Node::Field(name))
                }
                _ => self.all(left)?,
            },
            _ => {
                self.at -= 1;
                return Err(self.fault("expected an operator"));
            }
        })
    }

    fn comparison(&mut self, comparator: Comparator, left: Node) -> Result<Node, Fault> {
        let right = self.expression(power(&Token::Compare(comparator)))?;
        Ok(Node::Compare(comparator, Box::new(left), Box::new(right)))
    }

    /// In templates: a name behind `|` that is a function of one value and ends there.
    fn filter_name(&mut self) -> Option<Function> {
        let Token::Name(name) = self.peek() else {
            return None;
        };
        let ends = matches!(self.peek_behind(), Token::End | Token::Pipe);
        let function = Function::filter(name)?;
        if self.dialect != Dialect::Template || !ends {
            return None;
        }
        self.at += 1;
        Some(function)
    }

    fn behind_dot(&mut self, strength: u8) -> Result<Node, Fault> {
        match self.peek() {
            Token::Name(_) | Token::Quoted(_) | Token::Star => self.expression(strength),
            Token::LeftBracket => {
                self.at += 1;
                self.list()
            }
            Token::LeftBrace => {
                self.at += 1;
                self.hash()
            }
            _ => Err(self.fault("expected a name, `*`, `[` or `{`")),
        }
    }

    /// What is done with each element.
    fn projected(&mut self, strength: u8) -> Result<Node, Fault> {
        let next = self.peek();
        if power(next) < PROJECTION_ENDS {
            return Ok(Node::Current);
        }
        match next {
            Token::LeftBracket | Token::Filter => self.expression(strength),
            Token::Dot => {
                self.at += 1;
                self.behind_dot(strength)
            }
            _ => Err(self.fault("expected `.`, `[` or an operator")),
        }
    }

    fn close_bracket(&mut self) -> Result<(), Fault> {
        self.expect(|token| matches!(token, Token::RightBracket), "expected `]`")
    }

    /// `*]`
    fn all(&mut self, left: Node) -> Result<Node, Fault> {
        self.expect(
            |token| matches!(token, Token::Star),
            "expected a number, `:` or `*`",
        )?;
        self.close_bracket()?;
        let right = self.projected(power(&Token::Star))?;
        Ok(Node::Projection(Box::new(left), Box::new(right)))
    }

    /// `0]` or `start:stop:step]`
    fn index(&mut self, left: Node) -> Result<Node, Fault> {
        if let (Token::Number(index), Token::RightBracket) = (self.peek(), self.peek_behind()) {
            let index = Node::Index(*index);
            self.at += 2;
            return Ok(then(left, index));
        }
        let mut parts = [None; 3];
        let mut part = 0;
        loop {
            match self.next() {
                Token::RightBracket => break,
                Token::Colon if part < 2 => part += 1,
                Token::Number(number) if parts[part].is_none() => parts[part] = Some(number),
                _ => {
                    self.at -= 1;
                    return Err(self.fault("expected `start:stop:step]`"));
                }
            }
        }
        let [start, stop, step] = parts;
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err(self.fault("a slice's step is not 0"));
        }
        let slice = then(left, Node::Slice { start, stop, step });
        let right = self.projected(power(&Token::Star))?;
        Ok(Node::Projection(Box::new(slice), Box::new(right)))
    }

    /// `condition]` and what follows.
    fn filter(&mut self, left: Node) -> Result<Node, Fault> {
        let condition = self.expression(0)?;
        self.close_bracket()?;
        let right = if matches!(self.peek(), Token::Flatten) {
            Node::Current
        } else {
            self.projected(power(&Token::Filter))?
        };
        Ok(Node::Filter(
            Box::new(left),
            Box::new(right),
            Box::new(condition),
        ))
    }

    /// `a, b]`
    fn list(&mut self) -> Result<Node, Fault> {
        let mut nodes = Vec::new();
        loop {
            nodes.push(self.expression(0)?);
            match self.next() {
                Token::RightBracket => return Ok(Node::List(nodes)),
                Token::Comma => {}
                _ => {
                    self.at -= 1;
                    return Err(self.fault("expected `,` or `]`"));
                }
            }
        }
    }

    /// `key: a}`
    fn hash(&mut self) -> Result<Node, Fault> {
        let mut members = Vec::new();
        loop {
            let (Token::Name(key) | Token::Quoted(key)) = self.next() else {
                self.at -= 1;
                return Err(self.fault("expected a key"));
            };
            self.expect(|token| matches!(token, Token::Colon), "expected `:`")?;
            members.push((key, self.expression(0)?));
            match self.next() {
                Token::RightBrace => return Ok(Node::Hash(members)),
                Token::Comma => {}
                _ => {
                    self.at -= 1;
                    return Err(self.fault("expected `,` or `}`"));
                }
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Node, Fault> {
        let Some(function) = Function::named(name) else {
            self.at -= 1;
            return Err(self.fault("there is no such function"));
        };
        let start = self.at - 1;
        self.at += 1;
        let mut arguments = Vec::new();
        while !matches!(self.peek(), Token::RightParenthesis) {
            if !arguments.is_empty() {
                self.expect(|token| matches!(token, Token::Comma), "expected `,` or `)`")?;
            }
            arguments.push(if matches!(self.peek(), Token::Reference) {
                self.at += 1;
                Node::Reference(Box::new(self.expression(0)?))
            } else {
                self.expression(0)?
            });
        }
        self.at += 1;
        if !function.takes(arguments.len()) {
            self.at = start;
            return Err(self.fault("the function takes another number of arguments"));
        }
        for (index, argument) in arguments.iter().enumerate() {
            let is_reference = matches!(argument, Node::Reference(_));
            if is_reference != function.is_reference(index) {
                self.at = start;
                return Err(self.fault("`&expression` stands where the function takes one"));
            }
        }
        Ok(Node::Call(function, arguments))
    }
}
