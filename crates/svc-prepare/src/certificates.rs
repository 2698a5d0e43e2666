//! More certificate authorities: those of the image and some of your own in one bundle, which programs find by variables. The
//! bundle of the image stays as it is, so it works on a read-only root too, and nothing is added twice.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Variable;
use crate::files::{self, Like};

/// Where images have theirs: Debian and Alpine, Fedora, and what is left of older ones.
const BUNDLES: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// What OpenSSL, curl, Python, Node.js and git look at.
const VARIABLES: [&str; 5] =
    ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Makes a bundle of that which is trusted already and of what stands in these files and directories. What the program is to know of
/// it. `variables` are those of the program: a bundle that they name is trusted, and SSL_CERT_FILE in place of the image's.
pub fn add(places: &[PathBuf], into: &Path, variables: &[Variable]) -> Result<Vec<Variable>, String> {
    let named = |name: &str| {
        let found = variables.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(name, value)| (name.as_str(), PathBuf::from(value))).filter(|(_, file)| file != into)
    };
    let mut all = match named(VARIABLES[0]) {
        Some((name, file)) => read_named(name, &file)?,
        None => match BUNDLES.iter().find(|bundle| Path::new(bundle).is_file()) {
            Some(bundle) => read(Path::new(bundle))?,
            // An image without any: then these are all.
            None => String::new(),
        },
    };
    let mut more: Vec<PathBuf> = Vec::new();
    for (name, file) in VARIABLES[1..].iter().filter_map(|name| named(name)) {
        let is_new = file.is_file() && !more.contains(&file) && read_named(name, &file)? != all;
        more.extend(is_new.then_some(file));
    }
    for file in more.into_iter().chain(files_of(places)?) {
        let text = read(&file)?;
        let certificates = certificates(&text).map_err(|what| format!("{}: {what}", file.display()))?;
        for certificate in certificates.into_iter().filter(|one| !text_has(&all, one)).collect::<Vec<_>>() {
            if !all.is_empty() && !all.ends_with('\n') {
                all.push('\n');
            }
            all += &certificate;
            all.push('\n');
        }
    }
    if let Some(parent) = into.parent() {
        files::make_directory(parent, None, 0o755)?;
    }
    if !fs::read(into).is_ok_and(|old| old == all.as_bytes()) {
        files::write(into, all.as_bytes(), Like { owner: None, mode: 0o644 })?;
    }
    let path = into.to_str().ok_or_else(|| format!("{}: is not UTF-8", into.display()))?;
    Ok(VARIABLES.map(|name| (name.to_owned(), path.to_owned())).into())
}

fn read_named(name: &str, file: &Path) -> Result<String, String> {
    read(file).map_err(|what| format!("{what} ({name} names it)"))
}

/// What stands around certificates may be in any encoding; a file of another form has none, which is told as that.
fn read(file: &Path) -> Result<String, String> {
    Ok(String::from_utf8_lossy(&files::bytes(file)?).into_owned())
}

fn text_has(all: &str, certificate: &str) -> bool {
    all.contains(certificate)
}

/// Files as they are given, and the `.pem`, `.crt` and `.cer` of directories in the order of their names.
fn files_of(places: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for place in places {
        let failed = |error: std::io::Error| {
            format!("{}: {error}: mount your certificates there, or correct the name", place.display())
        };
        if !fs::metadata(place).map_err(failed)?.is_dir() {
            files.push(place.clone());
            continue;
        }
        let is_pem = |path: &PathBuf| path.extension().is_some_and(|end| end == "pem" || end == "crt" || end == "cer");
        let mut inside: Vec<PathBuf> =
            fs::read_dir(place).map_err(failed)?.flatten().map(|entry| entry.path()).filter(is_pem).collect();
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// The certificates of a PEM file, with lines as OpenSSL wants them.
fn certificates(text: &str) -> Result<Vec<String>, String> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(BEGIN) {
        let inside = &rest[at + BEGIN.len()..];
        let end = inside.find(END).ok_or_else(|| format!("a certificate has no line {END}"))?;
        let body: Vec<&str> = inside[..end].lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        if body.is_empty() || !body.iter().all(|line| line.chars().all(is_base64)) {
            return Err("a certificate is not base64 between its first and last line".into());
        }
        found.push(format!("{BEGIN}\n{}\n{END}", body.join("\n")));
        rest = &inside[end + END.len()..];
    }
    if found.is_empty() {
        return Err(format!(
            "has no certificate in PEM form: a line {BEGIN} begins one (openssl x509 -inform der -in FILE makes it)"
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_taken_out_of_what_is_around_them() {
        let text = format!("subject: x\r\n{BEGIN}\r\nAAAA\r\nBB==\r\n{END}\r\ntrailing\n{BEGIN}\nCCCC\n{END}");
        assert_eq!(certificates(&text), Ok(vec![format!("{BEGIN}\nAAAA\nBB==\n{END}"), format!("{BEGIN}\nCCCC\n{END}")]));
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, words) in
            [("", "no certificate"), (&*format!("{BEGIN}\nAA"), "no line"), (&*format!("{BEGIN}\n??\n{END}"), "not base64")]
        {
            assert!(certificates(text).is_err_and(|error| error.contains(words)), "{text}");
        }
    }
}
