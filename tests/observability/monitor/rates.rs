//! More than a person does.

use std::time::Duration;

use tower_keycard::monitor::{Monitor, Response};

use super::shop::{Device, MINUTE, Shop, device, shop};

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
        shop.clock.advance(MINUTE);
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
