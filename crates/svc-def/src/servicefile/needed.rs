//! What the image lacks that a service.toml needs, each with its line: what is not there would be known at the start only.

use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::leaves;
use super::tree::{Entry, Tree};
use super::values::Record;
use crate::image::{Doubt, Form, GROUP, Image, Lack, USER, comes_later};
use crate::problem::Problem;

/// What the program finds its files by.
const RENDERED: &str = "SVC_RENDERED";
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What was found: under which key, and whether it may be an error.
type Found = (String, Lack);

pub(super) fn look(draft: &Draft, tree: &Tree, base: &Path, image: &Image, problems: &mut Vec<Problem>) {
    let conditions = draft.admission.conditions(|_| Vec::new());
    let mut found = Vec::new();
    match conditions.filter(|_| !image.is_now()) {
        // It may be for another image.
        Some(conditions) => {
            let words = conditions.command.iter().map(|command| &command.words);
            let program = words.filter_map(|words| words.iter().find(|word| *word != "!"));
            programs(draft, base, image, program.map(|program| ("condition.command".to_owned(), program)), &mut found);
            found.iter_mut().for_each(|(_, lack)| lack.doubt = Doubt::MayBeRight);
        }
        None => {
            accounts(draft, image, &mut found);
            paths(draft, base, image, &mut found);
            found.extend(outside(draft));
            programs(draft, base, image, commands(draft), &mut found);
        }
    }
    let leaves = leaves(&tree.root, &mut |_| {});
    found.extend(put_in_too_soon(draft, &leaves));
    for (key, lack) in found {
        let leaf = leaves
            .iter()
            .find(|(name, _)| key == *name || key.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.')));
        let Some((_, entry)) = leaf else { continue };
        // The environment of the container decides.
        let varies = super::show::written(&entry.node.item).contains("${");
        let problem = tree.fatal(entry.place, format!("{key}: {}", lack.message));
        problems.push(Problem { fatal: image.stops(&problem.message, lack.doubt, varies), ..problem });
    }
}

/// Variables in commands that svc makes for the program only, and so puts in as if they were not set.
fn put_in_too_soon<'a>(draft: &'a Draft, leaves: &'a [(String, &Entry)]) -> impl Iterator<Item = Found> + 'a {
    let prepared = &draft.prepared;
    let made = [(RENDERED, prepared.templates.is_empty()), (CREDENTIALS, prepared.credentials.is_empty())];
    let made = made.into_iter().filter(|(_, none)| !none).map(|(name, _)| name);
    let made = made.chain(prepared.secrets.iter().map(|(name, _)| name.as_str()));
    let made = made.chain(prepared.secret_variables.iter().map(String::as_str));
    let made: Vec<&str> = made.chain(draft.computed.iter().map(|one| one.name.as_str())).collect();
    let commands = leaves.iter().filter(|(key, _)| ["command", "up", "down"].contains(&key.as_str()));
    let names = commands.flat_map(move |(key, entry)| {
        let text = super::show::written(&entry.node.item);
        made.clone().into_iter().filter(move |name| puts_in(&text, name)).map(move |name| (key, name))
    });
    names.map(|(key, name)| {
        let message = format!(
            "${{{name}}} is put in before svc makes {name} for the service: write $${{{name}}} for a shell that is to do it"
        );
        (key.clone(), Lack { message, doubt: Doubt::MayBeRight })
    })
}

fn puts_in(text: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices("${")
        .any(|(at, sign)| !text[..at].ends_with('$') && text[at + sign.len()..].strip_prefix(name).is_some_and(ends))
}

fn accounts(draft: &Draft, image: &Image, found: &mut Vec<Found>) {
    let owners = |list: &'static str, records: &[Record]| -> Vec<(&'static str, String)> {
        records.iter().filter_map(|record| Some((list, record.get("owner")?))).collect()
    };
    let users = draft.user.iter().map(|user| ("user", user.clone()));
    let users = users.chain(owners("templates", &draft.prepared.templates));
    let users = users.chain(owners("distributions", &draft.prepared.distributions));
    let lines = draft.groups.iter().flatten().map(|group| ("groups", GROUP, group));
    let sockets = draft.sockets.iter().flat_map(|socket| [(USER, &socket.user), (GROUP, &socket.group)]);
    let lines = lines.chain(sockets.filter_map(|(table, name)| Some(("sockets", table, name.as_ref()?))));
    let missing = users.filter_map(|(key, user)| Some((key, image.no_user(&user)?)));
    let missing = missing.chain(lines.filter_map(|(key, table, name)| Some((key, image.no_line(&table, name)?))));
    let home =
        draft.user.iter().filter(|_| draft.home == Some(true)).filter_map(|user| Some(("home", image.no_home(user)?)));
    found.extend(missing.chain(home).map(|(key, message)| (key.to_owned(), Lack { message, doubt: Doubt::None })));
}

