//! More than a person does.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use http::Request;
use http::header::{COOKIE, USER_AGENT};
use tower_keycard::event::SessionEvent;
use tower_keycard::monitor::{Monitor, Response};
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::{MemoryStore, SessionLayer};

use super::shop::{Device, FIREFOX, MINUTE, Shop, device, shop};
use crate::support::client::respond;

const RATE: &str = "suspected request_rate";
const UNKNOWN: &str = "suspected unknown_tokens report";

#[tokio::test]
async fn too_many_requests_with_one_token_are_reported_once_in_a_window() {
    let shop = shop(Monitor::default().request_rate(5, MINUTE, Response::Report));
    let mut device = shop.logged_in().await;
    let mut calm = shop.logged_in().await;
    shop.events().await;
    for _ in 0..2 {
        for count in 1..=10 {
            shop.user(&mut device).await;
            let reported = shop.events().await;
            match count {
                6 => assert_eq!(reported, [format!("{RATE} report")]),
                _ => assert!(reported.is_empty(), "{count}: {reported:?}"),
            }
        }
        shop.user(&mut calm).await;
        shop.clock.advance(MINUTE + MINUTE / 15);
    }
    assert!(shop.events().await.is_empty());
}

#[tokio::test]
async fn too_many_requests_are_answered_as_was_wanted() {
    let within = Duration::from_secs(10);
    let ask = shop(Monitor::default().request_rate(3, within, Response::RequireReauthentication));
    let mut device = ask.logged_in().await;
    for _ in 0..3 {
        assert!(ask.is_fresh(&mut device).await);
    }
    assert!(!ask.is_fresh(&mut device).await);
    let end = shop(Monitor::default().request_rate(3, within, Response::Revoke));
    let mut device = end.logged_in().await;
    for _ in 0..3 {
        assert!(end.is_fresh(&mut device).await);
    }
    assert_eq!(end.user(&mut device).await, None);
}

#[tokio::test]
async fn every_request_beyond_the_limit_is_beyond_it_until_the_store_has_the_response() {
    let asks = Monitor::default().request_rate(3, MINUTE, Response::RequireReauthentication);
    let shop_that_asks = shop(asks);
    let mut device = shop_that_asks.logged_in().await;
    for _ in 0..3 {
        assert!(shop_that_asks.is_fresh(&mut device).await);
    }
    shop_that_asks.events().await;
    for _ in 0..3 {
        shop_that_asks
            .faults
            .next(StoreCall::Replace, Fault::Unavailable);
        assert!(!shop_that_asks.is_fresh(&mut device).await);
    }
    // The store has it from the next request on.
    for _ in 0..2 {
        assert!(!shop_that_asks.is_fresh(&mut device).await);
    }
    let events = shop_that_asks.events().await;
    let suspected = events.iter().filter(|event| event.starts_with(RATE));
    assert_eq!(suspected.count(), 1, "{events:?}");
    assert_eq!(events.len(), 1 + 3, "each failure of the store: {events:?}");

    let ends = shop(Monitor::default().request_rate(3, MINUTE, Response::Revoke));
    let mut device = ends.logged_in().await;
    for _ in 0..3 {
        assert!(ends.is_fresh(&mut device).await);
    }
    for _ in 0..3 {
        ends.faults.next(StoreCall::Delete, Fault::Unavailable);
        let seen = ends.request(&mut device, async |session| session.user());
        assert!(seen.await.is_err(), "no session that should have ended");
    }
    assert_eq!(ends.user(&mut device).await, None);
}

#[tokio::test]
async fn who_has_authenticated_again_is_not_asked_at_once_and_a_rate_that_goes_on_is() {
    let asks = Monitor::default().request_rate(3, MINUTE, Response::RequireReauthentication);
    let shop = shop(asks);
    let mut device = shop.logged_in().await;
    for _ in 0..4 {
        shop.user(&mut device).await;
    }
    assert!(!shop.is_fresh(&mut device).await);
    let again = shop.request(&mut device, async |session| session.reauthenticate());
    again.await.unwrap().unwrap();
    for _ in 0..6 {
        assert!(shop.is_fresh(&mut device).await);
        shop.clock.advance(MINUTE / 6);
    }
    assert!(!shop.is_fresh(&mut device).await);
}

