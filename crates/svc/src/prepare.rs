//! The options of `svc exec` that make files and variables ready before a program starts; what they do is svc-prepare's.
//! Variables are set at once, so that later options see them; files are made when it is known who the program runs as.

use std::cell::LazyCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use svc_compat::settle::User;
use svc_core::links;
use svc_core::run::CREDENTIALS;
use svc_init::Asked;
use svc_prepare::distribution::{Distribution, Look, Staged};
use svc_prepare::render::{self, Done, ELSEWHERE, Material, Template};
use svc_prepare::template::Language;
use svc_prepare::volumes::Volume;
use svc_prepare::{Owner, Variable, certificates, json, place, secrets, variables};

use crate::said::{self, say};

/// What `--help` says of them.
pub(crate) const USAGE: &str = "      --env-dir DIR    set the variables of DIR, a file each; an empty file removes one
      --env-allow LIST remove all variables but these and PATH; patterns such as WEB_*
      --env-deny LIST  remove these variables
      --link NAME      set NAME_HOST if NAME is a container that is linked
      --secret-variables LIST
                       take X from the file that X_FILE or FILE__X names, for these X
      --secret NAME=FILE
                       set a variable to what FILE says (/run/secrets, without a slash)
      --credential NAME=FILE
                       copy FILE to $CREDENTIALS_DIRECTORY/NAME, which only USER can read
      --certificates PATH
                       let programs trust the certificates of a file or directory, too
      --volume PATH    have everything below PATH belong to USER, where it does not
      --volume-mode M  and have this mode: of the volume before
      --template FROM=TO
                       make the file TO of the template FROM
      --template-language L, --template-mode M, --template-owner USER
                       variables, jinja, copy or copy-if-there; mode and owner of TO: of the template before
      --distribution FROM=TO
                       put what is below FROM in place below TO, where it differs
      --distribution-version FILE, --distribution-mode M, --distribution-owner USER
                       the file that is written last; mode and owner: of the distribution before
      --distribution-how WAY
                       copy or link
      --json NAME      fail if the variable NAME, or the file if it has a slash, is no JSON
      --for NAME       the service that all this is for, if it is not that of the working directory
      --uid N, --gid N numbers for USER in place of those of its account
";

/// What is still to be done when all options are read.
#[derive(Default)]
pub(crate) struct Preparations {
    /// Before any option is taken: the run directory is svc's, whatever the program is to know of it.
    asked: Asked,
    /// The environment of svc, before anything was removed from it: links and names of files are looked for there.
    original: Option<Vec<Variable>>,
    templates: Vec<(Template, Option<OsString>)>,
    distributions: Vec<(Distribution, Option<OsString>)>,
    credentials: Vec<(String, PathBuf)>,
    certificates: Vec<PathBuf>,
    volumes: Vec<(PathBuf, Option<u32>)>,
    json: Vec<String>,
    /// The variables that are secrets.
    secrets: Vec<String>,
    /// Whom all this is for.
    service: Option<String>,
}

/// What an option of this kind has done.
pub(crate) enum Taken {
    Done,
    /// It is none of these.
    Unknown,
}