/// Files and directories: each may be mounted.
fn paths(draft: &Draft, base: &Path, image: &Image, found: &mut Vec<Found>) {
    let prepared = &draft.prepared;
    let mut look = |key: &str, form: Form, path: &Path| {
        let lack = image.no(form, path).map(|message| Lack { message, doubt: Doubt::MayCome });
        found.extend(lack.map(|lack| (key.to_owned(), lack)));
    };
    let mut all = |key: &str, form: Form, paths: &mut dyn Iterator<Item = String>| {
        paths.for_each(|path| look(key, form, &base.join(path)));
    };
    let secret =
        |(_, file): &(String, String)| if file.contains('/') { file.clone() } else { format!("/run/secrets/{file}") };
    let is_needed = |one: &&Record| one.get("language").as_deref() != Some("copy-if-there");
    all("env-file", Form::Readable, &mut draft.env_files.iter().cloned());
    all("env-dir", Form::Directory, &mut prepared.env_dirs.iter().cloned());
    all("certificates", Form::Anything, &mut prepared.certificates.iter().cloned());
    all("volumes", Form::Anything, &mut prepared.volumes.iter().map(|volume| volume.text("path")));
    all("secrets", Form::File, &mut prepared.secrets.iter().map(secret));
    all("credentials", Form::File, &mut prepared.credentials.iter().map(secret));
    all("distributions", Form::Directory, &mut prepared.distributions.iter().map(|one| one.text("from")));
    all("templates", Form::File, &mut prepared.templates.iter().filter(is_needed).map(|one| one.text("from")));
    all("json", Form::File, &mut prepared.json.iter().filter(|wanted| wanted.contains('/')).cloned());
    // What svc puts somewhere for it first.
    let made = put(draft, base);
    let is_made = |path: &Path| made.iter().any(|made| path.starts_with(made));
    let files = prepared.templates.iter().filter(|_| image.is_now()).map(|one| base.join(one.text("to")));
    for dir in files.filter_map(|file| Some(file.parent()?.to_owned())).filter(|dir| !is_made(dir)) {
        look("templates", Form::Directory, &dir);
    }
    // Where it sees paths from.
    let root = draft.rights.chroot.as_ref().map(|root| base.join(root));
    if let Some(root) = root.as_ref().filter(|root| !is_made(root)) {
        look("chroot", Form::Directory, root);
        // One that is not there brings what is in it.
        if !image.has(root) {
            return;
        }
    }
    let place = |path: &Path| match &root {
        Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        None => base.join(path),
    };
    let dir = draft.directory.as_ref().map(Path::new);
    let inside = dir.filter(|_| root.is_none() || image.is_now()).map(place);
    if let Some(dir) = inside.filter(|dir| root.is_none() || !is_made(dir)) {
        look("directory", Form::Directory, &dir);
    }
    for (access, path) in draft.rights.opened() {
        let whole = place(&dir.map_or_else(|| path.into(), |dir| dir.join(path)));
        // Nobody expects those in an image.
        if !is_made(&whole) && (image.is_now() || root.is_none() && !comes_later(&whole)) {
            look(&format!("landlock.{access}"), Form::Anything, &whole);
        }
    }
}

