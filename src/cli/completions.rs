//! Completions for shells, made from the definition of the command line by `clap_complete`.

use clap_complete::{Generator, Shell as Dialect, generate};

use super::Shell;

/// The file that `shell` reads to complete what is typed after `natwatch`.
#[must_use]
pub fn completions(shell: Shell) -> String {
    let written = match shell {
        Shell::Bash => written(Dialect::Bash),
        Shell::Zsh => written(Dialect::Zsh),
        Shell::Fish => written(Dialect::Fish),
    };
    String::from_utf8_lossy(&written).into_owned()
}

fn written(dialect: impl Generator) -> Vec<u8> {
    let mut out = Vec::new();
    generate(dialect, &mut super::definition(), "natwatch", &mut out);
    out
}
