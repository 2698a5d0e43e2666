//! Accounts: who is in /etc/passwd and /etc/group. Read by ourselves, so that the answer is the same in every image.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;

use crate::command::Failure;

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub uid: u32,
    pub gid: u32,
    pub home: Vec<u8>,
    pub shell: Vec<u8>,
}

/// The account of this name.
pub(crate) fn account(name: &OsStr) -> Result<Option<Account>, Failure> {
    Ok(read("/etc/passwd")?.split(|&byte| byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        let [found, _, uid, gid, _, home, ref rest @ ..] = fields[..] else { return None };
        let shell = rest.first().map_or_else(Vec::new, |shell| shell.to_vec());
        let account = Account { uid: number(uid)?, gid: number(gid)?, home: home.to_vec(), shell };
        (found == name.as_bytes()).then_some(account)
    }))
}

/// The name of the user of this number.
pub(crate) fn user_name(uid: u32) -> Result<Option<Vec<u8>>, Failure> {
    Ok(read("/etc/passwd")?.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (number(found) == Some(uid)).then(|| name.to_vec())
    }))
}

/// The name of the group of this number.
pub(crate) fn group_name(gid: u32) -> Result<Option<Vec<u8>>, Failure> {
    Ok(groups()?.into_iter().find(|group| group.gid == gid).map(|group| group.name))
}

/// The number of the group of this name.
pub(crate) fn group(name: &OsStr) -> Result<Option<u32>, Failure> {
    Ok(groups()?.into_iter().find(|group| group.name == name.as_bytes()).map(|group| group.gid))
}

/// The groups that list this account as a member, in their order in the file. The account's own group need not be among them.
pub(crate) fn groups_of(name: &OsStr) -> Result<Vec<u32>, Failure> {
    let is_in = |group: &Group| group.members.iter().any(|member| member == name.as_bytes());
    Ok(groups()?.into_iter().filter(is_in).map(|group| group.gid).collect())
}

struct Group {
    name: Vec<u8>,
    gid: u32,
    members: Vec<Vec<u8>>,
}

fn groups() -> Result<Vec<Group>, Failure> {
    let parse = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        let [name, _, gid, members] = fields[..] else { return None };
        let members = members.split(|&byte| byte == b',').map(<[u8]>::to_vec).collect();
        Some(Group { name: name.to_vec(), gid: number(gid)?, members })
    };
    Ok(read("/etc/group")?.split(|&byte| byte == b'\n').filter_map(parse).collect())
}

/// An image without these files has no accounts.
fn read(file: &str) -> Result<Vec<u8>, Failure> {
    match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|error| Failure::system(format!("unable to read {file}: {error}"))),
    }
}

/// An id in decimal.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| all_digits)?.parse().ok()
}

/// Numbers with commas, colons, semicolons or blanks between them. None if something else is among them.
pub(crate) fn numbers(text: &[u8]) -> Option<Vec<u32>> {
    let parts = text.split(|byte| b",:; \t\r\n".contains(byte)).filter(|part| !part.is_empty());
    parts.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers() {
        assert_eq!(numbers(b"1,2:3 4\n"), Some(vec![1, 2, 3, 4]));
        assert_eq!(numbers(b""), Some(vec![]));
        for bad in ["1,x", "-1", "4294967296", "+1"] {
            assert_eq!(numbers(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn root_is_an_account() {
        assert_eq!(account(OsStr::new("root")).expect("/etc/passwd").map(|root| (root.uid, root.gid)), Some((0, 0)));
        assert_eq!(account(OsStr::new("no-such-account")).expect("/etc/passwd"), None);
        assert_eq!(group(OsStr::new("root")).expect("/etc/group"), Some(0));
    }
}
