//! What an application hangs into a layer, beside the store and the settings.

use crate::client::Recognition;
use crate::event::ObserverHooks;
use crate::monitor::Monitor;

/// Functions of the application's that the layer calls.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) recognition: Option<Recognition>,
    pub(crate) observers: ObserverHooks,
    pub(crate) monitor: Option<Monitor>,
}
