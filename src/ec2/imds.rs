//! `IMDSv2`, the instance metadata service: who and where this instance is.
//!
//! It is on this very host, so it answers in milliseconds or not at all: short bounds, one repeat for a 5xx.

mod plain;

use std::time::Duration;

use aws_config::imds::Client;
use aws_config::provider_config::ProviderConfig;

use super::http;
use crate::model::printable;

pub(super) use plain::metadata;

/// The path of this instance's id.
pub(super) const INSTANCE: &str = "/latest/meta-data/instance-id";
/// The path of this instance's region.
pub(super) const REGION: &str = "/latest/meta-data/placement/region";

/// The service is one hop away. Off EC2 its address is often black-holed, and this is what is waited then.
const CONNECT: Duration = Duration::from_millis(300);
/// AWS's own tools wait 1 s; it answers from memory in 1 to 10 ms.
const READ: Duration = Duration::from_millis(500);
/// Token and answer, with a repeat.
const ALL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Imds(Client);

impl Imds {
    pub(super) fn new() -> Self {
        let config = ProviderConfig::without_region()
            .with_http_client(http::direct())
            .with_behavior_version(Some(super::behavior()));
        let client = Client::builder().configure(&config).max_attempts(2).connect_timeout(CONNECT).read_timeout(READ);
        Self(client.operation_attempt_timeout(CONNECT + READ).operation_timeout(ALL).build())
    }

    /// The same client for the credentials chain.
    pub(super) fn client(&self) -> Client {
        self.0.clone()
    }

    /// What `path` says. The error is one line without a remedy, which is the caller's to know.
    pub(super) async fn get(&self, path: &str) -> Result<String, String> {
        if switched_off() {
            return Err("the instance metadata service is switched off by AWS_EC2_METADATA_DISABLED".to_owned());
        }
        let failed = |why: &str| {
            format!("the instance metadata service (IMDSv2, 169.254.169.254) failed: {}", printable(why, 200))
        };
        // The client's bounds are for the answer; the token that it needs first has its own.
        match tokio::time::timeout(ALL, self.0.get(path)).await {
            Ok(Ok(text)) => Ok(text.as_ref().to_owned()),
            Ok(Err(error)) => Err(failed(super::errors::root_cause(&error).trim_end_matches('.'))),
            Err(_) => Err(failed(&format!("no answer within {} s", ALL.as_secs()))),
        }
    }
}

/// Whether it is not to be asked, as every AWS tool has it.
pub(super) fn switched_off() -> bool {
    std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}
