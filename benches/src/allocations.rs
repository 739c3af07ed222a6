//! Allocations and allocated bytes per request, above what the same framework takes without sessions.

use std::error::Error;
use std::process::Command;

use crate::conditions;
use crate::figures::Figures;
use crate::server::RedisServer;
use crate::subject::{Place, Subject};
use crate::work::Work;

const TIMES: u64 = 2000;

pub fn measure(subjects: &[Subject], works: &[Work]) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&[]),
        ..Figures::default()
    };
    let server = RedisServer::start();
    for subject in subjects {
        if subject.place == Place::Nowhere && subject.name == subject.bare {
            continue;
        }
        let bare = Subject::named(subject.bare)?;
        for &work in works {
            let (bare_count, bare_bytes) = per_request(&bare, work, &server)?;
            let (count, bytes) = per_request(subject, work, &server)?;
            figures.record("allocations", subject.name, work, count - bare_count);
            figures.record("bytes", subject.name, work, bytes - bare_bytes);
        }
    }
    Ok(figures)
}

/// How often a request allocates, and how many bytes.
fn per_request(
    subject: &Subject,
    work: Work,
    server: &RedisServer,
) -> Result<(f64, f64), Box<dyn Error>> {
    let counter = std::env::current_exe()?.with_file_name("count-allocations");
    let output = Command::new(&counter)
        .args([subject.name, &work.to_string(), &TIMES.to_string()])
        .args(["--redis", &server.url()])
        .output()
        .map_err(|error| format!("{} ({error}): build with --bins", counter.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text.trim().split_once(' ').ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{} {work}: {errors}", subject.name)
    })?;
    Ok((figures.0.parse()?, figures.1.parse()?))
}
