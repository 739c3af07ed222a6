//! The command line: each part of the comparison on its own, and all of it as a page.

use std::error::Error;

use clap::{Args, Parser, Subcommand, ValueEnum as _};
use keycard_benches::figures::Figures;
use keycard_benches::subject::Subject;
use keycard_benches::work::Work;
use keycard_benches::{
    allocations, budgets, commands, instructions, profile, report, scaling, stored, tcp,
    throughput, time,
};

/// Measures what sessions cost, beside others and beside what one would write by hand. Each part keeps its figures in
/// benches/results, and those of subjects that it leaves out.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Instructions per request, counted by callgrind.
    Instructions(Who),
    /// Where they go, by crate and module: this crate's, and those of a layer that does nothing.
    Profile(Who),
    /// Allocations and allocated bytes per request, above those without sessions.
    Allocations(Who),
    /// Nanoseconds per request, and as a multiple of those without sessions.
    Time(Who),
    /// Commands and round trips per request, and the bytes of a session, on a Redis server.
    Commands(Who),
    /// Requests per second over one connection to a Redis server, as a part of what is reached by hand.
    Throughput(Who),
    /// Requests per second over TCP; W2 and W4 unless others are given. All connections bring the same session.
    Tcp(Who),
    /// Bytes of a session in memory, and whether an expired one is freed.
    Stored {
        #[command(flatten)]
        who: Who,
        #[arg(long, default_value_t = stored::SESSIONS)]
        sessions: u64,
    },
    /// With more threads, and with ever more sessions.
    Scaling {
        #[command(flatten)]
        who: Who,
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// How many sessions this crate keeps in memory at most, as a power of ten.
        #[arg(long, default_value_t = 7)]
        ours: u32,
        /// How many the others do.
        #[arg(long, default_value_t = 6)]
        others: u32,
        /// How many are kept in Redis.
        #[arg(long, default_value_t = 6)]
        redis: u32,
    },
    /// Writes docs/benchmarks.md, docs/redis-load.md and the plot, from the figures of all parts.
    Report,
    /// Measures everything, and writes the report.
    All,
    /// Whether this crate costs no more than it did when its budgets were written: what is the same on every machine.
    Check {
        /// Writes the budgets, for a change that makes it cheaper, or is worth its price.
        #[arg(long)]
        write: bool,
    },
    /// Does a work so many times, for whoever counts what it costs.
    #[command(hide = true)]
    Work {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        #[arg(ignore_case = true)]
        work: Work,
        times: u64,
    },
    /// Serves over TCP, for whoever measures it.
    #[command(hide = true)]
    Serve {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        #[arg(ignore_case = true)]
        work: Work,
        redis: String,
    },
}

#[derive(Args, Default)]
struct Who {
    /// Only these; everybody unless given.
    #[arg(long, value_parser = Subject::named)]
    subject: Vec<Subject>,
    /// Only these; all unless given.
    #[arg(long, ignore_case = true)]
    work: Vec<Work>,
}

impl Who {
    fn subjects(&self) -> &[Subject] {
        self.subjects_or(Subject::ALL)
    }

    fn subjects_or<'a>(&'a self, others: &'a [Subject]) -> &'a [Subject] {
        if self.subject.is_empty() {
            return others;
        }
        &self.subject
    }

    fn works(&self) -> &[Work] {
        self.works_or(Work::value_variants())
    }

    fn works_or<'a>(&'a self, others: &'a [Work]) -> &'a [Work] {
        if self.work.is_empty() {
            return others;
        }
        &self.work
    }
}

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    run(Cli::parse().part).await
}

async fn run(part: Part) -> Outcome {
    match part {
        Part::Instructions(who) => {
            let figures = instructions::measure(who.subjects(), who.works())?;
            done("instructions", &figures)
        }
        Part::Profile(who) => {
            let ours = [
                Subject::named("extension-layer")?,
                Subject::named("keycard-memory")?,
            ];
            let subjects = who.subjects_or(&ours);
            done("profile", &profile::measure(subjects, who.works())?)
        }
        Part::Allocations(who) => {
            let figures = allocations::measure(who.subjects(), who.works())?;
            done("allocations", &figures)
        }
        Part::Time(who) => {
            let figures = time::measure(who.subjects(), who.works()).await;
            done("time", &figures)
        }
        Part::Commands(who) => {
            let figures = commands::measure(who.subjects(), who.works()).await?;
            done("commands", &figures)
        }
        Part::Throughput(who) => {
            let figures = throughput::measure(who.subjects(), who.works()).await?;
            done("throughput", &figures)
        }
        Part::Tcp(who) => {
            let works = who.works_or(&[Work::W2, Work::W4]);
            done("tcp", &tcp::measure(who.subjects(), works)?)
        }
        Part::Stored { who, sessions } => {
            done("stored", &stored::measure(who.subjects(), sessions)?)
        }
        Part::Scaling {
            who,
            threads,
            ours,
            others,
            redis,
        } => {
            let limits = scaling::Limits {
                threads,
                ours,
                others,
                redis,
            };
            let figures = scaling::measure(who.subjects(), &limits).await?;
            done("scaling", &figures)
        }
        Part::Report => report::write(),
        Part::All => all().await,
        Part::Check { write } => check(write).await,
        Part::Work {
            subject,
            work,
            times,
        } => {
            instructions::work(&subject, work, times).await;
            Ok(())
        }
        Part::Serve {
            subject,
            work,
            redis,
        } => tcp::serve(&subject, work, redis).await,
    }
}

fn done(part: &str, figures: &Figures) -> Outcome {
    for table in figures.tables.keys() {
        println!("{table}\n\n{}", figures.markdown(table, 2));
    }
    Ok(figures.save(part)?)
}

/// Each part as a process of its own, so that none leaves the next one a heap that has been used.
async fn all() -> Outcome {
    let parts = [
        "instructions",
        "profile",
        "allocations",
        "commands",
        "stored",
        "time",
        "throughput",
        "tcp",
        "scaling",
        "report",
    ];
    for part in parts {
        eprintln!("=== {part}");
        let program = std::env::current_exe()?;
        if !std::process::Command::new(program)
            .arg(part)
            .status()?
            .success()
        {
            return Err(format!("{part} failed").into());
        }
    }
    Ok(())
}

async fn check(write: bool) -> Outcome {
    let ours = Subject::ALL.iter().filter(|subject| subject.is_ours());
    let ours: Vec<_> = ours.copied().collect();
    let works = Work::value_variants();
    let mut measured = instructions::measure(&ours, works)?.tables;
    measured.extend(allocations::measure(&ours, works)?.tables);
    measured.extend(commands::measure(&ours, works).await?.tables);
    let mut memory = Figures::default();
    let bytes = stored::bytes(&Subject::named("keycard-memory")?, 100_000)?;
    memory.record("stored in memory", "keycard-memory", "bytes", bytes);
    measured.extend(memory.tables);
    if write {
        return budgets::write(&measured);
    }
    let exceeded = budgets::exceeded(&measured)?;
    if exceeded.is_empty() {
        println!("within all budgets");
        return Ok(());
    }
    Err(format!("above budget:\n{}", exceeded.join("\n")).into())
}
