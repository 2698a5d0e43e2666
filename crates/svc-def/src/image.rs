//! What an image has of that which definitions need: asked when an image is checked, before anything is started in it. What may be
//! mounted, or made at the start, is missing only for now.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use svc_core::definition::{Language, Script};

use crate::errno;
use crate::execline;
use crate::explain::explain_exec;
use crate::look::{self, Look};
use crate::problem::{Problem, shown};
use crate::program::{self, Inspection, inspect};
use crate::rc::is_helped;
use crate::user::{self, User};

/// An image, or a system that runs.
#[derive(Debug, Clone)]
pub struct Image {
    /// Where its files are; the first one counts.
    roots: Vec<PathBuf>,
    /// Whether svc has a command of this name itself.
    is_ours: fn(&str) -> bool,
    /// Files of accounts and groups, each read once.
    users: OnceCell<String>,
    groups: OnceCell<String>,
    /// Whether a program is found, each looked for once: by the list of directories, and its name.
    programs: RefCell<HashMap<(String, String), bool>>,
    now: Option<Now>,
}

/// What it takes into account where services run: what they need must be there, and not in time only.
#[derive(Debug, Clone)]
struct Now {
    /// What is missing and no news; none: whatever is missing may be made before the start.
    known: Option<BTreeSet<String>>,
    /// Our own, where we make files for services.
    run_dir: Option<PathBuf>,
}

/// Who is listed in a file, and which one.
pub type Table = (&'static str, &'static str);
pub const USER: Table = ("user", "/etc/passwd");
pub const GROUP: Table = ("group", "/etc/group");

/// Where files come from somewhere else than the image.
const MADE_LATER: [&str; 9] = ["/run", "/var/run", "/tmp", "/var/tmp", "/dev", "/proc", "/sys", "/mnt", "/media"];

/// Something that is not there.
pub(crate) struct Lack {
    pub(crate) message: String,
    pub(crate) doubt: Doubt,
}

/// Why a service may start all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    None,
    /// It may be mounted or made before.
    MayCome,
    /// It may be right as it is.
    MayBeRight,
}

/// What is to stand at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Anything,
    Directory,
    File,
    /// A file, or a device that is read like one.
    Readable,
}

impl Form {
    fn is(self, path: &Path) -> bool {
        match self {
            Form::Anything => path.exists(),
            Form::Directory => path.is_dir(),
            Form::File => path.is_file(),
            Form::Readable => path.exists() && !path.is_dir(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Form::Anything => "there",
            Form::Directory => "a directory",
            Form::File | Form::Readable => "a file",
        }
    }
}

impl Image {
    /// Of one that stands below a directory, such as the source of a build, a part may come from its base: from what is here.
    pub fn new(root: &Path, is_ours: fn(&str) -> bool) -> Image {
        let mut roots = vec![root.to_owned(), "/".into()];
        roots.dedup();
        Image { roots, is_ours, users: OnceCell::new(), groups: OnceCell::new(), programs: RefCell::default(), now: None }
    }

    /// What is here now, for a service that is to start at once.
    pub(crate) fn now(run_dir: Option<&Path>) -> Image {
        let now = Now { known: None, run_dir: run_dir.map(Path::to_path_buf) };
        Image { now: Some(now), ..Image::new(Path::new("/"), |_| true) }
    }

    /// Nobody makes what is missing here, but for these it is no news.
    pub(crate) fn know(&mut self, missing: Vec<Problem>) {
        if let Some(now) = &mut self.now {
            now.known = Some(missing.into_iter().map(|problem| problem.message).collect());
        }
    }

    pub(crate) fn is_now(&self) -> bool {
        self.now.is_some()
    }

    /// Whether it keeps a service from being started. `varies`: the environment of a container decides what is looked for.
    pub(crate) fn stops(&self, message: &str, doubt: Doubt, varies: bool) -> bool {
        match (doubt, &self.now) {
            (Doubt::None, now) => now.is_some() || !varies,
            (Doubt::MayCome, Some(Now { known: Some(known), .. })) => !known.contains(message),
            (Doubt::MayCome, Some(Now { known: None, .. }) | None) | (Doubt::MayBeRight, _) => false,
        }
    }

    /// What is wrong at a path.
    pub(crate) fn no(&self, form: Form, path: &Path) -> Option<String> {
        if self.places(path).any(|path| form.is(&path)) {
            return None;
        }
        let (there, shown) = (self.places(path).find_map(|path| path.metadata().ok()), shown(path));
        if let Some(there) = there {
            return Some(format!("{shown} is {}, and must be {}: correct the name", look::kind(&there), form.name()));
        }
        let Some(now) = &self.now else { return Some(format!("{shown} is not in this image: mount it, or put it there")) };
        let is_ours = now.run_dir.as_ref().is_some_and(|run_dir| path.starts_with(run_dir));
        (!is_ours).then(|| match look::look(path) {
            Look::Trouble(trouble) => format!("{shown} {}", trouble.message()),
            Look::Absent | Look::Here(_) => format!("{shown} does not exist: make it, or correct the name"),
        })
    }

