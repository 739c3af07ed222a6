//! Which settings a monitor refuses.

use std::time::Duration;

use tower_keycard::monitor::{Monitor, Response, Signal};
use tower_keycard::{MemoryStore, SessionLayer};

#[test]
fn what_cannot_work_is_refused_when_the_layer_is_built() {
    let minute = Duration::from_secs(60);
    let sane = Monitor::default();
    for wrong in [
        sane.clone().request_rate(0, minute, Response::Report),
        sane.clone()
            .request_rate(1, Duration::ZERO, Response::Report),
        sane.clone().unknown_tokens(0, minute),
        sane.clone().unknown_tokens(1_001, minute),
        sane.clone().new_sessions(0, minute),
        sane.clone().new_sessions(1, Duration::ZERO),
        sane.clone().memory(0),
    ] {
        let built = SessionLayer::builder(MemoryStore::new())
            .monitor(wrong)
            .build();
        assert!(built.unwrap_err().to_string().contains("monitor"));
    }
    let none = Signal::ALL
        .iter()
        .fold(sane, |monitor, signal| monitor.without(*signal));
    assert!(
        SessionLayer::builder(MemoryStore::new())
            .monitor(none)
            .build()
            .is_ok()
    );
}
