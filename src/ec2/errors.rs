//! The SDK's errors in users' words: one line, the action first, then EC2's code and message or what the network did,
//! then the remedy where there is one.

use std::error::Error;
use std::time::Instant;

use anyhow::Chain;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use crate::act::ChangeError;
use crate::doctor::cloud::Answer;
use crate::model::printable;

/// EC2's messages are a sentence or two; an encoded authorization message is kilobytes and of no use here.
const LONGEST: usize = 300;

/// What kind of failure it was, for who must decide what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WouldSucceed,
    Stale,
    Throttled,
    Unknown,
    Refused,
    /// Refused, as IAM does not allow it.
    Denied,
    /// Refused, as who asks is not known, or not any more.
    Unsigned,
    /// Not sent: there are no credentials to sign it with.
    Unsent,
}

/// A failed read.
pub(super) fn read<E>(action: &str, error: &SdkError<E, HttpResponse>, began: Instant) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    sort(action, error, began).1
}

/// A changing call that did not answer with success; `Ok` is a dry run that would have.
pub(super) fn change<E>(action: &str, error: &SdkError<E, HttpResponse>, began: Instant) -> Result<(), ChangeError>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (kind, text) = sort(action, error, began);
    Err(match kind {
        Kind::WouldSucceed => return Ok(()),
        Kind::Stale => ChangeError::Stale(text),
        // The role's credentials may be there again the next moment.
        Kind::Throttled | Kind::Unsent => ChangeError::Throttled(text),
        Kind::Unknown => ChangeError::Unknown(text),
        Kind::Refused | Kind::Denied | Kind::Unsigned => ChangeError::Refused(text),
    })
}

/// What the answer to a dry run says of a right.
pub(super) fn right<E>(action: &str, error: &SdkError<E, HttpResponse>, began: Instant) -> Answer
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (kind, text) = sort(action, error, began);
    match kind {
        Kind::WouldSucceed => Answer::Allowed,
        Kind::Denied => Answer::Denied,
        Kind::Unsigned | Kind::Unsent => Answer::Unsigned(text),
        Kind::Stale | Kind::Throttled | Kind::Unknown | Kind::Refused => Answer::Unclear(text),
    }
}

fn sort<E>(action: &str, error: &SdkError<E, HttpResponse>, began: Instant) -> (Kind, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (kind, what) = match error {
        SdkError::ServiceError(context) => {
            let answer = context.err();
            answered(action, answer.code(), answer.message(), context.raw().status().as_u16())
        }
        SdkError::TimeoutError(_) => {
            (Kind::Unknown, format!("no answer within {:.1} s", began.elapsed().as_secs_f64()))
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (Kind::Unknown, format!("no connection to EC2 within {:.1} s", began.elapsed().as_secs_f64()))
        }
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            (Kind::Unknown, format!("an answer that cannot be read (HTTP {status}): {}", root_cause(error)))
        }
        other => match credentials(other) {
            Some(why) => (Kind::Unsent, why),
            None => (Kind::Unknown, lost(&root_cause(other))),
        },
    };
    (kind, format!("{action}: {}", printable(&what, LONGEST)))
}

fn lost(cause: &str) -> String {
    let remedy = if cause.contains("invalid peer certificate") {
        "; set AWS_CA_BUNDLE to the PEM file of the CA to trust"
    } else {
        ""
    };
    format!("no connection to EC2, or it was lost: {cause}{remedy}")
}

