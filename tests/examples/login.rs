//! The login example as a real process, on each store, as `curl` and as a person's browser see it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::curl::{Curl, Reply};
use crate::example::{self, Example};
use crate::stores::{Memory, Store};
#[cfg(feature = "redis")]
use crate::support::redis_server::RedisServer;

const COOKIE: &str = "__Host-id";

const ALICE: [(&str, &str); 2] = [("username", "alice"), ("password", "wonderland")];
const BOB: [(&str, &str); 2] = [("username", "bob"), ("password", "builder")];

/// A token of the right form, but never issued: 44 characters of base64url.
const PLANTED: &str = "cGxhbnRlZC1ieS1zb21lYm9keS1lbHNlLW5vdC1pc3N1";

/// What Chromium shows a text in that is not a page.
const PLAIN: &str = "pre";

/// The example on a store, and the store it is on.
struct Site<S> {
    example: Example,
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only a real store is needed again")
    )]
    store: S,
}

impl<S: Store> Site<S> {
    fn start() -> Self {
        let store = S::start();
        Self {
            example: serve(&store),
            store,
        }
    }

    fn url(&self, path: &str) -> String {
        self.example.url(path)
    }

    /// The user that this cookie belongs to, as the server sees it.
    fn whoami(&self, cookie: &str) -> Value {
        Curl::with_cookie(&self.url("/"), COOKIE, cookie)
            .get(&self.url("/whoami"))
            .json()
    }
}

fn serve(store: &impl Store) -> Example {
    Example::start(
        "login",
        &["--listen", "127.0.0.1:0", "--store", &store.option()],
        &[],
    )
}

fn pages_seen(page: &Reply) -> u32 {
    let (_, rest) = page
        .body
        .split_once(r#"id="pages-seen">"#)
        .expect("a page with a count");
    rest.split_once('<').unwrap().0.parse().unwrap()
}

/// A page of another site with a form that posts to ours.
fn hostile_page(action: &str) -> String {
    let form = format!(
        r#"<!doctype html><form method="post" action="{action}">
        <input name="username" value="bob"><input name="password" value="builder">
        <button id="lure">A free hotel night</button></form>"#
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // To a browser `localhost` and `127.0.0.1` are different sites.
    let address = format!(
        "http://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    // Ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let form = form.clone();
            // A browser opens connections ahead of need: one that stays silent must not block the next.
            thread::spawn(move || {
                if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                    let _ = write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                         Connection: close\r\n\r\n{form}",
                        form.len(),
                    );
                }
            });
        }
    });
    address
}

fn sign_in(browser: &Browser, [(_, name), (_, password)]: [(&str, &str); 2]) {
    browser.fill("#username", name);
    browser.fill("#password", password);
    browser.click("form[action='/login'] button");
    assert_eq!(browser.text("#user"), name);
}

/// The user at the browser, as the server sees it.
fn user<S: Store>(site: &Site<S>, browser: &Browser) -> Value {
    browser.open(&site.url("/whoami"));
    let answer: Value = serde_json::from_str(&browser.text(PLAIN)).unwrap();
    answer["user"].clone()
}

fn session_cookie(browser: &Browser) -> Value {
    let mut cookies = browser.cookies();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!(cookies[0]["name"], COOKIE);
    cookies.remove(0)
}

mod with_curl {
    use super::*;

