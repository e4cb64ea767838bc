//! The server's `hostbased` (RFC 4252 section 9): a client's host vouches for its user.

use alloc::borrow::ToOwned;

use super::publickey::{Claim, Signer, check_signature};
use super::{Checked, Server, printable};
use crate::auth::signed::hostbased_signed_data;
use crate::crypto::CertificateKind;
use crate::limits::MAX_HOST_NAME;
use crate::wire::auth::HostbasedAuth;

impl Server {
    pub(super) fn check_hostbased(
        &self,
        user: &str,
        request: &HostbasedAuth<'_>,
    ) -> Option<Checked> {
        let client_host = printable(request.client_host)
            .filter(|name| !name.is_empty() && name.len() <= MAX_HOST_NAME)?;
        let client_user =
            printable(request.client_user).filter(|name| name.len() <= self.max_user_name)?;
        let kind = CertificateKind::Host;
        let (algorithm, key) = self.check_key(request.algorithm, request.key, kind)?;
        let signature = check_signature(algorithm, request.signature)?;
        let message = hostbased_signed_data(
            &self.session_id,
            user.as_bytes(),
            algorithm.name(),
            &key,
            request.client_host,
            request.client_user,
        );
        Some(Checked::Verify(Claim {
            algorithm,
            key,
            signature,
            message,
            signer: Signer::Host {
                client_host: client_host.to_owned(),
                client_user: client_user.to_owned(),
            },
        }))
    }
}
