//! The site with accounts as a real process, on each store, in two people's browsers at once.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::browser::Browser;
use crate::curl::{Curl, Reply};
use crate::example::Example;
use crate::stores::{Memory, Store, on_each_store};

const COOKIE: &str = "__Host-id";
const NAME: &str = "alice";
const PASSWORD: &str = "through the looking-glass";

const IPHONE: &str = "--user-agent=Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 \
    (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1";

/// What a busy machine may take for what follows from something by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The site on a store, which has to outlive it.
struct Site<S> {
    example: Example,
    _store: S,
}

impl<S: Store> Site<S> {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(further: &[&str]) -> Self {
        let store = S::start();
        let option = store.option();
        let mut arguments = vec!["--listen", "127.0.0.1:0", "--store", &option];
        arguments.extend(further);
        Self {
            example: Example::start("accounts", &arguments, &[]),
            _store: store,
        }
    }

    fn url(&self, path: &str) -> String {
        self.example.url(path)
    }

    /// A browser in which alice has opened her account.
    fn laptop(&self) -> Browser {
        let laptop = Browser::start();
        laptop.open(&self.url("/sign-up"));
        laptop.fill("#name", NAME);
        laptop.fill("#password", PASSWORD);
        laptop.click("form[action='/sign-up'] button");
        assert_eq!(laptop.text("[role=status]"), "Welcome, alice.");
        laptop
    }

    /// Another browser, of another profile, in which she has logged in.
    fn phone(&self) -> Browser {
        let phone = Browser::start_with(&[IPHONE]);
        phone.open(&self.url("/login"));
        log_in(&phone, PASSWORD, true);
        assert_eq!(phone.text("[role=status]"), "Welcome back, alice.");
        phone
    }

    /// As a program that has nothing but this cookie.
    fn curl(&self, cookie: &Value) -> Curl {
        let value = cookie["value"].as_str().unwrap();
        Curl::with_cookie(&self.url("/"), COOKIE, value)
    }
}

fn log_in(browser: &Browser, password: &str, remember: bool) {
    // The name is still there after a wrong password.
    browser.script("document.querySelector('#name').value = ''");
    browser.fill("#name", NAME);
    browser.fill("#password", password);
    if remember {
        browser.click("#remember");
    }
    browser.click("form[action='/login'] button");
}

fn session_cookie(browser: &Browser) -> Value {
    let mut cookies = browser.cookies();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!(cookies[0]["name"], COOKIE);
    cookies.remove(0)
}

/// Waits until this page is shown: the one before may still be there after a click.
fn arrives(browser: &Browser, page: &str) {
    browser.text(&format!("body.{page} h1"));
}

/// Does something again and again until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
    }
}

/// The texts of the elements that fit the selector, now.
fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let script =
        format!("return [...document.querySelectorAll('{selector}')].map(e => e.innerText)");
    let texts = browser.script(&script);
    let text = |text: &Value| text.as_str().unwrap().to_owned();
    texts.as_array().unwrap().iter().map(text).collect()
}

fn is_sent_to(reply: &Reply, location: &str) {
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some(location))
    );
}

mod in_two_browsers {
    use super::*;

    fn a_user_logged_out_from_elsewhere_is_out_at_the_next_click<S: Store>() {
        let site = Site::<S>::start();
        let (laptop, phone) = (site.laptop(), site.phone());
        laptop.reload();
        let devices = texts(&laptop, "#devices strong");
        assert_eq!(devices, ["Safari on iPhone", "Chrome on Linux"]);
        let current = texts(&laptop, "#devices .current strong");
        assert_eq!(current, ["Chrome on Linux"]);
        assert_eq!(
            texts(&phone, "#devices .current strong"),
            ["Safari on iPhone"]
        );

        laptop.click("#devices .end");
        assert_eq!(laptop.text("[role=status]"), "That device is logged out.");
        assert_eq!(texts(&laptop, "#devices strong"), ["Chrome on Linux"]);

        phone.click("a[href='/log']");
        arrives(&phone, "login");
        assert_eq!(phone.address(), site.url("/login?next=/log"));
        // Where it wanted to go, it comes after the login.
        log_in(&phone, PASSWORD, false);
        arrives(&phone, "log");
        assert_eq!(phone.address(), site.url("/log"));
        assert!(texts(&phone, "#log strong").contains(&"Logged another device out".to_owned()));
    }