    /// The same, seen from a new root.
    pub(crate) fn below(&self, root: &Path) -> Image {
        let roots = self.places(root).filter(|root| root.is_dir()).collect();
        Image { roots, programs: RefCell::default(), ..self.clone() }
    }

    fn places(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        self.roots.iter().map(|root| root.join(path.strip_prefix("/").unwrap_or(path)))
    }

    pub(crate) fn has(&self, path: &Path) -> bool {
        self.places(path).any(|path| path.exists())
    }

    fn text(&self, table: &Table) -> &str {
        let read = || {
            let bytes = self.places(Path::new(table.1)).find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        if *table == USER { self.users.get_or_init(read) } else { self.groups.get_or_init(read) }
    }

    /// The line of a name or number in a file of accounts or groups.
    fn line(&self, table: &Table, name: &str) -> Option<&str> {
        self.text(table).lines().find(|line| {
            let mut fields = line.split(':');
            fields.next() == Some(name) || fields.nth(1) == Some(name)
        })
    }

    fn is_listed(&self, table: &Table, name: &str) -> bool {
        self.line(table, name).is_some()
    }

    /// Whom a service becomes, if that is known, and modes bind him. `groups`: in place of those of the account.
    pub(crate) fn user(&self, text: &str, groups: Option<&[String]>) -> Option<User> {
        let field = |line: &str, at: usize| line.split(':').nth(at)?.parse().ok();
        let id = |table: &Table, name: &str| match self.line(table, name) {
            Some(line) => field(line, 2),
            None => name.parse().ok(),
        };
        let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
        let uid = id(&USER, name)?;
        let gid = group.map_or_else(|| field(self.line(&USER, name)?, 3), |group| id(&GROUP, group))?;
        let others = match (groups, group) {
            (Some(groups), _) => groups.iter().filter_map(|group| id(&GROUP, group)).collect(),
            (None, Some(_)) if name.parse::<u32>().is_ok() => Vec::new(),
            (None, Some(_) | None) => {
                let name = self.line(&USER, name)?.split(':').next();
                let has =
                    |line: &&str| line.rsplit(':').next().is_some_and(|all| all.split(',').any(|one| Some(one) == name));
                self.text(&GROUP).lines().filter(has).filter_map(|line| field(line, 2)).collect()
            }
        };
        (uid != 0).then(|| User::new(uid, gid, others))
    }

    /// Why an account has no home.
    pub(crate) fn no_home(&self, user: &str) -> Option<String> {
        let name = user.split(':').next().unwrap_or_default();
        (!self.is_listed(&USER, name)).then(|| NO_HOME.to_owned())
    }

    /// What is wrong with who a service, or a file of it, is to belong to: `NAME`, `UID`, `NAME:GROUP` or `UID:GID`.
    pub(crate) fn no_user(&self, text: &str) -> Option<String> {
        let is_number = |text: &str| text.parse::<u32>().is_ok();
        let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
        if !self.is_listed(&USER, name) {
            if !is_number(name) {
                return Some(no_account(name));
            }
            if group.is_none() {
                return Some(no_group_of(name));
            }
        }
        self.no_line(&GROUP, group?)
    }

    /// The same of who is known by one file alone.
    pub(crate) fn no_line(&self, table: &Table, name: &str) -> Option<String> {
        let known = name.parse::<u32>().is_ok() || self.is_listed(table, name);
        (!known).then(|| no_line(table, name))
    }

    /// Why a program cannot be executed, by `user` if it is somebody else. `path`: where one without a slash is looked for; none
    /// where nobody knows yet.
    pub(crate) fn no_program(&self, program: &str, dir: &Path, path: Option<&str>, user: Option<&User>) -> Option<Lack> {
        let lack = |message| Some(Lack { message, doubt: Doubt::None });
        if !program.contains('/') {
            return match path {
                Some(path) if !self.is_found(program, dir, path) => lack(explain_exec(Path::new(program), errno::ENOENT)),
                Some(_) | None => None,
            };
        }
        let whole = dir.join(program);
        if !self.is_file(&whole) {
            // What is here may be missing there.
            let message = match self.roots.first() {
                Some(root) if whole.is_file() => {
                    format!("{}: is not in {}, where it is looked for: put it there", shown(&whole), shown(root))
                }
                Some(_) | None => explain_exec(&whole, errno::ENOENT),
            };
            let may_come = comes_later(&whole) || self.is_below_missing(dir, &whole);
            return Some(Lack { message, doubt: if may_come { Doubt::MayCome } else { Doubt::None } });
        }
        // Elsewhere its interpreter or loader is not where it will be.
        let is_here = self.roots.first().is_some_and(|root| root == Path::new("/"));
        match sure_fault(&whole, &|_| is_here) {
            Some(fault) => lack(format!("{}: {fault}", shown(&whole))),
            None => user.filter(|_| is_here).and_then(|user| unreachable(user, &whole)),
        }
    }

    /// Whether a program is in one of the directories of a list.
    fn is_found(&self, program: &str, dir: &Path, dirs: &str) -> bool {
        let look = || std::env::split_paths(dirs).any(|part| self.is_file(&dir.join(part).join(program)));
        if !dirs.split(':').all(|part| part.starts_with('/')) {
            // Where those are depends on who looks.
            return look();
        }
        *self.programs.borrow_mut().entry((dirs.to_owned(), program.to_owned())).or_insert_with(look)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.places(path).any(|path| path.is_file())
    }

    /// A directory that is mounted brings what is in it.
    fn is_below_missing(&self, dir: &Path, path: &Path) -> bool {
        path.starts_with(dir) && !self.has(dir)
    }

    /// What is wrong with the scripts of a oneshot, each beside the one that it is.
    pub(crate) fn scripts<'a>(&self, scripts: impl Iterator<Item = &'a Script>, problems: &mut Vec<Problem>) {
        use std::os::unix::ffi::OsStrExt;
        for script in scripts {
            let Script::File { path, language } = script else { continue };
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            let what = match language {
                Language::FirstLine => {
                    let fault = program::fault_of_first_line(path).filter(|message| !is_helped(message));
                    fault.map(|message| Lack { message, doubt: Doubt::None })
                }
                Language::Execline => {
                    let words = std::fs::read(path).ok().and_then(|script| execline::words(&script).ok());
                    let first = words.and_then(|words| words.into_iter().next()?.into_string().ok());
                    // Where there are no links to our commands, they are found all the same.
                    let first = first.filter(|first| !(self.is_ours)(first.strip_prefix("/command/").unwrap_or(first)));
                    let dirs = std::env::var("PATH").ok();
                    first.and_then(|first| self.no_program(&first, Path::new("/"), dirs.as_deref(), None))
                }
            };
            if let Some(Lack { message, doubt }) = what {
                problems.push(Problem { fatal: doubt == Doubt::None, ..Problem::fatal(path, message) });
            }
        }
    }
}

/// Why somebody cannot execute a program that is there.
fn unreachable(user: &User, program: &Path) -> Option<Lack> {
    let whole = std::fs::canonicalize(program).ok()?;
    let mut parts: Vec<&Path> = whole.ancestors().collect();
    parts.reverse();
    let there = parts.into_iter().filter_map(|part| Some((part, std::fs::metadata(part).ok()?)));
    let (part, metadata) = there.into_iter().find(|(_, metadata)| !user.may_enter(metadata))?;
    let what = if part == whole {
        user::not_for(&user.who(), &metadata, part)
    } else {
        let (what, cure) = look::closed_door(&user.who(), part, "reached");
        format!("{what}: {cure}")
    };
    // What an access list lets somebody do, the mode shows as rights of the group.
    let doubt = if metadata.mode() & 0o010 == 0 { Doubt::None } else { Doubt::MayBeRight };
    Some(Lack { message: format!("{}: {what}", shown(program)), doubt })
}

/// What keeps a file that is there from being executed.
fn sure_fault(path: &Path, counts: &dyn Fn(&str) -> bool) -> Option<String> {
    let Inspection::Present(faults) = inspect(path) else { return None };
    faults.into_iter().find(|fault| fault.certain && counts(&fault.message)).map(|fault| fault.message)
}

/// Whether nobody expects a path in an image.
pub(crate) fn comes_later(path: &Path) -> bool {
    MADE_LATER.iter().any(|dir| path.starts_with(dir))
}

/// What to say of one that is not there, and whose home is asked for.
pub const NO_HOME: &str =
    "this uid has no account in /etc/passwd, and so no home: add the account, or set HOME as a variable in place of this";

/// What to say of an account that is not there; also by who becomes it.
pub fn no_account(name: &str) -> String {
    format!("there is no account {name} in /etc/passwd: make it, or give UID:GID")
}

pub fn no_line((what, table): &Table, name: &str) -> String {
    format!("there is no {what} {name} in {table}: make it, or give its number")
}

/// The same of a number alone.
pub fn no_group_of(uid: &str) -> String {
    format!("no account has the uid {uid}: say its group too, as in {uid}:{uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_once_in_a_list_and_in_each_directory_that_a_list_begins_in() {
        let dir = std::env::temp_dir().join(format!("svc-image-{}", std::process::id()));
        let tool = dir.join("one/bin/tool");
        std::fs::create_dir_all(dir.join("one/bin")).expect("ours");
        std::fs::write(&tool, "").expect("ours");
        let image = Image::new(Path::new("/"), |_| false);
        let found = |base: &str, dirs: &str| image.is_found("tool", &dir.join(base), dirs);
        let absolute = format!("/nowhere:{}", dir.join("one/bin").display());
        assert!(found("one", "bin") && !found("two", "bin") && found("two", &absolute) && !found("one", "/nowhere"));
        std::fs::remove_file(tool).expect("ours");
        assert!(!found("one", "bin") && found("two", &absolute));
        std::fs::remove_dir_all(dir).expect("ours");
    }
}
