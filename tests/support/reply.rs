//! A response of an axum router, read to its end.

use axum::body::Body;
use axum::http::header::{HeaderName, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> Option<&str> {
        self.header(LOCATION)
    }

    pub(crate) fn set_cookie(&self) -> Option<&str> {
        let mut lines = self.headers.get_all(SET_COOKIE).iter();
        let line = lines.next()?.to_str().unwrap();
        assert!(lines.next().is_none(), "one cookie, one line");
        Some(line)
    }

    /// The token that the browser is given.
    pub(crate) fn token(&self) -> Option<String> {
        let value = self.set_cookie()?.split([';', '=']).nth(1)?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(crate) fn removes_the_cookie(&self) -> bool {
        self.set_cookie()
            .is_some_and(|line| line.starts_with("__Host-id=;") && line.contains("Max-Age=0"))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
