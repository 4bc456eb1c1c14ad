use super::{Comparator, Fault};
use crate::json::{self, Value, owned};

/// A piece of an expression.
#[derive(Clone, Debug)]
pub(super) enum Token {
    Name(String),
    Quoted(String),
    Literal(Value<'static>),
    Raw(String),
    Number(i64),
    Compare(Comparator),
    Dot,
    Star,
    Flatten,
    Filter,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    LeftParenthesis,
    RightParenthesis,
    Comma,
    Colon,
    Current,
    Reference,
    Pipe,
    Or,
    And,
    Not,
    End,
}

/// The pieces with their places; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        while matches!(lexer.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            lexer.at += 1;
        }
        let at = lexer.at;
        let Some(byte) = lexer.peek() else {
            tokens.push((at, Token::End));
            return Ok(tokens);
        };
        tokens.push((at, lexer.token(byte)?));
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn fault(&self, reason: &'static str) -> Fault {
        Fault {
            at: self.at,
            reason,
        }
    }

    fn token(&mut self, byte: u8) -> Result<Token, Fault> {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => return Ok(Token::Name(self.name())),
            b'0'..=b'9' | b'-' => return self.number(),
            b'"' => return self.quoted(),
            b'\'' => return self.raw(),
            b'`' => return self.literal(),
            _ => self.at += 1,
        }
        Ok(match byte {
            b'.' => Token::Dot,
            b'*' => Token::Star,
            b']' => Token::RightBracket,
            b'{' => Token::LeftBrace,
            b'}' => Token::RightBrace,
            b'(' => Token::LeftParenthesis,
            b')' => Token::RightParenthesis,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'@' => Token::Current,
            b'[' if self.take(b']') => Token::Flatten,
            b'[' if self.take(b'?') => Token::Filter,
            b'[' => Token::LeftBracket,
            b'|' if self.take(b'|') => Token::Or,
            b'|' => Token::Pipe,
            b'&' if self.take(b'&') => Token::And,
            b'&' => Token::Reference,
            b'!' if self.take(b'=') => Token::Compare(Comparator::NotEqual),
            b'!' => Token::Not,
            b'<' if self.take(b'=') => Token::Compare(Comparator::LessOrEqual),
            b'<' => Token::Compare(Comparator::Less),
            b'>' if self.take(b'=') => Token::Compare(Comparator::GreaterOrEqual),
            b'>' => Token::Compare(Comparator::Greater),
            b'=' if self.take(b'=') => Token::Compare(Comparator::Equal),
            _ => {
                self.at -= 1;
                return Err(self.fault("expected JMESPath"));
            }
        })
    }

    fn name(&mut self) -> String {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.at += 1;
        }
        self.text[start..self.at].to_owned()
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        self.take(b'-');
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let number = self.text[start..self.at].parse();
        number
            .map(Token::Number)
            .map_err(|_| self.fault("expected a whole number"))
    }

    /// Up to the next `quote` that no backslash stands before, which is taken too.
    fn until(&mut self, quote: u8) -> Result<&str, Fault> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.fault("expected the end of the quotation")),
            }
        }
    }

    fn quoted(&mut self) -> Result<Token, Fault> {
        let text = format!("\"{}\"", self.until(b'"')?);
        match json::parse(&text).map(|document| document.value) {
            Ok(Value::String(text)) => Ok(Token::Quoted(text.decoded().into_owned())),
            _ => Err(self.fault("expected a string of JSON")),
        }
    }

    fn raw(&mut self) -> Result<Token, Fault> {
        let text = self.until(b'\'')?;
        Ok(Token::Raw(text.replace("\\'", "'")))
    }

    fn literal(&mut self) -> Result<Token, Fault> {
        let text = self.until(b'`')?.replace("\\`", "`");
        match json::parse(text.trim()) {
            Ok(document) => Ok(Token::Literal(owned(&document.value))),
            Err(_) => Err(self.fault("expected JSON between the backticks")),
        }
    }
}