#[tokio::test]
async fn the_response_to_another_signal_is_none_to_a_rate() {
    let monitor = Monitor::default().fingerprint_changed(Response::RequireReauthentication);
    let shop = shop(monitor.request_rate(3, MINUTE, Response::Revoke));
    let device = shop.logged_in().await;
    let mut thief = device.at([198, 51, 100, 9]);
    for _ in 0..3 {
        assert!(!shop.is_fresh(&mut thief).await);
    }
    assert_eq!(shop.user(&mut thief).await, None);
}

#[tokio::test]
async fn two_windows_that_meet_are_no_way_past_the_limit() {
    let shop = shop(Monitor::default().request_rate(5, MINUTE, Response::Report));
    let mut device = shop.logged_in().await;
    shop.user(&mut device).await;
    shop.clock.advance(MINUTE - Duration::from_millis(30));
    shop.events().await;
    // The first of them is almost a window ago: after 60 milliseconds it does not count any more.
    for _ in 0..4 {
        shop.user(&mut device).await;
    }
    assert!(shop.events().await.is_empty());
    shop.clock.advance(Duration::from_millis(60));
    shop.user(&mut device).await;
    shop.user(&mut device).await;
    assert_eq!(shop.events().await, [format!("{RATE} report")]);
}

/// Begins a request, and hangs up while the store has its call.
async fn hang_up(shop: &Shop, device: &Device) {
    let mut request = Request::new(());
    request.extensions_mut().insert(device.address);
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, device.agent.parse().unwrap());
    headers.insert(COOKIE, device.cookie.as_ref().unwrap().parse().unwrap());
    let answer = async |_| http::Response::new(());
    let mut response = pin!(respond(&shop.layer, request, answer));
    let mut context = Context::from_waker(Waker::noop());
    assert!(response.as_mut().poll(&mut context).is_pending());
}

#[tokio::test]
async fn a_response_is_carried_out_though_the_client_hangs_up() {
    let within = Duration::from_secs(10);
    for round in 0..40 {
        let (response, call) = match round % 2 {
            0 => (Response::Revoke, StoreCall::Delete),
            _ => (Response::RequireReauthentication, StoreCall::Replace),
        };
        let monitor = Monitor::default().request_rate(3, within, response);
        let shop = shop(monitor.stale_token(response));
        let mut device = shop.logged_in().await;
        if round < 20 {
            for _ in 0..3 {
                assert!(shop.is_fresh(&mut device).await);
            }
        }
        let sender = device.clone();
        if round >= 20 {
            let rotate = shop.request(&mut device, async |session| session.rotate_token());
            rotate.await.unwrap().unwrap();
            shop.clock.advance(MINUTE);
        }
        shop.faults.next(call, Fault::Hold);
        hang_up(&shop, &sender).await;
        shop.faults.until_waiting(1).await;
        // A server that stops waits for it.
        let mut drained = pin!(shop.layer.drain());
        let mut context = Context::from_waker(Waker::noop());
        assert!(drained.as_mut().poll(&mut context).is_pending());
        shop.faults.release().await;
        drained.await;
        match response {
            Response::Revoke => assert_eq!(shop.user(&mut device).await, None),
            _ => assert!(!shop.is_fresh(&mut device).await),
        }
    }
}

