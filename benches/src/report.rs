//! Writes the pages of the comparison, from the last figures of each part.

mod pages;
mod targets;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use crate::figures::Figures;
use crate::plot::{Panel, svg};
use crate::work::Work;

/// The figures of all parts.
#[derive(Default)]
pub struct Results {
    pub instructions: Figures,
    pub profile: Figures,
    pub allocations: Figures,
    pub commands: Figures,
    pub stored: Figures,
    pub time: Figures,
    pub throughput: Figures,
    pub tcp: Figures,
    pub scaling: Figures,
}

impl Results {
    fn load() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            instructions: Figures::load("instructions")?,
            profile: Figures::load("profile")?,
            allocations: Figures::load("allocations")?,
            commands: Figures::load("commands")?,
            stored: Figures::load("stored")?,
            time: Figures::load("time")?,
            throughput: Figures::load("throughput")?,
            tcp: Figures::load("tcp")?,
            scaling: Figures::load("scaling")?,
        })
    }
}

pub fn write() -> Result<(), Box<dyn Error>> {
    let results = Results::load()?;
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::write(docs.join("benchmarks.md"), pages::benchmarks(&results)?)?;
    fs::write(docs.join("redis-load.md"), pages::redis_load(&results))?;
    fs::write(docs.join("benchmarks.svg"), plot(&results))?;
    Ok(())
}

const MEMORY: &[&str] = &[
    "keycard-memory",
    "map-by-hand",
    "tower-sessions-memory",
    "tower-sessions-moka",
    "ruts-moka",
    "axum_session-memory",
];
const REDIS: &[&str] = &[
    "keycard-redis",
    "redis-by-hand",
    "tower-sessions-redis",
    "ruts-redis",
    "axum_session-redis",
    "actix-session-redis",
];

const PEERS: &[&str] = &[
    "tower-sessions",
    "tower-sessions-moka-store",
    "tower-sessions-redis-store",
    "ruts",
    "axum_session",
    "axum_session_redispool",
    "actix-session",
];

/// The versions of the peers, from `Cargo.lock`.
fn versions() -> Result<String, Box<dyn Error>> {
    #[derive(serde::Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let lock = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let lock: Lock = toml::from_str(&fs::read_to_string(lock)?)?;
    let of = |peer: &&str| {
        let locked = lock.package.iter().filter(|package| package.name == **peer);
        let versions: Vec<_> = locked.map(|package| &*package.version).collect();
        format!("{peer} {}", versions.join(" and "))
    };
    Ok(PEERS.iter().map(of).collect::<Vec<_>>().join(", "))
}

fn plot(results: &Results) -> String {
    let works = &Work::ALL[1..];
    let instructions = Panel {
        title: "In memory: instructions per request, axum included (less is better)",
        figures: &results.instructions,
        table: "instructions",
        works,
        subjects: MEMORY,
        one: None,
        decimals: 0,
    };
    let time = Panel {
        title: "In memory: time per request, as a multiple of axum without sessions (less is better)",
        figures: &results.time,
        table: "ratio",
        subjects: MEMORY,
        one: Some(1.0),
        decimals: 2,
        ..instructions
    };
    let throughput = Panel {
        title: "In Redis: requests per second, as a fraction of the hand-written code (more is better)",
        figures: &results.throughput,
        table: "of the floor",
        works: &works[1..],
        subjects: REDIS,
        one: Some(1.0),
        decimals: 2,
    };
    svg(&[time, instructions, throughput])
}
