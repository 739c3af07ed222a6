//! A client that keeps one cookie, and sends requests through a layer to handlers that are closures.

use std::convert::Infallible;
use std::sync::Mutex;

use http::header::COOKIE;
use http::{Method, Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_keycard::{MemoryStore, Session, SessionError, SessionLayer};

use super::cookie;

pub(crate) type Body = String;

/// Sends one request after the other through a layer, each to a handler of its own.
pub(crate) struct Client {
    pub(crate) layer: SessionLayer,
    cookie: Mutex<Option<String>>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(SessionLayer::new(MemoryStore::new()))
    }

    pub(crate) fn with(layer: SessionLayer) -> Self {
        Self {
            layer,
            cookie: Mutex::new(None),
        }
    }

    /// A POST with the cookie that is kept.
    pub(crate) fn new_request(&self) -> Request<Body> {
        let mut request = Request::new(Body::new());
        *request.method_mut() = Method::POST;
        if let Some(cookie) = &*self.cookie.lock().unwrap() {
            request
                .headers_mut()
                .insert(COOKIE, cookie.parse().unwrap());
        }
        request
    }

    pub(crate) fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }

    pub(crate) fn set_cookie(&self, cookie: Option<String>) {
        *self.cookie.lock().unwrap() = cookie;
    }

    /// Sends a request through the layer, and keeps the cookie of the response.
    pub(crate) async fn request<F, T>(&self, handler: F) -> Response<Body>
    where
        F: AsyncFnOnce(Session) -> T,
        T: IntoAnswer,
    {
        let answer = async |session: Result<Session, _>| {
            handler(session.expect("a layer")).await.into_answer()
        };
        let response = respond(&self.layer, self.new_request(), answer).await;
        cookie::keep(&mut self.cookie.lock().unwrap(), response.headers());
        response
    }
}

/// What a handler finds out of its session, whatever becomes of the response.
pub(crate) async fn ask<T>(device: &Client, question: impl AsyncFnOnce(Session) -> T) -> T {
    let mut answer = None;
    device
        .request(async |session| answer = Some(question(session).await))
        .await;
    answer.unwrap()
}

/// Sends a request through a layer to a handler that is given its session.
pub(crate) async fn respond<B, T: Default>(
    layer: &SessionLayer,
    request: Request<B>,
    handler: impl AsyncFnOnce(Result<Session, SessionError>) -> Response<T>,
) -> Response<T> {
    let mut handler = Some(handler);
    let service = service_fn(|request: Request<B>| {
        let handler = handler.take().expect("one request");
        async move {
            let session = Session::load(request.extensions()).await;
            Ok::<_, Infallible>(handler(session).await)
        }
    });
    layer.layer(service).oneshot(request).await.unwrap()
}

/// What a handler may return.
pub(crate) trait IntoAnswer {
    fn into_answer(self) -> Response<Body>;
}

impl IntoAnswer for () {
    fn into_answer(self) -> Response<Body> {
        Response::new(Body::new())
    }
}

impl IntoAnswer for StatusCode {
    fn into_answer(self) -> Response<Body> {
        let mut response = Response::new(Body::new());
        *response.status_mut() = self;
        response
    }
}

impl IntoAnswer for Result<(), SessionError> {
    fn into_answer(self) -> Response<Body> {
        self.map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::OK)
            .into_answer()
    }
}
