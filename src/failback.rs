//! `natwatch failback`: brings the subnets back to the primary after a repair. The plan is shown and confirmed first.

use crate::cli::Global;
use crate::config::Settings;
use crate::confirm::Question;
use crate::model::failure::exit;
use crate::model::{EventKind, Failure, Pass, SubnetId, printable};
use crate::report;
use crate::run::clients::Live;
use crate::run::pass::Mode;
use crate::run::{self, Deed, Post, Signals, Stop};

const QUESTION: Question = Question {
    command: "natwatch failback",
    asks: "Bring them back to the primary now? Established connections break, and traffic leaves from another address.",
    otherwise: "nothing is moved",
};

/// Brings subnets back; returns the exit status: 0 done as asked and verified, 2 not or not all, 75 busy.
///
/// # Errors
/// 64: what `--subnet` names is no subnet, or there is no terminal to ask on and no `--yes`. 2: not confirmed, or the state folder or
/// SSH can't be used; 78: the configuration is another instance's.
pub async fn command(
    settings: &Settings,
    global: &Global,
    subnets: &[String],
    yes: bool,
    dry_run: bool,
) -> Result<u8, Failure> {
    let wanted = wanted(subnets)?;
    if !yes && !dry_run {
        QUESTION.possible()?;
        let shown = match pass(settings, global, &wanted, Mode::DryRun).await? {
            Ok(pass) if pass.exit == 0 => pass,
            // Held, or not allowed: there is nothing to confirm.
            Ok(pass) => {
                run::tell(settings, global, &pass, report::text::failback);
                return Ok(pass.exit);
            }
            Err(number) => return Ok(128 + number),
        };
        QUESTION.ask(&report::text::plan(&shown)).await?;
    }
    let mut heard = Signals::or_hangup();
    match pass(settings, global, &wanted, if dry_run { Mode::DryRun } else { Mode::Act }).await? {
        Ok(pass) => {
            let state = run::open(settings)?;
            let post = Post::new(settings, &state);
            // One that was held has changed nothing.
            let told = !dry_run && (pass.exit == exit::DONE || pass.moves.iter().any(|one| one.result.perhaps_moved()));
            if told {
                post.did(EventKind::Failback, Deed { because: &pass.because, pass: Some(&pass), ..Deed::default() });
            }
            run::tell(settings, global, &pass, report::text::failback);
            if told {
                post.deliver(&mut heard).await;
            }
            Ok(pass.exit)
        }
        Err(number) => Ok(128 + number),
    }
}

fn wanted(subnets: &[String]) -> Result<Vec<SubnetId>, Failure> {
    let parsed = subnets.iter().map(|text| {
        text.parse().map_err(|_| {
            let text = printable(text, 60);
            Failure::new(exit::USAGE, format!("--subnet {text}: \"subnet-\" and 1 to 32 of 0-9, a-z are wanted"))
        })
    });
    parsed.collect()
}

async fn pass(
    settings: &Settings,
    global: &Global,
    wanted: &[SubnetId],
    mode: Mode,
) -> Result<Result<Pass, u8>, Failure> {
    let state = run::open(settings)?;
    let stop = Stop::default();
    let pass = async |world: &Live<'_>, witnesses| {
        Box::pin(run::failback::failback(world, settings, witnesses, wanted, mode, &stop)).await
    };
    // What is kept of a pass is for who decides on evidence; here nobody did.
    let done = run::make(settings, global, &state, &stop, false, pass).await?;
    Ok(done.map(|done| done.pass))
}