impl Preparations {
    /// Takes an option in; what it sets is set.
    pub(crate) fn take(&mut self, name: &str, value: impl FnOnce() -> Result<String, String>) -> Result<Taken, String> {
        match name {
            "env-dir" => {
                for (name, value) in variables::of_directory(&here(value()?)?)? {
                    change(&name, value.as_deref());
                }
            }
            "env-allow" => {
                let allowed = list(&value()?);
                self.original();
                variables::not_allowed(&allowed, names()).for_each(|name| change(&name, None));
            }
            "env-deny" => {
                let denied = list(&value()?);
                self.original();
                names().filter(|name| variables::matches(&denied, name)).for_each(|name| change(&name, None));
            }
            "link" => {
                links::resolve(&value()?, self.original()).iter().for_each(set);
            }
            "secret-variables" => {
                let found = secrets::of_variables(&list(&value()?), self.original())?;
                found.unset.iter().for_each(|name| change(name, None));
                found.set.iter().for_each(set);
                self.secrets.extend(found.set.into_iter().map(|(name, _)| name));
            }
            "secret" => {
                let (name, file) = pair(&value()?, "a secret is NAME=FILE")?;
                change(&name, Some(&secrets::value(&secrets::place(&file))?));
                self.secrets.push(name);
            }
            "credential" => {
                let (name, file) = pair(&value()?, "a credential is NAME=FILE")?;
                if name.contains('/') || name.starts_with('.') {
                    return Err(format!("{name}: the name of a credential has no slash, and does not begin with a dot"));
                }
                self.credentials.push((name, here(secrets::place(&file))?));
            }
            "certificates" => self.certificates.push(here(value()?)?),
            "volume" => self.volumes.push((here(value()?)?, None)),
            "volume-mode" => last(&mut self.volumes, "volume")?.1 = Some(mode(&value()?)?),
            "distribution" => {
                let one = Distribution::parse(&value()?)?;
                self.distributions.push((Distribution { from: here(one.from)?, to: here(one.to)?, ..one }, None));
            }
            "distribution-version" => last(&mut self.distributions, "distribution")?.0.version = Some(value()?.into()),
            "distribution-mode" => last(&mut self.distributions, "distribution")?.0.mode = Some(mode(&value()?)?),
            "distribution-owner" => last(&mut self.distributions, "distribution")?.1 = Some(value()?.into()),
            "distribution-how" => {
                let value = value()?;
                let known = [("copy", false), ("link", true)].into_iter().find(|(name, _)| *name == value);
                let links = known.ok_or_else(|| format!("{value}: a distribution is put by copy or link"))?.1;
                last(&mut self.distributions, "distribution")?.0.links = links;
            }
            "for" => {
                let service = value()?;
                said::is_for(&service);
                self.service = Some(service);
            }
            "json" => {
                let wanted = value()?;
                let is_file = wanted.contains('/');
                self.json.push(if is_file { here(wanted)?.to_string_lossy().into_owned() } else { wanted });
            }
            "template" => {
                let template = Template::parse(&value()?)?;
                self.templates.push((Template { from: here(template.from)?, to: here(template.to)?, ..template }, None));
            }
            "template-language" => {
                let value = value()?;
                let known = Language::NAMES.iter().find(|(name, _)| *name == value);
                let language = known
                    .ok_or_else(|| format!("{value}: a template is in variables or jinja, or a copy or copy-if-there"))?
                    .1;
                last(&mut self.templates, "template")?.0.language = Some(language);
            }
            "template-mode" => last(&mut self.templates, "template")?.0.mode = Some(mode(&value()?)?),
            "template-owner" => last(&mut self.templates, "template")?.1 = Some(value()?.into()),
            _other => return Ok(Taken::Unknown),
        }
        Ok(Taken::Done)
    }

    fn original(&mut self) -> &[Variable] {
        self.original.get_or_insert_with(variables::all)
    }

    /// Makes the files for a program that is to run as `user`. Those that it must be able to read in the end.
    pub(crate) fn carry_out(self, user: Option<&User>) -> Result<Vec<PathBuf>, String> {
        let owner = user.map(owner);
        self.json.iter().try_for_each(|wanted| json::check(wanted, &variables::all()))?;
        for (path, mode) in &self.volumes {
            let volume = Volume { owner, mode: *mode, dry_run: false };
            let counted = volume.settle(path, &mut |_| {})?;
            if counted.owners + counted.modes > 0 {
                let (owners, modes, seen) = (counted.owners, counted.modes, counted.seen);
                let path = path.display();
                say(format_args!("{path}: changed the owner of {owners} and the mode of {modes} of {seen}"));
            }
        }
        let mut made = Vec::new();
        // Looked for by who needs it: that takes a file made and removed.
        let run_dir = LazyCell::new(|| self.asked.own_run_dir());
        let needed = || run_dir.as_deref().ok_or_else(|| format!("no directory can be written to: {}", place::cure()));
        if !self.credentials.is_empty() {
            let dir = place::of_service(needed()?, CREDENTIALS, &self.service());
            secrets::hand_over(&dir, &self.credentials, owner)?;
            made.extend(self.credentials.iter().map(|(name, _)| dir.join(name)));
            change("CREDENTIALS_DIRECTORY", Some(&dir.to_string_lossy()));
        }
        if !self.certificates.is_empty() {
            let bundle = place::of_service(needed()?, "certificates", &self.service()).join("bundle.pem");
            certificates::add(&self.certificates, &bundle, &variables::all())?.iter().for_each(set);
            made.push(bundle);
        }
        self.distribute(owner, Distribute::AtStart)?;
        self.put(owner)?;
        Ok(made)
    }

