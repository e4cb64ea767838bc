//! Which methods a login takes: lists as in `AuthenticationMethods` of sshd_config(5), of which one has to be passed in its order.

use ssh_proto::MethodSet;

/// The methods that this server has, each a set of one.
const KNOWN: [MethodSet; 4] = [
    MethodSet::PUBLICKEY,
    MethodSet::PASSWORD,
    MethodSet::KEYBOARD_INTERACTIVE,
    MethodSet::GSSAPI_WITH_MIC,
];

/// What is left of the lists. No list at all: any one method will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MethodLists(Vec<Vec<MethodSet>>);

/// What comes of a method that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passed {
    /// The login is complete.
    Login,
    /// More has to follow.
    Step(MethodLists),
}

impl MethodLists {
    /// Reads lists that blanks part, of methods that commas part; or `any`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "any" {
            return Ok(Self::default());
        }
        let lists = text.split_whitespace();
        let lists: Vec<Vec<MethodSet>> = lists
            .map(|list| list.split(',').map(method_named).collect())
            .collect::<Result<_, _>>()?;
        match lists.is_empty() {
            true => Err("no method".into()),
            false => Ok(Self(lists)),
        }
    }

    /// Every method that the lists name.
    pub(crate) fn named(&self) -> MethodSet {
        union(self.0.iter().flatten())
    }

    /// The methods that can continue; `None` if any can.
    pub(crate) fn next(&self) -> Option<MethodSet> {
        let first = self.0.iter().filter_map(|list| list.first());
        (!self.0.is_empty()).then(|| union(first))
    }

    /// What comes of it if this method succeeds now. As in sshd, lists that begin otherwise stay
    /// as they are. `None`: no list begins with it.
    pub(crate) fn pass(&self, method: MethodSet) -> Option<Passed> {
        if self.0.is_empty() {
            return Some(Passed::Login);
        }
        let mut lists = self.0.clone();
        let mut found = false;
        for list in &mut lists {
            if list.first() == Some(&method) {
                found = true;
                list.remove(0);
                if list.is_empty() {
                    return Some(Passed::Login);
                }
            }
        }
        found.then_some(Passed::Step(Self(lists)))
    }
}

fn method_named(name: &str) -> Result<MethodSet, String> {
    let mut known = KNOWN.into_iter();
    known
        .find(|method| name_of(*method) == name)
        .ok_or_else(|| format!("unknown method {name:?}"))
}

/// The name of a set of one method.
pub(crate) fn name_of(method: MethodSet) -> &'static str {
    method.iter().next().unwrap_or("none")
}

fn union<'m>(methods: impl Iterator<Item = &'m MethodSet>) -> MethodSet {
    methods.fold(MethodSet::EMPTY, |all, method| all | *method)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MethodSet = MethodSet::PUBLICKEY;
    const PASSWORD: MethodSet = MethodSet::PASSWORD;
    const ASKED: MethodSet = MethodSet::KEYBOARD_INTERACTIVE;

    fn step(lists: &MethodLists, method: MethodSet) -> MethodLists {
        match lists.pass(method) {
            Some(Passed::Step(lists)) => lists,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_list_is_to_be_passed_in_order() {
        let lists = MethodLists::parse(
            "publickey,password  publickey,keyboard-interactive\tpassword,password",
        )
        .unwrap();
        assert_eq!(lists.named(), KEY | PASSWORD | ASKED);
        assert_eq!(lists.next(), Some(KEY | PASSWORD));
        assert_eq!(lists.pass(ASKED), None);
        let keyed = step(&lists, KEY);
        assert_eq!(keyed.next(), Some(PASSWORD | ASKED));
        assert_eq!(keyed.pass(ASKED), Some(Passed::Login));
        assert_eq!(keyed.pass(KEY), None);
        // Of the list that was not begun, one password is still missing; of the other, none.
        assert_eq!(keyed.pass(PASSWORD), Some(Passed::Login));
        let word = step(&lists, PASSWORD);
        assert_eq!(word.next(), Some(KEY | PASSWORD));
        assert_eq!(word.pass(PASSWORD), Some(Passed::Login));
    }

    #[test]
    fn without_lists_any_method_will_do() {
        for lists in [MethodLists::default(), MethodLists::parse("any").unwrap()] {
            assert_eq!((lists.next(), lists.named()), (None, MethodSet::EMPTY));
            assert_eq!(lists.pass(KEY), Some(Passed::Login));
        }
    }

    #[test]
    fn lists_that_cannot_be_passed_are_refused() {
        for (text, message) in [
            ("", "no method"),
            (" ", "no method"),
            ("password,", "unknown method \"\""),
            ("publickey hostbased", "unknown method \"hostbased\""),
            ("any password", "unknown method \"any\""),
            ("none", "unknown method \"none\""),
        ] {
            assert_eq!(MethodLists::parse(text).unwrap_err(), message, "{text:?}");
        }
    }
}
