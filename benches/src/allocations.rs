//! Allocations and allocated bytes per request, above those of the same framework without sessions.

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
        let is_bare = subject.name == subject.bare;
        if is_bare || subject.place == Place::Redis && !subject.can_use(&server) {
            continue;
        }
        let bare = Subject::named(subject.bare)?;
        for &work in works {
            let without = per_request(&bare, work, &server)?;
            let with = per_request(subject, work, &server)?;
            for (table, place) in [("allocations", 0), ("bytes", 1)] {
                figures.record(table, subject.name, work, with[place] - without[place]);
            }
        }
    }
    Ok(figures)
}

/// The allocations and the allocated bytes of a request.
fn per_request(
    subject: &Subject,
    work: Work,
    server: &RedisServer,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let (work, times) = (work.to_string(), TIMES.to_string());
    count(&["request", subject.name, &work, &times, &server.url()])
}

/// Runs the program that counts, and returns the figures that it prints.
pub fn count(arguments: &[&str]) -> Result<Vec<f64>, Box<dyn Error>> {
    let counter = std::env::current_exe()?.with_file_name("count-allocations");
    let output = Command::new(&counter)
        .args(arguments)
        .output()
        .map_err(|error| format!("{} ({error}): build with --bins", counter.display()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {errors}", arguments.join(" ")).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?)
}