    fn a_changed_password_logs_the_other_browser_out<S: Store>() {
        let site = Site::<S>::start();
        let (laptop, phone) = (site.laptop(), site.phone());
        let token = session_cookie(&laptop);
        laptop.open(&site.url("/password"));
        laptop.fill("#new-password", "curiouser and curiouser");
        laptop.click("form[action='/password'] button");
        assert!(
            laptop
                .text("[role=status]")
                .starts_with("Your password is changed.")
        );
        assert_eq!(texts(&laptop, "#devices strong"), ["Chrome on Linux"]);
        assert_ne!(session_cookie(&laptop)["value"], token["value"]);

        phone.reload();
        arrives(&phone, "login");
        log_in(&phone, PASSWORD, false);
        assert_eq!(
            phone.text("#alert"),
            "That name and password do not fit together."
        );
        // For a few seconds nobody can log in, so that no login under way slips through.
        eventually("a login with the new password", || {
            phone.open(&site.url("/login"));
            log_in(&phone, "curiouser and curiouser", false);
            phone.text("body.devices h1, #failure") == "Where you are logged in"
        });
    }

    fn logging_out_everywhere_else_leaves_this_browser_alone<S: Store>() {
        let site = Site::<S>::start();
        let (laptop, phone) = (site.laptop(), site.phone());
        laptop.reload();
        laptop.click("#end-others");
        assert_eq!(
            laptop.text("[role=status]"),
            "One other device is logged out."
        );
        phone.reload();
        arrives(&phone, "login");
        laptop.reload();
        arrives(&laptop, "devices");
    }

    fn an_old_copy_of_the_token_shows_up_in_the_security_log<S: Store>() {
        let site = Site::<S>::start();
        let laptop = site.laptop();
        let copy = session_cookie(&laptop);
        laptop.open(&site.url("/confirm"));
        laptop.fill("#confirm", PASSWORD);
        laptop.click("form[action='/confirm'] button");
        arrives(&laptop, "devices");
        assert_ne!(session_cookie(&laptop)["value"], copy["value"]);

        is_sent_to(&site.curl(&copy).get(&site.url("/")), "/login?next=/");
        laptop.open(&site.url("/log"));
        eventually("the old copy", || {
            laptop.reload();
            texts(&laptop, "#log strong").len() == 3
        });
        let log = texts(&laptop, "#log strong");
        let refused = "A login that had just been replaced was refused";
        assert_eq!(log, [refused, "Confirmed the password", "Logged in"]);
        assert_eq!(texts(&laptop, "#log div .hint")[0], "curl");
    }

    fn a_copy_of_the_token_in_other_hands_is_noticed_and_does_no_harm<S: Store>() {
        let site = Site::<S>::start();
        let laptop = site.laptop();
        let thief = site.curl(&session_cookie(&laptop));
        // It opens what is not sensitive, as any copy of a token does.
        assert_eq!(thief.get(&site.url("/")).status, 200);
        let sensitive = thief.get(&site.url("/password"));
        is_sent_to(&sensitive, "/confirm?next=/password");

        laptop.open(&site.url("/log"));
        eventually("an alarm", || {
            laptop.reload();
            texts(&laptop, "#log .alarming strong") == ["Your login was used by another device"]
        });
        assert_eq!(texts(&laptop, "#log .alarming div .hint"), ["curl"]);
        // Its user authenticates again, and the copy is dead.
        laptop.open(&site.url("/password"));
        laptop.fill("#confirm", PASSWORD);
        laptop.click("form[action='/confirm'] button");
        arrives(&laptop, "password");
        is_sent_to(&thief.get(&site.url("/")), "/login?next=/");
    }

    on_each_store!(
        a_user_logged_out_from_elsewhere_is_out_at_the_next_click,
        a_changed_password_logs_the_other_browser_out,
        logging_out_everywhere_else_leaves_this_browser_alone,
        an_old_copy_of_the_token_shows_up_in_the_security_log,
        a_copy_of_the_token_in_other_hands_is_noticed_and_does_no_harm,
    );
}

mod in_one_browser {
    use super::*;

    fn a_remembered_login_outlives_the_browser_and_another_does_not<S: Store>() {
        let site = Site::<S>::start();
        let laptop = site.laptop();
        assert!(session_cookie(&laptop)["expiry"].is_null());
        let phone = site.phone();
        let expiry = session_cookie(&phone)["expiry"].as_u64().unwrap();
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let days = (expiry - now) / (24 * 60 * 60);
        assert!((7..=30).contains(&days), "{days} days");
        assert_eq!(texts(&phone, "#devices .soft"), ["remembered"]);
    }

    fn the_password_is_asked_for_again_before_what_is_sensitive<S: Store>() {
        let site = Site::<S>::start_with(&["--fresh", "5s"]);
        let laptop = site.laptop();
        eventually("the password is asked for", || {
            laptop.open(&site.url("/password"));
            laptop.text("h1") == "Is it you?"
        });
        assert_eq!(laptop.address(), site.url("/confirm?next=/password"));
        laptop.fill("#confirm", "some other password");
        laptop.click("form[action='/confirm'] button");
        assert_eq!(laptop.text("#alert"), "That is not your password.");
        laptop.fill("#confirm", PASSWORD);
        laptop.click("form[action='/confirm'] button");
        arrives(&laptop, "password");
        assert_eq!(laptop.address(), site.url("/password"));
    }