    /// Makes the files of templates and distributions; a line for each that has changed.
    pub(crate) fn render(self, user: Option<&User>) -> Result<String, String> {
        let user = user.map(owner);
        let mut changed = self.distribute(user, Distribute::WhileItRuns)?;
        for file in self.put(user)? {
            changed += &format!("{}\n", file.display());
        }
        Ok(changed)
    }

    /// Puts distributions in place, all or none; a line for each of their files that is put or removed.
    fn distribute(&self, user: Option<Owner>, when: Distribute) -> Result<String, String> {
        let mut all = Vec::new();
        for (distribution, owner) in &self.distributions {
            let to = &distribution.to;
            if all.iter().any(|other: &Distribution| other.to == *to) {
                return Err(format!("{}: two distributions are put there: give each a directory of its own", to.display()));
            }
            all.push(Distribution { owner: find_owner(owner)?.or(user), ..distribution.clone() });
        }
        let looks: Result<Vec<Look>, String> = all.iter().map(Distribution::look).collect();
        if let Distribute::Never = when {
            return Ok(all.iter().zip(&looks?).map(|(distribution, look)| changes(distribution, look)).collect());
        }
        let staged = looks.and_then(|looks| {
            let staged: Result<Vec<Staged>, String> = all.iter().zip(&looks).map(|(one, look)| one.stage(look)).collect();
            Ok((looks, staged?))
        });
        let (looks, staged) = match (staged, when) {
            (Ok(staged), _) => staged,
            (Err(what), Distribute::AtStart) => {
                let earlier: Option<Vec<String>> = all.iter().map(Distribution::in_place).collect();
                let Some(earlier) = earlier else {
                    return Err(match all.iter().find(|one| one.broke_off()) {
                        Some(one) => format!(
                            "{what}: not starting: putting it in {} broke off, so a part of what is there is of another version",
                            one.to.display()
                        ),
                        None => what,
                    });
                };
                let version = earlier.iter().find(|version| !version.is_empty());
                let version = version.map_or(String::new(), |version| format!(", version {version}"));
                say(format_args!("{what}: starting with what is in place{version}"));
                return Ok(String::new());
            }
            (Err(what), Distribute::WhileItRuns | Distribute::Never) => return Err(what),
        };
        let mut changed = String::new();
        all.iter().zip(&looks).try_for_each(|(distribution, look)| distribution.announce(look))?;
        for ((distribution, look), staged) in all.iter().zip(&looks).zip(staged) {
            distribution.put(look, staged)?;
            changed += &changes(distribution, look);
            if !look.is_nothing() {
                let (put, seen, removed) = (look.put.len(), look.seen(), look.removed.len());
                let version = if look.version.is_empty() { String::new() } else { format!(", version {}", look.version) };
                let to = distribution.to.display();
                say(format_args!("{to}: put {put} of {seen} files in place, removed {removed}{version}"));
            }
        }
        Ok(changed)
    }

