//! EC2 and IMDS by the AWS SDK. This file and `ec2/` are the only ones that name an AWS crate.
//!
//! It asks and changes what the stages' traits say ([`Cloud`], [`Changer`](crate::act::Changer), [`Identity`]) and turns answers into the
//! vocabulary and errors into one line for people. It decides nothing, and never tries a changing call again: whoever
//! calls it knows what a repeated move would mean.
//!
//! Invariants: every call is bounded; nothing is asked over the network before the first call, so a healthy round costs
//! EC2 nothing; no error text carries a type name, a secret or a control character.

mod account;
mod address;
mod atlas;
mod change;
mod convert;
mod credentials;
mod errors;
mod http;
mod iam;
mod imds;
mod network;
mod read;
mod rights;
mod route;
mod warm;

use std::net::IpAddr;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{ProvideCredentials as _, SharedHttpClient};
use aws_sdk_ec2::types::{self, Filter, Reservation};
use tokio::sync::Mutex;

use crate::act::ChangeError;
use crate::doctor::cloud::Network;
use crate::model::{
    Instance, InstanceId, InterfaceId, Machine, RouteTable, RouteTableId, SecurityGroup, Subnet, SubnetId,
};
use crate::preflight::{Cloud, Identity};

pub use iam::{IAM_ACTIONS, iam_policy};

/// The SDK's defaults as of this date. Pinned, so that an update of the crate does not change timeouts or retries.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// How long calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connection. Longer than a second, so that one lost SYN, sent again after 1 s, does not fail it.
    pub connect: Duration,
    /// One attempt, credentials and connection included. EC2 answers in 0.1 to 0.7 s; a slower answer to a move is
    /// found by describing.
    pub attempt: Duration,
    /// A read with its second attempt. Two whole attempts and the pause between them fit.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(1200),
            attempt: Duration::from_secs(2),
            read: Duration::from_millis(4500),
        }
    }
}

/// Attempts of a read. One repeat carries it over a lost connection or a 5xx; more is for the next round.
const READ_ATTEMPTS: u32 = 2;

/// The pause before a read's second attempt is drawn from 0 up to this.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// EC2 takes up to 200 values in one filter.
const FILTER_VALUES: usize = 200;

/// EC2 of one account and region.
#[derive(Debug)]
pub struct Ec2 {
    region: Option<String>,
    timeouts: Timeouts,
    http: SharedHttpClient,
    imds: imds::Imds,
    clients: Mutex<Option<Clients>>,
}

/// One configuration, two ways to retry. They share connections and credentials.
#[derive(Debug)]
struct Clients {
    read: Client,
    change: Client,
    shared: SdkConfig,
}

impl Timeouts {
    fn sdk(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.read)
            .build()
    }
}

impl Clients {
    fn new(shared: &SdkConfig) -> Self {
        // Not the adaptive mode: its limiter slows every call of the process down after one was throttled.
        let repeat = RetryConfig::standard().with_max_attempts(READ_ATTEMPTS).with_initial_backoff(READ_PAUSE);
        let with = |retry| Client::from_conf(aws_sdk_ec2::config::Builder::from(shared).retry_config(retry).build());
        Self { read: with(repeat), change: with(RetryConfig::disabled()), shared: shared.clone() }
    }
}

impl Ec2 {
    /// Prepares to reach EC2 in `region` (`standby.region`), or else in that of `AWS_REGION`, `AWS_DEFAULT_REGION`, the
    /// profile or IMDS. Nothing goes over the network before the first question.
    ///
    /// # Errors
    ///
    /// Where `AWS_CA_BUNDLE` is set and its file cannot be used.
    pub fn connect(region: Option<&str>) -> Result<Self, String> {
        Self::with_timeouts(region, Timeouts::default())
    }

