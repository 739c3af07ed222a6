//! A browser that drops the Secure cookie of a site that it reached by plain HTTP.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_keycard::{MemoryStore, Session, SessionConfig, SessionLayer};

use crate::support::log::Log;

const EVENT: &str = "secure_cookie_dropped";

/// A form that a browser sends to a page reached by plain HTTP.
fn form() -> Request<()> {
    let request = Request::post("/")
        .header("host", "192.168.1.5:3000")
        .header("origin", "http://192.168.1.5:3000")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        );
    request.body(()).unwrap()
}

async fn answer(layer: &SessionLayer, writes: bool, request: Request<()>) {
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let session = Session::load(request.extensions()).await.unwrap();
        if writes {
            session.insert("a", 1).unwrap();
        }
        Ok::<_, Infallible>(Response::new(()))
    }));
    service.oneshot(request).await.unwrap();
}

/// One test, because the line is logged once in the life of the process.
#[tokio::test]
async fn the_log_says_once_that_a_browser_drops_the_cookie() {
    let log = Log::start();
    let layer = SessionLayer::new(MemoryStore::new());
    let insecure = SessionConfig::insecure_for_development();
    let insecure = SessionLayer::builder(MemoryStore::new()).config(insecure);
    let insecure = insecure.build().unwrap();

    answer(&layer, false, form()).await;
    answer(&insecure, true, form()).await;
    let mut curl = form();
    curl.headers_mut()
        .insert("user-agent", "curl/8.5.0".parse().unwrap());
    answer(&layer, true, curl).await;
    let mut secure = form();
    secure
        .headers_mut()
        .insert("sec-fetch-site", "same-origin".parse().unwrap());
    answer(&layer, true, secure).await;
    assert_eq!(log.count(EVENT), 0);

    for _ in 0..3 {
        answer(&layer, true, form()).await;
    }
    answer(&SessionLayer::new(MemoryStore::new()), true, form()).await;
    let lines = log.events(EVENT);
    assert_eq!((lines.len(), &*lines[0]["level"]), (1, "WARN"));
    let text = &lines[0]["message"];
    for way_out in ["HTTPS", "SessionConfig::secure(false)", "http://localhost"] {
        assert!(text.contains(way_out), "{text}");
    }
}
