//! What `deploy/` ships: the template at moto's `CloudFormation`, its instances' user data run on the lab's NATs, the backends' account, and
//! natwatch against that pair as the user data has set it up. Needs root; `make test` runs it so.
//!
//! What is not shown, since moto has none of it: waiting for the instances' signals and the rollback without them, the order that `DependsOn`
//! asks for, how an Elastic IP address takes the place of the first one, and IAM's own judgement (the deployed policy is judged here, its
//! condition on the interface's subnet left out). That EC2 makes an instance from a launch template with an image's alias and a network
//! interface is played by the lab.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/systemd.rs"]
#[expect(dead_code, reason = "a watch is looked at more closely elsewhere")]
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json};
use natwatch_lab::{ApiFault, ApiFaultKind, Deployed, Fault, Lab, Nat, Options, Run, Stack, target, venv};
use serde_json::Value;
use systemd::Systemd;

/// Where the package is said to be.
const PACKAGE: &str = "https://packages.example/natwatch.rpm";

/// What lies there.
const THE_PACKAGE: &str = "the package\n";

/// A machine's own `/etc`, `/var/lib`, `/var/log`, `/opt` and `/home`, and programs that come first, all kept in the folder `$1`.
const MACHINE: &str = r#"
set -eu
m=$1; shift
for folder in /etc /var/lib /var/log /opt /home; do
    mount --bind "$m$folder" "$folder"
done
PATH=$m/bin:/usr/sbin:/usr/bin:/sbin:/bin M=$m exec "$@"
"#;

/// In place of what an Amazon Linux has and this machine has not, or should not be changed by. Each notes how it was called.
const PROGRAMS: [(&str, &str); 6] = [
    (
        "bin/dnf",
        // What the package's installation leaves.
        r#"for one; do case $one in *.rpm)
            install -d -m 0755 /etc/natwatch
            install -d -m 0750 -o natwatch -g natwatch /var/lib/natwatch
            echo '#name = "natwatch"' > /etc/natwatch/natwatch.toml.sample
            ln -s "$M/natwatch" "$M/bin/natwatch" ;;
        esac; done"#,
    ),
    ("bin/systemctl", r#"[ "$*" != 'restart nftables' ] || exec nft -f /etc/sysconfig/nftables.conf"#),
    ("bin/modprobe", ""),
    (
        "bin/sysctl",
        // The limit of connections is the first network namespace's, and is not to be written in others.
        r#"while read -r key _ value; do case $key in
            *_conntrack_max) ;;
            *) echo "$value" > "/proc/sys/$(echo "$key" | tr . /)" ;;
        esac; done < "$3""#,
    ),
    (
        "bin/curl",
        // The metadata service is the lab's.
        r#"case "$*" in *https://*) ;; *) exec /usr/bin/curl "$@" ;; esac
        while [ "$1" != -o ]; do shift; done
        cp "$M/package" "$2""#,
    ),
    ("opt/aws/bin/cfn-signal", ""),
];

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

fn run(program: impl AsRef<Path>, args: &[&str]) -> Output {
    let program = program.as_ref();
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|error| panic!("{}: {error}; `lab setup` installs it", program.display()))
}

#[track_caller]
fn silent(what: &str, output: &Output) {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{what}: {}: {said}", output.status);
}

/// An executable file.
fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// What a host of the lab keeps for itself beside its network, in a folder of the lab's.
struct Machine<'l> {
    lab: &'l Lab,
    host: &'static str,
    folder: PathBuf,
}

