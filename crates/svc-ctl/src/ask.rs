//! Requests for programs that are no `svc-ctl`: one at a time, and waited for.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Client, QUESTION};
use crate::exit::Failure;

/// Why there is no answer: an exit code of svc-ctl's, and what to say.
#[derive(Debug)]
pub struct Unanswered {
    pub code: u8,
    pub message: String,
}

/// Asks the running svc for `path`.
pub fn get<T: DeserializeOwned>(path: &str) -> Result<T, Unanswered> {
    block_on(async { Client::new(None).get(path).await })
}

/// The same for a program that has an event loop.
pub async fn fetch<T: DeserializeOwned>(path: &str) -> Result<T, Unanswered> {
    Client::new(None).get(path).await.map_err(unanswered)
}

/// Has the running svc do something, which may take as long as it takes.
pub fn post<T: DeserializeOwned>(path: &str, body: &impl Serialize, patience: Option<Duration>) -> Result<T, Unanswered> {
    block_on(async { Client::new(None).post(path, body, patience.map(|patience| patience + QUESTION)).await })
}

fn block_on<T>(request: impl Future<Output = Result<T, Failure>>) -> Result<T, Unanswered> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime =
        runtime.map_err(|error| Unanswered { code: system(), message: format!("cannot set up an event loop: {error}") })?;
    runtime.block_on(request).map_err(unanswered)
}

fn unanswered(failure: Failure) -> Unanswered {
    match failure {
        Failure::Told { code, message } => Unanswered { code: code.number(), message },
        Failure::Lost(cause) => Unanswered { code: system(), message: format!("connection to svc lost ({cause})") },
        Failure::ReaderGone => Unanswered { code: system(), message: "nobody reads the answer".into() },
    }
}

/// What s6's programs say where the system would not.
fn system() -> u8 {
    crate::exit::Code::System.number()
}
