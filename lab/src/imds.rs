//! The instance metadata service, version 2 only: the few paths AWS's SDK and natwatch read. moto's lacks the token's TTL header.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};

use crate::plan::{Nat, REGION};
use crate::vpc::Ids;

const TOKEN: &str = "lab-token";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// What the service says about its instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    id: String,
    eni: String,
    mac: String,
    nat: Nat,
    vpc: String,
    subnet: String,
}

impl Instance {
    pub(crate) fn new(ids: &Ids, nat: Nat) -> Self {
        let of = ids.nat(nat);
        let (id, eni, mac) = (of.instance.clone(), of.eni.clone(), of.mac.clone());
        Self { id, eni, mac, nat, vpc: ids.vpc.clone(), subnet: ids.public_subnet.clone() }
    }

    /// The document at a path below `/latest`.
    fn document(&self, path: &str) -> Option<String> {
        let own = format!("meta-data/network/interfaces/macs/{}/", self.mac);
        let path = path.trim_end_matches('/');
        if let Some(rest) = path.strip_prefix(&own) {
            return match rest {
                "interface-id" => Some(self.eni.clone()),
                "device-number" => Some("0".to_owned()),
                "local-ipv4s" => Some(self.nat.address().to_string()),
                "subnet-id" => Some(self.subnet.clone()),
                "subnet-ipv4-cidr-block" => Some("10.0.0.0/24".to_owned()),
                "vpc-id" => Some(self.vpc.clone()),
                "vpc-ipv4-cidr-block" => Some("10.0.0.0/16".to_owned()),
                _ => None,
            };
        }
        let zone = format!("{REGION}a");
        Some(match path {
            "meta-data/instance-id" => self.id.clone(),
            "meta-data/instance-type" => "t3.nano".to_owned(),
            "meta-data/local-ipv4" => self.nat.address().to_string(),
            "meta-data/mac" => self.mac.clone(),
            "meta-data/network/interfaces/macs" => format!("{}/", self.mac),
            "meta-data/placement/region" => REGION.to_owned(),
            "meta-data/placement/availability-zone" => zone,
            "meta-data/iam/security-credentials" => "natwatch-lab".to_owned(),
            "meta-data/iam/security-credentials/natwatch-lab" => credentials(),
            "dynamic/instance-identity/document" => serde_json::json!({
                "accountId": "123456789012", "architecture": "x86_64", "availabilityZone": zone, "imageId": "ami-12c6146b",
                "instanceId": self.id, "instanceType": "t3.nano", "privateIp": self.nat.address(), "region": REGION,
                "version": "2017-09-30",
            })
            .to_string(),
            _ => return None,
        })
    }

    fn answer(&self, method: &Method, path: &str, token: Option<&str>, ttl: Option<&str>) -> (StatusCode, String) {
        if path == "/latest/api/token" {
            return match (method, ttl.and_then(|ttl| ttl.parse::<u32>().ok())) {
                (&Method::PUT, Some(1..=21600)) => (StatusCode::OK, TOKEN.to_owned()),
                (&Method::PUT, _) => (StatusCode::BAD_REQUEST, String::new()),
                _ => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
            };
        }
        if token != Some(TOKEN) {
            return (StatusCode::UNAUTHORIZED, String::new());
        }
        // The SDK has been seen to use a version's date instead of `latest`.
        let below = path.trim_start_matches('/').split_once('/').map_or("", |(_, below)| below);
        self.document(below).map_or((StatusCode::NOT_FOUND, String::new()), |text| (StatusCode::OK, text))
    }
}

/// Valid for six hours, as a role's are.
fn credentials() -> String {
    let now = Timestamp::now();
    // Timestamps end in the year 9999: six hours more overflow only there.
    let until = now.checked_add(SignedDuration::from_hours(6)).unwrap_or(now);
    serde_json::json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIALABLABLABLABLAB0", "SecretAccessKey": "lab-secret",
        "Token": "lab-session-token", "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
    .to_string()
}

/// Serves until dropped.
pub(crate) async fn listen(instance: Instance, socket: std::net::TcpListener) -> anyhow::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let instance = Arc::new(instance);
    loop {
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let instance = Arc::clone(&instance);
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(|request| respond(&instance, &request));
            // A client that goes away is its own business.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
        });
    }
}

fn respond(
    instance: &Instance,
    request: &Request<Incoming>,
) -> std::future::Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let ttl = header(TTL);
    let (status, text) =
        instance.answer(request.method(), request.uri().path(), header("x-aws-ec2-metadata-token"), ttl);
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    if let Some(value) = ttl.filter(|_| status == StatusCode::OK).and_then(|ttl| ttl.parse().ok()) {
        response.headers_mut().insert(TTL, value);
    }
    std::future::ready(Ok(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> Instance {
        let text = |text: &str| text.to_owned();
        Instance {
            id: text("i-1"),
            eni: text("eni-1"),
            mac: text("02:00"),
            nat: Nat::Standby,
            vpc: text("vpc-1"),
            subnet: text("subnet-1"),
        }
    }

    #[test]
    fn nothing_is_told_without_a_token() {
        let path = "/latest/meta-data/instance-id";
        assert_eq!(instance().answer(&Method::GET, path, None, None).0, StatusCode::UNAUTHORIZED);
        let (status, token) = instance().answer(&Method::PUT, "/latest/api/token", None, Some("60"));
        assert_eq!(status, StatusCode::OK);
        assert_eq!(instance().answer(&Method::GET, path, Some(&token), None), (StatusCode::OK, "i-1".to_owned()));
    }

    #[test]
    fn the_interface_is_found_by_its_address() {
        let path = "/latest/meta-data/network/interfaces/macs/02:00/interface-id";
        assert_eq!(instance().answer(&Method::GET, path, Some(TOKEN), None).1, "eni-1");
    }
}
