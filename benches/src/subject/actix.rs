//! actix-session, with its store for Redis, and actix-web without sessions.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use actix_http::Request;
use actix_http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_http::{StatusCode, Uri};
use actix_session::config::{PersistentSession, TtlExtensionPolicy};
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::body::MessageBody;
use actix_web::cookie::{Key, SameSite};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::{App as Application, Error, HttpResponse, Route, test, web};

use super::Setting;
use crate::visitor::App;
use crate::work::{self, CSRF, NAME, USER_ID, Work};

type Reply = Pin<Box<dyn Future<Output = Option<axum::http::HeaderValue>>>>;
type Call = dyn Fn(&'static str, Option<&axum::http::HeaderValue>) -> Reply;

/// An application of actix-web: a path and a cookie in, a cookie out.
#[derive(Clone)]
pub struct ActixApp(Rc<Call>);

impl ActixApp {
    fn new<S, B>(service: S) -> Self
    where
        S: Service<Request, Response = ServiceResponse<B>, Error = Error> + 'static,
        B: MessageBody + 'static,
    {
        Self(Rc::new(move |path, cookie| {
            let mut request = Request::new();
            request.head_mut().uri = Uri::from_static(path);
            if let Some(cookie) = cookie {
                let cookie = HeaderValue::from_bytes(cookie.as_bytes()).expect("a value");
                request.headers_mut().insert(COOKIE, cookie);
            }
            let response = service.call(request);
            Box::pin(async {
                let response = response.await.expect("a response");
                assert_eq!(response.status(), StatusCode::OK);
                let set = response.headers().get(SET_COOKIE)?;
                Some(axum::http::HeaderValue::from_bytes(set.as_bytes()).expect("a value"))
            })
        }))
    }

    pub async fn send(
        &self,
        path: &'static str,
        cookie: Option<&axum::http::HeaderValue>,
    ) -> Option<axum::http::HeaderValue> {
        (self.0)(path, cookie).await
    }
}

impl fmt::Debug for ActixApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActixApp").finish_non_exhaustive()
    }
}

async fn create(session: Session) -> &'static str {
    session.insert("user_id", USER_ID).expect("JSON");
    session.insert("name", NAME).expect("JSON");
    session.insert("csrf", CSRF).expect("JSON");
    "ok"
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read(session: Session) -> &'static str {
    let user_id = session.get::<u64>("user_id").expect("a number");
    assert_eq!(user_id, Some(USER_ID));
    "ok"
}

async fn count(session: Session) -> &'static str {
    let count: Option<u64> = session.get("count").expect("a number");
    let count = count.unwrap_or(0) + 1;
    session.insert("count", count).expect("JSON");
    "ok"
}

async fn rotate(session: Session) -> &'static str {
    session.renew();
    "ok"
}

/// The cookie is signed, as by default.
pub(super) async fn in_redis(setting: &Setting) -> App {
    let store = RedisSessionStore::new(setting.redis.as_str()).await;
    let idle = setting.idle.as_secs() as i64;
    let slides = match setting.work.slides() {
        true => TtlExtensionPolicy::OnEveryRequest,
        false => TtlExtensionPolicy::OnStateChanges,
    };
    let lifecycle = PersistentSession::default()
        .session_ttl(time::Duration::seconds(idle))
        .session_ttl_extension_policy(slides);
    let middleware = SessionMiddleware::builder(store.expect("a Redis server"), Key::generate())
        .cookie_name(work::COOKIE.to_owned())
        .cookie_same_site(SameSite::Lax)
        .session_lifecycle(lifecycle)
        .build();
    let work: fn() -> Route = match setting.work {
        Work::W0 | Work::W1 => || web::get().to(untouched),
        Work::W2 | Work::W6 | Work::W7 => || web::get().to(read),
        Work::W3 => || web::get().to(count),
        Work::W4 => || web::get().to(create),
        Work::W5 => || web::get().to(rotate),
    };
    let app = Application::new()
        .wrap(middleware)
        .route("/seed", web::get().to(create))
        .route("/work", work());
    App::Actix(ActixApp::new(test::init_service(app).await))
}

pub(super) async fn bare() -> App {
    let seed = async || {
        let cookie = "__Host-id=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        HttpResponse::Ok()
            .insert_header((SET_COOKIE, cookie))
            .finish()
    };
    let app = Application::new()
        .route("/seed", web::get().to(seed))
        .route("/work", web::get().to(untouched));
    App::Actix(ActixApp::new(test::init_service(app).await))
}
