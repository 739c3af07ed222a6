//! The client of a request: its description, its address and its fingerprint.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;

use tower_keycard::ClientFacts;
use tower_keycard::monitor::ClientFingerprint;
use tower_keycard::monitor::{Browser, network_of};

pub(crate) fn identify(request: &Parts) -> ClientFacts {
    let browser = Browser::of(&request.headers).to_string();
    let facts = ClientFacts::new().with_description(&browser);
    let Some(ConnectInfo(peer)) = request.extensions.get::<ConnectInfo<SocketAddr>>() else {
        return facts;
    };
    // Behind a proxy this is the address of the proxy. `TrustedProxies` finds the address of the client.
    let address = peer.ip();
    let fingerprint = ClientFingerprint::new([network_of(address), browser]);
    facts.with_address(address).with_fingerprint(fingerprint)
}