    fn a_login_lasts_until_the_logout<S: Store>() {
        let site = Site::<S>::start();
        let client = Curl::new();
        assert_eq!(pages_seen(&client.get(&site.url("/"))), 1);

        let reply = client.post(&site.url("/login"), &ALICE);
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")));

        for expected in 2..5 {
            let page = client.get(&site.url("/"));
            assert_eq!(page.status, 200);
            assert!(
                page.body.contains(r#"<span id="user">alice</span>"#),
                "{}",
                page.body
            );
            assert_eq!(pages_seen(&page), expected);
        }
        let me = client.get(&site.url("/whoami")).json();
        assert_eq!(
            (&me["user"], &me["pages_seen"]),
            (&json!("alice"), &json!(4))
        );
        let token = client.cookie(COOKIE).unwrap();
        let session = me["session"].as_str().unwrap();
        assert!(
            !session.is_empty() && token.starts_with(session),
            "{session} is the public part"
        );

        let reply = client.post(&site.url("/logout"), &[]);
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
        assert_eq!(client.cookie(COOKIE), None);
        let nobody = json!({ "user": null, "pages_seen": 0, "session": null });
        assert_eq!(client.get(&site.url("/whoami")).json(), nobody);

        // A copy of the cookie made before the logout is worth nothing after it.
        assert_eq!(site.whoami(&token), nobody);
        assert_eq!(pages_seen(&client.get(&site.url("/"))), 1);
    }

    fn the_token_from_before_the_login_is_dead<S: Store>() {
        let site = Site::<S>::start();
        let client = Curl::new();
        client.get(&site.url("/"));
        let before = client.cookie(COOKIE).unwrap();
        assert_eq!(site.whoami(&before)["pages_seen"], 1);

        client.post(&site.url("/login"), &ALICE);
        let after = client.cookie(COOKIE).unwrap();
        assert_ne!(before, after);
        assert_eq!(site.whoami(&after)["user"], "alice");
        assert_eq!(
            site.whoami(&before),
            json!({ "user": null, "pages_seen": 0, "session": null })
        );
    }

    fn a_planted_token_is_never_adopted<S: Store>() {
        let site = Site::<S>::start();

        let victim = Curl::with_cookie(&site.url("/"), COOKIE, PLANTED);
        assert_eq!(victim.cookie(COOKIE).as_deref(), Some(PLANTED));
        victim.get(&site.url("/"));
        let token = victim.cookie(COOKIE).unwrap();
        assert_ne!(token[..20], PLANTED[..20]);
        assert_eq!(site.whoami(&token)["pages_seen"], 1);

        let victim = Curl::with_cookie(&site.url("/"), COOKIE, PLANTED);
        victim.post(&site.url("/login"), &BOB);
        let token = victim.cookie(COOKIE).unwrap();
        assert_ne!(token[..20], PLANTED[..20]);
        assert_eq!(site.whoami(&token)["user"], "bob");

        assert_eq!(site.whoami(PLANTED)["user"], Value::Null);
    }

    fn another_user_gets_another_session<S: Store>() {
        let site = Site::<S>::start();
        let client = Curl::new();
        client.post(&site.url("/login"), &ALICE);
        client.get(&site.url("/"));
        let alice = client.cookie(COOKIE).unwrap();

        client.post(&site.url("/login"), &BOB);
        let bob = client.cookie(COOKIE).unwrap();
        assert_ne!(alice[..20], bob[..20]);
        let me = client.get(&site.url("/whoami")).json();
        assert_eq!((&me["user"], &me["pages_seen"]), (&json!("bob"), &json!(0)));
        assert_eq!(site.whoami(&alice)["user"], Value::Null);
    }

    fn a_wrong_password_is_refused<S: Store>() {
        let site = Site::<S>::start();
        let client = Curl::new();
        for (name, password) in [
            ("alice", "builder"),
            ("nobody", "a password that nobody has"),
            (r#""><script>alert(1)</script>"#, ""),
        ] {
            let reply = client.post(
                &site.url("/login"),
                &[("username", name), ("password", password)],
            );
            assert_eq!(reply.status, 401);
            assert!(reply.body.contains(r#"role="alert""#), "{}", reply.body);
            assert!(!reply.body.contains("<script"), "{}", reply.body);
            assert_eq!(reply.header("set-cookie"), None, "no session without need");
        }
        assert_eq!(client.get(&site.url("/whoami")).json()["user"], Value::Null);
    }

    fn a_post_from_another_site_is_refused<S: Store>() {
        let site = Site::<S>::start();
        let client = Curl::new();
        client.post(&site.url("/login"), &ALICE);
        for header in [
            "Sec-Fetch-Site: cross-site",
            "Origin: https://hostile.example",
        ] {
            for path in ["/login", "/logout"] {
                let reply = client.post_with(&site.url(path), &BOB, &[header]);
                assert_eq!(reply.status, 403, "{path} with {header}");
                assert_eq!(reply.header("set-cookie"), None);
            }
        }
        assert_eq!(client.get(&site.url("/whoami")).json()["user"], "alice");
    }

    fn only_what_needs_a_session_gets_one<S: Store>() {
        let site = Site::<S>::start();
        let client = Curl::new();

        let reply = client.get(&site.url("/health"));
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok\n"));
        assert_eq!(
            (reply.header("set-cookie"), reply.header("vary")),
            (None, None)
        );

        let reply = client.get(&site.url("/whoami"));
        assert_eq!(
            reply.json(),
            json!({ "user": null, "pages_seen": 0, "session": null })
        );
        assert_eq!(reply.header("set-cookie"), None);
        assert!(reply.header("vary").unwrap().eq_ignore_ascii_case("cookie"));

        let reply = client.get(&site.url("/"));
        let cookie = reply.header("set-cookie").unwrap();
        let mut attributes: Vec<_> = cookie.split("; ").skip(1).collect();
        attributes.retain(|attribute| !attribute.starts_with("Max-Age="));
        attributes.sort_unstable();
        assert_eq!(
            attributes,
            ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"],
            "{cookie}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }

    crate::stores::on_each_store!(
        a_login_lasts_until_the_logout,
        the_token_from_before_the_login_is_dead,
        a_planted_token_is_never_adopted,
        another_user_gets_another_session,
        a_wrong_password_is_refused,
        a_post_from_another_site_is_refused,
        only_what_needs_a_session_gets_one,
    );
}

mod in_a_browser {
    use super::*;

    fn a_person_logs_in_reloads_and_logs_out<S: Store>() {
        let site = Site::<S>::start();
        let browser = Browser::start();
        browser.open(&site.url("/"));
        assert_eq!(browser.text("h1"), "Sign in");
        assert_eq!(browser.text("#pages-seen"), "1");

        sign_in(&browser, ALICE);
        assert_eq!(browser.address(), site.url("/"));
        assert_eq!(browser.text("#pages-seen"), "2");
        for expected in ["3", "4"] {
            browser.reload();
            assert_eq!(browser.text("#user"), "alice");
            assert_eq!(browser.text("#pages-seen"), expected);
        }

        let token = session_cookie(&browser);
        browser.click("form[action='/logout'] button");
        assert_eq!(browser.text("form[action='/login'] button"), "Sign in");
        assert_eq!(browser.text("#pages-seen"), "1");
        assert_ne!(session_cookie(&browser)["value"], token["value"]);

        // The old token, put back into the same browser, opens nothing.
        browser.set_cookie(&token);
        assert_eq!(user(&site, &browser), Value::Null);
        assert_eq!(
            site.whoami(token["value"].as_str().unwrap())["user"],
            Value::Null
        );
    }

    fn a_wrong_password_leaves_the_name_to_try_again<S: Store>() {
        let site = Site::<S>::start();
        let browser = Browser::start();
        browser.open(&site.url("/"));
        browser.fill("#username", "alice");
        browser.fill("#password", "builder");
        browser.click("form[action='/login'] button");
        assert_eq!(
            browser.text("[role=alert]"),
            "That name and password do not fit together."
        );
        assert_eq!(
            browser.script("return document.querySelector('#username').value"),
            "alice"
        );

        browser.fill("#password", "wonderland");
        browser.click("form[action='/login'] button");
        assert_eq!(browser.text("#user"), "alice");
    }

    fn the_cookie_is_hardened_and_out_of_reach_for_scripts<S: Store>() {
        let site = Site::<S>::start();
        let browser = Browser::start();
        browser.open(&site.url("/"));
        sign_in(&browser, ALICE);

        let cookie = session_cookie(&browser);
        assert_eq!(cookie["secure"], true);
        assert_eq!(cookie["httpOnly"], true);
        assert_eq!(cookie["sameSite"], "Lax");
        assert_eq!(cookie["path"], "/");
        assert_eq!(cookie["domain"], "127.0.0.1", "no Domain: no dot before it");

        assert_eq!(browser.script("return document.cookie"), "");
        // Nor can a script put a token of its choice over it.
        let overwrite = format!("document.cookie = '{COOKIE}={PLANTED}; Secure; Path=/'");
        browser.script(&overwrite);
        assert_eq!(session_cookie(&browser)["value"], cookie["value"]);
        browser.reload();
        assert_eq!(browser.text("#user"), "alice");
    }

    fn a_planted_token_is_never_adopted<S: Store>() {
        let site = Site::<S>::start();
        let browser = Browser::start();
        browser.open(&site.url("/health")); // a cookie can be planted only for a page that is shown
        let planted = json!({
            "name": COOKIE, "value": PLANTED, "path": "/", "secure": true, "httpOnly": true,
        });

        browser.set_cookie(&planted);
        assert_eq!(session_cookie(&browser)["value"], PLANTED);
        browser.open(&site.url("/"));
        assert_eq!(browser.text("#pages-seen"), "1");
        assert_ne!(session_cookie(&browser)["value"], PLANTED);

        // The trap closes only if the victim logs in on the planted token.
        browser.set_cookie(&planted);
        sign_in(&browser, ALICE);
        assert_ne!(session_cookie(&browser)["value"], PLANTED);
        assert_eq!(site.whoami(PLANTED)["user"], Value::Null);
    }

    fn the_token_from_before_the_login_is_dead<S: Store>() {
        let site = Site::<S>::start();
        let browser = Browser::start();
        browser.open(&site.url("/"));
        let before = session_cookie(&browser);
        sign_in(&browser, ALICE);
        assert_ne!(session_cookie(&browser)["value"], before["value"]);

        browser.set_cookie(&before);
        assert_eq!(user(&site, &browser), Value::Null);
        assert_eq!(
            site.whoami(before["value"].as_str().unwrap())["user"],
            Value::Null
        );
    }

    fn a_form_on_another_site_neither_logs_in_nor_out<S: Store>() {
        let site = Site::<S>::start();
        let browser = Browser::start();

        // Without a session: another site logs nobody in.
        browser.open(&hostile_page(&site.url("/login")));
        browser.click("#lure");
        assert_eq!(browser.text(PLAIN), "This request came from another site.");
        assert_eq!(browser.cookies(), Vec::<Value>::new());

        browser.open(&site.url("/"));
        sign_in(&browser, ALICE);
        let token = session_cookie(&browser);
        for path in ["/login", "/logout"] {
            browser.open(&hostile_page(&site.url(path)));
            browser.click("#lure");
            assert_eq!(browser.text(PLAIN), "This request came from another site.");
            assert_eq!(session_cookie(&browser)["value"], token["value"]);
        }
        browser.open(&site.url("/"));
        assert_eq!(browser.text("#user"), "alice");
    }

    crate::stores::on_each_store!(
        a_person_logs_in_reloads_and_logs_out,
        a_wrong_password_leaves_the_name_to_try_again,
        the_cookie_is_hardened_and_out_of_reach_for_scripts,
        a_planted_token_is_never_adopted,
        the_token_from_before_the_login_is_dead,
        a_form_on_another_site_neither_logs_in_nor_out,
    );
}

#[test]
fn sigterm_ends_the_example_cleanly() {
    let site = Site::<Memory>::start();
    Curl::new().get(&site.url("/"));
    assert!(site.example.stop().success());
}

#[cfg(feature = "redis")]
#[test]
fn on_redis_a_session_outlives_the_process() {
    let mut site = Site::<RedisServer>::start();
    let client = Curl::new();
    client.post(&site.url("/login"), &ALICE);
    client.get(&site.url("/"));

    assert!(site.example.stop().success());
    site.example = serve(&site.store);

    let me = client.get(&site.url("/whoami")).json();
    assert_eq!(
        (&me["user"], &me["pages_seen"]),
        (&json!("alice"), &json!(1))
    );
}

#[test]
fn the_store_can_be_named_in_the_environment_and_is_not_shown() {
    let example = Example::start(
        "login",
        &[
            "--listen",
            "127.0.0.1:0",
            "--idle",
            "5m",
            "--absolute",
            "1h",
            "--save-every-request",
        ],
        &[("KEYCARD_STORE", "memory")],
    );
    let client = Curl::new();
    client.post(&example.url("/login"), &ALICE);
    // Also a page that does not ask for the session keeps it alive.
    let reply = client.get(&example.url("/health"));
    let cookie = reply.header("set-cookie").expect("a refreshed cookie");
    assert!(cookie.contains("Max-Age=300"), "{cookie}");

    let help = Command::new(example::built("login"))
        .arg("--help")
        .env("KEYCARD_STORE", "redis://:opensesame@127.0.0.1/")
        .output()
        .unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("--store") && !text.contains("opensesame"));
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_build_without_redis_says_what_to_build() {
    let output = Command::new(example::built("login"))
        .args(["--listen", "127.0.0.1:0", "--store", "redis://127.0.0.1/"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("--features redis"),
        "{error}"
    );
}