    fn a_logout_leaves_nothing_of_the_site_in_the_browser<S: Store>() {
        let site = Site::<S>::start();
        let laptop = site.laptop();
        laptop.script("localStorage.setItem('draft', 'a secret')");
        laptop.reload();
        assert_eq!(
            laptop.script("return localStorage.getItem('draft')"),
            "a secret"
        );
        let token = session_cookie(&laptop);

        laptop.click("#logout");
        assert_eq!(laptop.text("[role=status]"), "You are logged out.");
        assert_eq!(
            laptop.script("return localStorage.getItem('draft')"),
            Value::Null
        );
        is_sent_to(&site.curl(&token).get(&site.url("/")), "/login?next=/");
        // Nor does the back button show the page again.
        laptop.script("history.back()");
        eventually("the login page", || texts(&laptop, "h1") == ["Log in"]);
    }

    on_each_store!(
        a_remembered_login_outlives_the_browser_and_another_does_not,
        the_password_is_asked_for_again_before_what_is_sensitive,
        a_logout_leaves_nothing_of_the_site_in_the_browser,
    );
}

mod with_curl {
    use super::*;

    const CREDENTIALS: [(&str, &str); 2] = [("name", NAME), ("password", PASSWORD)];

    fn a_login_leads_to_no_other_site<S: Store>() {
        let site = Site::<S>::start();
        assert_eq!(
            Curl::new().post(&site.url("/sign-up"), &CREDENTIALS).status,
            303
        );
        for (next, location) in [
            ("/log", "/log"),
            ("/password?x=y", "/password?x=y"),
            ("https://hostile.example/", "/"),
            ("//hostile.example/", "/"),
            ("/\\hostile.example", "/"),
            ("/%2fhostile.example", "/"),
            ("", "/"),
        ] {
            let mut form = CREDENTIALS.to_vec();
            form.push(("next", next));
            let reply = Curl::new().post(&site.url("/login"), &form);
            assert_eq!(
                (reply.status, reply.header("location")),
                (303, Some(location))
            );
        }
    }

    fn a_user_who_only_looks_gets_no_session<S: Store>() {
        let site = Site::<S>::start();
        for path in ["/login", "/sign-up", "/", "/log", "/style.css", "/health"] {
            let reply = Curl::new().get(&site.url(path));
            assert_eq!(reply.header("set-cookie"), None, "{path}");
        }
        is_sent_to(&Curl::new().get(&site.url("/log")), "/login?next=/log");
        is_sent_to(&Curl::new().post(&site.url("/devices/end"), &[]), "/login");
    }

    fn a_post_from_another_site_is_refused<S: Store>() {
        let site = Site::<S>::start();
        let client = Curl::new();
        client.post(&site.url("/sign-up"), &CREDENTIALS);
        for path in ["/login", "/logout", "/password", "/devices/end-others"] {
            let headers = ["Origin: https://hostile.example"];
            let reply = client.post_with(&site.url(path), &CREDENTIALS, &headers);
            assert_eq!(reply.status, 403, "{path}");
        }
        assert_eq!(client.get(&site.url("/")).status, 200);
    }

    fn a_user_ends_no_session_of_another_user<S: Store>() {
        let site = Site::<S>::start();
        let (alice, mallory) = (Curl::new(), Curl::new());
        alice.post(&site.url("/sign-up"), &CREDENTIALS);
        let other = [("name", "mallory"), ("password", "a password of hers")];
        mallory.post(&site.url("/sign-up"), &other);
        let id = &alice.cookie(COOKIE).unwrap()[..20];
        assert_eq!(
            mallory
                .post(&site.url("/devices/end"), &[("session", id)])
                .status,
            303
        );
        assert_eq!(alice.get(&site.url("/")).status, 200);
        let log = mallory.get(&site.url("/log")).body;
        assert!(!log.contains("alice"), "{log}");
    }

    fn a_stolen_token_alone_logs_no_other_device_out<S: Store>() {
        let site = Site::<S>::start_with(&["--fresh", "1s"]);
        let thief = Curl::new();
        thief.post(&site.url("/sign-up"), &CREDENTIALS);
        let none = [("session", "AAAAAAAAAAAAAAAAAAAA")];
        eventually("the password is asked for", || {
            thief
                .post(&site.url("/devices/end"), &none)
                .header("location")
                == Some("/confirm")
        });
        let owner = Curl::new();
        owner.post(&site.url("/login"), &CREDENTIALS);
        let id = &owner.cookie(COOKIE).unwrap()[..20];
        for path in ["/devices/end", "/devices/end-others"] {
            is_sent_to(&thief.post(&site.url(path), &[("session", id)]), "/confirm");
        }
        assert_eq!(owner.get(&site.url("/")).status, 200);
    }

