//! EC2 and the instance metadata service: the only room that names the AWS SDK.
//!
//! EC2 is reached the way every AWS tool reaches it (environment, profile, IMDSv2 role, `AWS_ENDPOINT_URL[_EC2]`,
//! `AWS_CA_BUNDLE`), but nothing is read or asked before the first call: a healthy pass makes none. Every wait is bounded
//! here, and no call that changes anything is ever repeated here.
//!
//! | file | job |
//! |---|---|
//! | `read` | the describes, all pages |
//! | `change` | the mutating calls, and what their errors mean |
//! | `error` | the SDK's errors in a user's words |
//! | `policy` | the IAM policy for exactly these calls |

mod change;
mod error;
mod policy;
mod read;

pub use policy::{ACTIONS, iam_policy};

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds;
use aws_config::meta::region::RegionProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::SharedHttpClient;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use tokio::sync::OnceCell;

use crate::model::InstanceId;
use crate::preflight::Identity;

/// To a regional endpoint a connection takes milliseconds. A lost SYN is sent again by the kernel after one second, so
/// waiting longer than that for one attempt gains nothing.
const CONNECT: Duration = Duration::from_millis(900);

/// One attempt. EC2's mutating calls take a quarter of a second as a rule; a few seconds are seen under load.
const ATTEMPT: Duration = Duration::from_secs(3);

/// A call with all its attempts.
const OPERATION: Duration = Duration::from_secs(7);

/// Attempts at a describe. Calls that change something get one.
const READ_ATTEMPTS: u32 = 2;

/// IMDS is on the hypervisor, a millisecond away; a black-holed one (hop limit, firewall) must not hold a run up.
const IMDS_CONNECT: Duration = Duration::from_millis(300);

/// As [`IMDS_CONNECT`], for the answer.
const IMDS_READ: Duration = Duration::from_millis(500);

/// EC2 and IMDS, not yet asked.
#[derive(Debug)]
pub struct Ec2 {
    region: Option<String>,
    http: OnceCell<Result<SharedHttpClient, String>>,
    client: OnceCell<Result<Client, String>>,
}

impl Ec2 {
    /// For `region`, or the one that environment, profile or IMDS name.
    #[must_use]
    pub const fn new(region: Option<String>) -> Self {
        Self { region, http: OnceCell::const_new(), client: OnceCell::const_new() }
    }

    async fn client(&self) -> Result<&Client, String> {
        self.client.get_or_init(|| self.connect()).await.as_ref().map_err(Clone::clone)
    }

    async fn http(&self) -> Result<SharedHttpClient, String> {
        self.http.get_or_init(|| async { http_client() }).await.clone()
    }

    async fn connect(&self) -> Result<Client, String> {
        let http = self.http().await?;
        let provider = ProviderConfig::without_region().with_http_client(http.clone());
        let region = match &self.region {
            Some(region) => Some(Region::new(region.clone())),
            None => {
                let imds = imds::region::ImdsRegionProvider::builder().imds_client(metadata(&provider)).build();
                RegionProviderChain::first_try(aws_config::environment::region::EnvironmentVariableRegionProvider::new())
                    .or_else(aws_config::profile::region::ProfileFileRegionProvider::default())
                    .or_else(imds)
                    .region()
                    .await
            }
        };
        let region = region.ok_or("no AWS region: set standby.region or AWS_REGION")?;
        let credentials = DefaultCredentialsChain::builder()
            .configure(provider.clone())
            .imds_client(metadata(&provider))
            .region(region.clone())
            .build()
            .await;
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(region)
            .credentials_provider(credentials)
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(READ_ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            )
            .load()
            .await;
        Ok(Client::new(&config))
    }
}

impl Identity for Ec2 {
    /// By IMDSv2.
    async fn instance(&self) -> Result<InstanceId, String> {
        let remedy = "set standby.instance in the configuration";
        if std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(format!("AWS_EC2_METADATA_DISABLED is set; {remedy}"));
        }
        let provider = ProviderConfig::without_region().with_http_client(self.http().await?);
        let answer = metadata(&provider).get("/latest/meta-data/instance-id").await.map_err(|failure| {
            format!("the instance metadata service (169.254.169.254) does not answer: {}; {remedy}", error::deepest(&failure))
        })?;
        answer.as_ref().trim().parse().map_err(|failure| format!("the instance metadata service says {failure}; {remedy}"))
    }
}

fn metadata(provider: &ProviderConfig) -> imds::Client {
    imds::Client::builder().configure(provider).connect_timeout(IMDS_CONNECT).read_timeout(IMDS_READ).max_attempts(2).build()
}

/// HTTP over rustls with ring: the SDK's defaults bring two complete TLS stacks. The system's roots and, as with every AWS
/// tool, those of `AWS_CA_BUNDLE`.
fn http_client() -> Result<SharedHttpClient, String> {
    let mut trust = TrustStore::default();
    if let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        let path = std::path::PathBuf::from(path);
        let pem = std::fs::read(&path).map_err(|failure| format!("AWS_CA_BUNDLE = {}: {failure}", path.display()))?;
        trust.add_pem_certificate(pem);
    }
    let tls = TlsContext::builder().with_trust_store(trust).build().map_err(|failure| format!("TLS can't be set up: {failure}"))?;
    Ok(aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
}
