//! What is typed, and what is done then. `up` holds the lab; every other command talks to a running one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use natwatch_lab::{Description, FAULTS, Lab, Nat, Options, control, running, setup, sweep, target, target6};

/// A VPC on one machine, to watch natwatch work and to break things in.
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    version,
    after_help = "Start with `lab setup` (once), then `lab up`; other commands talk to it from a second terminal."
)]
pub(crate) struct Args {
    /// Which running lab, when there are several: its name, such as nw1f2e
    #[arg(long, global = true, value_name = "NAME")]
    lab: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the lab needs: Debian packages, and moto in a folder of its own
    Setup {
        /// Also what `bench` measures natwatch against
        #[arg(long)]
        bench: bool,
    },
    /// Raise a lab and hold it until Ctrl-C
    Up(Up),
    /// Make a fault happen in the running lab
    #[command(after_help = fault_help())]
    Fault {
        /// The fault and its arguments; see below
        #[arg(required = true, trailing_var_arg = true, value_name = "NAME [ARG]")]
        words: Vec<String>,
    },
    /// Undo a fault, all faults of a name, or `all`
    Heal {
        /// The fault's name, with or without its arguments, or `all`
        #[arg(required = true, trailing_var_arg = true, value_name = "NAME [ARG]|all")]
        words: Vec<String>,
    },
    /// Watch the flows: `#` back, `+` some, `.` none; 40 ms a character
    Traffic {
        /// For so many seconds; otherwise until Ctrl-C
        #[arg(long, value_name = "N", default_value = "86400")]
        seconds: u64,
    },
    /// Who carries which subnet, and what is broken
    Status,
    /// Every call the API has seen
    Calls,
    /// Show an outage from beginning to end, with its times, in a lab of its own
    Demo {
        /// natwatch's binary; default: the one beside this program
        #[arg(long, value_name = "FILE")]
        natwatch: Option<PathBuf>,
    },
    /// Measure natwatch in labs of its own
    Bench(crate::bench::Bench),
    /// Run natwatch on the standby, as its user
    #[command(disable_help_flag = true)]
    Natwatch {
        /// natwatch's arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a command on a host (nat1, nat2, b0…, f0…, inet), as root
    Exec {
        /// The host
        host: String,
        /// The command
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// End the running lab, and sweep what killed ones left
    Down,
}

#[derive(Debug, clap::Args)]
struct Up {
    /// Private subnets
    #[arg(long, default_value = "2", value_name = "N")]
    subnets: usize,
    /// Backends, spread over the subnets
    #[arg(long, default_value = "6", value_name = "N")]
    backends: usize,
    /// How long the API takes to describe
    #[arg(long, default_value = "80", value_name = "MS")]
    describe_latency: u64,
    /// How long the API takes to change something
    #[arg(long, default_value = "250", value_name = "MS")]
    mutate_latency: u64,
    /// The API speaks plain HTTP
    #[arg(long)]
    no_tls: bool,
    /// IPv6 too, masqueraded by both NATs
    #[arg(long)]
    ipv6: bool,
    /// natwatch's binary; default: the one beside this program
    #[arg(long, value_name = "FILE")]
    natwatch: Option<PathBuf>,
}

/// natwatch's binary where cargo puts it, beside this program.
pub(crate) fn beside() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("find this program")?.with_file_name("natwatch");
    anyhow::ensure!(path.exists(), "there is no {}; name natwatch's binary with --natwatch", path.display());
    Ok(path)
}

fn fault_help() -> String {
    let width = FAULTS.iter().map(|(words, _)| words.len()).max().unwrap_or_default();
    let lines: Vec<_> = FAULTS.iter().map(|(words, what)| format!("  {words:width$}  {what}")).collect();
    format!("Faults:\n{}", lines.join("\n"))
}

/// To standard output; a reader that has gone away is no failure.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}

/// To standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let chosen = || choose(args.lab.as_deref());
    let send = |words: &[&str]| control::ask(&chosen()?, words, say);
    let with = |first: &'static str, words: &[String]| {
        let words: Vec<_> = std::iter::once(first).chain(words.iter().map(String::as_str)).collect();
        send(&words)
    };
    match &args.command {
        Command::Setup { bench } => {
            let done = setup(*bench)?;
            say(&if done.is_empty() { "everything is there".to_owned() } else { done.join("\n") });
        }
        Command::Up(options) => up(options)?,
        Command::Demo { natwatch } => return crate::demo::run(&natwatch.clone().map_or_else(beside, Ok)?),
        Command::Bench(options) => return crate::bench::run(options),
        Command::Fault { words } => with("fault", words)?,
        Command::Heal { words } => with("heal", words)?,
        Command::Traffic { seconds } => send(&["traffic", &seconds.to_string()])?,
        Command::Status => send(&["status"])?,
        Command::Calls => send(&["calls"])?,
        Command::Natwatch { args } => {
            let lab = chosen()?;
            anyhow::ensure!(
                lab.plan.binary().exists(),
                "this lab was raised without natwatch; `lab up --natwatch FILE`"
            );
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            return pass_through(&lab.natwatch(&args));
        }
        Command::Exec { host, command } => {
            let (program, args) = command.split_first().context("no command")?;
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let invocation = chosen()?.program(host, program, &args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
            return pass_through(&invocation);
        }
        Command::Down => down(args.lab.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The running lab of that name, or the only one.
fn choose(name: Option<&str>) -> anyhow::Result<Description> {
    let labs: Vec<_> =
        running()?.into_iter().map(|(id, _)| id).filter(|id| name.is_none_or(|name| name == id)).collect();
    match (labs.as_slice(), name) {
        ([id], _) => Description::read(id),
        ([], None) => anyhow::bail!("no lab is running; `lab up` raises one"),
        ([], Some(name)) => anyhow::bail!("no lab `{name}` is running"),
        (several, _) => anyhow::bail!("several labs are running: choose with --lab, one of {}", several.join(", ")),
    }
}

fn up(options: &Up) -> anyhow::Result<()> {
    let options = Options {
        subnets: options.subnets,
        backends: options.backends,
        describe_latency: Duration::from_millis(options.describe_latency),
        mutate_latency: Duration::from_millis(options.mutate_latency),
        tls: !options.no_tls,
        natwatch: options.natwatch.clone().or_else(|| beside().ok()).unwrap_or_default(),
        traffic: true,
        ipv6: options.ipv6,
        reply: None,
        stack: None,
    };
    let started = Instant::now();
    let lab = Arc::new(Lab::up(&options)?);
    let took = started.elapsed();
    let ended = control::serve(&lab, || say(&introduction(&lab, took)));
    say("going down");
    drop(lab);
    ended
}

fn introduction(lab: &Lab, took: Duration) -> String {
    let (plan, ids) = (lab.plan(), lab.ids());
    let mut lines = vec![format!("lab {} is up after {took:.1?}: {}", plan.id, plan.root.display())];
    for nat in Nat::BOTH {
        let of = ids.nat(nat);
        let (host, address) = (nat.host(), nat.address());
        lines.push(format!("  {nat}  {host} {address}  {}  {}  route table {}", of.instance, of.eni, of.table));
    }
    for (n, subnet) in ids.subnets.iter().enumerate() {
        let hosts: Vec<_> =
            plan.backends().filter(|host| subnet.cidr.contains(&host.address)).map(|host| host.name.as_str()).collect();
        lines.push(format!("  subnet {n} {}  {}  {}", subnet.cidr, subnet.id, hosts.join(" ")));
    }
    lines.push(format!("  targets {} to {}   EC2 at {}", target(1), target(natwatch_lab::TARGETS), plan.endpoint()));
    if plan.ipv6 {
        lines.push(format!("  and {} to {}", target6(1), target6(natwatch_lab::TARGETS)));
    }
    lines.push(format!("  natwatch's configuration: {}", plan.config().display()));
    lines.push(
        "from another terminal: lab natwatch run | lab fault masquerade-gone | lab traffic | lab status | lab heal all"
            .to_owned(),
    );
    lines.push("Ctrl-C ends it".to_owned());
    lines.join("\n")
}

/// Runs it on this terminal.
fn pass_through(invocation: &natwatch_lab::Invocation) -> anyhow::Result<ExitCode> {
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let status = invocation.clone().env("TERM", &term).command()?.status().context("start ip")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn down(name: Option<&str>) -> anyhow::Result<()> {
    if !running()?.is_empty() {
        let lab = choose(name)?;
        control::ask(&lab, &["down"], say)?;
        let patience = Instant::now() + Duration::from_secs(20);
        while running()?.iter().any(|(id, _)| *id == lab.plan.id) {
            anyhow::ensure!(Instant::now() < patience, "lab {} does not end", lab.plan.id);
            std::thread::sleep(Duration::from_millis(10));
        }
        say(&format!("lab {} has ended", lab.plan.id));
    }
    let swept = sweep()?;
    if !swept.is_empty() {
        say(&format!("swept: {}", swept.join(", ")));
    }
    Ok(())
}
