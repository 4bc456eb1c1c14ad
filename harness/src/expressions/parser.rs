//! From words to terms, by CEL's grammar, with the limits of Envoy's parser.

use super::functions::{Function, Style};
use super::lexer::{Token, tokens};
use super::macros;
use super::syntax::{Operator, Term};
use super::value::Value;
use crate::protobuf::PACKAGES;

/// Why a text is no expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// Envoy cannot read it.
    Syntax,
    /// Envoy can read it, and has no function or no message of such a name.
    Missing,
    /// Envoy may know what it is about; this harness does not.
    Unknown(String),
}

/// A term, and how many terms its deepest part lies within, itself counted.
pub(super) struct Parsed {
    pub(super) term: Term,
    height: usize,
}

pub(super) type Parsing = Result<Parsed, Refused>;

/// Code points.
const LONGEST: usize = 100_000;
/// Terms within each other.
const HIGHEST: usize = 32;
/// Brackets of all kinds and branches of `?:` within each other.
const DEEPEST: usize = 33;

/// Reads an expression.
pub(crate) fn parse(text: &[u8]) -> Result<Term, Refused> {
    let text = str::from_utf8(text).map_err(|_| Refused::Syntax)?;
    if text.chars().count() > LONGEST {
        return Err(Refused::Syntax);
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        missing: None,
    };
    let parsed = parser.expression()?;
    match (parser.next(), parser.missing) {
        (Token::End, None) => Ok(parsed.term),
        (Token::End, Some(missing)) => Err(missing),
        _ => Err(Refused::Syntax),
    }
}

/// A term around others.
fn around(term: Term, heights: impl IntoIterator<Item = usize>) -> Parsing {
    let height = 1 + heights.into_iter().max().unwrap_or_default();
    if height > HIGHEST {
        return Err(Refused::Syntax);
    }
    Ok(Parsed { term, height })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// What was read and cannot be had.
    missing: Option<Refused>,
}