    /// [`Ec2::connect`] with other bounds.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn with_timeouts(region: Option<&str>, timeouts: Timeouts) -> Result<Self, String> {
        Ok(Self {
            region: region.map(str::to_owned),
            timeouts,
            http: http::client()?,
            imds: imds::Imds::new(),
            clients: Mutex::default(),
        })
    }

    /// What `which` takes of the clients, which are made at the first call. (A clone of one shares all that it has.)
    async fn client(&self, which: fn(&Clients) -> &Client) -> Result<Client, String> {
        let mut held = self.clients.lock().await;
        if held.is_none() {
            *held = Some(self.load().await?);
        }
        held.as_ref().map(|clients| which(clients).clone()).ok_or_else(|| "no client".to_owned())
    }

    /// For what only reads.
    async fn reading(&self) -> Result<Client, String> {
        self.client(|clients| &clients.read).await
    }

    /// Where credentials come from, by the SDK's name for it (`IMDSv2`, `EnvironmentVariable`, `ProfileFile`…); `None`: there are none.
    pub(crate) async fn credentials_from(&self) -> Option<String> {
        // It makes the clients where there are none yet.
        drop(self.reading().await.ok()?);
        let provider = self.clients.lock().await.as_ref()?.shared.credentials_provider()?;
        credentials::source(&provider.provide_credentials().await.ok()?)
    }

    /// For what changes something. Where it can't be had nothing was sent, and it may be there the next moment.
    async fn changing(&self) -> Result<Client, ChangeError> {
        self.client(|clients| &clients.change).await.map_err(ChangeError::Throttled)
    }

    /// Every further call goes out over a new connection. The present ones are dead where our own public address has changed, and
    /// each would cost an attempt to find that out.
    async fn renew(&self) {
        let mut held = self.clients.lock().await;
        if let (Some(clients), Ok(fresh)) = (held.as_mut(), http::client()) {
            *clients = Clients::new(&clients.shared.clone().into_builder().http_client(fresh).build());
        }
    }

    async fn load(&self) -> Result<Clients, String> {
        let (region, _) = self.find_region().await?;
        let sources =
            ProviderConfig::without_region().with_region(Some(region.clone())).with_http_client(self.http.clone());
        let credentials = DefaultCredentialsChain::builder()
            .region(region.clone())
            .configure(sources.with_timeout_config(self.timeouts.sdk()).with_retry_config(RetryConfig::disabled()))
            .imds_client(self.imds.client())
            .build()
            .await;
        let shared = aws_config::defaults(behavior())
            .region(region)
            .http_client(self.http.clone())
            .timeout_config(self.timeouts.sdk())
            .identity_cache(credentials::kept().build())
            .credentials_provider(credentials)
            .load()
            .await;
        Ok(Clients::new(&shared))
    }

    /// The region, and what says so.
    async fn find_region(&self) -> Result<(Region, &'static str), String> {
        if let Some(region) = &self.region {
            return Ok((Region::new(region.clone()), "standby.region"));
        }
        if let Some(region) = EnvironmentVariableRegionProvider::new().region().await {
            return Ok((region, "AWS_REGION or AWS_DEFAULT_REGION"));
        }
        if let Some(region) = ProfileFileRegionProvider::new().region().await {
            return Ok((region, "the AWS profile"));
        }
        match self.imds.get(imds::REGION).await {
            Ok(region) => Ok((Region::new(region), "IMDS")),
            Err(why) => Err(format!("no AWS region: {why}; set standby.region or AWS_REGION")),
        }
    }
}

fn filter_of(name: &str, values: &[impl AsRef<str>]) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values.iter().map(|value| value.as_ref().to_owned()).collect()))
        .build()
}

fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

// Filters, not id parameters: of ids that do not exist a filter finds nothing, while a parameter fails the whole call.
impl Cloud for Ec2 {
    async fn tables(&self, ids: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        self.route_tables("route-table-id", &texts(ids)).await
    }

    async fn tables_of(&self, subnets: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        self.route_tables("association.subnet-id", &texts(subnets)).await
    }

    async fn instances(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, String> {
        let reservations = self.reservations("instance-id", &texts(ids)).await?;
        let now = jiff::Timestamp::now();
        reservations.iter().flat_map(Reservation::instances).map(|one| convert::instance(one, now)).collect()
    }

    async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        self.subnets_by("subnet-id", &texts(ids)).await
    }

    async fn public(&self, subnets: &[SubnetId]) -> Result<Vec<IpAddr>, String> {
        let reservations = self.reservations("subnet-id", &texts(subnets)).await?;
        let interfaces =
            reservations.iter().flat_map(Reservation::instances).flat_map(types::Instance::network_interfaces);
        Ok(interfaces.flat_map(convert::public).collect())
    }

    async fn running(&self, subnets: &[SubnetId]) -> Result<Vec<Machine>, String> {
        let reservations = self.running_in(&texts(subnets)).await?;
        reservations.iter().flat_map(Reservation::instances).map(atlas::machine).collect()
    }

    async fn groups_of(&self, interface: &InterfaceId) -> Result<Option<Vec<SecurityGroup>>, String> {
        let found = Network::interfaces(self, std::slice::from_ref(interface)).await?;
        let mut ids: Vec<_> = found.into_iter().flat_map(|one| one.groups).collect();
        if ids.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let groups = Network::groups(self, &ids).await?;
        ids.retain(|id| groups.iter().all(|one| one.id != *id));
        // One that is not shown (of another account, or attached just now) may be the one that admits.
        match ids.first() {
            Some(id) => Err(format!("DescribeSecurityGroups: {id} is not among the answer")),
            None => Ok(Some(groups)),
        }
    }
}

impl Identity for Ec2 {
    async fn instance(&self) -> Result<InstanceId, String> {
        let id = self.imds.get(imds::INSTANCE).await.map_err(|why| {
            format!("{why}; set standby.instance, or enable the service (aws ec2 modify-instance-metadata-options --http-endpoint enabled)")
        })?;
        id.trim().parse().map_err(|e| format!("IMDS: {e}"))
    }
}

#[cfg(test)]
mod tests;
