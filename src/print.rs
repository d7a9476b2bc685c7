//! `natwatch print`: what is installed elsewhere. It needs no configuration.

mod manual;
mod settings;

use roff::Roff;
use serde_json::json;

use crate::cli::{Page, Print, completions};
use crate::ec2::iam_policy;
use crate::model::Failure;
use crate::model::failure::exit;
use crate::observe::ssh;
use crate::report::stdout;

/// Prints it; exit status 0. `as_json`: as one JSON document, which the policy is anyway.
///
/// # Errors
/// 2: the key file can't be used.
pub(crate) fn command(what: &Print, as_json: bool) -> Result<u8, Failure> {
    let failed = |error| Failure::new(exit::FAILED, error);
    let told = |key: &str, text: String| if as_json { format!("{}\n", json!({ key: text })) } else { text };
    let text = match what {
        Print::IamPolicy => iam_policy(),
        Print::AuthorizedKey { key } => {
            let line = ssh::authorized_key(key).map_err(failed)?;
            if as_json { told("authorized_key", line) } else { line + "\n" }
        }
        Print::Completions { shell } => told("completions", completions(*shell)),
        Print::Man { page: Page::Natwatch } => told("man", manual::page()),
        Print::Man { page: Page::NatwatchToml } => told("man", settings::page()),
    };
    stdout(&text).map(|()| 0).map_err(|error| failed(format!("stdout: {error}")))
}

/// A page in troff. A backslash by its name: two of them, as `roff` writes it, mean one only within macros (groff(7)).
fn rendered(page: &Roff) -> String {
    page.render().replace(r"\\", r"\(rs")
}
