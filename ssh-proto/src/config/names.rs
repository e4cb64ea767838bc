//! Lists of algorithms by name, whole or as edits of the provider's list, in the form of OpenSSH (ssh_config(5), `Ciphers`).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::ConfigError;

/// What setters said of one list, in their order. The provider's stands where they said nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Vec<Edit>);

#[derive(Debug, Clone)]
struct Edit {
    how: How,
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum How {
    /// These and no others.
    Replace,
    /// `+`: these behind the others.
    Append,
    /// `-`: the others alone.
    Remove,
    /// `^`: these ahead of the others.
    Prepend,
}

impl Names {
    /// Takes one more list, whose first name begins with the sign of the edit. A string may hold
    /// several names, with commas between them.
    pub(crate) fn edit<N: Into<String>>(&mut self, list: impl IntoIterator<Item = N>) {
        let list: Vec<String> = list.into_iter().map(Into::into).collect();
        let list = list.join(",");
        let (how, names) = match list.split_at_checked(1) {
            Some(("+", names)) => (How::Append, names),
            Some(("-", names)) => (How::Remove, names),
            Some(("^", names)) => (How::Prepend, names),
            _ => (How::Replace, list.as_str()),
        };
        let names = names.split(',').filter(|name| !name.is_empty());
        self.0.push(Edit {
            how,
            names: names.map(ToOwned::to_owned).collect(),
        });
    }

    /// The algorithms that are left, none of them twice: libssh2 1.11 overruns a buffer where a
    /// name stands twice.
    pub(super) fn pick<A: Copy>(
        &self,
        offered: &[A],
        on_request: &[A],
        name_of: impl Fn(&A) -> &'static str,
    ) -> Result<Vec<A>, ConfigError> {
        let mut picked = offered.to_vec();
        for Edit { how, names } in &self.0 {
            let mut named: Vec<A> = Vec::new();
            for name in names {
                let all = offered.iter().chain(on_request).copied();
                let found = all.filter(|a| matches(name.as_bytes(), name_of(a).as_bytes()));
                let known = named.len();
                named.extend(found);
                // What is not there need not be removed: OpenSSH's lists go on working where
                // the provider has less.
                if named.len() == known && !matches!(how, How::Remove) {
                    return Err(ConfigError::UnknownAlgorithm(name.clone()));
                }
            }
            let is_in = |list: &[A], one: &A| list.iter().any(|a| name_of(a) == name_of(one));
            let parts = match how {
                How::Replace => [named, Vec::new()],
                How::Append => [picked, named],
                How::Prepend => [named, picked],
                How::Remove => {
                    picked.retain(|one| !is_in(&named, one));
                    [picked, Vec::new()]
                }
            };
            picked = Vec::new();
            for one in parts.into_iter().flatten() {
                if !is_in(&picked, &one) {
                    picked.push(one);
                }
            }
        }
        Ok(picked)
    }
}

/// Whether a pattern of `*` and `?` matches the whole name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', behind)), letters) => {
            matches(behind, name) || letters.is_some_and(|(_, rest)| matches(pattern, rest))
        }
        (Some((wanted, behind)), Some((letter, rest))) => {
            (*wanted == b'?' || wanted == letter) && matches(behind, rest)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [&str; 4] = ["aes-gcm", "aes-ctr", "chacha", "aes-etm"];
    const ON_REQUEST: [&str; 2] = ["aes-cbc", "des"];

    fn pick(lists: &[&[&str]]) -> Result<String, ConfigError> {
        let mut names = Names::default();
        for list in lists {
            names.edit(list.iter().copied());
        }
        Ok(names.pick(&OFFERED, &ON_REQUEST, |name| name)?.join(" "))
    }

    #[test]
    fn edits() {
        let cases: [(&[&[&str]], &str); 17] = [
            (&[], "aes-gcm aes-ctr chacha aes-etm"),
            (&[&["chacha", "des"]], "chacha des"),
            (&[&["chacha,des"]], "chacha des"),
            (&[&["des", "chacha", "des"]], "des chacha"),
            (&[&[]], ""),
            (&[&["", ","]], ""),
            (&[&["+des"]], "aes-gcm aes-ctr chacha aes-etm des"),
            (
                &[&["+des,chacha", "aes-cbc"]],
                "aes-gcm aes-ctr chacha aes-etm des aes-cbc",
            ),
            (&[&["-chacha", "des"]], "aes-gcm aes-ctr aes-etm"),
            (&[&["-aes-*"]], "chacha"),
            (&[&["-crab,x*,???????"]], "chacha"),
            (&[&["^aes-etm,des"]], "aes-etm des aes-gcm aes-ctr chacha"),
            (&[&["^aes-?t*"]], "aes-ctr aes-etm aes-gcm chacha"),
            (&[&["*c"]], "aes-cbc"),
            // A later list edits what an earlier one left.
            (&[&["+des"], &["-aes-*"], &["^des"]], "des chacha"),
            (&[&["-*"], &["+des"]], "des"),
            (&[&["+des"], &["chacha"]], "chacha"),
        ];
        for (lists, expected) in cases {
            assert_eq!(pick(lists).as_deref(), Ok(expected), "{lists:?}");
        }
    }

    #[test]
    fn unknown_names_are_told() {
        for (list, unknown) in [
            ("crab", "crab"),
            ("chacha,crab", "crab"),
            ("+crab", "crab"),
            ("^crab", "crab"),
            ("+x*", "x*"),
            ("x*", "x*"),
            // The sign stands once, for the whole list.
            ("+des,+aes-cbc", "+aes-cbc"),
            (" des", " des"),
        ] {
            let told = Err(ConfigError::UnknownAlgorithm(unknown.to_owned()));
            assert_eq!(pick(&[&[list]]), told, "{list}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, fits) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("*a*b", "xaxbxab", true),
            ("**", "x", true),
            ("*-cbc", "aes128-cbc", true),
            ("*-cbc", "aes128-cbc@x", false),
            ("*@*", "zlib@openssh.com", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                fits,
                "{pattern} {name}"
            );
        }
    }
}
