//! The SDK's errors in a user's words: the action, EC2's code and message, and the remedy where there is one.

use std::error::Error;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use crate::act::ChangeError;
use crate::model::printable;

/// EC2's messages are sentences; an encoded authorization failure is 2 kB of base64 that nobody reads.
const LONGEST: usize = 240;

/// EC2's codes for "later": the API's and the request's own limits.
const THROTTLED: &[&str] = &["RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException", "EC2ThrottledException"];

/// EC2's codes for trouble on its own side: the call may have been carried out.
const UNSURE: &[&str] = &["InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable", "RequestTimeout"];

/// EC2's codes for credentials that it does not take.
const CREDENTIALS: &[&str] = &["AuthFailure", "ExpiredToken", "RequestExpired", "InvalidClientTokenId", "ExpiredTokenException", "SignatureDoesNotMatch"];

/// The innermost cause, which is the one that tells something: "connection refused", not "dispatch failure".
pub(super) fn deepest(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    printable(&cause.to_string(), LONGEST)
}

/// What went wrong with `action`, in one line.
pub(super) fn words<E: ProvideErrorMetadata + Error + 'static, R>(action: &str, error: &SdkError<E, R>) -> String
where
    SdkError<E, R>: Error,
{
    let Some(service) = error.as_service_error() else { return transport(action, error) };
    let code = service.code().unwrap_or("no code");
    let message = printable(service.message().unwrap_or("no message"), LONGEST);
    if code == "UnauthorizedOperation" || code == "AccessDenied" {
        return format!("not allowed: ec2:{action}; give this instance's role the policy of: natwatch print iam-policy");
    }
    if CREDENTIALS.contains(&code) {
        return format!("{action}: EC2 does not take these credentials ({code}: {message}); check the instance's role, AWS_PROFILE and the clock");
    }
    format!("{action}: {code}: {message}")
}

fn transport<E, R>(action: &str, error: &SdkError<E, R>) -> String
where
    SdkError<E, R>: Error,
{
    let why = deepest(error);
    match error {
        SdkError::TimeoutError(_) => format!("{action}: no answer from EC2 in time ({why})"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => format!("{action}: EC2 could not be reached in time ({why})"),
        // The identity is resolved before anything is sent; its errors come as a dispatch or construction failure.
        _ if why.contains("credential") || why.contains("identity") => {
            format!("{action}: no AWS credentials ({why}); give this instance a role, or set AWS_PROFILE")
        }
        _ => format!("{action}: EC2 could not be asked: {why}"),
    }
}

/// What an error of a mutating call says about whether it was carried out.
pub(super) fn change<E: ProvideErrorMetadata + Error + 'static, R>(action: &str, error: &SdkError<E, R>) -> ChangeError
where
    SdkError<E, R>: Error,
{
    let text = words(action, error);
    let Some(service) = error.as_service_error() else {
        return match error {
            SdkError::ConstructionFailure(_) => ChangeError::Refused(text),
            _ => ChangeError::Unknown(text),
        };
    };
    match service.code().unwrap_or_default() {
        "InvalidAssociationID.NotFound" => ChangeError::Stale(text),
        code if THROTTLED.contains(&code) => ChangeError::Throttled(text),
        code if UNSURE.contains(&code) => ChangeError::Unknown(text),
        // A 5xx without a code that is known, or with a body that can't be read.
        "" => ChangeError::Unknown(text),
        _ => ChangeError::Refused(text),
    }
}
