//! Values as JSON: what is written is read again as the same value, or is refused.

mod lossless;

use std::io;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Serialize, ser};
use serde_json::value::RawValue;

use self::lossless::Lossless;
use crate::error::SessionError;
use crate::record::Record;
use crate::record::data::{self, Data};

/// Writes the value for the key `name`, and refuses what JSON has no form for.
pub(super) fn encode<T: Serialize>(name: &str, value: &T) -> Result<String, SessionError> {
    serde_json::to_string(&Lossless::new(value)).map_err(|source| refused(name, source))
}

/// The error for a value that is not written.
pub(super) fn refused(name: &str, source: serde_json::Error) -> SessionError {
    SessionError::Encode {
        key: name.to_owned(),
        source: Arc::new(source),
    }
}

/// Reads the value of the key `name`. A null reads as absent, unless the type has a null of its own.
pub(super) fn decode<T: DeserializeOwned>(
    name: &str,
    json: Option<&str>,
) -> Result<Option<T>, SessionError> {
    let Some(json) = json else {
        return Ok(None);
    };
    match serde_json::from_str(json) {
        Ok(value) => Ok(Some(value)),
        Err(_) if json == "null" => Ok(None),
        Err(source) => Err(SessionError::Decode {
            key: name.to_owned(),
            source: Arc::new(source),
        }),
    }
}

/// Checks that a value of the type `T`, which was written as this JSON, is read as the same value: read and written again, it
/// is the same JSON. The order may differ, because hash maps and hash sets have none.
pub(super) fn reads_back<T>(json: &str) -> Result<(), serde_json::Error>
where
    T: Serialize + DeserializeOwned,
{
    if data::depth(json.as_bytes()) >= Record::MAX_DEPTH {
        // No session takes it.
        return Ok(());
    }
    let value: T = serde_json::from_str(json)?;
    let mut expected = Expected(json.as_bytes());
    if serde_json::to_writer(&mut expected, &value).is_ok() && expected.0.is_empty() {
        return Ok(());
    }
    let again = serde_json::to_string(&value)?;
    if json.len() == again.len() && sorted(json).is_some_and(|json| sorted(&again) == Some(json)) {
        return Ok(());
    }
    Err(ser::Error::custom("it would be read as another value"))
}

/// What a writer must write. Anything else is an error.
struct Expected<'a>(&'a [u8]);

impl io::Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same JSON with everything in one order. `None` if a map has a key twice.
fn sorted(json: &str) -> Option<String> {
    let (mut parts, brackets): (Vec<String>, _) = if json.starts_with('{') {
        let map = Data::parse(json.to_owned(), Record::MAX_DEPTH).ok()?;
        let pair = |(key, value)| Some(format!("\"{key}\":{}", sorted(value)?));
        (map.pairs().map(pair).collect::<Option<_>>()?, ['{', '}'])
    } else if json.starts_with('[') {
        let list: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        let list = list.iter().map(|value| sorted(value.get()));
        (list.collect::<Option<_>>()?, ['[', ']'])
    } else {
        return Some(json.to_owned());
    };
    parts.sort_unstable();
    Some(format!("{}{}{}", brackets[0], parts.join(","), brackets[1]))
}

#[cfg(test)]
mod tests;
