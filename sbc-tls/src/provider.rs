//! What we speak: versions and cipher suites, written out, so that a later version of the library cannot add to it.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs as library;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

/// Best first.
const CIPHER_SUITES: [SupportedCipherSuite; 9] = [
    library::cipher_suite::TLS13_AES_256_GCM_SHA384,
    library::cipher_suite::TLS13_AES_128_GCM_SHA256,
    library::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    library::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    library::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    library::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    library::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    library::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    library::cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// Best first.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// What TLS buffers for one peer, in bytes: a full record with its overhead.
pub(crate) const BUFFER: usize = 32 * 1024;

/// The cryptography of every handshake.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: CIPHER_SUITES.to_vec(), ..library::default_provider() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_authenticated_ciphers_with_ephemeral_keys_are_spoken() {
        for suite in provider().cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())) {
            let ephemeral = suite.starts_with("TLS13_") || suite.starts_with("TLS_ECDHE_");
            let authenticated = suite.contains("_GCM_") || suite.contains("_CHACHA20_POLY1305_");
            assert!(ephemeral && authenticated, "{suite}");
        }
    }
}
