//! Starts the lab's long-lived processes from one thread of its own.
//!
//! They carry a parent-death signal, so that they go when the lab is killed; Linux sends it when the *thread* that started them
//! ends (prctl(2)). A test's thread may end before its lab does, hence this one, which lives as long as the lab.

use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use anyhow::Context as _;

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

#[derive(Clone, Debug)]
pub(crate) struct Keeper(mpsc::Sender<Order>);

impl Keeper {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::Builder::new().name("lab-keeper".to_owned()).spawn(move || {
            for (mut command, reply) in inbox {
                // Nobody waits any more: then nobody needs the child either, and it is dropped.
                let _ = reply.send(command.spawn());
            }
        })?;
        Ok(Self(orders))
    }

    pub(crate) fn spawn(&self, command: Command) -> anyhow::Result<Child> {
        let name = command.get_args().last().unwrap_or(command.get_program()).to_string_lossy().into_owned();
        let (reply, answer) = mpsc::channel();
        self.0.send((command, reply)).ok().context("the lab is going down")?;
        answer.recv().context("the lab is going down")?.with_context(|| format!("start a process ending in {name}"))
    }
}
