//! Names and password hashes, as an application has them in its database. Here they are in this process's memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Verified if there is no such account, so that an unknown name takes as long as a wrong password.
static DUMMY_HASH: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this password"));

/// All accounts. An account is never deleted, so a name belongs to one person for good and can be the user's id.
#[derive(Clone)]
pub(crate) struct Accounts {
    /// Password hashes, by name.
    hashes: Arc<Mutex<HashMap<String, String>>>,
    /// Limits how many hashes run at the same time, because each takes 19 MiB. A flood of logins waits here.
    hashing: Arc<Semaphore>,
}

impl Default for Accounts {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            hashes: Arc::default(),
            hashing: Arc::new(Semaphore::new(cores)),
        }
    }
}

/// The reason for which a sign-up or a change of the password is refused.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    InvalidName,
    NameTaken,
    InvalidPassword,
    PasswordChanged,
    Busy,
}

impl Refusal {
    /// The text for the user.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::InvalidName => "A name has 3 to 32 lower-case letters and digits.",
            Self::NameTaken => "This name is already taken.",
            // ASVS 5.0, 6.2.1. Long passwords are fine, as far as the form can send them.
            Self::InvalidPassword => "A password has 8 to 128 characters.",
            Self::PasswordChanged => {
                "Your password was just changed elsewhere. Please log in again."
            }
            Self::Busy => "We are busy. Please try again.",
        }
    }
}

impl Accounts {
    /// Creates an account. Returns the hash of its password.
    pub(crate) async fn create(&self, name: &str, password: String) -> Result<String, Refusal> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !(3..=32).contains(&name.len()) || !name.chars().all(is_name) {
            return Err(Refusal::InvalidName);
        }
        let hash = self.hash(password).await?;
        match self.hashes().entry(name.to_owned()) {
            Entry::Occupied(_) => Err(Refusal::NameTaken),
            Entry::Vacant(free) => Ok(free.insert(hash).clone()),
        }
    }

    /// The hash of the user's password. `None` if there is no such user.
    pub(crate) fn hash_of(&self, name: &str) -> Option<String> {
        self.hashes().get(name).cloned()
    }

    /// Verifies the user's password. Returns its hash, or `None` if the name or the password is wrong.
    pub(crate) async fn verify(&self, name: &str, password: String) -> Option<String> {
        let known = self.hash_of(name);
        let verified = self
            .run_hashing({
                let known = known.clone();
                move || {
                    let hash = known.or_else(|| DUMMY_HASH.clone())?;
                    let hash = PasswordHash::new(&hash).ok()?;
                    Argon2::default()
                        .verify_password(password.as_bytes(), &hash)
                        .ok()
                }
            })
            .await;
        known.filter(|_| verified.is_some())
    }

    /// Changes the user's password if its hash is still `from`. Returns the new hash. While the new hash was computed, another
    /// request may have changed the password and ended all sessions. Then this request is not allowed any more.
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
            _ => Err(Refusal::PasswordChanged),
        }
    }

    async fn hash(&self, password: String) -> Result<String, Refusal> {
        if !(8..=128).contains(&password.chars().count()) {
            return Err(Refusal::InvalidPassword);
        }
        let hash = self.run_hashing(move || hash(&password)).await;
        hash.ok_or(Refusal::Busy)
    }

    /// Runs `work` on a thread for blocking work, because a password hash is slow on purpose and would block all other requests
    /// of this thread. The permit moves along: it counts running hashes, not clients that wait for one.
    async fn run_hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let permit = self.hashing.clone().acquire_owned().await.ok()?;
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
