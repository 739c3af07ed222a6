//! Events are counted, and store calls measured, for a recorder of the `metrics` facade.

use std::collections::BTreeMap;
use std::future::Future;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower_keycard::event::SessionEvent;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::{MemoryStore, SessionConfig, SessionLayer};

use super::witness::{look, site, site_with};

/// What was recorded while something ran: by name and labels, the count, or how many values a histogram has.
fn recorded(work: impl Future<Output = ()>) -> BTreeMap<String, f64> {
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    let mut seen = BTreeMap::new();
    for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
        let labels: Vec<_> = key
            .key()
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Histogram(values) => {
                assert!(
                    values
                        .iter()
                        .all(|seconds| (0.0..10.0).contains(&seconds.0))
                );
                values.len() as f64
            }
            DebugValue::Gauge(_) => panic!("there are no gauges"),
        };
        seen.insert(format!("{} {}", key.key().name(), labels.join(" ")), value);
    }
    seen
}

fn event(event: &str, reason: &str) -> String {
    format!("keycard_events_total namespace=shop event={event} reason={reason}")
}

fn call(call: &str, outcome: &str) -> String {
    format!("keycard_store_call_duration_seconds namespace=shop call={call} outcome={outcome}")
}

#[test]
fn events_are_counted_and_calls_measured_by_what_came_of_them() {
    let seen = recorded(async {
        let site = site_with(|layer| layer.config(SessionConfig::new().namespace("shop")));
        let device = site.logged_in("alice").await;
        look(&device).await;
        look(&device).await;
        site.faults.next(StoreCall::Delete, Fault::Unavailable);
        device.request(async |session| session.logout()).await;
        site.layer.users().sessions_of("alice").await.unwrap();
    });
    let expected = [
        (event("created", "login"), 1.0),
        (event("resumed", ""), 3.0),
        (event("store_failed", "unavailable"), 1.0),
        (call("create", "ok"), 1.0),
        (call("load", "ok"), 3.0),
        (call("delete", "unavailable"), 1.0),
        (call("sessions_of", "ok"), 1.0),
    ];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[test]
fn a_call_whose_client_is_gone_is_measured_too() {
    let seen = recorded(async {
        let site = site_with(|layer| layer.config(SessionConfig::new().namespace("shop")));
        let device = site.logged_in("alice").await;
        site.faults.next(StoreCall::Load, Fault::Hold);
        let mut request = Box::pin(look(&device));
        let once = std::future::poll_fn(|context| {
            assert!(request.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        });
        once.await;
        drop(request);
    });
    assert_eq!(seen.get(&call("load", "cancelled")), Some(&1.0), "{seen:?}");
}

#[test]
fn what_observers_were_too_slow_for_is_counted() {
    let seen = recorded(async {
        let (gate, open) = std::sync::mpsc::channel::<()>();
        let open = std::sync::Mutex::new(open);
        let layer = SessionLayer::builder(MemoryStore::new())
            .config(SessionConfig::new().namespace("shop"))
            .observer_queue(1)
            // Until the gate is gone.
            .observer(move |_: &SessionEvent| assert!(open.lock().unwrap().recv().is_err()))
            .build()
            .unwrap();
        for _ in 0..5 {
            let device = crate::support::client::Client::with(layer.clone());
            device.request(async |session| session.login("alice")).await;
        }
        drop(gate);
        layer.drain().await;
    });
    let lost = seen.get("keycard_events_lost_total namespace=shop");
    // The thread may have taken the first one by then.
    assert!(
        lost.is_some_and(|lost| (3.0..=4.0).contains(lost)),
        "{seen:?}"
    );
    assert_eq!(seen.get(&event("created", "login")), Some(&5.0));
}

/// Observers run on threads of their own, which only a recorder of the whole process hears. The namespace is this test's.
#[test]
fn panics_of_the_applications_code_are_counted() {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    metrics::set_global_recorder(recorder).expect("the only recorder of the process");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let layer = SessionLayer::builder(MemoryStore::new())
            .config(SessionConfig::new().namespace("panics"))
            .observer(|_: &SessionEvent| panic!("as an application's observer might"))
            .client(|_| panic!("as an application's function might"))
            .build()
            .unwrap();
        let device = crate::support::client::Client::with(layer.clone());
        device.request(async |session| session.login("alice")).await;
        device.request(async |session| session.logout()).await;
        layer.drain().await;
    });
    let mut counted = BTreeMap::new();
    for (key, _, _, value) in seen.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(metrics::Label::value).collect();
        if let ("keycard_hook_panics_total", ["panics", hook]) = (key.key().name(), &labels[..]) {
            counted.insert((*hook).to_owned(), value);
        }
    }
    let twice = |hook: &str| (hook.to_owned(), DebugValue::Counter(2));
    assert_eq!(counted, [twice("observer"), twice("client")].into());
}

#[test]
fn the_page_names_every_metric() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md");
    let page = std::fs::read_to_string(path).unwrap();
    let seen = recorded(async {
        let site = site();
        let device = site.logged_in("alice").await;
        look(&device).await;
    });
    let mut names: Vec<_> = seen
        .keys()
        .map(|name| name.split(' ').next().unwrap())
        .collect();
    names.extend([
        "keycard_events_lost_total",
        "keycard_hook_panics_total",
        "keycard_sessions_evicted_total",
    ]);
    for name in names {
        assert!(page.contains(&format!("\n| `{name}` |")), "{name}");
    }
}
