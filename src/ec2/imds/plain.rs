//! How the instance metadata service answers, by requests of our own: the SDK's client says that it failed, and not at what.
//!
//! Asked by `doctor` only. Each step is bounded as the client's are.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CONNECT, READ, switched_off};
use crate::doctor::cloud::Metadata;

/// Where the service is ("Retrieve instance metadata" in the EC2 user guide).
const AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

const TOKEN: &str = "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\
                     Content-Length: 0\r\nConnection: close\r\n\r\n";
const PLAIN: &str = "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n";

/// How the service answers, if it is to be asked.
pub(in crate::ec2) async fn metadata() -> Metadata {
    if switched_off() { Metadata::SwitchedOff } else { ask(AT).await }
}

async fn ask(at: SocketAddr) -> Metadata {
    match status(at, TOKEN).await {
        Err(NoConnection) => Metadata::Absent,
        Ok(Some(200)) => Metadata::Answers,
        Ok(Some(refused)) => Metadata::TokenRefused(refused, status(at, PLAIN).await.ok().flatten()),
        Ok(None) => match status(at, PLAIN).await {
            Ok(Some(status)) => Metadata::TokenLost(status),
            _ => Metadata::Silent,
        },
    }
}

struct NoConnection;

/// The status of the answer to `request`; `None`: none came.
async fn status(at: SocketAddr, request: &str) -> Result<Option<u16>, NoConnection> {
    let connected = timeout(CONNECT, TcpStream::connect(at)).await;
    let Ok(Ok(mut stream)) = connected else { return Err(NoConnection) };
    let mut answer = [0; 64];
    let asked = async {
        stream.write_all(request.as_bytes()).await.ok()?;
        let length = stream.read(&mut answer).await.ok()?;
        let line = String::from_utf8_lossy(answer.get(..length)?).into_owned();
        line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
    };
    Ok(timeout(READ, asked).await.ok().flatten())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A service that answers a `PUT` and a `GET` with these statuses, or not at all.
    async fn service(put: Option<u16>, get: Option<u16>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 512];
                let length = stream.read(&mut request).await.unwrap();
                let status = if request[..length].starts_with(b"PUT ") { put } else { get };
                match status {
                    Some(status) => {
                        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    None => silent.push(stream),
                }
            }
        });
        at
    }

    #[tokio::test]
    async fn f058_what_is_wrong_with_the_metadata_service_is_told_by_what_fails() {
        for (put, get, expected) in [
            (Some(200), Some(401), Metadata::Answers),
            (None, Some(401), Metadata::TokenLost(401)),
            (None, Some(200), Metadata::TokenLost(200)),
            (Some(404), Some(200), Metadata::TokenRefused(404, Some(200))),
            (Some(403), Some(403), Metadata::TokenRefused(403, Some(403))),
            (None, None, Metadata::Silent),
        ] {
            assert_eq!(ask(service(put, get).await).await, expected, "{put:?} {get:?}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(ask(closed).await, Metadata::Absent);
    }
}
