//! Runs another program to learn something from it: by its absolute path, with an empty environment, bounded in time and output.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// What is asked takes milliseconds; a service manager that is stuck must not hold the others' answers up.
const WITHIN: Duration = Duration::from_secs(3);

/// A handful of lines is expected.
const LARGEST: u64 = 64 * 1024;

/// What the first of `places` that only root can have put there says on stdout; `None`: it is not there, did not end in time, or failed.
pub(super) async fn ask(places: &[&str], args: &[&str]) -> Option<String> {
    let program = places.iter().find(|place| is_roots(Path::new(place)))?;
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let out = child.stdout.take()?;
    let asked = async {
        let mut said = Vec::new();
        out.take(LARGEST).read_to_end(&mut said).await.ok()?;
        child.wait().await.ok()?.success().then(|| String::from_utf8_lossy(&said).into_owned())
    };
    timeout(WITHIN, asked).await.ok().flatten()
}

/// Root runs nothing that others could have put there.
fn is_roots(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.uid() == 0 && file.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_program_says_is_heard_and_what_fails_is_nothing() {
        assert_eq!(ask(&["/nowhere/echo", "/bin/echo"], &["a", "b"]).await.as_deref(), Some("a b\n"));
        assert_eq!(ask(&["/bin/false"], &[]).await, None);
        assert_eq!(ask(&["/nowhere/echo"], &[]).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_not_waited_for() {
        assert_eq!(ask(&["/bin/sleep"], &["3600"]).await, None);
    }

    #[tokio::test]
    async fn f092_what_others_could_have_put_there_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo");
        std::fs::copy("/bin/echo", &path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(ask(&[path.to_str().unwrap()], &["a"]).await, None);
    }
}