/// What an answer of EC2 means, by its code
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
fn answered(action: &str, code: Option<&str>, message: Option<&str>, status: u16) -> (Kind, String) {
    let message = message.unwrap_or_default();
    let code = code.unwrap_or_default();
    let said = match (code, message) {
        ("", "") => format!("an answer that is not EC2's (HTTP {status})"),
        (code, "") => format!("{code} (HTTP {status})"),
        ("", message) => message.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    match code {
        "DryRunOperation" => (Kind::WouldSucceed, said),
        "InvalidAssociationID.NotFound" | "RouteAlreadyExists" | "InvalidRoute.NotFound" => (Kind::Stale, said),
        // What ReplaceRoute says of a route that is not there.
        "InvalidParameterValue" if message.contains("no route defined") => (Kind::Stale, said),
        // The signature's clock and the token's life, not a right.
        "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" => (
            Kind::Unsigned,
            "the AWS credentials have expired, or this machine's clock is wrong; renew them (an instance role renews itself), \
             and see timedatectl"
                .to_owned(),
        ),
        "AuthFailure" | "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException" | "IncompleteSignature" | "MissingAuthenticationToken" => {
            (Kind::Unsigned, format!("AWS does not accept the credentials: {said}; check the role, the profile or AWS_ACCESS_KEY_ID"))
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            (Kind::Denied, format!("not allowed: ec2:{action}; attach the policy of `natwatch print iam-policy`"))
        }
        _ if is_throttling(code) || status == 429 => (Kind::Throttled, said),
        "InternalError" | "InternalFailure" | "Unavailable" | "ServiceUnavailable" | "InsufficientInstanceCapacity" | "RequestTimeout" => {
            (Kind::Unknown, said)
        }
        // No code: cut short, or not from EC2 at all (a proxy's page). With HTTP 200 it may well have been carried out.
        "" => (Kind::Unknown, said),
        _ if status >= 500 => (Kind::Unknown, said),
        _ => (Kind::Refused, said),
    }
}

fn is_throttling(code: &str) -> bool {
    const CODES: [&str; 8] = [
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "EC2ThrottledException",
    ];
    CODES.contains(&code)
}

/// Where credentials are missing, that in words.
fn credentials(error: &(dyn Error + 'static)) -> Option<String> {
    let texts: Vec<String> = Chain::new(error).map(ToString::to_string).collect();
    let has = |part: &str| texts.iter().any(|text| text.contains(part));
    if has("credential provider was not enabled") || has("no providers in chain provided credentials") {
        Some(
            "no AWS credentials; give this instance a role with the policy of `natwatch print iam-policy`, or set AWS_PROFILE or \
             AWS_ACCESS_KEY_ID"
                .to_owned(),
        )
    } else if has("loading credentials") || has("credentials provider") || has("credentials error") {
        let cause = texts.last().map_or("", String::as_str);
        Some(format!("the AWS credentials could not be read: {cause}; check the instance's role, AWS_PROFILE and IMDS"))
    } else {
        None
    }
}

/// The innermost cause, which is the one that says what happened.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    Chain::new(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Kind, answered};

    #[test]
    fn ec2s_codes_are_sorted_by_what_they_mean_for_a_move() {
        let cases = [
            ("DryRunOperation", 412, Kind::WouldSucceed),
            ("InvalidAssociationID.NotFound", 400, Kind::Stale),
            ("RouteAlreadyExists", 400, Kind::Stale),
            ("InvalidRoute.NotFound", 400, Kind::Stale),
            ("RequestLimitExceeded", 503, Kind::Throttled),
            ("Throttling", 400, Kind::Throttled),
            ("InternalError", 500, Kind::Unknown),
            ("Unavailable", 503, Kind::Unknown),
            ("SomethingNew", 502, Kind::Unknown),
            ("", 500, Kind::Unknown),
            ("", 200, Kind::Unknown),
            ("", 403, Kind::Unknown),
            ("UnauthorizedOperation", 403, Kind::Denied),
            ("InvalidRouteTableID.NotFound", 400, Kind::Refused),
            ("RequestExpired", 400, Kind::Unsigned),
            ("AuthFailure", 401, Kind::Unsigned),
            ("InvalidParameterValue", 400, Kind::Refused),
        ];
        for (code, status, kind) in cases {
            assert_eq!(answered("X", Some(code), Some("m"), status).0, kind, "{code}");
        }
    }

    #[test]
    fn f057_a_missing_permission_and_expired_credentials_are_said_with_the_remedy() {
        let (_, text) = answered(
            "ReplaceRouteTableAssociation",
            Some("UnauthorizedOperation"),
            Some("You are not… Encoded: AbC"),
            403,
        );
        assert_eq!(
            text,
            "not allowed: ec2:ReplaceRouteTableAssociation; attach the policy of `natwatch print iam-policy`"
        );
        assert!(answered("X", Some("RequestExpired"), None, 400).1.starts_with("the AWS credentials have expired"));
        let missing = "There is no route defined for '0.0.0.0/0' in the route table. Use CreateRoute instead.";
        assert_eq!(answered("X", Some("InvalidParameterValue"), Some(missing), 400).0, Kind::Stale);
        assert_eq!(answered("X", None, None, 502).1, "an answer that is not EC2's (HTTP 502)");
        assert_eq!(
            answered("X", Some("InvalidRouteTableID.NotFound"), Some("gone"), 400).1,
            "InvalidRouteTableID.NotFound: gone"
        );
    }
}
