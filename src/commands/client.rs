//! Asking the admin API of a running sbc.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

/// Longer than a healthy node ever takes, rules of a million prefixes included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The admin API of one node.
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
}

/// What it said.
pub(super) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Client {
    /// `base` is where it listens, as `http://127.0.0.1:9090`.
    pub(super) fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        Self { agent: config.build().into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.base);
        answer(&url, self.agent.get(&url).call())
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.base);
        let body = serde_json::to_vec(body)?;
        answer(&url, self.agent.post(&url).content_type("application/json").send(&body[..]))
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// When it comes from something else than this version of sbc.
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, answer: &Answer) -> anyhow::Result<T> {
        serde_json::from_str(&answer.text)
            .with_context(|| format!("{} is not the admin API of this version of sbc", self.base))
    }
}

type Called = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn answer(url: &str, called: Called) -> anyhow::Result<Answer> {
    let read = |mut response: ureq::http::Response<ureq::Body>| {
        let text = response.body_mut().read_to_string()?;
        Ok(Answer { status: response.status().as_u16(), text })
    };
    called
        .and_then(read)
        .with_context(|| format!("no answer from {url}: is sbc running, and is this its `admin.bind`?"))
}
