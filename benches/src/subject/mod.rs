//! The subjects: this crate, its peers, hand-written code, and frameworks without sessions.

#[cfg(feature = "peers")]
pub mod actix;
#[cfg(feature = "peers")]
mod axum_session;
mod bare;
mod cookie;
mod keycard;
mod map;
mod redis;
#[cfg(feature = "peers")]
mod ruts;
#[cfg(feature = "peers")]
mod tower_sessions;

use std::pin::Pin;
use std::time::Duration;

use crate::server::RedisServer;
use crate::visitor::{App, Visitor};
use crate::work::{IDLE, Work};

/// Where a subject stores its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    Memory,
    Redis,
}

/// The settings of an application.
#[derive(Clone, Debug)]
pub struct Setting {
    pub work: Work,
    pub idle: Duration,
    /// The URL of the Redis server, for the subjects that store sessions there.
    pub redis: String,
}

impl Setting {
    pub fn new(work: Work, redis: impl Into<String>) -> Self {
        Self {
            work,
            idle: IDLE,
            redis: redis.into(),
        }
    }
}

type Opening = Pin<Box<dyn Future<Output = App>>>;

#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub name: &'static str,
    pub place: Place,
    /// The subject with the same framework and without sessions.
    pub bare: &'static str,
    open: fn(Setting) -> Opening,
}

impl Subject {
    /// All subjects, in the order of the tables.
    pub const ALL: &[Self] = &[
        Self {
            name: "axum",
            place: Place::Nowhere,
            bare: "axum",
            open: |_| Box::pin(async { bare::axum() }),
        },
        Self {
            name: "extension-layer",
            place: Place::Nowhere,
            bare: "axum",
            open: |_| Box::pin(async { bare::with_extension() }),
        },
        Self {
            name: "map-by-hand",
            place: Place::Memory,
            bare: "axum",
            open: |setting| Box::pin(async { map::app(setting) }),
        },
        Self {
            name: "keycard-memory",
            place: Place::Memory,
            bare: "axum",
            open: |setting| Box::pin(async { keycard::in_memory(setting) }),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "tower-sessions-memory",
            place: Place::Memory,
            bare: "axum",
            open: |setting| Box::pin(async move { tower_sessions::in_memory(&setting) }),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "tower-sessions-moka",
            place: Place::Memory,
            bare: "axum",
            open: |setting| Box::pin(async move { tower_sessions::in_moka(&setting) }),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "ruts-moka",
            place: Place::Memory,
            bare: "axum",
            open: |setting| Box::pin(async move { ruts::in_moka(&setting) }),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "axum_session-memory",
            place: Place::Memory,
            bare: "axum",
            open: |setting| Box::pin(async move { axum_session::in_memory(&setting).await }),
        },
        Self {
            name: "redis-by-hand",
            place: Place::Redis,
            bare: "axum",
            open: |setting| Box::pin(redis::app(setting)),
        },
        Self {
            name: "keycard-redis",
            place: Place::Redis,
            bare: "axum",
            open: |setting| Box::pin(keycard::in_redis(setting)),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "tower-sessions-redis",
            place: Place::Redis,
            bare: "axum",
            open: |setting| Box::pin(async move { tower_sessions::in_redis(&setting).await }),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "ruts-redis",
            place: Place::Redis,
            bare: "axum",
            open: |setting| Box::pin(async move { ruts::in_redis(&setting).await }),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "axum_session-redis",
            place: Place::Redis,
            bare: "axum",
            open: |setting| Box::pin(async move { axum_session::in_redis(&setting).await }),
        },
        #[cfg(feature = "peers")]
        Self {
            name: "actix-web",
            place: Place::Nowhere,
            bare: "actix-web",
            open: |setting| {
                Box::pin(async move {
                    _ = setting;
                    actix::bare().await
                })
            },
        },
        #[cfg(feature = "peers")]
        Self {
            name: "actix-session-redis",
            place: Place::Redis,
            bare: "actix-web",
            open: |setting| Box::pin(async move { actix::in_redis(&setting).await }),
        },
    ];

    pub fn named(name: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|subject| subject.name == name);
        known.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|subject| subject.name).collect();
            format!("known subjects: {}", names.join(", "))
        })
    }

    pub fn is_ours(&self) -> bool {
        self.name.starts_with("keycard")
    }

    /// Whether a server is new enough for the subject; prints a line if not. ruts needs `HEXPIRE` of Redis 7.4.
    pub(crate) fn can_use(&self, server: &RedisServer) -> bool {
        let command = server.cli(&["COMMAND", "INFO", "HEXPIRE"]);
        let can = self.name != "ruts-redis" || command.contains("hexpire");
        if !can {
            eprintln!("{}: this redis-server is too old", self.name);
        }
        can
    }

    pub async fn open(&self, setting: Setting) -> App {
        (self.open)(setting).await
    }

    /// A visitor of an application.
    pub async fn visitor(&self, app: &App, work: Work) -> Visitor {
        Visitor::start(app, work, self.place != Place::Nowhere).await
    }
}