#[tokio::test]
async fn clients_that_nobody_can_tell_apart_are_not_one_client() {
    let events: std::sync::Arc<std::sync::Mutex<Vec<SessionEvent>>> = std::sync::Arc::default();
    let heard = events.clone();
    let layer = SessionLayer::builder(MemoryStore::new())
        .monitor(Monitor::default())
        .observer(move |event: &SessionEvent| heard.lock().unwrap().push(event.clone()))
        .observer_queue(1_000)
        .build()
        .unwrap();
    for number in 0..200 {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        let cookie = format!("__Host-id={number:020}{}", "A".repeat(24));
        headers.insert(USER_AGENT, FIREFOX.parse().unwrap());
        headers.insert(COOKIE, cookie.parse().unwrap());
        respond(&layer, request, async |_| http::Response::new(())).await;
    }
    layer.drain().await;
    let events = events.lock().unwrap();
    assert_eq!(events.len(), 200);
    assert!(events.iter().all(|event| event.kind.name() == "unknown"));
}

/// Sends a token that nobody was given.
async fn guess(shop: &Shop, guesser: &Device, number: u32) {
    let mut guesser = guesser.clone();
    guesser.cookie = Some(format!("__Host-id={number:020}{}", "A".repeat(24)));
    assert_eq!(shop.user(&mut guesser).await, None);
}

async fn reports(shop: &Shop) -> usize {
    let events = shop.events().await;
    events.iter().filter(|event| *event == UNKNOWN).count()
}

#[tokio::test]
async fn many_unknown_tokens_from_one_client_are_reported() {
    let shop = shop(Monitor::default().unknown_tokens(3, MINUTE));
    let guesser = device();
    for number in 0..3 {
        guess(&shop, &guesser, number).await;
    }
    assert_eq!(reports(&shop).await, 0);
    guess(&shop, &guesser, 3).await;
    assert_eq!(reports(&shop).await, 1);
    for number in 4..20 {
        guess(&shop, &guesser, number).await;
    }
    assert_eq!(reports(&shop).await, 0, "once in a window");
    shop.clock.advance(MINUTE);
    for number in 20..24 {
        guess(&shop, &guesser, number).await;
    }
    assert_eq!(reports(&shop).await, 1);
}

#[tokio::test]
async fn a_page_that_polls_with_a_dead_token_is_no_guesser_and_clients_are_counted_apart() {
    let shop = shop(Monitor::default().unknown_tokens(3, MINUTE));
    for _ in 0..20 {
        guess(&shop, &device(), 7).await;
    }
    for number in 0..20_u8 {
        guess(
            &shop,
            &device().at([203, 0, 113, number]),
            u32::from(number),
        )
        .await;
    }
    assert_eq!(reports(&shop).await, 0);
}

#[tokio::test]
async fn one_who_has_many_ipv6_addresses_is_one() {
    let shop = shop(Monitor::default().unknown_tokens(3, MINUTE));
    for number in 0..4_u16 {
        let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, number, 0, 0, 1);
        guess(&shop, &device().at(address), u32::from(number)).await;
    }
    assert_eq!(reports(&shop).await, 1);
}

#[tokio::test]
async fn many_sessions_that_one_client_begins_without_a_login_are_reported() {
    const NEW: &str = "suspected new_sessions report";
    let shop = shop(Monitor::default().new_sessions(3, MINUTE));
    let begin = async |address: [u8; 4]| {
        let mut device = device().at(address);
        let begun = shop.request(&mut device, async |session| session.insert("n", 1));
        begun.await.unwrap().unwrap();
        device
    };
    let reports = async || {
        let events = shop.events().await;
        events.into_iter().filter(|event| event == NEW).count()
    };
    for count in 1..=10 {
        let mut device = begin([192, 0, 2, 7]).await;
        // Requests on a session that was begun, and logins, are none.
        for _ in 0..5 {
            shop.user(&mut device).await;
        }
        shop.logged_in().await;
        assert_eq!(reports().await, usize::from(count == 4), "{count}");
    }
    // Each client for itself.
    for host in 1..=20 {
        begin([198, 51, 100, host]).await;
    }
    assert_eq!(reports().await, 0);
    shop.clock.advance(2 * MINUTE);
    for _ in 0..4 {
        begin([192, 0, 2, 7]).await;
    }
    assert_eq!(reports().await, 1);
}
