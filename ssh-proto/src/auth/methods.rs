//! The set of methods that a server offers (RFC 4252 section 5, names in section 5.2 and later RFCs).

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use crate::wire::NameList;

/// A set of authentication methods: what a server's `USERAUTH_FAILURE` says can continue.
///
/// A method that is not in the set of the moment fails without a question to the application.
/// `none` is never in a set (RFC 4252 section 5.2); it is asked about whenever a client tries it
/// before anything has succeeded.
///
/// The default, for servers, is `publickey` and `password`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodSet(u8);

impl MethodSet {
    /// No method.
    pub const EMPTY: Self = Self(0);
    /// `publickey` (RFC 4252 section 7).
    pub const PUBLICKEY: Self = Self(1);
    /// `gssapi-with-mic` (RFC 4462 section 3).
    pub const GSSAPI_WITH_MIC: Self = Self(1 << 1);
    /// `password` (RFC 4252 section 8).
    pub const PASSWORD: Self = Self(1 << 2);
    /// `keyboard-interactive` (RFC 4256).
    pub const KEYBOARD_INTERACTIVE: Self = Self(1 << 3);
    /// `hostbased` (RFC 4252 section 9).
    pub const HOSTBASED: Self = Self(1 << 4);

    /// In the order in which OpenSSH lists them.
    const NAMES: [(Self, &'static str); 5] = [
        (Self::PUBLICKEY, "publickey"),
        (Self::GSSAPI_WITH_MIC, "gssapi-with-mic"),
        (Self::PASSWORD, "password"),
        (Self::KEYBOARD_INTERACTIVE, "keyboard-interactive"),
        (Self::HOSTBASED, "hostbased"),
    ];

    /// The methods of both sets; `|` for constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The methods of this set that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every method of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set has no method.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order in which OpenSSH lists them.
    pub fn iter(self) -> impl Iterator<Item = &'static str> + Clone {
        Self::NAMES
            .into_iter()
            .filter(move |(method, _)| self.contains(*method))
            .map(|(_, name)| name)
    }

    /// The list of a `USERAUTH_FAILURE`.
    pub(super) fn to_name_list(self) -> NameList<'static> {
        NameList::from_names(self.iter())
    }
}

impl Default for MethodSet {
    fn default() -> Self {
        Self::PUBLICKEY | Self::PASSWORD
    }
}

impl BitOr for MethodSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for MethodSet {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

impl fmt::Debug for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_openssh() {
        const ALL: MethodSet = MethodSet::HOSTBASED
            .union(MethodSet::KEYBOARD_INTERACTIVE)
            .union(MethodSet::PASSWORD)
            .union(MethodSet::GSSAPI_WITH_MIC)
            .union(MethodSet::PUBLICKEY);
        assert_eq!(
            ALL.to_name_list().as_str(),
            "publickey,gssapi-with-mic,password,keyboard-interactive,hostbased"
        );
        assert_eq!(MethodSet::EMPTY.to_name_list(), NameList::EMPTY);
    }

    #[test]
    fn sets_join_and_part() {
        let mut set = MethodSet::default();
        assert!(set.contains(MethodSet::PUBLICKEY) && set.contains(MethodSet::PASSWORD));
        assert!(!set.contains(MethodSet::PUBLICKEY | MethodSet::HOSTBASED));
        set = set.without(MethodSet::PUBLICKEY | MethodSet::HOSTBASED);
        assert_eq!(set, MethodSet::PASSWORD);
        set |= MethodSet::HOSTBASED;
        assert_eq!(set, MethodSet::PASSWORD | MethodSet::HOSTBASED);
        assert!(
            set.without(MethodSet::PASSWORD)
                .without(MethodSet::HOSTBASED)
                .is_empty()
        );
    }
}