impl<'l> Machine<'l> {
    /// `name`: one host may be set up several times.
    fn new(lab: &'l Lab, host: &'static str, name: &str, package: &str) -> Self {
        let folder = lab.plan().root.join(name);
        for part in ["etc", "var/lib", "var/log", "opt", "home", "bin"] {
            fs::create_dir_all(folder.join(part)).unwrap();
            fs::set_permissions(folder.join(part), Permissions::from_mode(0o755)).unwrap();
        }
        silent("cp", &run("cp", &["-a", "/etc/.", folder.join("etc").to_str().unwrap()]));
        for own in ["ssh", "natwatch"].map(|own| folder.join("etc").join(own)) {
            // Not this machine's, should it have one of its own.
            drop(fs::remove_dir_all(own));
        }
        // Who is who on this host; what is mounted over /etc hides the namespace's own files.
        for file in fs::read_dir(Path::new("/etc/netns").join(&lab.plan().host(host).unwrap().ns)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.join("etc").join(file.file_name())).unwrap();
        }
        for (path, text) in PROGRAMS {
            let name = path.rsplit('/').next().unwrap();
            program(&folder.join(path), &format!("#!/bin/sh\necho \"{name} $*\" >> \"$M/called\"\n{text}\n"));
        }
        fs::write(folder.join("package"), package).unwrap();
        symlink(lab.plan().binary(), folder.join("natwatch")).unwrap();
        Self { lab, host, folder }
    }

    /// Runs a script on it as root, in its own mount namespace.
    fn runs(&self, script: &str, args: &[&str], stdin: &str) -> Run {
        let file = self.folder.join("script");
        program(&file, script);
        let machine = ["-m", "sh", "-c", MACHINE, "sh", self.folder.to_str().unwrap(), "sh", file.to_str().unwrap()];
        self.lab.program(self.host, "/usr/bin/unshare", &[&machine, args].concat()).stdin(stdin).run().unwrap()
    }

    /// The calls of programs that were put in its way, and their arguments.
    fn called(&self) -> String {
        fs::read_to_string(self.folder.join("called")).unwrap_or_default()
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// What a lab's pair is made with, and what makes it another one.
fn stack(package: &str, others: &[(&str, &str)]) -> Stack {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("package");
    fs::write(&file, package).unwrap();
    let sum = String::from_utf8(run("sha256sum", &[file.to_str().unwrap()]).stdout).unwrap();
    let addresses = |all: &mut dyn Iterator<Item = std::net::Ipv4Addr>| {
        all.map(|address| address.to_string()).collect::<Vec<_>>().join(",")
    };
    // As the lab's plan has its six backends.
    let backends = addresses(&mut (0..6_u8).map(|n| [10, 0, 10 + n % 2, 10 + n].into()));
    let parameters = [
        ("AssociateSubnets", "yes"),
        ("PackageUrl", PACKAGE),
        ("PackageSha256", sum.split(' ').next().unwrap()),
        ("Backends", &backends),
        ("Targets", &addresses(&mut (1..=3).map(target))),
    ];
    let parameters = parameters.iter().chain(others).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Stack { template: shipped("natwatch.yaml"), parameters: parameters.collect() }
}

/// A pair from the template, in a VPC whose private subnets have had no route table.
fn raise() -> Lab {
    let stack = Some(stack(THE_PACKAGE, &[]));
    Lab::up(&Options { natwatch: env!("CARGO_BIN_EXE_natwatch").into(), stack, ..Options::default() }).unwrap()
}

#[test]
fn cfn_lint_finds_no_fault_with_the_template_nor_shellcheck_with_the_script() {
    // What a call of CloudFormation's takes; a larger one would have to go by way of a bucket.
    assert!(fs::metadata(shipped("natwatch.yaml")).unwrap().len() < 51_200);
    let lint = run(venv().join("bin/cfn-lint"), &[shipped("natwatch.yaml").to_str().unwrap()]);
    silent("cfn-lint", &lint);
    silent("shellcheck", &run("/usr/bin/shellcheck", &[shipped("backend-setup").to_str().unwrap()]));
}

#[test]
fn the_page_that_says_how_to_deploy_names_parameters_and_outputs_that_there_are() {
    let template = fs::read_to_string(shipped("natwatch.yaml")).unwrap();
    let (head, outputs) = template.split_once("\nOutputs:\n").unwrap();
    let (_, head) = head.split_once("\nParameters:\n").unwrap();
    let (parameters, _) = head.split_once("\nConditions:\n").unwrap();
    let names = |text: &str| -> BTreeSet<String> {
        let keys =
            text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  #"));
        keys.map(|line| line.trim().split(':').next().unwrap().to_owned()).collect()
    };
    let (parameters, outputs) = (names(parameters), names(outputs));
    let page = fs::read_to_string(shipped("README.md")).unwrap();
    let (_, command) = page.split_once("--parameter-overrides").unwrap();
    let (command, _) = command.split_once("```").unwrap();
    let given: BTreeSet<String> =
        command.split_whitespace().filter_map(|word| Some(word.split_once('=')?.0.to_owned())).collect();
    assert!(given.len() > 6 && given.is_subset(&parameters), "{given:?} of {parameters:?}");
    // What has no default must be given.
    for parameter in &parameters {
        let (_, about) = template.split_once(&format!("\n  {parameter}:\n")).unwrap();
        let about: String = about.lines().take_while(|line| line.starts_with("    ")).collect();
        assert!(
            about.contains("Default:") || given.contains(parameter),
            "{parameter} is neither given nor has a default"
        );
    }
    let asked: BTreeSet<String> =
        page.split("$(output ").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect();
    assert!(asked.len() > 2 && asked.is_subset(&outputs), "{asked:?} of {outputs:?}");
}

#[test]
fn a_pair_made_by_the_template_carries_packets_and_natwatch_takes_over_as_its_user_data_has_set_it_up() {
    let lab = raise();
    let deployed = lab.deployed().unwrap();
    let (first, second) = (&deployed.user_data["Primary"], &deployed.user_data["Standby"]);
    for text in [first, second] {
        // EC2's limit, before it is encoded.
        assert!(text.len() < 16 * 1024, "{} bytes", text.len());
        let file = lab.plan().root.join("user-data");
        fs::write(&file, text).unwrap();
        silent("shellcheck", &run("/usr/bin/shellcheck", &[file.to_str().unwrap()]));
    }
    the_instances_are_nats(&lab);
    what_is_deployed_is_the_policy_that_is_printed(&lab);
    without_what_is_optional_the_pair_is_made_as_well(&lab);

    // Nothing of the lab's own is left by which a NAT would do its work.
    for nat in Nat::BOTH {
        lab.inject(&Fault::ForwardOff(nat)).unwrap();
        lab.inject(&Fault::MasqueradeGone(nat)).unwrap();
    }
    lab.traffic().wait_silent(FLOWS_WITHIN).unwrap();
    what_is_not_the_package_is_not_installed(&lab, second);
    let primary = Machine::new(&lab, "nat1", "machine-primary", THE_PACKAGE);
    expect(&primary.runs(first, &[], ""), 0);
    assert!(primary.called().contains("\nsystemctl enable nftables\n"), "{}", primary.called());
    assert!(signal(&primary).contains("--resource Primary"), "{}", primary.called());
    let standby = Machine::new(&lab, "nat2", "machine-standby", THE_PACKAGE);
    let run = standby.runs(second, &[], "");
    expect(&run, 0);
    assert!(signal(&standby).contains("--exit-code 0 "), "{}", standby.called());
    assert!(standby.called().contains("\nsystemctl enable --now natwatch-watch\n"), "{}", standby.called());
    // By the rules of the user data, since there are no others.
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();

    let line = run.stdout.lines().find(|line| line.starts_with("restrict,")).unwrap();
    the_service_starts_although_nothing_else_is_there_yet(&lab, &standby);
    the_backends_are_set_up(&lab, line);
    configure(&lab, &standby, &lab.plan().known_hosts());
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    doctor_finds_the_pair_fit(&lab);
    lab.api().forget_calls();
    expect(&lab.program("nat1", "/usr/sbin/nft", &["delete", "table", "ip", "nat_instance"]).run().unwrap(), 0);
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    whatever_natwatch_asked_for_is_allowed(&lab);
}

/// Where the lab's own calls have set nothing.
fn the_instances_are_nats(lab: &Lab) {
    let told = lab.ec2("DescribeInstances", &[]).unwrap();
    for nat in Nat::BOTH {
        let ids = lab.ids().nat(nat);
        let own = format!("<instanceId>{}</instanceId>", ids.instance);
        // One in each reservation.
        let about = told.split("<instancesSet>").find(|about| about.contains(&own)).unwrap();
        assert!(about.contains("<sourceDestCheck>false</sourceDestCheck>"), "{about}");
        assert!(about.contains("<httpTokens>required</httpTokens>"), "{about}");
        // The image is the one that the alias names now.
        assert!(about.contains("<imageId>ami-"), "{about}");
        assert!(about.contains(lab.deployed().unwrap().output("NatGroup").unwrap()), "{about}");
    }
    carried_by(lab, Nat::Primary);
}

/// Statements by their ids: actions, and the kinds of resources.
fn statements(policy: &Value) -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let of = |statement: &Value| {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        let kind = |arn: &String| match arn.strip_prefix("arn:aws:ec2:") {
            None => arn.clone(),
            Some(rest) => rest.split(':').nth(2).unwrap().split('/').next().unwrap().to_owned(),
        };
        let resources = words(&statement["Resource"]);
        (words(&statement["Action"]), resources.iter().map(kind).collect())
    };
    let all = policy["Statement"].as_array().unwrap().iter();
    all.map(|statement| (statement["Sid"].as_str().unwrap().to_owned(), of(statement))).collect()
}

