//! JsSIP in headless Chromium: a Node program keeps the browser and does what it is told, line by line, in JSON.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Process, PublicView, Site, binaries, until, until_or};

/// Where the page and the program that drives it are.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser");

/// The two ends of the conversation with the Node program.
#[derive(Debug)]
struct Wire {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Wire {
    /// One order, one answer; `None` when the other end is gone.
    fn try_ask(&mut self, order: &Value) -> Option<Value> {
        writeln!(self.orders, "{order}").ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    fn ask(&mut self, order: &Value) -> Value {
        let answer = self.try_ask(order).expect("the browser's driver ended; its output is in browser.out");
        assert!(answer["error"].is_null(), "{order}: {}", answer["error"].as_str().unwrap_or_default());
        answer["value"].clone()
    }
}

/// A headless Chromium.
#[derive(Debug)]
pub struct Browser {
    wire: Mutex<Wire>,
    _process: Process,
}

impl Browser {
    /// Launches it.
    ///
    /// # Panics
    /// When Node, Chromium or the npm packages are not installed.
    pub fn launch(site: &Site) -> Self {
        let modules = std::path::Path::new(DIRECTORY).join("node_modules");
        assert!(modules.is_dir(), "no npm packages in tests/browser: `make prepare` installs them");
        let log = std::fs::File::create(site.directory().join("browser.out")).expect("a log file");
        let mut child = Command::new(binaries::installed("node"))
            .arg("driver.mjs")
            .arg(site.directory().join("chromium"))
            .current_dir(DIRECTORY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("node starts");
        let orders = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let wire = Mutex::new(Wire { orders, answers });
        let browser = Self { wire, _process: Process::adopt(child) };
        browser.ask(&json!({ "do": "launch" }));
        browser
    }

    fn ask(&self, order: &Value) -> Value {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).ask(order)
    }

    /// Opens a page whose JsSIP is connected and registered as `user` of example.test.
    ///
    /// # Panics
    /// When it does not get registered.
    pub fn page(&self, site: &Site, user: &str) -> Page<'_> {
        let page = Page { browser: self, name: user.to_owned() };
        self.ask(&json!({ "do": "open", "page": user }));
        let settings = json!({
            "url": site.wss_url(),
            "uri": format!("sip:{user}@example.test"),
            "password": "secret",
        });
        page.run("start", &settings);
        page.wait_for("registered", &json!(true));
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium takes its own children along, and tidies up its profile.
        self.wire.get_mut().unwrap_or_else(PoisonError::into_inner).try_ask(&json!({ "do": "close" }));
    }
}

/// One page of a [`Browser`]: a widget with one user.
#[derive(Debug)]
pub struct Page<'b> {
    browser: &'b Browser,
    name: String,
}

impl Page<'_> {
    /// Runs a function of the page's `phone` object and waits for its value.
    ///
    /// # Panics
    /// When it throws.
    pub fn run(&self, function: &str, argument: &Value) -> Value {
        let order = json!({ "do": "run", "page": self.name, "function": function, "argument": argument });
        self.browser.ask(&order)
    }

    /// What the page's phone says of itself.
    pub fn state(&self) -> Value {
        self.run("state", &Value::Null)
    }

    /// Waits until a field of the page's state has a value.
    ///
    /// # Panics
    /// When it does not get it.
    #[track_caller]
    pub fn wait_for(&self, field: &str, value: &Value) {
        let has_it = || self.state()[field] == *value;
        until_or(has_it, || format!("{}: {field} is {value}, but {}", self.name, self.state()));
    }

    /// Calls a number at example.test and waits until the call is up.
    #[track_caller]
    pub fn call(&self, number: &str) {
        self.run("call", &json!(format!("sip:{number}@example.test")));
        self.wait_for("call", &json!("up"));
    }

    /// Hangs up and waits until the call is over.
    #[track_caller]
    pub fn hang_up(&self) {
        self.run("hangUp", &Value::Null);
        self.wait_for("call", &json!("ended"));
    }

    /// Sends a re-INVITE, by `hold` or `unhold`, and waits until it is answered.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn reoffer(&self, function: &str) {
        let before = self.state()["reoffers"].as_u64().unwrap_or(0);
        until("JsSIP is ready for a new offer", || self.run(function, &Value::Null) == true);
        self.wait_for("reoffers", &json!(before + 1));
    }

    /// Every message that came over its WebSockets.
    pub fn received(&self) -> Vec<String> {
        let frames = self.browser.ask(&json!({ "do": "received", "page": self.name }));
        serde_json::from_value(frames).expect("a list of texts")
    }

    /// Shows every message that the page has received to the judge.
    pub fn show_to(&self, view: &mut PublicView) {
        view.judge_all(self.received());
    }

    /// Responses received, by status, to requests with this method.
    pub fn responses(&self, status: u16, method: &str) -> Vec<String> {
        let (start, sequence) = (format!("SIP/2.0 {status} "), format!(" {method}"));
        let answers =
            |message: &str| message.starts_with(&start) && header(message, "CSeq").ends_with(&sequence);
        self.received().into_iter().filter(|message| answers(message)).collect()
    }

    /// How often the most challenged INVITE of one Call-ID was answered with 407.
    pub fn most_challenges_of_a_call(&self) -> usize {
        let mut challenged = HashMap::<String, usize>::new();
        for message in self.responses(407, "INVITE") {
            *challenged.entry(header(&message, "Call-ID").to_owned()).or_default() += 1;
        }
        challenged.into_values().max().unwrap_or(0)
    }
}

/// The value of a header as its sender writes it; empty when it is not there.
fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let value = |line: &'m str| line.strip_prefix(name)?.strip_prefix(": ");
    message.lines().take_while(|line| !line.is_empty()).find_map(value).unwrap_or_default()
}
