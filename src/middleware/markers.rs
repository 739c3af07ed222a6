//! Which marker each namespace belongs to. Layers of two markers that share one would open each other's sessions.

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::config::{ConfigError, SessionConfig};
use crate::sync::lock;

struct Marker {
    id: TypeId,
    name: &'static str,
}

/// The markers of the layers with a label that this process has built, by namespace. There are as many as the program has
/// labels.
static MARKERS: Mutex<BTreeMap<String, Marker>> = Mutex::new(BTreeMap::new());

/// Takes the namespace of a layer with a label for its marker, for good.
pub(super) fn claim<M: 'static>(config: &SessionConfig) -> Result<(), ConfigError> {
    let Some(label) = &config.label else {
        return Ok(());
    };
    let (id, name) = (TypeId::of::<M>(), type_name::<M>());
    let mut markers = lock(&MARKERS);
    let first = markers
        .entry(config.resolved_namespace())
        .or_insert(Marker { id, name });
    if first.id == id {
        return Ok(());
    }
    Err(ConfigError::new(
        "marked",
        format!(
            "the markers {} and {name} have the same label {label:?} and the same namespace, so a token of one layer would \
             open sessions of the other; give each marker a label of its own",
            first.name
        ),
    ))
}