/// A string, or a list of them.
fn words(value: &Value) -> BTreeSet<String> {
    let all = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    all.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// All that the standby's role may do by policies of its own.
fn policy(deployed: &Deployed) -> Value {
    let all = deployed.policies["StandbyRole"].iter().flat_map(|one| one["Statement"].as_array().unwrap());
    serde_json::json!({ "Statement": all.collect::<Vec<_>>() })
}

fn what_is_deployed_is_the_policy_that_is_printed(lab: &Lab) {
    let printed: Value = serde_json::from_str(&lab.natwatch(&["print", "iam-policy"]).unwrap().stdout).unwrap();
    let policy = policy(lab.deployed().unwrap());
    assert_eq!(statements(&policy), statements(&printed));
    for statement in policy["Statement"].as_array().unwrap() {
        let (resources, sid) = (words(&statement["Resource"]), &statement["Sid"]);
        // An interface's id is not known to a template: it is by its subnet, or, of addresses, by the address that is needed as well.
        let wide = resources.iter().filter(|arn| arn.ends_with("/*")).collect::<Vec<_>>();
        assert!(wide.iter().all(|arn| arn.ends_with(":network-interface/*")), "{sid}: {wide:?}");
        assert_eq!(statement["Condition"].is_object(), *sid == "NatwatchModifyNetworkInterfaceAttribute", "{sid}");
        assert_eq!(resources.contains("*"), *sid == "NatwatchReads", "{sid}");
    }
}

fn without_what_is_optional_the_pair_is_made_as_well(lab: &Lab) {
    let group = &lab.ids().security_group;
    let others = [
        ("AssociateSubnets", "no"),
        ("ElasticIps", "no"),
        ("SessionManager", "no"),
        ("KeyName", "admin"),
        ("PackageUrl", "s3://my-bucket/natwatch-0.1.0.rpm"),
        ("BackendGroup", group),
    ];
    let before: Vec<_> = (0..lab.ids().subnets.len()).map(|n| lab.association(n).unwrap()).collect();
    let other = lab.deploy("other", &stack(THE_PACKAGE, &others)).unwrap();
    let policy = policy(&other);
    let fetch = ["arn:aws:s3:::my-bucket/natwatch-0.1.0.rpm"];
    let all = policy["Statement"].as_array().unwrap();
    assert!(
        all.iter()
            .any(|one| one["Action"] == "s3:GetObject" && words(&one["Resource"]) == fetch.map(str::to_owned).into())
    );
    assert!(!policy.to_string().contains("Address\""), "there is none to bring along: {policy}");
    assert!(other.user_data["Standby"].contains("PACKAGE_URL='s3://my-bucket/natwatch-0.1.0.rpm'\n"));
    let told = lab.ec2("DescribeSecurityGroups", &[("GroupId.1", group)]).unwrap();
    assert!(told.contains(other.output("StandbyGroup").unwrap()) && told.contains("<toPort>22</toPort>"), "{told}");
    let after: Vec<_> = (0..lab.ids().subnets.len()).map(|n| lab.association(n).unwrap()).collect();
    assert_eq!(after, before);
}

/// What the stack was told at the end.
fn signal(machine: &Machine<'_>) -> String {
    let called = machine.called();
    let signals: Vec<&str> = called.lines().filter(|line| line.starts_with("cfn-signal ")).collect();
    let [signal] = signals.as_slice() else { panic!("one signal: {called}") };
    assert!(signal.contains("--stack natwatch ") && signal.ends_with("--region ap-northeast-1"), "{signal}");
    (*signal).to_owned()
}

fn what_is_not_the_package_is_not_installed(lab: &Lab, user_data: &str) {
    let machine = Machine::new(lab, "nat2", "machine-wrong", "another package\n");
    let run = machine.runs(user_data, &[], "");
    expect(&run, 1);
    assert!(signal(&machine).contains("--exit-code 1 "), "{}", machine.called());
    assert!(run.stdout.ends_with("natwatch-setup: failed at: fetch the package\n"), "{run}");
    assert!(
        !machine.called().contains(".rpm openssh") && !machine.called().contains("natwatch-watch"),
        "{}",
        machine.called()
    );
    // What it had set up until then is no part of what follows.
    expect(&lab.program("nat2", "/usr/sbin/nft", &["delete", "table", "ip", "nat_instance"]).run().unwrap(), 0);
}

/// A backend, with a host key, and an SSH server that lets in only somebody else.
fn backend<'l>(lab: &'l Lab, host: &'static str, name: &str) -> (Machine<'l>, String) {
    let machine = Machine::new(lab, host, name, "");
    let key = machine.file("etc/ssh/ssh_host_ed25519_key");
    fs::create_dir(key.parent().unwrap()).unwrap();
    silent("ssh-keygen", &run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]));
    let server = "HostKey /etc/ssh/ssh_host_ed25519_key\nAllowUsers admin\n";
    fs::write(machine.file("etc/ssh/sshd_config"), server).unwrap();
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let words: Vec<&str> = public.split(' ').take(2).collect();
    (machine, words.join(" "))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn the_backends_are_set_up(lab: &Lab, line: &str) {
    let script = fs::read_to_string(shipped("backend-setup")).unwrap();
    // Where there is no such account yet.
    let (fresh, key) = backend(lab, "b1", "machine-fresh");
    for file in ["passwd", "group", "shadow"] {
        let path = fresh.file("etc").join(file);
        let others: Vec<String> = fs::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with("natwatch:"))
            .map(str::to_owned)
            .collect();
        fs::write(&path, others.join("\n") + "\n").unwrap();
    }
    let run = fresh.runs(&script, &["10.0.0.20", "10.0.0.30"], &format!("{line}\n{line}"));
    expect(&run, 0);
    assert!(run.stderr.contains("made the account natwatch") && run.stderr.contains("allowusers admin"), "{run}");
    assert_eq!(run.stdout, format!("10.0.11.11 {key}\n"), "{run}");
    let account = |file: &str| {
        let text = fs::read_to_string(fresh.file("etc").join(file)).unwrap();
        text.lines().find(|line| line.starts_with("natwatch:")).unwrap().to_owned()
    };
    assert!(account("passwd").ends_with(":/home/natwatch:/bin/sh"), "{}", account("passwd"));
    assert!(account("shadow").starts_with("natwatch:*:"), "not locked, and without a password");
    let one = format!("from=\"10.0.0.20,10.0.0.30\",{line}\n");
    let keys = fresh.file("home/natwatch/.ssh/authorized_keys");
    assert_eq!(fs::read_to_string(&keys).unwrap(), format!("{one}{one}"));
    assert_eq!((mode(&keys), mode(keys.parent().unwrap())), (0o600, 0o700));
    assert_eq!(
        fs::metadata(&keys).unwrap().uid(),
        account("passwd").split(':').nth(2).unwrap().parse::<u32>().unwrap()
    );

    // And where there is: the lab's.
    let (backend, key) = backend(lab, "b0", "machine-backend");
    let file = lab.plan().root.join("home/.ssh/authorized_keys");
    for said in ["wrote ", "unchanged: "] {
        let run = backend.runs(&script, &["10.0.0.20"], &format!("{line}\n"));
        expect(&run, 0);
        assert!(run.stderr.contains(said), "{run}");
        assert_eq!(run.stdout, format!("10.0.10.10 {key}\n"), "{run}");
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("from=\"10.0.0.20\",{line}\n"));
        assert_eq!(mode(&file), 0o600);
    }
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
    let (cut, (_, key)) = (line.replace(" natwatch-ping", ""), line.split_once("\" ").unwrap());
    for (input, from, why) in [
        ("", "10.0.0.20", "no line on standard input"),
        (private, "10.0.0.20", "PRIVATE"),
        (key, "10.0.0.20", "not a line of"),
        (&format!("command=\"id\",{line}"), "10.0.0.20", "not a line of"),
        (&cut, "10.0.0.20", "does not run natwatch's ping"),
        (&line.replace("exec", "ex\tec"), "10.0.0.20", "not a line of"),
        (&format!("{line}\t"), "10.0.0.20", "control character"),
        (line, "10.0.0.20\",command=\"id", "not an IP address"),
        (line, "standby", "not an IP address"),
    ] {
        let run = backend.runs(&script, &[from], input);
        expect(&run, 1);
        assert!(run.stderr.contains(why) && run.stdout.is_empty(), "{input:?}: {run}");
    }
    // They share one home; each has a server with a file of its own for keys.
    let keys = fs::read_to_string(&file).unwrap();
    for n in 0..lab.plan().backends().count() {
        fs::write(lab.authorized_keys(n).unwrap(), &keys).unwrap();
    }
}

