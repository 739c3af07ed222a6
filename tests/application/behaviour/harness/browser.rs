//! A browser: a jar of cookies and real HTTP connections to one server.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower_keycard::{Clock, SessionId};

use super::jar::{self, Jar, SetCookie};
use super::{COOKIE_NAME, selector};

pub(crate) struct Browser {
    address: SocketAddr,
    clock: Clock,
    jar: Mutex<Jar>,
}

impl Browser {
    pub(crate) fn new(address: SocketAddr, clock: Clock) -> Self {
        Self {
            address,
            clock,
            jar: Mutex::default(),
        }
    }

    /// Another with the same cookies: a second tab that has not heard of the first one's next response.
    pub(crate) fn twin(&self) -> Self {
        Self {
            address: self.address,
            clock: self.clock.clone(),
            jar: Mutex::new(self.jar().clone()),
        }
    }

    pub(crate) fn jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().unwrap()
    }

    /// The session cookie's value.
    pub(crate) fn token(&self) -> Option<String> {
        self.jar().value(COOKIE_NAME).map(str::to_owned)
    }

    /// The public part of the token.
    pub(crate) fn selector(&self) -> Option<SessionId> {
        self.token().map(|token| selector(&token))
    }

    pub(crate) fn with_token(self, token: &str) -> Self {
        self.jar().put(COOKIE_NAME, token);
        self
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &[]).await
    }

    /// Begins a session, and brings its token back, which confirms it.
    pub(crate) async fn begin(&self, path: &str) -> Reply {
        let reply = self.get(path).await.ok();
        self.get("/read").await.ok();
        reply
    }

    pub(crate) async fn post(&self, path: &str) -> Reply {
        self.ask(Method::POST, path, &[]).await
    }

    /// With headers of the test's own. A `Cookie` among them takes the place of the jar's.
    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        let reply = self.try_ask(method, path, headers).await;
        reply.unwrap_or_else(|error| panic!("no response to {path}: {error}"))
    }

    /// As `ask`, where the server may close the connection without a response.
    pub(crate) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Reply> {
        let (head, body) = self.open(method, path, headers).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// A response whose body is still to come.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<http::Response<Incoming>> {
        let stream = self.connect().await;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, jar::HOST);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cross_site = headers.contains(&("sec-fetch-site", "cross-site"));
        if !headers.iter().any(|(name, _)| *name == "cookie")
            && let Some(cookies) = self.jar().header(path, self.clock.now(), cross_site)
        {
            request = request.header(COOKIE, cookies);
        }
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = sender.send_request(request).await?;
        for line in response.headers().get_all(SET_COOKIE) {
            let taken = self.jar().take(line.to_str().unwrap(), self.clock.now());
            taken.unwrap_or_else(|why| panic!("a browser refuses the cookie of {path}: {why}"));
        }
        Ok(response)
    }

    /// A connection for bytes of the test's own.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request and leaves the connection to the test, to be dropped.
    pub(crate) async fn send_only(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let cookies = self
            .jar()
            .header(path, self.clock.now(), false)
            .unwrap_or_default();
        let host = jar::HOST;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// All values of a header.
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.get_all(name).into_iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }

    /// The line that sets or removes the session's cookie; panics where there are two.
    pub(crate) fn set_cookie(&self) -> Option<SetCookie> {
        self.set_cookie_named(COOKIE_NAME)
    }

    pub(crate) fn set_cookie_named(&self, name: &str) -> Option<SetCookie> {
        let lines = self.lines("set-cookie").into_iter();
        let mut ours = lines
            .map(SetCookie::parse)
            .filter(|cookie| cookie.name == name);
        let cookie = ours.next();
        assert_eq!(ours.next(), None, "one line per name");
        cookie
    }

    /// The cookie that came with it, which must be one that a browser keeps.
    pub(crate) fn new_cookie(&self) -> SetCookie {
        let cookie = self.set_cookie().expect("a cookie is set");
        assert!(!cookie.removes(), "the cookie is removed");
        assert_eq!(cookie.value.len(), 44);
        cookie
    }

    pub(crate) fn removes_the_cookie(&self) -> bool {
        self.set_cookie().is_some_and(|cookie| cookie.removes())
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.is(200)
    }

    /// With this status, and without a word about the session's cookie.
    #[track_caller]
    pub(crate) fn sets_nothing(self) -> Self {
        assert_eq!(self.lines("set-cookie"), Vec::<&str>::new());
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert_eq!(self.text, text, "status {}", self.status);
        self
    }
}
