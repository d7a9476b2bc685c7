//! `natwatch takeover`: planned work. The plan is shown and confirmed; what is done then is a takeover like any other.

use crate::cli::Global;
use crate::config::Settings;
use crate::confirm::Question;
use crate::model::Failure;
use crate::record::State;
use crate::report;
use crate::run::clients::Live;
use crate::run::pass::{Done, Mode};
use crate::run::{self, Post, Signals, Stop};

const QUESTION: Question = Question {
    command: "natwatch takeover",
    asks: "Move them to this standby now? Established connections break, and traffic leaves from another address.",
    otherwise: "nothing is moved",
};

/// Moves the guarded subnets to this standby; returns the exit status: 0 done as asked and verified, else as `run`.
///
/// # Errors
/// 64: no terminal to ask on, and no `--yes`. 2: not confirmed, or the state folder or SSH can't be used; 78: the configuration is
/// another instance's.
pub async fn command(settings: &Settings, global: &Global, yes: bool, dry_run: bool) -> Result<u8, Failure> {
    if !yes && !dry_run {
        QUESTION.possible()?;
        let shown = match pass(settings, global, Mode::DryRun).await? {
            Ok(pass) if pass.exit == 0 => pass,
            // Held, or not allowed: there is nothing to confirm.
            Ok(pass) => {
                run::tell(settings, global, &pass, report::text::run);
                return Ok(pass.exit);
            }
            Err(number) => return Ok(128 + number),
        };
        QUESTION.ask(&report::text::plan(&shown)).await?;
    }
    let state = run::open(settings)?;
    let post = Post::new(settings, &state);
    let mut heard = Signals::or_hangup();
    match make(settings, global, &state, if dry_run { Mode::DryRun } else { Mode::Act }).await? {
        Ok(done) => {
            if !dry_run {
                post.passed(&done.pass, &done.case);
            }
            run::tell(settings, global, &done.pass, report::text::run);
            if !dry_run {
                post.deliver(&mut heard).await;
            }
            Ok(done.pass.exit)
        }
        Err(number) => Ok(128 + number),
    }
}

async fn pass(settings: &Settings, global: &Global, mode: Mode) -> Result<Result<crate::model::Pass, u8>, Failure> {
    let state = run::open(settings)?;
    Ok(make(settings, global, &state, mode).await?.map(|done| done.pass))
}

async fn make(settings: &Settings, global: &Global, state: &State, mode: Mode) -> Result<Result<Done, u8>, Failure> {
    let pass = async |world: &Live<'_>, witnesses| Box::pin(run::planned(world, settings, witnesses, mode)).await;
    run::make(settings, global, state, &Stop::default(), mode == Mode::Act, pass).await
}
