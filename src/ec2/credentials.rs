//! How credentials are kept, so that a process of weeks never signs with expired ones, and a takeover waits for none.
//!
//! The SDK fetches them at the use that finds them missing or about to expire, and lets nobody know beforehand. But the calls that change
//! something are never the first use: the survey and the warm connections are, in the shadow of the confirming rounds.

use std::fmt::Debug;
use std::time::Duration;

use aws_config::identity::{IdentityCache, LazyCacheBuilder};

/// All of credentials: three requests to IMDS take milliseconds, an STS call for a web identity token half a second.
const WITHIN: Duration = Duration::from_millis(1500);

/// Who is used with less than this left is fetched anew. The SDK takes a random part off it, up to half.
///
/// So two minutes are left at least after any use: as much as a run may take twice over, whose deadline is 60 s. And no more than
/// five minutes, as "we make new credentials available at least five minutes before the expiration of the old credentials" (EC2 User
/// Guide, "Retrieve security credentials from instance metadata"): what IMDS gives out may have just that left, and with a longer
/// time each of sixteen calls would fetch the same again, one after the other.
const LEFT: Duration = Duration::from_mins(4);

/// Kept until they are about to expire.
pub(super) fn kept() -> LazyCacheBuilder {
    IdentityCache::lazy().load_timeout(WITHIN).buffer_time(LEFT)
}

/// The provider of credentials, by their `Debug` text: nothing else tells it, and the text hides what is secret.
pub(super) fn source(credentials: &impl Debug) -> Option<String> {
    let told = format!("{credentials:?}");
    let (_, rest) = told.split_once("provider_name: \"")?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::config::Credentials;

    use super::source;

    #[test]
    fn f105_credentials_tell_who_provided_them() {
        let credentials = Credentials::new("AKIA", "secret", None, None, "ProfileFile");
        assert_eq!(source(&credentials).as_deref(), Some("ProfileFile"));
        assert_eq!(source(&"Credentials"), None);
    }
}
