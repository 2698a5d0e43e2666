//! What the endpoints answer: a status and JSON. Nothing is asked or read here.

use serde_json::{Map, Value, json};
use svc_proto::api::Status;

/// A status code and a document.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

/// The load balancer wants to know whether anybody is here, and nothing of what is behind.
pub(crate) fn lbheartbeat() -> Answer {
    Answer { code: 200, body: json!({ "status": "ok" }) }
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
    Answer { code: if well { 200 } else { 503 }, body: json!({ "status": status, "checks": checks, "details": details }) }
}

/// svc itself does not answer.
pub(crate) fn no_svc(message: &str) -> Answer {
    let detail = json!({ "status": "error", "level": 50, "messages": { "svc": message } });
    Answer { code: 503, body: json!({ "status": "error", "checks": { "svc": "error" }, "details": { "svc": detail } }) }
}

/// The version file as it is, if it is what it must be.
pub(crate) fn version(file: &str, content: std::io::Result<String>) -> Answer {
    let missing = |code, what: String| Answer { code, body: json!({ "error": what }) };
    match content {
        Err(error) => {
            missing(404, format!("{file}: {error}: write it when the image is built (source, version, commit, build)"))
        }
        Ok(text) => match serde_json::from_str::<Value>(&text) {
            Ok(body @ Value::Object(_)) => Answer { code: 200, body },
            Ok(_) => missing(500, format!("{file}: is no JSON object")),
            Err(error) => missing(500, format!("{file}:{}:{}: is no JSON: {error}", error.line(), error.column())),
        },
    }
}

pub(crate) fn not_found(path: &str) -> Answer {
    let what = format!("{path}: there are /__version__, /__heartbeat__ and /__lbheartbeat__");
    Answer { code: 404, body: json!({ "error": what }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_file_is_answered_as_it_is() {
        let answer = version("f", Ok("{\"version\":\"1\",\"x\":[1]}".into()));
        assert_eq!((answer.code, answer.body["x"][0].as_i64()), (200, Some(1)));
        let answer = version("f", Ok("{\n\"version\" 1}".into()));
        assert_eq!(answer.code, 500);
        assert!(answer.body["error"].as_str().is_some_and(|error| error.starts_with("f:2:")), "{}", answer.body);
        assert_eq!(version("f", Ok("[]".into())).code, 500);
        assert_eq!(version("f", Err(std::io::ErrorKind::NotFound.into())).code, 404);
    }

    #[test]
    fn nobody_wanted_is_well() {
        let answer = heartbeat(&[]);
        assert_eq!((answer.code, answer.body["status"].as_str()), (200, Some("ok")));
        assert_eq!(no_svc("gone").code, 503);
    }
}
