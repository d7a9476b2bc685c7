//! `lab`: raise a VPC on this machine, break it, watch what happens.

mod bench;
mod cli;
mod demo;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::run(&cli::Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
