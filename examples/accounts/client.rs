//! What is known of a device: what to call it, where it is, and what it is recognised by.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;

use tower_keycard::monitor::{Browser, network_of};
use tower_keycard::{ClientFacts, ClientFingerprint};

pub(crate) fn recognise(request: &Parts) -> ClientFacts {
    let browser = Browser::of(&request.headers).to_string();
    let facts = ClientFacts::new().with_description(&browser);
    let Some(ConnectInfo(peer)) = request.extensions.get::<ConnectInfo<SocketAddr>>() else {
        return facts;
    };
    // Behind a proxy this is the proxy's address; `TrustedProxies` finds the visitor's.
    let address = peer.ip();
    let fingerprint = ClientFingerprint::new([network_of(address), browser]);
    facts.with_address(address).with_fingerprint(fingerprint)
}
