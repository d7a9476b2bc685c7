//! Connections that are open before they are needed. EC2 speaks HTTP/1.1: calls that are to be made at once need one each, and
//! TCP and TLS take three round trips, and processor time, that are better spent while nobody waits.
//!
//! It makes no call of EC2's: what goes out is a plain `GET /` without action or signature, which counts for no account and is
//! allowed to nobody. What is answered, if anything, is of no interest.
//!
//! Invariant: the SDK itself opens them (its endpoint, proxy, trust store and pool), so that the next call that changes
//! something finds them.

use aws_sdk_ec2::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

use super::Ec2;

/// Makes a `GET /` of a call, after it was signed.
#[derive(Debug)]
struct Bare;

impl Intercept for Bare {
    fn name(&self) -> &'static str {
        "Bare"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.set_method("GET")?;
        let names: Vec<String> = request.headers().iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            request.headers_mut().remove(name);
        }
        *request.body_mut() = "".into();
        Ok(())
    }
}

impl Ec2 {
    /// Opens up to `connections` to EC2. All requests are under way at once, or one connection would serve them one after the other.
    ///
    /// Each attempt is bounded as one of any call. Who stops waiting keeps what is under way: a handshake that is half done when
    /// the moves are due is still nearer to its end than a new one.
    pub(super) async fn open(&self, connections: usize) {
        let Ok(client) = self.changing().await else { return };
        let under_way: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(client.describe_route_tables().customize().interceptor(Bare).send()))
            .collect();
        for one in under_way {
            // It has an error at any rate: no answer to this is one to a call.
            drop(one.await);
        }
    }
}
