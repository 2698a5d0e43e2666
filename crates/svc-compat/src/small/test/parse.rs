//! Words into an expression.

/// An expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expression<'a> {
    Not(Box<Expression<'a>>),
    And(Box<[Expression<'a>; 2]>),
    Or(Box<[Expression<'a>; 2]>),
    /// A word alone.
    Word(&'a [u8]),
    /// An operator and a word, such as `-f FILE`.
    One(&'a [u8], &'a [u8]),
    /// An operator and the words on both sides of it.
    Two(&'a [u8], [&'a [u8]; 2]),
}

/// The index of the word that cannot stand where it does; that of the end if something is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub usize);

const UNARY: [&[u8]; 24] = [
    b"-n", b"-z", b"-f", b"-h", b"-L", b"-e", b"-k", b"-b", b"-c", b"-d", b"-g", b"-p", b"-r", b"-s", b"-t", b"-u", b"-w",
    b"-x", b"-O", b"-U", b"-G", b"-S", b"-N", b"-v",
];

const BINARY: [&[u8]; 16] =
    [b"=", b"!=", b"-eq", b"-ne", b"-gt", b"-ge", b"-lt", b"-le", b"-nt", b"-ot", b"-ef", b"<", b"<=", b">", b">=", b"=~"];

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a [u8]),
    Unary(&'a [u8]),
    Binary(&'a [u8]),
    Open,
    Close,
    Not,
    And,
    Or,
}

fn token(word: &[u8]) -> Token<'_> {
    match word {
        b"(" => Token::Open,
        b")" => Token::Close,
        b"!" => Token::Not,
        b"-a" => Token::And,
        b"-o" => Token::Or,
        _ if UNARY.contains(&word) => Token::Unary(word),
        _ if BINARY.contains(&word) => Token::Binary(word),
        _ => Token::Word(word.strip_prefix(b"\\").unwrap_or(word)),
    }
}

pub(super) fn parse<'a>(words: &[&'a [u8]]) -> Result<Expression<'a>, Wrong> {
    let tokens: Vec<Token<'a>> = words.iter().map(|word| token(word)).collect();
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let expression = parser.any()?;
    if parser.at == tokens.len() { Ok(expression) } else { Err(Wrong(parser.at)) }
}

struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
}

impl<'a> Parser<'_, 'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    /// Takes the next token if it is this one.
    fn take(&mut self, token: Token) -> bool {
        let is_it = self.peek() == Some(token);
        self.at += usize::from(is_it);
        is_it
    }

    fn any(&mut self) -> Result<Expression<'a>, Wrong> {
        let mut left = self.all()?;
        while self.take(Token::Or) {
            left = Expression::Or(Box::new([left, self.all()?]));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Expression<'a>, Wrong> {
        let mut left = self.one()?;
        while self.take(Token::And) {
            left = Expression::And(Box::new([left, self.one()?]));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expression<'a>, Wrong> {
        let mut nots = 0_usize;
        while self.take(Token::Not) {
            nots += 1;
        }
        let inner = match self.peek() {
            Some(Token::Open) => {
                self.at += 1;
                let inner = self.any()?;
                if !self.take(Token::Close) {
                    return Err(Wrong(self.at));
                }
                inner
            }
            Some(Token::Unary(operator)) => {
                self.at += 1;
                Expression::One(operator, self.word()?)
            }
            _ => {
                let left = self.word()?;
                match self.peek() {
                    Some(Token::Binary(operator)) => {
                        self.at += 1;
                        Expression::Two(operator, [left, self.word()?])
                    }
                    _ => Expression::Word(left),
                }
            }
        };
        Ok((0..nots).fold(inner, |inner, _| Expression::Not(Box::new(inner))))
    }

    fn word(&mut self) -> Result<&'a [u8], Wrong> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(Wrong(self.at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_wrong(text: &str, at: usize) {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        assert_eq!(parse(&words), Err(Wrong(at)), "{text}");
    }

    #[test]
    fn what_cannot_be_is_pointed_at() {
        assert_wrong("-n", 1);
        assert_wrong("-n =", 1);
        assert_wrong("a b", 1);
        assert_wrong("= a", 0);
        assert_wrong("a = = b", 2);
        assert_wrong("( a", 2);
        assert_wrong("a )", 1);
        assert_wrong("( )", 1);
        assert_wrong("a -a", 2);
        assert_wrong("-n a = b", 2);
        assert_wrong("!", 1);
    }

    #[test]
    fn and_binds_closer_than_or() {
        let words: [&[u8]; 6] = [b"a", b"-o", b"!", b"\\!", b"-a", b"c"];
        let not = Expression::Not(Box::new(Expression::Word(b"!")));
        let and = Expression::And(Box::new([not, Expression::Word(b"c")]));
        assert_eq!(parse(&words), Ok(Expression::Or(Box::new([Expression::Word(b"a"), and]))));
    }
}
