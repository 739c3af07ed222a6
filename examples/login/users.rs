//! Who may log in: a table of names and password hashes, as an application's database would hold.

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

/// Checked when nobody has that name, so that an unknown user takes as long as a wrong password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AzIUvWoyLEYUDrLWR0RAKQ$98qwvPKpVv4lOKLEde45JcWfbB/i+GzznGaIiPDOLbY";

/// The users of this demonstration.
#[derive(Clone)]
pub(crate) struct Users {
    /// Each check takes 19 MiB for its time: a flood of logins has to wait in line for them.
    checks: Arc<Semaphore>,
}

impl Users {
    pub(crate) fn demo() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            checks: Arc::new(Semaphore::new(cores)),
        }
    }

    /// The user of this name, if the password is theirs.
    pub(crate) async fn verify(&self, name: &str, password: String) -> Option<&'static str> {
        let user = USERS.into_iter().find(|(known, _)| *known == name);
        let hash = user.map_or(NOBODY, |(_, hash)| hash);

        // Hashing a password is meant to be slow, and would hold up every other request of this
        // thread. The permit goes along: it counts checks, not clients that still wait for one.
        let permit = Arc::clone(&self.checks).acquire_owned().await.ok()?;
        let fits = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let Ok(hash) = PasswordHash::new(hash) else {
                return false;
            };
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        });
        match (fits.await, user) {
            (Ok(true), Some((name, _))) => Some(name),
            _ => None,
        }
    }
}
