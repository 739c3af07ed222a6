//! A visitor of an application: sends one request after the other, in this process.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{COOKIE, Entry, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode, Uri};
use tower::ServiceExt as _;

#[cfg(feature = "peers")]
use crate::subject::actix::ActixApp;
use crate::work::{COOKIE as COOKIE_NAME, Work};

/// An application that does one kind of work.
#[derive(Clone, Debug)]
pub enum App {
    /// `/seed` creates a session, and `/work` does the work.
    Axum(Router),
    #[cfg(feature = "peers")]
    Actix(ActixApp),
}

#[derive(Debug)]
pub struct Visitor {
    app: App,
    work: Work,
    cookie: Option<HeaderValue>,
    /// Whether each response to the work must set a cookie.
    must_set: bool,
}

impl Visitor {
    /// A visitor with the session and the cookie that the work needs.
    pub async fn start(app: &App, work: Work, has_session: bool) -> Self {
        let mut visitor = Self {
            app: app.clone(),
            work,
            cookie: None,
            must_set: has_session && work.sets_cookie(),
        };
        if work.sends_cookie() {
            let set = visitor.send("/seed").await;
            visitor.cookie = set.as_ref().map(pair);
            assert!(visitor.cookie.is_some(), "a new session's cookie");
        }
        visitor
    }

    /// Does the work this many times.
    pub async fn work(&mut self, times: u64) {
        for _ in 0..times {
            let set = self.send("/work").await;
            assert!(set.is_some() || !self.must_set, "{}: no cookie", self.work);
            if self.follows()
                && let Some(set) = &set
            {
                self.cookie = Some(pair(set));
            }
        }
    }

    /// The cookie of the next request.
    pub fn cookie(&self) -> Option<&HeaderValue> {
        self.cookie.as_ref()
    }

    /// Whether each request sends the cookie of the response before it.
    pub fn follows(&self) -> bool {
        self.must_set && self.work == Work::W5
    }

    /// Sends a request, and returns the cookie that its response sets, with all its attributes.
    async fn send(&self, path: &'static str) -> Option<HeaderValue> {
        match &self.app {
            App::Axum(router) => {
                let mut request = Request::new(Body::empty());
                *request.uri_mut() = Uri::from_static(path);
                if let Some(cookie) = &self.cookie {
                    request.headers_mut().insert(COOKIE, cookie.clone());
                }
                let response = router.clone().oneshot(request).await;
                let mut response = response.unwrap_or_else(|never| match never {});
                assert_eq!(response.status(), StatusCode::OK);
                // axum_session sets another cookie too, in either order.
                match response.headers_mut().entry(SET_COOKIE) {
                    Entry::Occupied(set) => set.remove_entry_mult().1.find(is_session_cookie),
                    Entry::Vacant(_) => None,
                }
            }
            #[cfg(feature = "peers")]
            App::Actix(app) => app.send(path, self.cookie.as_ref()).await,
        }
    }
}

fn is_session_cookie(set: &HeaderValue) -> bool {
    set.as_bytes().starts_with(COOKIE_NAME.as_bytes())
}

/// The part of a `Set-Cookie` value that a browser sends back.
pub fn pair(set: &HeaderValue) -> HeaderValue {
    let attributes = set.as_bytes().iter().position(|&byte| byte == b';');
    let pair = &set.as_bytes()[..attributes.unwrap_or(set.len())];
    HeaderValue::from_bytes(pair).expect("a part of a header's value")
}