/// As the user data starts it: the role's policy comes when the instance is ready, and nobody trusts anybody. If it did not come up, the
/// stack would fail.
fn the_service_starts_although_nothing_else_is_there_yet(lab: &Lab, standby: &Machine<'_>) {
    let none = standby.file("var/lib/natwatch/known_hosts");
    assert_eq!(fs::metadata(&none).unwrap().len(), 0, "nobody is trusted unasked");
    configure(lab, standby, &none);
    let denied = ApiFault::new(ApiFaultKind::Deny);
    lab.api().arm(denied.clone());
    let service = Systemd::start(lab, &[]);
    service.waits_for("READY=1");
    service.ends();
    lab.api().disarm(Some(&denied));
    lab.reset_state().unwrap();
}

/// The configuration as the user data wrote it; of the lab are only where things lie, who is known, and how long it may take.
fn configure(lab: &Lab, standby: &Machine<'_>, known_hosts: &Path) {
    let mut text = fs::read_to_string(standby.file("etc/natwatch/natwatch.toml")).unwrap();
    for (id, of) in [(&lab.ids().standby.instance, "standby"), (&lab.ids().primary.table, "primary")] {
        assert!(text.contains(&format!("\"{id}\"")), "{of}: {text}");
    }
    for file in ["/etc/natwatch/hosts", "/etc/natwatch/id_ed25519"] {
        let own = standby.file(file.trim_start_matches('/'));
        assert!(own.exists() && text.contains(file), "{file}");
        text = text.replace(file, own.to_str().unwrap());
    }
    text = text.replace("/var/lib/natwatch/known_hosts", known_hosts.to_str().unwrap());
    let state = lab.plan().state();
    let rest = format!(
        "timeout = \"300ms\"\n\n[decision]\nmin_uptime = \"0s\"\nrun_span = \"200ms\"\n\n[state]\ndir = \"{}\"\n",
        state.display()
    );
    text.push_str(&rest);
    lab.write_config(&text).unwrap();
}

