//! Chromium without a window, driven by the W3C WebDriver protocol through `chromedriver`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// The key under which the protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A person's browser, with a new profile; it and its driver end when this goes out of scope.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    // Dropped after `drop` has ended the browser that writes to it.
    profile: TempDir,
}

impl Browser {
    /// Starts a browser that was never anywhere.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        // The driver can choose a port of its own, but on a machine without IPv6 it does not say which.
        // Another process may take ours in between: then with the next one.
        let (driver, port) = (0..20)
            .find_map(|_| drive(free_port()))
            .expect("chromedriver does not start");
        let mut this = Self {
            driver,
            port,
            session: String::new(),
            profile: TempDir::new().unwrap(),
        };

        let mut options = json!({ "args": [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            format!("--user-data-dir={}", this.profile.path().display()),
        ]});
        for argument in arguments {
            options["args"]
                .as_array_mut()
                .unwrap()
                .push((*argument).into());
        }
        if let Ok(chromium) = std::env::var("CHROMIUM") {
            options["binary"] = chromium.into();
        }
        let started = this.send(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": {
                "goog:chromeOptions": options,
                // How long a search for an element waits for it to appear: this is what the tests wait on.
                "timeouts": { "implicit": 20_000, "pageLoad": 60_000, "script": 20_000 },
            }}}),
        );
        this.session = started["sessionId"].as_str().unwrap().to_owned();
        this
    }

    /// Goes to an address, and waits until the page is there.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// Reloads the page, and waits until it is there again.
    pub(crate) fn reload(&self) {
        self.post("refresh", &json!({}));
    }

    /// The address shown.
    pub(crate) fn address(&self) -> String {
        self.get("url").as_str().unwrap().to_owned()
    }

    /// The visible text of the first element that fits the selector, once there is one.
    pub(crate) fn text(&self, selector: &str) -> String {
        let element = self.find(selector);
        self.get(&format!("element/{element}/text"))
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Types into a field.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(
            &format!("element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    /// Clicks on an element. The old page may still be there when this returns: go on with an element that only the new one
    /// has.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// What a script on the page gets.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The cookies for the page shown, as the browser keeps them.
    pub(crate) fn cookies(&self) -> Vec<Value> {
        self.get("cookie").as_array().unwrap().clone()
    }

    /// Puts a cookie into the browser for the page shown.
    pub(crate) fn set_cookie(&self, cookie: &Value) {
        self.post("cookie", &json!({ "cookie": cookie }));
    }

    /// What a window of this size shows, as a PNG: in the colours of the day, or of the night.
    pub(crate) fn screenshot(&self, width: u32, height: u32, dark: bool) -> Vec<u8> {
        // The window's own size includes what is around the page, which differs from version to version.
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        );
        self.devtools("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
        base64(self.get("screenshot").as_str().unwrap())
    }

    /// A command that is Chromium's alone.
    fn devtools(&self, command: &str, parameters: &Value) {
        self.post(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        );
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post(
            "element",
            &json!({ "using": "css selector", "value": selector }),
        );
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    fn get(&self, command: &str) -> Value {
        self.send(
            "GET",
            &format!("/session/{}/{command}", self.session),
            &Value::Null,
        )
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        self.send(
            "POST",
            &format!("/session/{}/{command}", self.session),
            body,
        )
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, reply) = exchange(self.port, method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(
            status, 200,
            "{method} {path} {body}: {}",
            reply["value"]["message"]
        );
        reply["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browsers when it is asked to stop; killed, it would leave them behind.
        if exchange(self.port, "GET", "/shutdown", &Value::Null).is_err() {
            let _ = self.driver.kill();
        }
        let _ = self.driver.wait();
    }
}

/// RFC 4648, section 4.
fn base64(text: &str) -> Vec<u8> {
    let value = |character: u8| match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("no base64: {character}"),
    };
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0, |bits, character| {
            bits << 6 | u32::from(value(*character))
        });
        let bits = bits << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a driver, and waits until it listens; nothing if it ends before that.
fn drive(port: u16) -> Option<(Child, u16)> {
    let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".into());
    let mut driver = Command::new(&program)
        .arg(format!("--port={port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error} (see scripts/test)"));
    let mut lines = BufReader::new(driver.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    if lines.any(|line| line.contains("started successfully")) {
        // Reads on, so that the driver never blocks on a full pipe.
        thread::spawn(move || lines.for_each(drop));
        return Some((driver, port));
    }
    let _ = driver.wait();
    None
}

/// One HTTP request to the driver.
fn exchange(port: u16, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(2 * PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )?;

    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut reply = vec![0; length];
    reader.read_exact(&mut reply)?;
    Ok((
        status,
        serde_json::from_slice(&reply).unwrap_or(Value::Null),
    ))
}
