//! What is to be made ready before the command: the words of `svc exec` for it. svc-prepare does it, and nothing here knows how.

use super::values::Record;
use crate::problem::quoted;

/// The option of `svc exec` for it, and its value.
type Word = (&'static str, String);

#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// None: all; an empty list is none of them.
    pub(super) env_allow: Option<Vec<String>>,
    pub(super) env_deny: Vec<String>,
    pub(super) env_dirs: Vec<String>,
    pub(super) links: Vec<String>,
    pub(super) secret_variables: Vec<String>,
    pub(super) secrets: Vec<(String, String)>,
    pub(super) credentials: Vec<(String, String)>,
    pub(super) certificates: Vec<String>,
    pub(super) volumes: Vec<Record>,
    pub(super) templates: Vec<Record>,
    pub(super) distributions: Vec<Record>,
    pub(super) json: Vec<String>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) marker: Option<String>,
}

/// Whether it may stand for names of variables. Several of them stand in one word with commas between them.
pub(super) fn pattern(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains(['=', ',', '\0']) {
        let text = quoted(text.as_bytes());
        return Err(format!("has {text}, which stands for no variable: write a name, or several as \"DB_*\""));
    }
    Ok(())
}

/// Whether a variable may have this name.
pub(super) fn variable(name: &str) -> Result<(), String> {
    let good = !name.is_empty() && !name.contains(['=', '\0']);
    if good { Ok(()) } else { Err("which is no name of a variable: write one without =".into()) }
}

/// Whether a file in the directory of credentials may have this name.
pub(super) fn credential(name: &str) -> Result<(), String> {
    let good = !name.is_empty() && !name.starts_with('.') && !name.contains(['=', '/', '\0']);
    let cure = "which is no name of a credential: write one without / and =, and without a dot in front";
    if good { Ok(()) } else { Err(cure.into()) }
}

impl Prepared {
    /// Who gets which of the variables that are there, before any are added.
    pub(super) fn choice(&self) -> Vec<Word> {
        let allowed = self.env_allow.as_ref().map(|patterns| ("env-allow", patterns.join(",")));
        let denied = (!self.env_deny.is_empty()).then(|| ("env-deny", self.env_deny.join(",")));
        [allowed, denied].into_iter().flatten().collect()
    }

    /// Variables that are found out.
    pub(super) fn found_out(&self) -> Vec<Word> {
        let mut words: Vec<Word> = self.links.iter().map(|link| ("link", link.clone())).collect();
        if !self.secret_variables.is_empty() {
            words.push(("secret-variables", self.secret_variables.join(",")));
        }
        words.extend(self.secrets.iter().map(|(name, file)| ("secret", format!("{name}={file}"))));
        words
    }

    /// Files, for the service of this name.
    pub(super) fn files(&self, name: &str) -> Vec<Word> {
        let mut words: Vec<Word> = self.json.iter().map(|wanted| ("json", wanted.clone())).collect();
        for volume in &self.volumes {
            words.push(("volume", volume.text("path")));
            words.extend(volume.get("mode").map(|mode| ("volume-mode", mode)));
        }
        words.extend(self.credentials.iter().map(|(name, file)| ("credential", format!("{name}={file}"))));
        words.extend(self.certificates.iter().map(|place| ("certificates", place.clone())));
        for distribution in &self.distributions {
            words.push(("distribution", format!("{}={}", distribution.text("from"), distribution.text("to"))));
            words.extend(distribution.get("version").map(|file| ("distribution-version", file)));
            words.extend(distribution.get("mode").map(|mode| ("distribution-mode", mode)));
            words.extend(distribution.get("owner").map(|owner| ("distribution-owner", owner)));
            words.extend(distribution.get("how").map(|how| ("distribution-how", how)));
        }
        for template in &self.templates {
            words.push(("template", format!("{}={}", template.text("from"), template.text("to"))));
            words.extend(template.get("language").map(|language| ("template-language", language)));
            words.extend(template.get("mode").map(|mode| ("template-mode", mode)));
            words.extend(template.get("owner").map(|owner| ("template-owner", owner)));
        }
        if !words.is_empty() {
            words.insert(0, ("for", name.to_owned()));
        }
        words
    }

    /// Files that those are made from, as patterns: what has changed in them is to be made again while it runs.
    pub(super) fn sources(&self, env_files: &[String]) -> Vec<String> {
        let distributions = self.distributions.iter().map(|distribution| {
            let version = distribution.get("version").unwrap_or_else(|| "*".to_owned());
            std::path::Path::new(&distribution.text("from")).join(version).to_string_lossy().into_owned()
        });
        let templates = self.templates.iter().map(|template| template.text("from"));
        let mut sources: Vec<String> = distributions.chain(templates).collect();
        if !self.templates.is_empty() {
            sources.extend(env_files.iter().cloned());
            sources.extend(self.env_dirs.iter().map(|dir| format!("{}/*", dir.trim_end_matches('/'))));
        }
        sources
    }

    /// Other numbers for the user.
    pub(super) fn numbers(&self) -> Vec<Word> {
        let number = |option, number: Option<i64>| number.map(|number| (option, number.to_string()));
        [number("uid", self.uid), number("gid", self.gid)].into_iter().flatten().collect()
    }
}
