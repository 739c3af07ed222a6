//! The command line: each part of the comparison on its own, and all of it as a page.

use std::error::Error;

use clap::{Args, Parser, Subcommand, ValueEnum as _};
use keycard_benches::subject::Subject;
use keycard_benches::work::Work;
use keycard_benches::{allocations, budgets, instructions};

/// Measures what sessions cost.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Instructions per request, counted by callgrind.
    Instructions(Who),
    /// Allocations and allocated bytes per request, above those without sessions.
    Allocations(Who),
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
}

#[derive(Args)]
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
        if self.subject.is_empty() {
            return Subject::ALL;
        }
        &self.subject
    }

    fn works(&self) -> &[Work] {
        if self.work.is_empty() {
            return Work::value_variants();
        }
        &self.work
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match Cli::parse().part {
        Part::Instructions(who) => {
            let figures = instructions::measure(who.subjects(), who.works())?;
            print!("{}", figures.markdown("instructions", 0));
            figures.save("instructions")?;
        }
        Part::Allocations(who) => {
            let figures = allocations::measure(who.subjects(), who.works())?;
            for table in ["allocations", "bytes"] {
                println!("{table}\n\n{}", figures.markdown(table, 0));
            }
            figures.save("allocations")?;
        }
        Part::Check { write } => check(write)?,
        Part::Work {
            subject,
            work,
            times,
        } => instructions::work(&subject, work, times).await,
    }
    Ok(())
}

fn check(write: bool) -> Result<(), Box<dyn Error>> {
    let ours = Subject::ALL.iter().filter(|subject| subject.is_ours());
    let ours: Vec<_> = ours.copied().collect();
    let mut measured = budgets::Budgets::new();
    measured.extend(instructions::measure(&ours, Work::value_variants())?.tables);
    measured.extend(allocations::measure(&ours, Work::value_variants())?.tables);
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
