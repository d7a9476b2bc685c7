//! What `ssh` makes of our options beside an operator's, told by `ssh -G`, and which `ssh` is taken.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::super::tests::settings;
use super::*;

/// Every option that `ssh` would use for `destination`, by its name in lower case. Options given several times are joined.
fn effective(settings: &SshSettings, folder: &Path, destination: &str) -> BTreeMap<String, String> {
    let masters = Masters::new(settings, folder).unwrap();
    let mut ssh = std::process::Command::new(&masters.ssh);
    let output = ssh.arg("-G").args(&masters.arguments).args(["--", destination]).env_clear().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let all = found.entry(name.to_owned()).or_default();
        if !all.is_empty() {
            all.push(',');
        }
        all.push_str(value);
    }
    found
}

/// Everything that an operator's file could do to us, and some that it may.
const OPERATORS: &str = "\
BatchMode no
LogLevel DEBUG3
ClearAllForwardings no
LocalForward 9999 localhost:22
RemoteForward 9998 localhost:22
DynamicForward 9997
ForwardAgent yes
ForwardX11 yes
ForwardX11Trusted yes
Tunnel yes
PermitLocalCommand yes
LocalCommand touch /tmp/trap
RemoteCommand id
RequestTTY force
AddKeysToAgent yes
IdentityAgent /run/agent.sock
IdentitiesOnly no
PreferredAuthentications password,keyboard-interactive,publickey
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
VerifyHostKeyDNS yes
NoHostAuthenticationForLocalhost yes
UpdateHostKeys yes
CheckHostIP yes
ConnectTimeout 3600
ConnectionAttempts 100
ServerAliveInterval 0
ControlPersist yes
User root
Port 2222
IdentityFile /k/other
ProxyJump bastion
HostKeyAlias web
Host bastion
  User jumper
  IdentityFile /k/jumper
";

#[test]
fn f039_an_operators_file_adds_and_undoes_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    std::fs::write(&theirs, OPERATORS).unwrap();
    let mut settings = settings(None);
    settings.ssh_config = Some(theirs);
    settings.port = Some(22);
    let found = effective(&settings, folder.path(), "10.0.10.10");
    for (name, value) in [
        ("batchmode", "yes"),
        ("loglevel", "ERROR"),
        ("clearallforwardings", "yes"),
        ("forwardagent", "no"),
        ("forwardx11", "no"),
        ("tunnel", "false"),
        ("permitlocalcommand", "no"),
        ("requesttty", "false"),
        ("addkeystoagent", "false"),
        ("identityagent", "none"),
        ("identitiesonly", "yes"),
        ("preferredauthentications", "publickey"),
        ("stricthostkeychecking", "true"),
        ("userknownhostsfile", "/k/known_hosts"),
        ("verifyhostkeydns", "false"),
        ("nohostauthenticationforlocalhost", "no"),
        ("updatehostkeys", "false"),
        ("checkhostip", "no"),
        ("connecttimeout", "3"),
        ("connectionattempts", "1"),
        ("serveraliveinterval", "5"),
        ("serveralivecountmax", "2"),
        ("controlmaster", "true"),
        ("controlpersist", "30"),
        ("sessiontype", "none"),
        ("forkafterauthentication", "yes"),
        ("user", "natwatch"),
        ("port", "22"),
        // What an odd network may need is the operator's.
        ("proxyjump", "bastion"),
        ("hostkeyalias", "web"),
        ("identityfile", "/k/none,/k/other"),
    ] {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
    for none in ["localforward", "remoteforward", "dynamicforward", "remotecommand"] {
        let value = found.get(none).map_or("none", String::as_str);
        assert_eq!(value, "none", "{none}");
    }
}

#[test]
fn the_host_that_is_jumped_over_has_its_own_user_and_key_and_is_checked_as_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    std::fs::write(&theirs, OPERATORS).unwrap();
    let mut settings = settings(None);
    settings.ssh_config = Some(theirs);
    Masters::new(&settings, folder.path()).unwrap();
    // As ssh itself calls ssh for a ProxyJump: with the file, and without what stood on the command line.
    let mut ssh = std::process::Command::new(find(&PLACES).unwrap());
    let output = ssh.args(["-G", "-F"]).arg(folder.path().join("config")).arg("bastion").env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in
        ["stricthostkeychecking true", "batchmode yes", "connecttimeout 3", "forwardagent no", "identityfile /k/jumper"]
    {
        assert!(text.lines().any(|one| one == line), "{line} is missing: {text}");
    }
    assert!(!text.contains("/k/none"), "{text}");
}

#[test]
fn what_is_left_to_ssh_stays_unset_and_a_changed_key_is_never_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(None);
    (settings.user, settings.identity, settings.known_hosts) = (None, None, None);
    settings.host_keys = HostKeys::AcceptNew;
    let found = effective(&settings, folder.path(), "b0");
    assert_eq!(found["stricthostkeychecking"], "accept-new");
    assert_eq!((found["port"].as_str(), found["identitiesonly"].as_str()), ("22", "no"));
    assert!(found["identityfile"].contains(".ssh/id_ed25519"), "{}", found["identityfile"]);
    assert!(found["kexalgorithms"].starts_with("curve25519-sha256,"), "{}", found["kexalgorithms"]);
}

#[test]
fn f092_only_an_ssh_that_nobody_else_can_change_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let ssh = folder.path().join("ssh");
    let place = ssh.to_str().unwrap();
    std::fs::write(&ssh, "#!/bin/sh\n").unwrap();
    for (mode, taken) in [(0o755, true), (0o700, true), (0o644, false), (0o775, false), (0o757, false)] {
        std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(find(&["/nonexistent/ssh", place]).is_ok(), taken, "{mode:o}");
    }
    let error = find(&["/nonexistent/ssh", folder.path().to_str().unwrap()]).unwrap_err();
    assert!(error.contains("/nonexistent/ssh") && error.contains("apt-get install openssh-client"), "{error}");
    assert!(find(&PLACES).is_ok(), "ssh is missing: apt-get install openssh-client");
}
