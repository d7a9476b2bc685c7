//! natwatch's binary: parse, run, print what went wrong once. All else is in the library.

use std::process::ExitCode;

use natwatch::cli::{Cli, Format};

fn main() -> ExitCode {
    let cli = match Cli::parse_or_exit_status() {
        Ok(cli) => cli,
        Err(status) => return ExitCode::from(status),
    };
    match natwatch::execute(&cli) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            natwatch::report::error(&failure, cli.global.format == Format::Json);
            ExitCode::from(failure.exit)
        }
    }
}
