//! A user's sessions on several devices.

use axum::http::StatusCode;
use serde_json::json;
use tower_keycard::SessionConfig;
use tower_keycard::config::BeyondLimit;

use crate::app::{App, Browser, on_every_store};

async fn logged_in(app: &App, user: &str) -> Browser {
    let mut browser = app.browser();
    browser.does(&format!("/login/{user}")).await;
    browser
}

async fn user(browser: &mut Browser) -> serde_json::Value {
    browser.session().await["user"].clone()
}

fn public_id(browser: &Browser) -> String {
    browser.token()[..20].to_owned()
}

#[tokio::test]
async fn r05_a_user_lists_their_sessions_and_ends_one_the_others_or_all() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut devices = Vec::new();
        for _ in 0..4 {
            devices.push(logged_in(&app, "alice").await);
        }
        let mut stranger = logged_in(&app, "bob").await;

        let listed = devices[0].get("/sessions").await.json();
        let mut listed: Vec<_> = listed.as_array().unwrap().clone();
        let mut expected: Vec<_> = devices
            .iter()
            .map(|device| json!(public_id(device)))
            .collect();
        listed.sort_by_key(ToString::to_string);
        expected.sort_by_key(ToString::to_string);
        assert_eq!(listed, expected);

        // One of theirs, at its next request; and none of another user.
        let ends = format!("/end/{}", public_id(&devices[3]));
        assert_eq!(devices[0].does(&ends).await.json(), true);
        assert_eq!(user(&mut devices[3]).await, json!(null));
        let ends = format!("/end/{}", public_id(&stranger));
        assert_eq!(devices[0].does(&ends).await.json(), false);
        assert_eq!(user(&mut stranger).await, "bob");

        assert_eq!(devices[0].does("/end-others").await.json(), 2);
        assert_eq!(user(&mut devices[0]).await, "alice");
        assert_eq!(user(&mut devices[1]).await, json!(null));
        assert_eq!(user(&mut devices[2]).await, json!(null));

        assert_eq!(devices[0].does("/logout-everywhere").await.json(), 1);
        assert_eq!(user(&mut devices[0]).await, json!(null));
        assert_eq!(user(&mut stranger).await, "bob");

        let nobody = app.browser().get("/sessions").await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn r05_a_new_password_ends_every_other_session() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut devices = [app.browser(), app.browser(), app.browser()];
        for device in &mut devices {
            device.does("/stamp/alice/old").await;
            device.does("/check/old").await;
        }
        let [mut phone, mut laptop, mut tablet] = devices;
        // A new password was stored without a report to the sessions.
        let refused = tablet.post("/check/new").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(user(&mut tablet).await, json!(null));

        phone.does("/change/new").await;
        phone.does("/check/new").await;
        assert_eq!(user(&mut phone).await, "alice");
        assert_eq!(user(&mut laptop).await, json!(null));
        let stranger = app.browser().post("/change/new").await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn r06_a_user_has_no_more_sessions_than_the_limit_allows() {
    on_every_store(async |store| {
        for beyond in [BeyondLimit::EvictOldest, BeyondLimit::Refuse] {
            let name = format!("{beyond:?}");
            let one = SessionConfig::new().max_sessions_per_user(1, beyond);
            let app = App::configured(store.clone(), one);
            let mut first = logged_in(&app, &name).await;
            let mut second = app.browser();
            let reply = second.post(&format!("/login/{name}")).await;
            if beyond == BeyondLimit::EvictOldest {
                assert_eq!(reply.status, StatusCode::OK);
                assert_eq!(user(&mut first).await, json!(null));
                assert_eq!(user(&mut second).await, json!(name));
            } else {
                assert_eq!(reply.status, StatusCode::FORBIDDEN);
                assert_eq!(user(&mut first).await, json!(name));
                assert_eq!(user(&mut second).await, json!(null));
            }
        }
    })
    .await;
}