    /// A thief who is as fast as the owner, and whose request was let in before the owner's logged everybody out.
    fn if_two_change_the_password_at_once_only_one_does<S: Store>() {
        let site = Site::<S>::start();
        Curl::new().post(&site.url("/sign-up"), &CREDENTIALS);
        let passwords = ["the password of one", "the password of another"];
        let devices = passwords.map(|_| {
            let device = Curl::new();
            let reply = device.post(&site.url("/login"), &CREDENTIALS);
            is_sent_to(&reply, "/");
            device
        });
        let url = &site.url("/password");
        let replies = std::thread::scope(|scope| {
            let threads = [0, 1].map(|who| {
                let (device, form) = (&devices[who], [("password", passwords[who])]);
                scope.spawn(move || device.post(url, &form))
            });
            threads.map(|thread| thread.join().unwrap())
        });
        let done =
            replies.map(|reply| (reply.status, reply.header("location")) == (303, Some("/")));
        assert!(done[0] != done[1], "{done:?}");
        for (password, done) in passwords.into_iter().zip(done) {
            // Another login waits until all that was under way is known to have begun before.
            eventually("the login is let in or not", || {
                let form = [("name", NAME), ("password", password)];
                match Curl::new().post(&site.url("/login"), &form).status {
                    503 => false,
                    status => {
                        assert_eq!(status, if done { 303 } else { 401 }, "{password}");
                        true
                    }
                }
            });
        }
    }

    fn what_is_no_name_or_no_password_is_refused_and_escaped<S: Store>() {
        let site = Site::<S>::start();
        assert_eq!(
            Curl::new().post(&site.url("/sign-up"), &CREDENTIALS).status,
            303
        );
        for (name, password) in [
            (NAME, "another user's"),
            ("al", PASSWORD),
            ("Alice", PASSWORD),
            (r#""><script>alert(1)</script>"#, PASSWORD),
            ("bob", "short"),
        ] {
            let client = Curl::new();
            let form = [("name", name), ("password", password)];
            let reply = client.post(&site.url("/sign-up"), &form);
            assert_eq!(reply.status, 422, "{name}");
            assert!(reply.body.contains(r#"role="alert""#), "{}", reply.body);
            assert!(!reply.body.contains("<script"), "{}", reply.body);
            assert_eq!(reply.header("set-cookie"), None);
            assert_eq!(client.post(&site.url("/login"), &form).status, 401);
        }
    }

    on_each_store!(
        a_login_leads_to_no_other_site,
        a_user_who_only_looks_gets_no_session,
        a_post_from_another_site_is_refused,
        a_user_ends_no_session_of_another_user,
        a_stolen_token_alone_logs_no_other_device_out,
        if_two_change_the_password_at_once_only_one_does,
        what_is_no_name_or_no_password_is_refused_and_escaped,
    );
}

/// The pictures in the README of the example. `KEYCARD_WRITE_DOCS=1 cargo test --all-features --test examples readme` takes them anew;
/// without it they are only compared in size.
#[test]
fn the_readme_shows_what_the_pages_look_like() {
    let site = Site::<Memory>::start();
    let laptop = site.laptop();
    let phone = site.phone();
    laptop.open(&site.url("/confirm?next=/"));
    picture(&laptop, "accounts-confirm", false);
    laptop.fill("#confirm", PASSWORD);
    laptop.click("form[action='/confirm'] button");
    arrives(&laptop, "devices");
    assert_eq!(texts(&laptop, "#devices strong").len(), 2);
    picture(&laptop, "accounts-devices", false);

    site.curl(&session_cookie(&laptop)).get(&site.url("/"));
    laptop.open(&site.url("/log"));
    eventually("an alarm", || {
        laptop.reload();
        !texts(&laptop, "#log .alarming").is_empty()
    });
    picture(&laptop, "accounts-log", true);
    drop(phone);
}

fn picture(browser: &Browser, name: &str, dark: bool) {
    let png = browser.screenshot(960, 540, dark);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("docs/images/{name}.png");
    if std::env::var_os("KEYCARD_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(root.join("docs/images")).unwrap();
        std::fs::write(root.join(&file), &png).unwrap();
    }
    // PNG, section 11.2.2: the image's width and height.
    let size = |png: &[u8]| {
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        png[16..24].to_vec()
    };
    let shown = std::fs::read(root.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(
        size(&shown),
        size(&png),
        "{file}: take it anew with KEYCARD_WRITE_DOCS=1"
    );
    let readme = std::fs::read_to_string(root.join("examples/accounts/README.md")).unwrap();
    let shown = readme.contains(&format!("](../../{file})"));
    assert!(shown, "the README of the example does not show {file}");
}
