//! Where the files of a service are: service.toml in a directory of its own, or NAME.toml among others in a scan directory. A
//! name that ends in @ is a template, and every instance of it is a service.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use svc_core::ServiceName;

use crate::look::{Look, look};

/// The name of the file in a directory of its own.
pub(crate) const FILE: &str = "service.toml";
/// What the name of a file without a directory ends in, and that of the directory with what is merged over it.
const ENDING: &str = ".toml";
const FOLDER: &str = ".d";
/// What the name of a template ends in.
pub(crate) const TEMPLATE: char = '@';

/// The files of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) main: PathBuf,
    /// Files that are merged over it.
    pub(crate) drop_ins: PathBuf,
    /// Where paths begin that do not begin at the root, and where it runs.
    pub(crate) base: PathBuf,
    pub(crate) is_template: bool,
    /// What the file or the directory is called.
    pub(crate) name: String,
}

/// The files of the service at a path, if it has this form: a directory with a service.toml, or a file NAME.toml.
pub(crate) fn layout(path: &Path) -> Option<Layout> {
    let is_there = |path: &Path| !matches!(look(path), Look::Absent);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(stem) = stem(&name).filter(|_| is_there(path) && !path.is_dir()) {
        let base = base(path).to_owned();
        let is_template = is_template(stem);
        return Some(Layout { main: path.to_owned(), drop_ins: beside(path), base, is_template, name: stem.to_owned() });
    }
    let main = path.join(FILE);
    if !is_there(&main) {
        return None;
    }
    let is_template = is_template(&name);
    Some(Layout { drop_ins: beside(&main), main, base: path.to_owned(), is_template, name: name.into_owned() })
}

/// The same of a service that had this form, whatever stands there now.
pub(crate) fn former(path: &Path) -> Layout {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (main, base, stem) = match stem(&name) {
        Some(stem) => (path.to_owned(), path.parent().unwrap_or(Path::new("/")).to_owned(), stem),
        None => (path.join(FILE), path.to_owned(), &*name),
    };
    Layout { drop_ins: beside(&main), main, base, is_template: is_template(stem), name: stem.to_owned() }
}

/// Where paths of the service at this path begin, and where it runs: its directory, or that of its file.
pub fn base(path: &Path) -> &Path {
    match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(Path::new("/")),
    }
}

/// Whether the service at a path has this form.
pub fn is_one_file(path: &Path) -> bool {
    layout(path).is_some()
}

/// NAME of NAME.toml.
pub(crate) fn stem(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(ENDING).filter(|stem| !stem.is_empty())
}

/// NAME.toml of NAME.toml.d.
pub(crate) fn merged_over(folder: &str) -> Option<&str> {
    folder.strip_suffix(FOLDER).filter(|file| stem(file).is_some())
}

/// The directory with what is merged over a file.
fn beside(file: &Path) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(FOLDER);
    name.into()
}

fn is_template(name: &str) -> bool {
    name.len() > 1 && name.ends_with(TEMPLATE)
}

/// What stands for all instances of a template: `worker` of `worker@`.
pub fn bundle_of(name: &ServiceName) -> ServiceName {
    let bundle = name.as_str().strip_suffix(TEMPLATE).filter(|bundle| !bundle.is_empty());
    bundle.and_then(|bundle| ServiceName::new(bundle.as_bytes()).ok()).unwrap_or_else(|| name.clone())
}

/// Where the service of this name is in a scan directory, whatever form it has. What is not there would be a directory.
pub fn find(scan_dir: &Path, name: &str) -> PathBuf {
    let own = scan_dir.join(name);
    let template = name.rsplit_once(TEMPLATE).map(|(template, _)| format!("{template}{TEMPLATE}"));
    let names = [Some(name.to_owned()), template];
    let places = names.into_iter().flatten().flat_map(|name| [scan_dir.join(&name), scan_dir.join(name + ENDING)]);
    let is_there = |path: &PathBuf| !matches!(look(path), Look::Absent);
    places.into_iter().find(is_there).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_what_they_are() {
        assert_eq!((stem("web.toml"), stem(".toml"), stem("web")), (Some("web"), None, None));
        assert_eq!(
            (merged_over("web.toml.d"), merged_over("conf.d"), merged_over(".toml.d")),
            (Some("web.toml"), None, None)
        );
        assert!(is_template("worker@") && !is_template("@") && !is_template("worker@3"));
        let name = |text: &str| ServiceName::parse(text).expect("a name");
        assert_eq!(bundle_of(&name("worker@")), name("worker"));
        assert_eq!((bundle_of(&name("@")), bundle_of(&name("worker"))), (name("@"), name("worker")));
    }
}