fn doctor_finds_the_pair_fit(lab: &Lab) {
    let doctor = lab.command(&["doctor", "--format", "json"]).as_root().run().unwrap();
    let report = json(&doctor);
    let findings = report["findings"].as_array().unwrap();
    for one in findings {
        // What the machine under the lab is like, and that nobody runs natwatch by this configuration, is no matter of the template's.
        if ["identity", "permissions", "routes", "subnets"].iter().any(|topic| one["topic"] == *topic) {
            assert_eq!(one["fitness"], "fit", "{one}");
        }
        assert!(one["fitness"] != "unfit" || one["topic"] == "service", "{one}");
    }
    for (id, of) in [("masquerade", "the user data's rule"), ("admits", "NatIngress")] {
        assert!(findings.iter().any(|one| one["id"] == id && one["fitness"] == "fit"), "{of}: {doctor}");
    }
}

/// Whether `policy` allows the action on all of these, conditions left out.
fn allows(policy: &Value, action: &str, on: &[String]) -> bool {
    let covers = |pattern: &String, arn: &String| {
        let mut rest = Some(arn.as_str());
        for (n, part) in pattern.split('*').enumerate() {
            let found =
                rest.and_then(|rest| rest.find(part).filter(|at| n > 0 || *at == 0).map(|at| &rest[at + part.len()..]));
            rest = found;
        }
        rest.is_some_and(|rest| rest.is_empty() || pattern.ends_with('*'))
    };
    policy["Statement"].as_array().unwrap().iter().any(|statement| {
        let resources = words(&statement["Resource"]);
        words(&statement["Action"]).contains(&format!("ec2:{action}"))
            && on.iter().all(|arn| resources.iter().any(|pattern| covers(pattern, arn)))
    })
}

