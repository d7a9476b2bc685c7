//! moto's EC2 server: its process inside the `inet` namespace, and plain calls to it, past the layer in front.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::keeper::Keeper;
use crate::plan::{Plan, REGION};
use crate::{netns, setup, xml};

/// Inside `inet` only, so it never meets another lab's.
pub(crate) const PORT: u16 = 5000;

/// moto as it comes.
pub(crate) const SERVER: &str = "import sys; from moto.server import main; sys.exit(main(sys.argv[1:]))";

/// An answer of moto's.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Speaks to moto, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Moto {
    ns: String,
}

impl Moto {
    /// Starts the process, by this Python program; it is not ready yet.
    pub(crate) fn launch(plan: &Plan, keeper: &Keeper, program: &str) -> anyhow::Result<(Self, Child)> {
        let ns = plan.internet()?.ns.clone();
        let log = std::fs::File::create(plan.root.join("moto.log"))?;
        let mut command = netns::exec(&ns);
        command
            .arg(setup::venv().join("bin/python"))
            .args(["-c", program])
            .args(["-H", "127.0.0.1", "-p", &PORT.to_string()])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &plan.root)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = keeper.spawn(command)?;
        Ok((Self { ns }, child))
    }

    /// Waits until moto answers, and has loaded its EC2. Two seconds are usual; a busy machine may take ten times that.
    pub(crate) fn wait_ready(&self) -> anyhow::Result<()> {
        let patience = Instant::now() + Duration::from_secs(40);
        loop {
            match self.call("DescribeRegions", &[]) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > patience => {
                    return Err(error).context("moto does not answer; see moto.log");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// One call as an operator of the lab's: no latency, no fault, no log.
    pub(crate) fn call(&self, action: &str, params: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut form = format!("Action={action}&Version=2016-11-15");
        for (key, value) in params {
            form.extend(["&", &encode(key), "=", &encode(value)]);
        }
        let reply = self.send(&form, None).with_context(|| format!("ask moto: {action}"))?;
        if reply.status != 200 {
            let code = xml::first(&reply.body, "Code").unwrap_or_else(|_| reply.status.to_string());
            let message = xml::first(&reply.body, "Message").unwrap_or_else(|_| reply.body.clone());
            anyhow::bail!("{action}: {code}: {message}");
        }
        Ok(reply.body)
    }

    /// Passes a form on as it is. moto takes the region from `authorization`; its signature is not looked at.
    pub(crate) fn send(&self, form: &str, authorization: Option<&str>) -> anyhow::Result<Reply> {
        let own = format!(
            "AWS4-HMAC-SHA256 Credential=lab/20200101/{REGION}/ec2/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = format!(
            "POST / HTTP/1.1\r\nHost: ec2.{REGION}.amazonaws.com\r\nConnection: close\r\nAuthorization: {}\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: {}\r\n\r\n{form}",
            authorization.unwrap_or(&own),
            form.len(),
        );
        netns::within(&self.ns, || {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            let answer = String::from_utf8(answer).context("moto's answer is not UTF-8")?;
            let (head, body) = answer.split_once("\r\n\r\n").context("moto's answer has no body")?;
            let status =
                head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("moto's answer has no status")?;
            Ok(Reply { status, body: body.to_owned() })
        })
    }
}

/// Percent-encoding for forms.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(format!("%{byte:02X}").chars());
        }
    }
    encoded
}

/// The pairs of a form.
pub(crate) fn decode(form: &str) -> std::collections::BTreeMap<String, String> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decode_one(key), decode_one(value)))
        .collect()
}

fn decode_one(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = |rest: &mut std::str::Bytes<'_>| {
            let pair = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()
        };
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => bytes.extend(digits(&mut rest)),
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_survive_the_way_there_and_back() {
        let text = "0.0.0.0/0 & ünicode=+%";
        assert_eq!(
            decode(&format!("a.1={}&b=x+y", encode(text))),
            [("a.1".into(), text.into()), ("b".into(), "x y".into())].into()
        );
    }
}
