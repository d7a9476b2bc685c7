//! Every key of the configuration: its type, range, default and what it is for, in this one place.
//!
//! The reader, the messages, the sample configuration (and whatever documents the keys later) are made from this
//! table. It holds no rule between keys; those are in `check`.

use std::time::Duration;

use super::values::written;

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// `table.key`, or `key` at the top.
    pub path: &'static str,
    /// Its type and range.
    pub kind: Kind,
    /// What holds where it is not written.
    pub presence: Presence,
    /// What it is for, one line.
    pub doc: &'static str,
}

/// Type and range of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string such as `"500ms"`; the bounds are allowed.
    Duration {
        /// At least.
        min: Duration,
        /// At most.
        max: Duration,
        /// No fractions of a second.
        whole_seconds: bool,
    },
    /// An integer; the bounds are allowed.
    Integer {
        /// At least.
        min: i64,
        /// At most.
        max: i64,
    },
    /// A number from 0 up to but not including 1.
    Share,
    /// `true` or `false`.
    Flag,
    /// A string, and what is accepted in words.
    Text(&'static str),
    /// A list of strings, and what is accepted as one of them, in words.
    Texts(&'static str),
}

/// What holds for a key that is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has to be written; with an example, in TOML.
    Required(&'static str),
    /// This value, in TOML.
    Default(&'static str),
    /// No value: an example in TOML, and what natwatch does without.
    Optional(&'static str, &'static str),
}

impl Key {
    /// The range, in words.
    #[must_use]
    pub fn accepted(&self) -> String {
        match self.kind {
            Kind::Duration { min, max, whole_seconds } => {
                let unit = if whole_seconds { " in whole seconds" } else { "" };
                format!("\"{}\" to \"{}\"{unit}", written(min), written(max))
            }
            Kind::Integer { min, max } => format!("{min} to {max}"),
            Kind::Share => "0 up to but not including 1".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Text(words) => words.to_owned(),
            Kind::Texts(words) => format!("a list of {words}"),
        }
    }

    /// The key's table (empty at the top) and its own name.
    #[must_use]
    pub fn split(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or(("", self.path))
    }
}

/// The tables, in the order of the contract.
pub(super) const TABLES: [&str; 10] =
    ["primary", "standby", "backends", "targets", "decision", "takeover", "failback", "state", "notify", "metrics"];

const HOST: &str =
    "names (letters, digits, '-', '_', '.'; 253 at most, not starting with '-') or IP addresses of other hosts";
const ROUTE_TABLE: &str = "\"rtb-\" and 1 to 32 of 0-9, a-z";
const INSTANCE: &str = "\"i-\" and 1 to 32 of 0-9, a-z";
const SUBNET: &str = "ids: \"subnet-\" and 1 to 32 of 0-9, a-z";
const PATH: &str = "an absolute path";
const SSH_PATH: &str = "an absolute path without spaces, quotes, '%', '$' and '\\'";

const fn millis(min: u64, max: u64) -> Kind {
    Kind::Duration { min: Duration::from_millis(min), max: Duration::from_millis(max), whole_seconds: false }
}

const fn seconds(min: u64, max: u64) -> Kind {
    millis(min * 1000, max * 1000)
}

macro_rules! keys {
    ($($name:ident = $path:literal, $kind:expr, $presence:expr, $doc:literal;)+) => {
        $(#[doc = concat!("`", $path, "`")]
        pub(super) const $name: Key = Key { path: $path, kind: $kind, presence: $presence, doc: $doc };)+

        /// All keys, in the order of the contract.
        pub const KEYS: &[Key] = &[$($name),+];
    };
}

use Kind::{Flag, Integer, Share, Text, Texts};
use Presence::{Default, Optional, Required};

keys! {
    NAME = "name", Text("1 to 64 of A-Z, a-z, 0-9, '.', '_', '-', not starting with '.' or '-'"),
        Optional("\"natwatch\"", "this file's name without its extension"), "Names this configuration; state lives in <state.dir>/<name>/.";

    PRIMARY_TABLE = "primary.route_table", Text(ROUTE_TABLE), Required("\"rtb-0aaa\""), "The route table whose subnets are guarded.";
    PRIMARY_ADDRESS = "primary.address", Text("an IP address of another host"),
        Optional("\"10.0.0.10\"", "it is not pinged"), "The primary's address, pinged for the report; never evidence by itself.";
    PRIMARY_INSTANCE = "primary.instance", Text(INSTANCE),
        Optional("\"i-0aaa\"", "its start is not waited for"), "The primary: while it starts, or is younger than decision.min_uptime, nothing is moved.";

    STANDBY_TABLE = "standby.route_table", Text(ROUTE_TABLE), Required("\"rtb-0bbb\""), "The route table whose default route leads to this instance; another than the primary's.";
    STANDBY_INSTANCE = "standby.instance", Text(INSTANCE),
        Optional("\"i-0bbb\"", "IMDSv2 tells"), "This instance; if IMDSv2 says otherwise, natwatch refuses to run.";
    STANDBY_REGION = "standby.region", Text("a region such as \"eu-west-1\""),
        Optional("\"ap-northeast-1\"", "AWS_REGION, the profile or IMDSv2 tells"), "The region of the route tables.";
    STANDBY_WITNESSES = "standby.witnesses", Texts(HOST), Default("[]"), "Hosts behind standby.route_table itself, asked as backends are: where some are named, one of them must reach a target in the round that decides, or nothing is moved.";

    HOSTS = "backends.hosts", Texts(HOST), Default("[]"), "Hosts behind the NAT that are asked over SSH to ping; names or addresses.";
    HOSTS_FILE = "backends.hosts_file", Text(PATH),
        Optional("\"/etc/hosts\"", "only backends.hosts"), "And every entry of this file that passes the filters.";
    MATCH = "backends.match", Text("a regular expression (Perl's, without look-around and back-references), 500 characters at most"),
        Optional("\"^(web|app)\"", "every name"), "Filter: a regular expression that one of the entry's names must match, or an instance's Name tag.";
    WITHIN = "backends.within", Texts("CIDRs such as \"10.0.10.0/24\""),
        Default("[]"), "Filter: CIDRs that the address of the entry, or of the instance, must be in; empty: every address. They also stand for subnets where EC2's are unknown.";
    EC2_SUBNETS = "backends.ec2_subnets", Flag, Default("false"),
        "And every instance that EC2 shows running in the guarded subnets and that passes the filters, by its private IPv4 address; never a NAT.";
    USER = "backends.user", Text("1 to 32 of A-Z, a-z, 0-9, '.', '_', '-', not starting with '-'"),
        Optional("\"natwatch\"", "the SSH configuration tells"), "The user to log in as.";
    PORT = "backends.port", Integer { min: 1, max: 65535 }, Optional("22", "the SSH configuration tells"), "The SSH port.";
    IDENTITY = "backends.identity", Text(SSH_PATH),
        Optional("\"/etc/natwatch/id_ed25519\"", "the SSH configuration tells"), "The private key: without passphrase, mode 0600.";
    KNOWN_HOSTS = "backends.known_hosts", Text(SSH_PATH),
        Optional("\"/var/lib/natwatch/known_hosts\"", "the SSH configuration tells"), "The backends' host keys.";
    HOST_KEYS = "backends.host_keys", Text("\"strict\" or \"accept-new\""),
        Default("\"strict\""), "\"accept-new\" learns the key of an unknown host, such as an instance that was started just now; a changed key is never accepted. With \"strict\" such a one is silent, unless a line @cert-authority of known_hosts speaks for it.";
    SSH_CONFIG = "backends.ssh_config", Text(SSH_PATH),
        Optional("\"/etc/natwatch/ssh_config\"", "ssh reads its usual ones"), "An SSH configuration of your own.";
    CONNECT_TIMEOUT = "backends.connect_timeout",
        Kind::Duration { min: Duration::from_secs(1), max: Duration::from_mins(1), whole_seconds: true },
        Default("\"3s\""), "For TCP and key exchange; whole seconds, as ssh takes them.";
    LOGIN_TIMEOUT = "backends.login_timeout", seconds(1, 300), Default("\"10s\""), "For all up to the first command; logins are slow just when the network is broken.";
    PANEL = "backends.panel", Integer { min: 0, max: 1000 }, Default("8"), "How many backends are heard in a round; 0: all. At least decision.threshold.";

    TARGETS = "targets.hosts", Texts("two or more names (letters, digits, '-', '_', '.'; 253 at most, not starting with '-') or public IP addresses"),
        Required("[\"1.1.1.1\", \"8.8.8.8\", \"9.9.9.9\"]"), "What is pinged: two or more (better three) independent hosts on the internet that answer ping.";
    TIMEOUT = "targets.timeout", millis(50, 5000), Default("\"200ms\""), "The wait for one reply.";
    TRIES = "targets.tries", Integer { min: 1, max: 10 }, Default("2"), "How many different targets a backend must miss to be cut off.";

    THRESHOLD = "decision.threshold", Integer { min: 1, max: 1000 }, Default("3"), "How many backends must be cut off.";
    FRACTION = "decision.fraction", Share, Default("0.5"), "And more than this share of the backends that were heard.";
    ROUNDS = "decision.rounds", Integer { min: 1, max: 20 }, Default("2"), "In so many rounds in a row.";
    RUN_SPAN = "decision.run_span", seconds(0, 300), Default("\"3s\""), "And for so long at least, so that a hiccup moves nothing.";
    WATCH_SPAN = "decision.watch_span", seconds(0, 300), Default("\"700ms\""), "The same for `watch`, which begins to count at the first miss.";
    INTERVAL = "decision.interval", millis(100, 3_600_000), Default("\"1s\""), "`watch`: between probes of one target while healthy.";
    MIN_UPTIME = "decision.min_uptime", seconds(0, 86400), Default("\"5m\""), "Nothing is moved while this instance (or the primary) is younger.";
    DEADLINE = "decision.deadline", seconds(10, 3600), Default("\"60s\""), "For one run: observe, decide, move, verify.";

    METHOD = "takeover.method", Text("\"association\" or \"route\""), Default("\"association\""),
        "How subnets are moved: each gets the standby's route table; or the routes below are replaced in primary.route_table.";
    DESTINATIONS = "takeover.destinations", Texts("CIDRs such as \"0.0.0.0/0\", \"::/0\" or a virtual address's \"10.9.9.9/32\""),
        Default("[\"0.0.0.0/0\"]"), "The routes that `method = \"route\"` leads to this instance; all of them are moved together.";
    SUBNETS = "takeover.subnets", Texts(SUBNET), Default("[]"), "Only these subnets are moved; empty: every subnet explicitly associated with primary.route_table.";
    MAX_SUBNETS = "takeover.max_subnets", Integer { min: 1, max: 500 }, Default("50"), "If more would be moved, nothing is.";
    DISABLE_CHECK = "takeover.disable_source_dest_check", Flag, Default("true"), "Switch the source/destination check off where it is on; false: refuse to take over then.";
    ELASTIC_IP = "takeover.elastic_ip", Text("\"eipalloc-\" and 1 to 32 of 0-9, a-z"),
        Optional("\"eipalloc-0ccc\"", "every address stays where it is"), "An Elastic IP address to bring along, from the primary or from nobody, when all is moved.";
    REBOOT_PRIMARY = "takeover.reboot_primary", Flag, Default("false"), "Reboot the primary after a verified takeover; needs primary.instance.";
    VERIFY_FOR = "takeover.verify_for", seconds(1, 300), Default("\"15s\""), "By when backends must be seen reaching targets again.";

    CANARY = "failback.canary", Text("\"subnet-\" and 1 to 32 of 0-9, a-z"),
        Optional("\"subnet-0ddd\"", "the subnet with the fewest witnesses, at least two where any has two"), "The subnet that `failback` brings back first.";

    STATE_DIR = "state.dir", Text(PATH), Default("\"/var/lib/natwatch\""), "Where the lock and the history live.";

    NOTIFY_COMMAND = "notify.command", Texts("strings, the first one an absolute path"),
        Optional("[\"/etc/natwatch/notify\"]", "nobody is told"), "A program that is run on every change of state, with the event's and this configuration's name as its last arguments and the event as JSON on stdin.";
    NOTIFY_TIMEOUT = "notify.timeout", seconds(1, 300), Default("\"20s\""), "After it the program is killed, with its children.";

    TEXTFILE = "metrics.textfile", Text("an absolute path that ends in .prom"),
        Optional("\"/var/lib/prometheus/node-exporter/natwatch.prom\"", "no metrics are written"), "Metrics for the textfile collector of Prometheus' node_exporter; a file of its own for each configuration.";
}
