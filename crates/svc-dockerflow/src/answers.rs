//! What the endpoints answer: a status and JSON. Nothing is asked or read here.

use serde_json::{Map, Value, json};
use svc_proto::api::Status;

/// A status code and the text of a document.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn new(code: u16, body: Value) -> Answer {
        Answer { code, body: body.to_string() }
    }
}

/// The load balancer wants to know whether anybody is here, and nothing of what is behind.
pub(crate) fn lbheartbeat() -> Answer {
    Answer::new(200, json!({ "status": "ok" }))
}

/// Every service that is wanted is a check; the verdict is the worst of them.
pub(crate) fn heartbeat(services: &[Status]) -> Answer {
    let (mut checks, mut details) = (Map::new(), Map::new());
    for status in services {
        let Some(verdict) = svc_ctl::verdict(status) else { continue };
        let word = if verdict.is_ok() { "ok" } else { "error" };
        checks.insert(status.name.clone(), word.into());
        if let Err(complaint) = verdict {
            let detail = json!({ "status": word, "level": 40, "messages": { "svc": complaint } });
            details.insert(status.name.clone(), detail);
        }
    }
    let well = details.is_empty();
    let status = if well { "ok" } else { "error" };
    Answer::new(if well { 200 } else { 503 }, json!({ "status": status, "checks": checks, "details": details }))
}

/// svc itself does not answer.
pub(crate) fn no_svc(message: &str) -> Answer {
    let detail = json!({ "status": "error", "level": 50, "messages": { "svc": message } });
    Answer::new(503, json!({ "status": "error", "checks": { "svc": "error" }, "details": { "svc": detail } }))
}

/// The version file as it is, if it is what it must be.
pub(crate) fn version(file: &str, content: std::io::Result<String>) -> Answer {
    let missing = |code, what: String| Answer::new(code, json!({ "error": what }));
    match content {
        Err(error) => {
            missing(404, format!("{file}: {error}: write it when the image is built (source, version, commit, build)"))
        }
        Ok(text) => match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(_)) => Answer { code: 200, body: text },
            Ok(_) => missing(500, format!("{file}: is no JSON object")),
            Err(error) => missing(500, format!("{file}:{}:{}: is no JSON: {error}", error.line(), error.column())),
        },
    }
}

pub(crate) fn not_found(path: &str) -> Answer {
    let what = format!("{path}: there are /__version__, /__heartbeat__ and /__lbheartbeat__");
    Answer::new(404, json!({ "error": what }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_file_is_answered_as_it_is() {
        let text = "{ \"version\": 1.0,\n  \"build\":[1] }\n";
        let answer = version("f", Ok(text.into()));
        assert_eq!((answer.code, answer.body.as_str()), (200, text));
        let answer = version("f", Ok("{\n\"version\" 1}".into()));
        assert_eq!(answer.code, 500);
        assert!(answer.body.starts_with("{\"error\":\"f:2:"), "{}", answer.body);
        assert_eq!(version("f", Ok("[]".into())).code, 500);
        assert_eq!(version("f", Err(std::io::ErrorKind::NotFound.into())).code, 404);
    }

    #[test]
    fn nobody_wanted_is_well() {
        let answer = heartbeat(&[]);
        assert_eq!((answer.code, answer.body.ends_with("\"status\":\"ok\"}")), (200, true), "{}", answer.body);
        assert_eq!(no_svc("gone").code, 503);
    }
}
