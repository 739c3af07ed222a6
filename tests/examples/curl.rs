//! The `curl` program with a cookie jar of its own.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A client without a browser.
#[derive(Debug)]
pub(crate) struct Curl {
    directory: TempDir,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// Every value of this header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of this header, which must not come twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times", all.len());
        all.first().copied()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Curl {
    /// A client that was never here.
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
        }
    }

    /// A client whose jar holds nothing but this cookie, as if it had been stolen or planted.
    pub(crate) fn with_cookie(url: &str, name: &str, value: &str) -> Self {
        let this = Self::new();
        let host = url
            .split("://")
            .nth(1)
            .unwrap()
            .split([':', '/'])
            .next()
            .unwrap();
        // Netscape's format: domain, subdomains too, path, secure, expiry (0: with the browser), name, value.
        let line = format!("#HttpOnly_{host}\tFALSE\t/\tTRUE\t0\t{name}\t{value}\n");
        std::fs::write(this.jar(), line).unwrap();
        this
    }

    fn jar(&self) -> PathBuf {
        self.directory.path().join("jar")
    }

    /// Opens a page.
    pub(crate) fn get(&self, url: &str) -> Reply {
        self.run(&[url])
    }

    /// Sends a form.
    pub(crate) fn post(&self, url: &str, fields: &[(&str, &str)]) -> Reply {
        self.post_with(url, fields, &[])
    }

    /// Sends a form with further headers.
    pub(crate) fn post_with(&self, url: &str, fields: &[(&str, &str)], headers: &[&str]) -> Reply {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut arguments = vec!["--request", "POST", url];
        for field in &fields {
            arguments.extend(["--data-urlencode", field]);
        }
        for header in headers {
            arguments.extend(["--header", header]);
        }
        self.run(&arguments)
    }

    /// The cookie of this name in the jar.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let jar = std::fs::read_to_string(self.jar()).unwrap_or_default();
        jar.lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .find(|fields| fields.len() == 7 && fields[5] == name)
            .map(|fields| fields[6].to_owned())
    }

    fn run(&self, arguments: &[&str]) -> Reply {
        let jar = self.jar();
        let output = Command::new("curl")
            // --disable, which must come first: no ~/.curlrc.
            .args([
                "--disable",
                "--silent",
                "--show-error",
                "--include",
                "--max-time",
                "60",
            ])
            .args(["--noproxy", "*"])
            .arg("--cookie")
            .arg(&jar)
            .arg("--cookie-jar")
            .arg(&jar)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("curl: {error} (see scripts/test)"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "curl {arguments:?}: {error}");

        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines
            .map(|line| {
                line.split_once(": ")
                    .unwrap_or((line.trim_end_matches(':'), ""))
            })
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Reply {
            status,
            headers,
            body: body.to_owned(),
        }
    }
}
