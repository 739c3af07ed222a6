//! The users: a table of names and password hashes, in place of an application's database.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use tokio::sync::Semaphore;

const USERS: [(&str, &str); 2] = [
    (
        "alice",
        "$argon2id$v=19$m=19456,t=2,p=1$DC4/wL/oS2Vg1t2Tm5C4QA$GAbwDfDoO3beHH6agcD5q4bSoA2LGCzi5eXnmRXMQBM",
    ),
    (
        "bob",
        "$argon2id$v=19$m=19456,t=2,p=1$De4dOgETg+8RJnERr3XVnQ$Ao5nK34ITZLbXHegRNGn+OEIROiiX0q70hN5Rugxp8U",
    ),
];

/// Verified if there is no such user, so that an unknown name takes as long as a wrong password.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AzIUvWoyLEYUDrLWR0RAKQ$98qwvPKpVv4lOKLEde45JcWfbB/i+GzznGaIiPDOLbY";

/// The users of this example.
#[derive(Clone)]
pub(crate) struct Users {
    /// Limits how many hashes run at the same time, because each takes 19 MiB. A flood of logins waits here.
    hashing: Arc<Semaphore>,
}

impl Users {
    pub(crate) fn demo() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            hashing: Arc::new(Semaphore::new(cores)),
        }
    }

    /// The user with this name, if the password is right.
    pub(crate) async fn verify(&self, name: &str, password: String) -> Option<&'static str> {
        let user = USERS.into_iter().find(|(known, _)| *known == name);
        let hash = user.map_or(DUMMY_HASH, |(_, hash)| hash);

        // A password hash is slow on purpose, and would block all other requests of this thread. The
        // permit moves along: it counts running hashes, not clients that wait for one.
        let permit = Arc::clone(&self.hashing).acquire_owned().await.ok()?;
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let Ok(hash) = PasswordHash::new(hash) else {
                return false;
            };
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        });
        match (verified.await, user) {
            (Ok(true), Some((name, _))) => Some(name),
            _ => None,
        }
    }
}
