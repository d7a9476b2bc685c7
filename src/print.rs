//! `natwatch print`: what is installed elsewhere. It needs no configuration.

use crate::cli::Print;
use crate::ec2::iam_policy;
use crate::model::Failure;
use crate::model::failure::exit;
use crate::observe::ssh;
use crate::report::stdout;

/// Prints it; exit status 0.
///
/// # Errors
/// 2: the key file can't be used.
pub(crate) fn command(what: &Print, json: bool) -> Result<u8, Failure> {
    let failed = |error| Failure::new(exit::FAILED, error);
    let text = match what {
        Print::IamPolicy => iam_policy(),
        Print::AuthorizedKey { key } => {
            let line = ssh::authorized_key(key).map_err(failed)?;
            let told = if json { serde_json::json!({ "authorized_key": line }).to_string() } else { line };
            told + "\n"
        }
    };
    stdout(&text).map(|()| 0).map_err(|error| failed(format!("stdout: {error}")))
}
