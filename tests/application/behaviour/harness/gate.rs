//! Gates in the test application: where a request stops until the test lets it go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

/// Something that happens, counted: each waiter takes one occurrence.
#[derive(Clone)]
pub(crate) struct Signal(Arc<Semaphore>);

impl Default for Signal {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Signal {
    pub(crate) fn give(&self) {
        self.0.add_permits(1);
    }

    pub(crate) async fn taken(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// A place where requests stop.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    arrived: Signal,
    opened: Signal,
}

impl Gate {
    /// Stops here until the gate is opened, once for each opening.
    pub(crate) async fn pass(&self) {
        self.arrived.give();
        self.opened.taken().await;
    }

    /// Comes back when a request stands at the gate.
    pub(crate) async fn arrived(&self) {
        self.arrived.taken().await;
    }

    pub(crate) fn open(&self) {
        self.opened.give();
    }
}

/// The gates of one application, by name.
#[derive(Clone, Default)]
pub(crate) struct Gates(Arc<Mutex<HashMap<String, Gate>>>);

impl Gates {
    pub(crate) fn named(&self, name: &str) -> Gate {
        self.0
            .lock()
            .unwrap()
            .entry(name.to_owned())
            .or_default()
            .clone()
    }
}
