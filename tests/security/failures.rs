//! R10, R11, R13, R25: races, time-outs, and what goes wrong around the store.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use tower_keycard::MemoryStore;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{AnyStore, StoreCall};

use crate::app::{App, on_every_store};
use crate::leaks::capture::Capture;

/// The crate's sources, without the tests in them.
fn sources() -> Vec<(String, String)> {
    let mut directories = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                sources.push((path.display().to_string(), code.to_owned()));
            }
        }
    }
    sources
}

#[test]
fn r10_secrets_are_compared_by_subtle_and_have_no_other_comparison() {
    let sources = sources();
    let secrets: [(&str, &[&str]); 4] = [
        ("src/record/token.rs", &["Verifier", "Token"]),
        ("src/record/verifier_hash.rs", &["VerifierHash"]),
        ("src/record/fingerprint_hash.rs", &["FingerprintHash"]),
        ("src/record/security_stamp.rs", &["SecurityStamp"]),
    ];
    for (file, names) in secrets {
        let (_, source) = sources
            .iter()
            .find(|(path, _)| path.ends_with(file))
            .unwrap();
        for name in names {
            let declared = [format!("struct {name}("), format!("struct {name} {{")];
            let declared = declared
                .iter()
                .find_map(|start| source.find(start))
                .unwrap();
            let derived = &source[source[..declared].rfind("#[derive").unwrap()..declared];
            for comparison in ["PartialEq", "Eq", "Ord", "Hash)"] {
                assert!(!derived.contains(comparison), "{name} {derived}");
            }
            assert!(!source.contains(&format!("PartialEq for {name} ")));
        }
        let comparisons: Vec<_> = source.match_indices("fn same_as").collect();
        assert_eq!(comparisons.len(), 1);
        for (start, _) in comparisons {
            let body = &source[start..start + source[start..].find("\n    }\n").unwrap()];
            assert!(body.contains(".ct_eq("), "{body}");
            assert!(!body.contains("=="), "{body}");
        }
    }
    for (path, code) in &sources {
        for line in code
            .lines()
            .filter(|line| line.contains("==") || line.contains("!="))
        {
            let secret = line.contains("verifier.0")
                || line.contains("verifier ==")
                || line.contains("hash.0")
                || line.contains("hash ==")
                || line.contains("stamp.0")
                || line.contains("stamp ==");
            assert!(!secret, "{path}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_of_two_rotations_at_the_same_revision_one_wins() {
    on_every_store(async |store| {
        let app = App::new(store);
        for _ in 0..20 {
            let mut browser = app.browser();
            browser.does("/write/x").await;
            let both: Vec<_> = (0..2)
                .map(|_| {
                    let mut browser = browser.clone();
                    tokio::spawn(async move { browser.post("/rotate").await })
                })
                .collect();
            let mut tokens = Vec::new();
            for reply in both {
                tokens.extend(reply.await.unwrap().token());
            }
            let mut open = 0;
            for token in &tokens {
                open += u32::from(app.with_token(token.clone()).session().await["exists"] == true);
            }
            // One after the other, both may have rotated; then the first token is dead.
            assert_eq!(open, 1, "of {}", tokens.len());
        }
    })
    .await;
}

#[tokio::test]
async fn r11_a_store_that_fails_lets_nobody_in_and_reveals_nothing() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        let token = browser.token();
        app.faults.down();
        for path in [
            "/write/x",
            "/login/bob",
            "/logout",
            "/rotate",
            "/reauthenticate",
        ] {
            let reply = browser.post(path).await;
            assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!((reply.set_cookie(), reply.body.as_str()), (None, ""));
            assert_eq!(reply.headers[RETRY_AFTER], "1");
        }
        assert_eq!(
            browser.get("/read").await.status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(browser.get("/untouched").await.status, StatusCode::OK);
        app.faults.up();
        assert_eq!(browser.token(), token);
        assert_eq!(browser.session().await["user"], "alice");
    })
    .await;
}

#[tokio::test]
async fn r11_each_write_that_fails_is_reported_and_leaves_the_old_state() {
    for fault in [Fault::Unavailable, Fault::Refused, Fault::Full] {
        let app = App::in_memory();
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        for (call, path) in [
            (StoreCall::Replace, "/write/x"),
            (StoreCall::Replace, "/rotate"),
            (StoreCall::Delete, "/logout"),
            (StoreCall::Delete, "/login/bob"),
        ] {
            app.faults.next(call, fault);
            let reply = browser.post(path).await;
            assert_eq!(
                reply.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{fault:?} {path}"
            );
            assert_eq!(reply.set_cookie(), None);
            assert_eq!(browser.session().await["user"], "alice");
        }
        app.faults.next(StoreCall::Create, fault);
        let reply = app.browser().post("/write/x").await;
        assert_eq!(
            (reply.status, reply.set_cookie()),
            (StatusCode::SERVICE_UNAVAILABLE, None)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn r13_a_store_that_never_answers_is_given_up_in_bounded_time() {
    let app = App::in_memory();
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    for (call, path) in [
        (StoreCall::Load, "/write/x"),
        (StoreCall::Replace, "/write/x"),
        (StoreCall::Replace, "/login/alice"),
        (StoreCall::Delete, "/logout"),
    ] {
        app.faults.always(call, Fault::Hang);
        let start = tokio::time::Instant::now();
        let reply = browser.clone().post(path).await;
        assert_eq!(
            reply.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{call:?} {path}"
        );
        assert_eq!(reply.set_cookie(), None);
        // 500 ms a call, and eight attempts at the very most.
        let limit = if call == StoreCall::Load { 1 } else { 10 };
        let taken = start.elapsed();
        assert!(taken >= Duration::from_millis(500), "{path}: {taken:?}");
        assert!(taken < Duration::from_secs(limit), "{path}: {taken:?}");
        app.faults.always(call, Fault::Pass);
    }
}

#[tokio::test]
async fn r14_tokens_that_open_nothing_are_reported() {
    let capture = Capture::start();
    let app = App::in_memory();
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let old = browser.token();
    browser.does("/rotate").await;
    app.with_token("A".repeat(44)).session().await;
    app.with_token(old.clone()).session().await;
    app.with_token("short".to_owned()).session().await;
    let mut other = app.browser();
    other.does("/login/bob").await;
    let conflicting = [&browser, &other].map(|one| format!("__Host-id={}", one.token()));
    let conflicting = conflicting.join("; ");
    app.send("GET", "/read", &[("cookie", conflicting.as_bytes())])
        .await;
    let seen = capture.text();
    for event in ["unknown", "stale", "malformed", "ambiguous"] {
        assert!(
            seen.contains(&format!("event={event:?}")),
            "{event}: {seen}"
        );
    }
    assert!(seen.contains(&format!("session={}", &old[..20])));
}

#[tokio::test]
async fn r25_a_panic_of_an_observer_stops_no_logout() {
    let app = App::new(AnyStore::new(MemoryStore::new()));
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let token = browser.token();
    {
        let _panicking = Capture::that_panics();
        // Its first attempt gets no answer, which is reported before the second is made.
        app.faults.next(StoreCall::Delete, Fault::LostRequest);
        let reply = browser.post("/logout").await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.removes_the_cookie());
    }
    assert_eq!(app.with_token(token).session().await["exists"], false);
}