/// What svc makes for it where it says, before it is started.
fn put(draft: &Draft, base: &Path) -> Vec<PathBuf> {
    let all = [&draft.prepared.distributions, &draft.prepared.templates].into_iter().flatten();
    all.map(|one| base.join(one.text("to"))).collect()
}

/// What is made for it in the run directory, and is not there in its root.
fn outside(draft: &Draft) -> impl Iterator<Item = Found> {
    let prepared = &draft.prepared;
    let made = [("credentials", prepared.credentials.is_empty()), ("certificates", prepared.certificates.is_empty())];
    let made = made.into_iter().filter(|(_, none)| !none && draft.rights.chroot.as_ref().is_some_and(|root| root != "/"));
    made.map(|(key, _)| {
        let message = "stand in the run directory, where a service with chroot does not come to: put the files into its root, or \
                       go without chroot";
        (key.to_owned(), Lack { message: message.into(), doubt: Doubt::None })
    })
}

/// Everything that is executed for it.
fn commands(draft: &Draft) -> impl Iterator<Item = (String, &String)> {
    let main =
        [("command", &draft.command), ("up", &draft.up), ("down", &draft.down), ("restart.at-limit", &draft.at_limit)];
    let main = main.into_iter().filter_map(|(key, words)| Some((key.to_owned(), words.as_ref()?.first()?)));
    let probes = [("ready.exec", &draft.probes.ready), ("health.exec", &draft.probes.health.probe)];
    let probes = probes.into_iter().filter_map(|(key, probe)| Some((key.to_owned(), probe.as_ref()?.program()?)));
    let stops = draft.stops.programs().map(|(key, program)| (key.to_owned(), program));
    let computed = draft.computed.iter().filter_map(|one| Some((format!("env.{}", one.name), one.command.first()?)));
    main.chain(probes).chain(stops).chain(computed)
}

fn programs<'a>(
    draft: &Draft,
    base: &Path,
    image: &Image,
    programs: impl Iterator<Item = (String, &'a String)>,
    found: &mut Vec<Found>,
) {
    let prepared = &draft.prepared;
    let below;
    let image = match &draft.rights.chroot {
        // One that is not there brings its programs with it.
        Some(root) if !image.has(&base.join(root)) => return,
        Some(root) => {
            below = image.below(&base.join(root));
            &below
        }
        None => image,
    };
    let dir = match &draft.directory {
        Some(dir) if draft.rights.chroot.is_some() => Path::new("/").join(dir),
        Some(dir) => base.join(dir),
        None if draft.rights.chroot.is_some() => "/".into(),
        None => base.to_owned(),
    };
    let own = draft.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    // What is found out at the start may say where.
    let is_known = own.is_some() || draft.env_files.is_empty() && prepared.env_dirs.is_empty();
    let search = own
        .or_else(|| std::env::var("PATH").ok())
        .filter(|_| is_known && draft.rights.chroot.is_none() && !draft.computed.iter().any(|one| one.name == "PATH"));
    let mounted: Vec<PathBuf> = prepared.volumes.iter().map(|volume| base.join(volume.text("path"))).collect();
    let made = put(draft, base);
    // Other numbers and capabilities change what modes let it do.
    let is_plain = prepared.numbers().is_empty() && draft.rights.ambient.is_none();
    let user = draft.user.as_ref().filter(|_| is_plain).and_then(|user| image.user(user, draft.groups.as_deref()));
    for (key, program) in programs {
        let user = user.as_ref().filter(|_| ["command", "up"].contains(&&*key));
        let Some(mut lack) = image.no_program(program, &dir, search.as_deref(), user) else { continue };
        let whole = dir.join(program);
        let is_below = |places: &[PathBuf]| program.contains('/') && places.iter().any(|place| whole.starts_with(place));
        let starts = ["command", "up"].contains(&&*key) || key.starts_with("env.");
        let may_come = lack.doubt == Doubt::MayCome || program.contains('/') && comes_later(&whole) || is_below(&mounted);
        if is_below(&made) || may_come && !starts {
            // The service itself may make it.
            lack.doubt = Doubt::MayBeRight;
        } else if may_come {
            lack.doubt = Doubt::MayCome;
        }
        found.push((key, lack));
    }
}