    /// Makes the files of templates; those that have changed.
    fn put(&self, user: Option<Owner>) -> Result<Vec<PathBuf>, String> {
        let mut changed = Vec::new();
        if self.templates.is_empty() {
            return Ok(changed);
        }
        let (templates, service, variables) = (self.owned()?, self.service(), variables::all());
        let run_dir = self.asked.own_run_dir();
        let material = self.material(&service, &variables, user, run_dir.as_deref());
        for (template, done) in templates.iter().zip(render::put(&templates, &material)?) {
            let to = template.to.display();
            match done {
                Done::Written { exposed } => {
                    say(format_args!("wrote {to}"));
                    if exposed {
                        say(format_args!(
                            "{to}: has a secret in it, and everybody may read it: say mode = \"0640\" and its owner"
                        ));
                    }
                    changed.push(template.to.clone());
                }
                Done::Unchanged => {}
                Done::Skipped => say(format_args!("left {to} alone, as SVC_SKIP_RENDER says")),
                Done::Elsewhere { root, file, changed: is_new } => {
                    say(format_args!("{to} is on a read-only file system: it is {} instead", file.display()));
                    change(ELSEWHERE, Some(&root.to_string_lossy()));
                    changed.extend(is_new.then_some(file));
                }
            }
        }
        Ok(changed)
    }

    fn material<'a>(
        &'a self,
        service: &'a str,
        variables: &'a [Variable],
        user: Option<Owner>,
        run_dir: Option<&'a Path>,
    ) -> Material<'a> {
        Material { service, variables, secrets: &self.secrets, user, run_dir }
    }

    /// What would become of volumes, distributions and the files of templates; nothing is changed.
    pub(crate) fn dry_run(self, user: Option<&User>) -> Result<String, String> {
        let mut text = String::new();
        self.json.iter().try_for_each(|wanted| json::check(wanted, &variables::all()))?;
        for (path, mode) in &self.volumes {
            let volume = Volume { owner: user.map(owner), mode: *mode, dry_run: true };
            volume.settle(path, &mut |line| text += &format!("{line}\n"))?;
        }
        text += &self.distribute(user.map(owner), Distribute::Never)?;
        let (service, variables, run_dir) = (self.service(), variables::all(), self.asked.own_run_dir());
        let material = self.material(&service, &variables, user.map(owner), run_dir.as_deref());
        for template in self.owned()? {
            text += &template.diff(&material)?;
        }
        Ok(text)
    }

    /// The service that this is for: that of the working directory, if nobody says.
    fn service(&self) -> String {
        let here = || std::env::current_dir().unwrap_or_default();
        let its = || here().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.service.clone().unwrap_or_else(its)
    }

    /// The templates, each with who its file is to belong to.
    fn owned(&self) -> Result<Vec<Template>, String> {
        let find = |(template, owner): &(Template, Option<OsString>)| {
            Ok(Template { owner: find_owner(owner)?, ..template.clone() })
        };
        self.templates.iter().map(find).collect()
    }
}

/// When distributions are put in place.
enum Distribute {
    /// One that is not whole lets the program start with what an earlier one has put.
    AtStart,
    WhileItRuns,
    /// It is only looked at.
    Never,
}

/// A line for each file that differs.
fn changes(distribution: &Distribution, look: &Look) -> String {
    let lines = |word: &str, names: &[PathBuf]| -> String {
        names.iter().map(|name| format!("{word}{}\n", distribution.to.join(name).display())).collect()
    };
    lines("", &look.put) + &lines("removed ", &look.removed)
}

fn find_owner(name: &Option<OsString>) -> Result<Option<Owner>, String> {
    Ok(name.as_deref().map(User::find).transpose()?.as_ref().map(owner))
}

pub(crate) fn owner(user: &User) -> Owner {
    let (uid, gid) = user.ids();
    Owner { uid, gid }
}

/// A path as it is meant where this process is now: it may go elsewhere before anything is made.
fn here(path: impl Into<PathBuf>) -> Result<PathBuf, String> {
    let path = path.into();
    std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("{text}: a mode is octal, such as 0640"))
}

fn change(name: &str, value: Option<&str>) {
    let assignment = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
    svc_sys::environment::change(assignment.into());
}

fn set((name, value): &Variable) {
    change(name, Some(value));
}

fn names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|pattern| !pattern.is_empty()).map(String::from).collect()
}

fn pair(text: &str, form: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty());
    pair.map(|(name, file)| (name.to_owned(), file.to_owned())).ok_or_else(|| format!("{text}: {form}"))
}

fn last<'a, T>(all: &'a mut [T], what: &str) -> Result<&'a mut T, String> {
    all.last_mut().ok_or_else(|| format!("there is no --{what} before it"))
}
