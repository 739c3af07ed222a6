//! Names and password hashes: what an application has in its database. Here it is this process's memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Verified when nobody has that name, so that an unknown name takes as long as a wrong password.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this password"));

/// Everybody who signed up. Nobody is ever deleted, so a name is one person's for good, and fit to be the user's id.
#[derive(Clone)]
pub(crate) struct Accounts {
    /// Password hashes, by name.
    hashes: Arc<Mutex<HashMap<String, String>>>,
    /// Each hash takes 19 MiB for its time: a flood of logins has to wait in line for them.
    turns: Arc<Semaphore>,
}

impl Default for Accounts {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            hashes: Arc::default(),
            turns: Arc::new(Semaphore::new(cores)),
        }
    }
}

/// Why somebody cannot sign up, or change their password.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    Name,
    Taken,
    Password,
    Meanwhile,
    Busy,
}

impl Refusal {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Name => "A name has 3 to 32 lower-case letters and digits.",
            Self::Taken => "Somebody else has this name already.",
            // ASVS 5.0, 6.2.1; long ones are welcome, within what the form may send.
            Self::Password => "A password has 8 to 128 characters.",
            Self::Meanwhile => "Your password was just changed elsewhere. Please log in again.",
            Self::Busy => "We are busy. Please try again.",
        }
    }
}

impl Accounts {
    /// Opens an account, and returns the hash of its password.
    pub(crate) async fn open(&self, name: &str, password: String) -> Result<String, Refusal> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !(3..=32).contains(&name.len()) || !name.chars().all(is_name) {
            return Err(Refusal::Name);
        }
        let hash = self.hash(password).await?;
        match self.hashes().entry(name.to_owned()) {
            Entry::Occupied(_) => Err(Refusal::Taken),
            Entry::Vacant(free) => Ok(free.insert(hash).clone()),
        }
    }

    /// The hash of this user's password, if there is such a user.
    pub(crate) fn hash_of(&self, name: &str) -> Option<String> {
        self.hashes().get(name).cloned()
    }

    /// The hash of this user's password, if this is it.
    pub(crate) async fn verify(&self, name: &str, password: String) -> Option<String> {
        let known = self.hash_of(name);
        let fits = self
            .slowly({
                let known = known.clone();
                move || {
                    let hash = known.or_else(|| NOBODY.clone())?;
                    let hash = PasswordHash::new(&hash).ok()?;
                    Argon2::default()
                        .verify_password(password.as_bytes(), &hash)
                        .ok()
                }
            })
            .await;
        known.filter(|_| fits.is_some())
    }

    /// Gives a user another password in place of the one with this hash, and returns its hash. While it was made, somebody else
    /// may have changed the password, and logged everybody out: whoever was allowed this before is not any more.
    pub(crate) async fn change(
        &self,
        name: &str,
        from: &str,
        password: String,
    ) -> Result<String, Refusal> {
        let hash = self.hash(password).await?;
        match self.hashes().get_mut(name) {
            Some(present) if *present == from => {
                present.clone_from(&hash);
                Ok(hash)
            }
            _ => Err(Refusal::Meanwhile),
        }
    }

    async fn hash(&self, password: String) -> Result<String, Refusal> {
        if !(8..=128).contains(&password.chars().count()) {
            return Err(Refusal::Password);
        }
        let hash = self.slowly(move || hash(&password)).await;
        hash.ok_or(Refusal::Busy)
    }

    /// Hashing a password is meant to be slow, and would hold up every other request of this thread. The permit goes along: it
    /// counts hashes, not clients that still wait for one.
    async fn slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let permit = self.turns.clone().acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.ok().flatten()
    }

    fn hashes(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(password: &str) -> Option<String> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).ok()?;
    Some(hash.to_string())
}
