//! PATH, in which scripts find the commands of s6-overlay. `COPY --from=svc:scratch / /` brings no variable along.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What must be in it. s6-overlay puts them in front; here they come last, where none of our names hides one of the system.
const NEEDED: [&str; 3] = ["/usr/bin", "/bin", "/command"];

/// Adds what is missing, for all that starts from here on.
pub(super) fn complete() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let full = completed(&path);
    if full != path {
        let mut setting = OsString::from("PATH=");
        setting.push(full);
        svc_sys::environment::change(setting);
    }
}

fn completed(path: &OsStr) -> OsString {
    let mut full = path.as_bytes().to_vec();
    for dir in NEEDED {
        if !path.as_bytes().split(|&byte| byte == b':').any(|known| known == dir.as_bytes()) {
            if !full.is_empty() {
                full.push(b':');
            }
            full.extend(dir.as_bytes());
        }
    }
    OsString::from_vec(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_last() {
        for (path, full) in [
            ("/usr/bin:/bin", "/usr/bin:/bin:/command"),
            ("/command:/usr/bin:/bin", "/command:/usr/bin:/bin"),
            ("/opt/bin", "/opt/bin:/usr/bin:/bin:/command"),
            ("", "/usr/bin:/bin:/command"),
        ] {
            assert_eq!(completed(OsStr::new(path)), full, "{path}");
        }
    }
}
