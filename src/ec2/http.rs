//! The HTTP clients: rustls with ring and the system's roots, and the file of `AWS_CA_BUNDLE`.
//!
//! Built by hand, as the SDK's default brings a second TLS stack (see Cargo.toml).

use std::path::Path;

use aws_sdk_ec2::config::SharedHttpClient;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig};

/// The client for EC2: proxies by `HTTPS_PROXY`, `NO_PROXY`… as every AWS tool has them.
pub(super) fn client() -> Result<SharedHttpClient, String> {
    let bundle = match std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        Some(path) => Some(read_bundle(Path::new(&path))?),
        None => None,
    };
    Ok(build(bundle, ProxyConfig::from_env()))
}

/// The client for IMDS, which is link-local: a proxy cannot reach ours, only its own.
pub(super) fn direct() -> SharedHttpClient {
    build(None, ProxyConfig::disabled())
}

fn build(bundle: Option<Vec<u8>>, proxy: ProxyConfig) -> SharedHttpClient {
    let mut roots = TrustStore::default();
    if let Some(pem) = bundle {
        roots = roots.with_pem_certificate(pem);
    }
    // The plain builder has no way to take a proxy. Called when the first request is due, not before: reading the
    // system's roots takes milliseconds that a healthy round need not spend.
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(aws_sdk_ec2::config::RuntimeComponents::sleep_impl));
        let connector = connector.tls_provider(Provider::rustls(CryptoMode::Ring));
        match TlsContext::builder().with_trust_store(roots.clone()).build() {
            Ok(context) => connector.tls_context(context).build(),
            Err(_) => connector.build(),
        }
    })
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display();
    let text = std::fs::read(path).map_err(|e| format!("AWS_CA_BUNDLE: cannot read {name}: {e}"))?;
    certificates(&String::from_utf8_lossy(&text)).map_err(|why| format!("AWS_CA_BUNDLE: {name}: {why}"))
}

/// The certificates of a PEM file and nothing else of it. Checked here because the SDK panics on what is broken.
fn certificates(text: &str) -> Result<Vec<u8>, String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut out = String::new();
    let mut rest = text;
    let mut count = 0;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        count += 1;
        let (body, after) = after.split_once(END).ok_or_else(|| format!("certificate {count} has no end line"))?;
        let body: String = body.split_whitespace().collect();
        if !is_der_sequence(&body) {
            return Err(format!("certificate {count} is broken"));
        }
        out.push_str(BEGIN);
        for line in body.as_bytes().chunks(64) {
            out.push('\n');
            out.push_str(&String::from_utf8_lossy(line));
        }
        out.push('\n');
        out.push_str(END);
        out.push('\n');
        rest = after;
    }
    if count == 0 { Err("holds no certificate (PEM wanted)".to_owned()) } else { Ok(out.into_bytes()) }
}

/// Whether this is Base64 (RFC 4648) of one DER SEQUENCE (X.690 8.1), which is what a certificate is from outside.
fn is_der_sequence(base64: &str) -> bool {
    let Some(der) = decode(base64) else { return false };
    let (head, length) = match der.as_slice() {
        [0x30, 0x82, a, b, ..] => (4, usize::from(*a) << 8 | usize::from(*b)),
        [0x30, 0x81, a, ..] => (3, usize::from(*a)),
        _ => return false,
    };
    der.len() == head + length
}

fn decode(base64: &str) -> Option<Vec<u8>> {
    let body = base64.trim_end_matches('=');
    if !base64.len().is_multiple_of(4) || base64.len() - body.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for c in body.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{certificates, decode, read_bundle};

    #[test]
    fn base64_is_read_strictly() {
        assert_eq!(decode("Zm9vYg=="), Some(b"foob".to_vec()));
        assert_eq!(decode("Zm9v"), Some(b"foo".to_vec()));
        for bad in ["Zm9", "Zm9v!A==", "Z==="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bundle_that_is_missing_or_broken_is_a_clear_error_and_no_panic() {
        let missing = read_bundle(std::path::Path::new("/nonexistent/ca.pem")).unwrap_err();
        assert_eq!(missing, "AWS_CA_BUNDLE: cannot read /nonexistent/ca.pem: No such file or directory (os error 2)");
        let cases = [
            ("", "holds no certificate (PEM wanted)"),
            ("-----BEGIN CERTIFICATE-----\nMIIB", "certificate 1 has no end line"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "certificate 1 is broken"),
            ("-----BEGIN CERTIFICATE-----\n<html>\n-----END CERTIFICATE-----", "certificate 1 is broken"),
        ];
        for (text, why) in cases {
            assert_eq!(certificates(text).unwrap_err(), why);
        }
    }
}
