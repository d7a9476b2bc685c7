//! The way to EC2 and IMDS themselves, as `doctor` asks about it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ec2::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_ec2::config::{Builder, ConfigBag, Credentials, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

use super::{Ec2, imds};
use crate::doctor::cloud::{Account, Answer, Endpoint, Metadata, Region, Right};

impl Account for Ec2 {
    async fn region(&self) -> Result<Region, String> {
        let (region, source) = self.find_region().await?;
        Ok(Region { name: region.to_string(), source })
    }

    async fn metadata(&self) -> Metadata {
        imds::metadata().await
    }

    async fn endpoint(&self) -> Result<Endpoint, String> {
        let client = self.reading().await?;
        let seen = Arc::new(Mutex::new(None));
        // Signed by nobody, so that it is known without credentials too: it is not sent.
        let nobody = Credentials::new("none", "none", None, None, "natwatch");
        let call = client.describe_route_tables().customize().interceptor(Whither(Arc::clone(&seen)));
        drop(call.config_override(Builder::new().credentials_provider(nobody)).send().await);
        let url = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let url: String = url.ok_or_else(|| "the SDK does not tell where EC2 is".to_owned())?;
        let own =
            place(&url).ok_or_else(|| format!("EC2's endpoint is no URL: {}", crate::model::printable(&url, 200)))?;
        Ok(proxy(&url, &own.host, |name| std::env::var(name).ok()).unwrap_or(own))
    }

    async fn may(&self, right: &Right) -> Answer {
        self.ask(right).await
    }
}

/// Notes where a call would go, and keeps it from going there.
#[derive(Debug)]
struct Whither(Arc<Mutex<Option<String>>>);

impl Intercept for Whither {
    fn name(&self) -> &'static str {
        "Whither"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.request().uri().to_owned());
        Err("not to be sent".into())
    }
}

/// Host and port of a URL.
fn place(url: &str) -> Option<Endpoint> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let default = if scheme == "https" { 443 } else { 80 };
    // An IPv6 address stands in brackets, and its colons divide nothing.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| Endpoint { host: host.to_owned(), port, proxy: false })
}

/// The proxy that is used for `url`, by the variables that every tool reads; the first that is set counts.
fn proxy(url: &str, host: &str, env: impl Fn(&str) -> Option<String>) -> Option<Endpoint> {
    let set = |names: &[&str]| names.iter().find_map(|name| env(name).filter(|value| !value.is_empty()));
    let of_scheme =
        if url.starts_with("https") { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let proxy = set(&of_scheme).or_else(|| set(&["ALL_PROXY", "all_proxy"]))?;
    let not_for = set(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let spared = not_for.split(',').map(|one| one.trim().trim_start_matches('.')).any(|one| {
        one == "*"
            || (!one.is_empty() && (host == one || host.strip_suffix(one).is_some_and(|rest| rest.ends_with('.'))))
    });
    place(&proxy).filter(|_| !spared).map(|found| Endpoint { proxy: true, ..found })
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, place, proxy};

    fn at(host: &str, port: u16, proxy: bool) -> Endpoint {
        Endpoint { host: host.to_owned(), port, proxy }
    }

    #[test]
    fn a_url_names_host_and_port() {
        for (url, host, port) in [
            ("https://ec2.eu-central-1.amazonaws.com/", "ec2.eu-central-1.amazonaws.com", 443),
            ("http://203.0.113.200", "203.0.113.200", 80),
            ("http://user:secret@proxy:3128", "proxy", 3128),
            ("https://[2001:db8::1]/", "2001:db8::1", 443),
            ("https://[2001:db8::1]:8443/?Action=x", "2001:db8::1", 8443),
        ] {
            assert_eq!(place(url), Some(at(host, port, false)), "{url}");
        }
        assert_eq!(place("https:///"), None);
    }

    #[test]
    fn a_proxy_is_used_where_the_environment_says_so_and_spares_nobody() {
        let (ours, host) = ("https://ec2.eu-central-1.amazonaws.com/", "ec2.eu-central-1.amazonaws.com");
        for (environment, expected) in [
            (&[][..], None),
            (&[("HTTP_PROXY", "http://one:1")], None),
            (&[("HTTPS_PROXY", "http://one:1")], Some(at("one", 1, true))),
            (&[("https_proxy", "one:1"), ("ALL_PROXY", "two:2")], Some(at("one", 1, true))),
            (&[("ALL_PROXY", "two:2"), ("NO_PROXY", "example.com")], Some(at("two", 2, true))),
            (&[("HTTPS_PROXY", "one:1"), ("NO_PROXY", "x, .amazonaws.com")], None),
            (&[("HTTPS_PROXY", "one:1"), ("no_proxy", "*")], None),
            (&[("HTTPS_PROXY", "one:1"), ("no_proxy", "xamazonaws.com")], Some(at("one", 1, true))),
        ] {
            let env =
                |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(proxy(ours, host, env), expected, "{environment:?}");
        }
    }
}
