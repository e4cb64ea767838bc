//! Lists of one provider with the entries replaced for which another library has code of its own.

use alloc::borrow::Cow;

use crate::crypto::{
    CipherAlgorithm, CryptoProvider, KexAlgorithm, MacAlgorithm, SignatureAlgorithm,
};

/// Algorithms of a library. Each takes the place of the one of its name and adds no name of its
/// own, so that names and order are those of the provider that it is laid over.
pub(in crate::crypto) struct Overlay {
    pub(in crate::crypto) kex: &'static [&'static dyn KexAlgorithm],
    pub(in crate::crypto) signatures: &'static [&'static dyn SignatureAlgorithm],
    pub(in crate::crypto) ciphers: &'static [&'static dyn CipherAlgorithm],
    pub(in crate::crypto) macs: &'static [&'static dyn MacAlgorithm],
}

impl Overlay {
    /// Replaces in all lists, also in those that are offered on request.
    pub(in crate::crypto) fn lay_over(&self, provider: &mut CryptoProvider) {
        let on_request = &mut provider.on_request;
        for list in [&mut provider.kex, &mut on_request.kex] {
            replace(list, self.kex, |a| a.name());
        }
        for list in [&mut provider.signatures, &mut on_request.signatures] {
            replace(list, self.signatures, |a| a.name());
        }
        for list in [&mut provider.ciphers, &mut on_request.ciphers] {
            replace(list, self.ciphers, |a| a.name());
        }
        for list in [&mut provider.macs, &mut on_request.macs] {
            replace(list, self.macs, |a| a.name());
        }
    }
}

fn replace<T: ?Sized>(
    list: &mut Cow<'static, [&'static T]>,
    with: &'static [&'static T],
    name: fn(&T) -> &'static str,
) {
    if list.is_empty() {
        return;
    }
    for entry in list.to_mut() {
        if let Some(own) = with.iter().find(|own| name(own) == name(entry)) {
            *entry = own;
        }
    }
}
