//! What measures must not wait for what is measured: threads that are served before the machine's other work.

/// Gives the calling thread the highest priority that is not real-time (`setpriority(2)`, nice -20).
///
/// A datagram, a ping or a status line is dated when its thread gets a core. On two cores that several labs and a compiler share, that
/// can be a tenth of a second after it came, and would be told as an outage of that length. What such a thread does takes microseconds.
pub fn prompt() {
    // Without the right to it (CAP_SYS_NICE) the measure is as good as the machine is idle.
    let _ = rustix::process::setpriority_process(None, -20);
}
