//! `natwatch init`: a first configuration, from what this instance, its VPC and its hosts file show.
//!
//! What was found is filled in and explained; on a terminal, what can't be known from here is asked for. What is not known then, or could be
//! one of several, stays a comment with what to choose from, and is told. It asks EC2 and changes nothing there; a file that exists is
//! never touched.

mod around;
mod draft;
mod file;
mod hosts;
mod questions;

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::{Format, Global};
use crate::config::{Filled, Settings, filled};
use crate::confirm::Answer;
use crate::ec2::Ec2;
use crate::model::Failure;
use crate::model::failure::exit;
use crate::report;
use crate::report::init::Written;
use around::Around;
use draft::Draft;
use hosts::Hosts;
use questions::Questions;

/// What stands for standard output where a path is wanted.
const STDOUT: &str = "-";

/// Writes a configuration to `output`, else to the `--config` path; exit status 0, also where something is left to be filled in. With
/// `yes`, and without a terminal, nothing is asked.
///
/// # Errors
/// 2: the file exists or can't be written, the terminal can't be read, or the way to EC2 can't be set up (`AWS_CA_BUNDLE`). 128 and the
/// signal's number: a signal instead of an answer.
pub async fn command(
    global: &Global,
    output: Option<&Path>,
    hosts_file: Option<&Path>,
    yes: bool,
) -> Result<u8, Failure> {
    let failed = |why: String| Failure::new(exit::FAILED, why);
    let path = output.unwrap_or(&global.config);
    let path = Some(path).filter(|path| *path != Path::new(STDOUT));
    if let Some(path) = path {
        file::free(path).map_err(failed)?;
    }
    let draft = Box::pin(draft(hosts_file, yes)).await?;
    let text = configuration(&draft);
    let mut written =
        Written { path: path.map(Path::to_owned), found: draft.told(), missing: draft.missing, refused: Vec::new() };
    if let Some(path) = path {
        file::write(path, &text).map_err(failed)?;
        written.refused = Settings::load(path)
            .err()
            .map(|error| error.to_string())
            .iter()
            .flat_map(|all| all.lines())
            .map(str::to_owned)
            .collect();
    }
    tell(global, &written, &text).map_err(|error| failed(format!("stdout: {error}")))?;
    Ok(0)
}

/// Looks around, and asks.
async fn draft(hosts_file: Option<&Path>, yes: bool) -> Result<Draft, Failure> {
    let mut questions = Questions::new(yes);
    let mut around = look(&mut questions, None).await?;
    let region = questions.region(&around).await?;
    if let Answer::This(region) = &region {
        around = look(&mut questions, Some(region)).await?;
    }
    let (standby, primary) = (around.standbys(), around.primaries());
    let question = "Which route table is this standby's own?";
    let standby = questions.table(standby, &around, primary.id(), question).await?;
    let question = "Which route table's subnets are to be guarded?";
    let primary = questions.table(primary, &around, standby.id(), question).await?;
    let mut hosts = Hosts::read(hosts_file, primary.one());
    if hosts_file.is_none() {
        hosts = questions.hosts(hosts).await?;
    }
    let said = questions.rest(region).await?;
    Ok(Draft::of(&around, &standby, &primary, &hosts, &said))
}

async fn look(questions: &mut Questions, region: Option<&str>) -> Result<Around, Failure> {
    let ec2 = Ec2::connect(region).map_err(|why| Failure::new(exit::FAILED, why))?;
    questions.meanwhile(Box::pin(Around::look(&ec2))).await
}

fn configuration(draft: &Draft) -> String {
    let head = "# natwatch on the standby NAT instance, as `natwatch init` found it. Lines with `>` say why a value is what it is, or what to\n\
                # choose from. See whether it is right, then: natwatch doctor\n";
    let known: BTreeMap<&str, Filled> = draft.known.iter().map(|(key, filled)| (*key, filled.clone())).collect();
    filled(head, &known)
}

/// The configuration on standard output is alone there.
fn tell(global: &Global, written: &Written, configuration: &str) -> std::io::Result<()> {
    match (global.format, &written.path) {
        (Format::Json, path) => report::stdout(&report::init::json(written, path.is_none().then_some(configuration))),
        (Format::Text, None) => {
            report::progress(&report::init::text(written));
            report::stdout(configuration)
        }
        (Format::Text, Some(_)) if global.quiet && written.missing.is_empty() => Ok(()),
        (Format::Text, Some(_)) => report::stdout(&report::init::text(written)),
    }
}

#[cfg(test)]
mod tests;