impl Parser {
    /// Goes on after something that cannot be had: what follows may be unreadable, which comes first.
    fn miss(&mut self, what: Refused) -> Term {
        if self.missing != Some(Refused::Missing) {
            self.missing = Some(what);
        }
        Term::Literal(Value::Null)
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Refused> {
        self.eat(sign).then_some(()).ok_or(Refused::Syntax)
    }

    /// `or ? or : expression`.
    fn expression(&mut self) -> Parsing {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refused::Syntax);
        }
        let mut parsed = self.or()?;
        if self.eat("?") {
            let then = self.or()?;
            self.expect(":")?;
            let other = self.expression()?;
            let heights = [parsed.height, then.height, other.height];
            let branches = Box::new([parsed.term, then.term, other.term]);
            parsed = around(Term::Choice(branches), heights)?;
        }
        self.depth -= 1;
        Ok(parsed)
    }

    fn or(&mut self) -> Parsing {
        self.chain("||", Self::and, Term::Any)
    }

    fn and(&mut self) -> Parsing {
        self.chain("&&", |parser| parser.binary(0), Term::All)
    }

    /// Two or more terms with a sign between them, which are as deep as two.
    fn chain(
        &mut self,
        sign: &str,
        part: impl Fn(&mut Self) -> Parsing,
        make: impl FnOnce(Vec<Term>) -> Term,
    ) -> Parsing {
        let first = part(self)?;
        if !self.is(sign) {
            return Ok(first);
        }
        let mut height = first.height;
        let mut terms = vec![first.term];
        while self.eat(sign) {
            let next = part(self)?;
            height = height.max(next.height);
            terms.push(next.term);
        }
        around(make(terms), [height])
    }

    /// Operators of two terms that bind at least as tightly as asked for, from the left.
    fn binary(&mut self, tightness: u8) -> Parsing {
        let mut left = self.unary()?;
        while let Some((operator, binds)) = self.operator().filter(|(_, binds)| *binds >= tightness)
        {
            self.at += 1;
            let right = self.binary(binds + 1)?;
            let heights = [left.height, right.height];
            let term = Term::Binary(operator, Box::new(left.term), Box::new(right.term));
            left = around(term, heights)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let Token::Sign(sign) = self.peek() else {
            return None;
        };
        Some(match *sign {
            "==" => (Operator::Equal, 0),
            "!=" => (Operator::NotEqual, 0),
            "<" => (Operator::Less, 0),
            "<=" => (Operator::LessOrEqual, 0),
            ">" => (Operator::Greater, 0),
            ">=" => (Operator::GreaterOrEqual, 0),
            "in" => (Operator::In, 0),
            "+" => (Operator::Add, 1),
            "-" => (Operator::Subtract, 1),
            "*" => (Operator::Multiply, 2),
            "/" => (Operator::Divide, 2),
            "%" => (Operator::Remainder, 2),
            _ => return None,
        })
    }

    /// Signs of one kind, of which an even number says nothing at all; one minus before a number is
    /// the number's.
    fn unary(&mut self) -> Parsing {
        for (sign, make) in [
            ("!", Term::Not as fn(Box<Term>) -> Term),
            ("-", Term::Negate),
        ] {
            let start = self.at;
            while self.eat(sign) {}
            let count = self.at - start;
            if count == 0 {
                continue;
            }
            if sign == "-" && count == 1 && self.number() {
                self.at = start;
                return self.member();
            }
            let member = self.member()?;
            return if count.is_multiple_of(2) {
                Ok(member)
            } else {
                around(make(Box::new(member.term)), [member.height])
            };
        }
        self.member()
    }

    fn number(&self) -> bool {
        matches!(
            self.peek(),
            Token::Int(_) | Token::Literal(Value::Double(_))
        )
    }

    /// A primary term with what follows it: fields, calls, indexes.
    fn member(&mut self) -> Parsing {
        let mut parsed = self.primary()?;
        loop {
            if self.eat(".") {
                parsed = match self.next() {
                    Token::Quoted(field) => select(parsed, field)?,
                    Token::Name(name) if self.eat("(") => self.call(name, Some(parsed))?,
                    Token::Name(field) => select(parsed, field)?,
                    _ => return Err(Refused::Syntax),
                };
            } else if self.eat("[") {
                let index = self.expression()?;
                self.expect("]")?;
                let heights = [parsed.height, index.height];
                let term = Term::Index(Box::new(parsed.term), Box::new(index.term));
                parsed = around(term, heights)?;
            } else if self.is("{") {
                let name = path(&parsed.term).ok_or(Refused::Syntax)?;
                parsed = self.message(&name)?;
            } else {
                return Ok(parsed);
            }
        }
    }

    fn primary(&mut self) -> Parsing {
        let absolute = self.eat(".");
        match self.next() {
            Token::Name(name) if self.eat("(") => {
                let name = if absolute { format!(".{name}") } else { name };
                self.call(name, None)
            }
            Token::Name(name) if !RESERVED.contains(&name.as_str()) => {
                let name = if absolute { format!(".{name}") } else { name };
                around(Term::Name(name), [])
            }
            _ if absolute => Err(Refused::Syntax),
            Token::Int(number) => {
                let number = i64::try_from(number).map_err(|_| Refused::Syntax)?;
                around(Term::Literal(Value::Int(number)), [])
            }
            Token::Literal(value) => around(Term::Literal(value), []),
            Token::Sign("-") => self.negative(),
            Token::Sign("(") => {
                let inside = self.expression()?;
                self.expect(")")?;
                Ok(inside)
            }
            Token::Sign("[") => {
                let (terms, heights) = self.terms("]", Trailing::Allowed)?;
                around(Term::List(terms), heights)
            }
            Token::Sign("{") => self.map(),
            _ => Err(Refused::Syntax),
        }
    }

    /// A number with its sign.
    fn negative(&mut self) -> Parsing {
        let value = match self.next() {
            Token::Int(number) => {
                let number = 0_i64.checked_sub_unsigned(number);
                Value::Int(number.ok_or(Refused::Syntax)?)
            }
            Token::Literal(Value::Double(number)) => Value::Double(-number),
            _ => return Err(Refused::Syntax),
        };
        around(Term::Literal(value), [])
    }

    fn map(&mut self) -> Parsing {
        let mut entries = Vec::new();
        let mut height = 0;
        if self.eat(",") {
            self.expect("}")?;
            return around(Term::Map(entries), []);
        }
        while !self.eat("}") {
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            height = height.max(key.height).max(value.height);
            entries.push((key.term, value.term));
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        around(Term::Map(entries), [height])
    }

    /// A message by its type: Envoy can make each of the thousands that it is built with.
    fn message(&mut self, name: &str) -> Parsing {
        self.expect("{")?;
        let mut height = 0;
        while !self.eat("}") {
            let (Token::Name(_) | Token::Quoted(_)) = self.next() else {
                return Err(Refused::Syntax);
            };
            self.expect(":")?;
            height = height.max(self.expression()?.height);
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        let package = name.trim_start_matches('.').split('.').next();
        let known = package.is_some_and(|package| PACKAGES.contains(&package));
        let term = self.miss(if known {
            Refused::Unknown(format!("a message `{name}`"))
        } else {
            Refused::Missing
        });
        around(term, [height])
    }

    fn call(&mut self, name: String, receiver: Option<Parsed>) -> Parsing {
        let (mut arguments, mut heights) = self.terms(")", Trailing::Refused)?;
        let style = match receiver {
            Some(receiver) => {
                if macros::named(&name, arguments.len()) {
                    heights.push(receiver.height);
                    return around(macros::each(&name, receiver.term, arguments)?, heights);
                }
                arguments.insert(0, receiver.term);
                heights.push(receiver.height);
                Style::Receiver
            }
            None if name == "has" && arguments.len() == 1 => {
                return around(macros::has(arguments)?, heights);
            }
            None => Style::Global,
        };
        let function = Function::find(name.trim_start_matches('.'), style, arguments.len());
        let term = match function {
            Some(function) => Term::Call(function, arguments),
            // The names of Envoy's own operators begin so.
            None if name.starts_with('_') => {
                self.miss(Refused::Unknown(format!("a function `{name}`")))
            }
            None => self.miss(Refused::Missing),
        };
        around(term, heights)
    }

    /// Terms with commas between them, up to a closing sign.
    fn terms(
        &mut self,
        closing: &str,
        trailing: Trailing,
    ) -> Result<(Vec<Term>, Vec<usize>), Refused> {
        let (mut terms, mut heights) = (Vec::new(), Vec::new());
        if trailing == Trailing::Allowed && self.eat(",") {
            self.expect(closing)?;
            return Ok((terms, heights));
        }
        if self.eat(closing) {
            return Ok((terms, heights));
        }
        loop {
            let parsed = self.expression()?;
            terms.push(parsed.term);
            heights.push(parsed.height);
            if self.eat(closing) {
                return Ok((terms, heights));
            }
            self.expect(",")?;
            if trailing == Trailing::Allowed && self.eat(closing) {
                return Ok((terms, heights));
            }
        }
    }
}

/// Whether a comma may stand behind the last term.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Trailing {
    Allowed,
    Refused,
}

fn select(of: Parsed, field: String) -> Parsing {
    around(Term::Select(Box::new(of.term), field), [of.height])
}

/// A name with fields, as it names a type.
fn path(term: &Term) -> Option<String> {
    match term {
        Term::Name(name) => Some(name.clone()),
        Term::Select(of, field) => Some(format!("{}.{field}", path(of)?)),
        _ => None,
    }
}

/// Words that cannot be names.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
