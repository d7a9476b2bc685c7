//! `natwatch drill`: practice. One subnet goes to the standby and back, verified each way. The plan is shown and confirmed first.

use crate::cli::Global;
use crate::config::Settings;
use crate::confirm::Question;
use crate::model::failure::exit;
use crate::model::{Failure, Pass, SubnetId, printable};
use crate::report;
use crate::run::clients::Live;
use crate::run::pass::Mode;
use crate::run::{self, Stop};

const QUESTION: Question = Question {
    command: "natwatch drill",
    asks: "Move it to this standby now, and back? Its established connections break twice, and meanwhile traffic leaves from another address.",
    otherwise: "nothing is moved",
};

/// Moves a subnet there and back; returns the exit status: 0 done and verified each way, 2 not, whether or not the subnet is back, 75 busy.
///
/// # Errors
/// 64: what `--subnet` names is no subnet, or there is no terminal to ask on and no `--yes`. 2: not confirmed, or the state folder or
/// SSH can't be used; 78: the configuration is another instance's.
pub async fn command(
    settings: &Settings,
    global: &Global,
    subnet: Option<&str>,
    yes: bool,
    dry_run: bool,
) -> Result<u8, Failure> {
    let wanted: Option<SubnetId> = subnet.map(parse).transpose()?;
    let ended = |done: Result<Pass, u8>| {
        done.map_or_else(
            |number| 128 + number,
            |pass| {
                run::tell(settings, global, &pass, report::text::drill);
                pass.exit
            },
        )
    };
    if !yes && !dry_run {
        QUESTION.possible()?;
        match pass(settings, global, wanted.as_ref(), Mode::DryRun).await? {
            Ok(shown) if shown.exit == 0 => QUESTION.ask(&report::text::plan(&shown)).await?,
            // Held, or not allowed: there is nothing to confirm.
            other => return Ok(ended(other)),
        }
    }
    let mode = if dry_run { Mode::DryRun } else { Mode::Act };
    Ok(ended(pass(settings, global, wanted.as_ref(), mode).await?))
}

fn parse(text: &str) -> Result<SubnetId, Failure> {
    text.parse().map_err(|_| {
        let text = printable(text, 60);
        Failure::new(exit::USAGE, format!("--subnet {text}: \"subnet-\" and 1 to 32 of 0-9, a-z are wanted"))
    })
}

async fn pass(
    settings: &Settings,
    global: &Global,
    wanted: Option<&SubnetId>,
    mode: Mode,
) -> Result<Result<Pass, u8>, Failure> {
    let state = run::open(settings)?;
    // What is away comes back, also where EC2 takes its time: the way there and the way back, each within a run's deadline.
    let stop = Stop::within(settings.deadline.saturating_mul(2));
    let pass = async |world: &Live<'_>, witnesses| {
        Box::pin(run::drill::drill(world, settings, witnesses, wanted, mode, &stop)).await
    };
    // What is kept of a pass is for who decides on evidence; here nobody did.
    let done = run::make(settings, global, &state, &stop, false, pass).await?;
    Ok(done.map(|done| done.pass))
}
