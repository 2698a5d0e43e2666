//! Names of services.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;

/// The longest name of a service, in bytes. s6-svscan skips names above 251, because it must fit its own suffixes behind
/// them; we keep the number, so that a directory runs under both.
pub const MAX_NAME: usize = 251;

/// A checked name: `web`, or `web/log` for the logger of `web`. A copy is the same text: svc-scan has several of each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// Checks the name of a directory entry. Entries that start with a dot are nobody's service; ask before calling.
    pub fn new(entry: &[u8]) -> Result<ServiceName, NameError> {
        if entry.len() > MAX_NAME {
            return Err(NameError::TooLong(entry.len()));
        }
        let text = core::str::from_utf8(entry).map_err(|_| NameError::NotUtf8)?;
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        match text.chars().find(|c| c.is_control() || *c == '/' || turns_text(*c)) {
            Some(character) => Err(NameError::Character(character)),
            None => Ok(ServiceName(text.into())),
        }
    }

    /// The name of this service's logger.
    pub fn logger(&self) -> ServiceName {
        ServiceName(format!("{}/log", self.0).into())
    }

    /// Reads back what [`ServiceName::as_str`] gave, `web/log` included.
    pub fn parse(text: &str) -> Result<ServiceName, NameError> {
        match text.strip_suffix("/log") {
            Some(service) => ServiceName::new(service.as_bytes()).map(|name| name.logger()),
            None => ServiceName::new(text.as_bytes()),
        }
    }

    /// The service that this is the logger of, if it is one.
    pub fn producer(&self) -> Option<ServiceName> {
        self.0.strip_suffix("/log").map(|name| ServiceName(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// In maps it is found by its text, and has the same place there.
impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&ServiceName> for Arc<str> {
    fn from(name: &ServiceName) -> Arc<str> {
        name.0.clone()
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that are not seen, and change the order in which a terminal shows others (Unicode Standard Annex 9, 2.1 to 2.5).
pub fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why a directory's name is not the name of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    Empty,
    TooLong(usize),
    NotUtf8,
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str(&self.what()),
            NameError::TooLong(_) | NameError::NotUtf8 | NameError::Character(_) => {
                write!(f, "{}: rename the directory", self.what())
            }
        }
    }
}

impl NameError {
    /// Without the cure, which is another one where it is not the name of a directory.
    pub fn what(&self) -> String {
        match self {
            NameError::Empty => "the name is empty".into(),
            NameError::TooLong(length) => format!("the name has {length} bytes, and {MAX_NAME} is the most"),
            NameError::NotUtf8 => "the name is not UTF-8".into(),
            NameError::Character(c) => format!("the name contains {}", c.escape_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(ServiceName::new(b"web").map(|n| n.logger().as_str().len()), Ok(7));
        assert_eq!(ServiceName::new(b""), Err(NameError::Empty));
        assert_eq!(ServiceName::new(&[b'a'; 252]), Err(NameError::TooLong(252)));
        assert_eq!(ServiceName::new(&[0xff, b'a']), Err(NameError::NotUtf8));
        assert_eq!(ServiceName::new(b"a\nb"), Err(NameError::Character('\n')));
        assert_eq!(ServiceName::new(b"a/b"), Err(NameError::Character('/')));
        assert_eq!(ServiceName::new("a\u{202e}b".as_bytes()), Err(NameError::Character('\u{202e}')));
        assert!(ServiceName::new("café au lait".as_bytes()).is_ok());
    }

    #[test]
    fn a_logger_knows_its_producer() {
        let web = ServiceName::parse("web").expect("a plain name");
        assert_eq!(web.logger().producer(), Some(web.clone()));
        assert_eq!(web.producer(), None);
        assert_eq!(ServiceName::parse("web/log"), Ok(web.logger()));
    }
}