fn whatever_natwatch_asked_for_is_allowed(lab: &Lab) {
    let arn = |kind: &str, id: &str| format!("arn:aws:ec2:ap-northeast-1:123456789012:{kind}/{id}");
    let subnets = lab.ids().subnets.iter().map(|subnet| arn("subnet", &subnet.id));
    let move_to = |table: &str| subnets.clone().chain([arn("route-table", table)]).collect::<Vec<_>>();
    let policy = policy(lab.deployed().unwrap());
    let calls = lab.api().calls();
    let mut replaced = 0;
    for call in &calls {
        let on = match call.action.as_str() {
            "ReplaceRouteTableAssociation" => {
                replaced += 1;
                move_to(&call.params["RouteTableId"])
            }
            action => {
                assert!(action.starts_with("Describe"), "{call:?}: what does it act on?");
                vec!["*".to_owned()]
            }
        };
        assert!(allows(&policy, &call.action, &on), "{call:?}");
    }
    assert_eq!(replaced, lab.ids().subnets.len(), "{calls:?}");
    // Back again, and nowhere else.
    let replace = "ReplaceRouteTableAssociation";
    assert!(allows(&policy, replace, &move_to(&lab.ids().primary.table)));
    assert!(!allows(&policy, replace, &move_to(&lab.ids().public_table)));
    let foreign = [arn("subnet", &lab.ids().public_subnet), arn("route-table", &lab.ids().standby.table)];
    assert!(!allows(&policy, replace, &foreign));
    assert!(allows(&policy, "RebootInstances", &[arn("instance", &lab.ids().primary.instance)]));
    assert!(!allows(&policy, "RebootInstances", &[arn("instance", &lab.ids().backends[0])]));
}
