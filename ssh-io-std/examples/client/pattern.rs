//! OpenSSH's patterns: `*` and `?`, lists of them, and `!` in front of what is excluded.

/// Whether a pattern of `*` and `?` matches the whole text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star is, and what of the text it is taken to cover.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&letter) if letter == b'?' || letter == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, covered)) => {
                    *covered += 1;
                    (p, t) = (*at + 1, *covered);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

/// Whether one of the patterns matches, and none of those with `!`.
pub(crate) fn list_matches<'p>(patterns: impl IntoIterator<Item = &'p str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(excluded, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

/// A list of algorithms as OpenSSH takes it: names, or `+` to add, `-` to remove and `^` to put
/// in front, of all there are.
pub(crate) fn algorithms(list: &str, all: &[&str]) -> Vec<String> {
    let own = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let split = |names| str::split(names, ',').filter(|name| !name.is_empty());
    if let Some(names) = list.strip_prefix('-') {
        own(all
            .iter()
            .copied()
            .filter(|name| !list_matches(split(names), name))
            .collect())
    } else if let Some(names) = list.strip_prefix('+') {
        own(all.iter().copied().chain(split(names)).collect())
    } else if let Some(names) = list.strip_prefix('^') {
        let rest = all
            .iter()
            .copied()
            .filter(|name| split(names).all(|first| first != *name));
        own(split(names).chain(rest).collect())
    } else {
        own(split(list).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*.example", "www.example", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("*a*b", "xaxbxab", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn exclusion_wins() {
        let list = ["*.example", "!evil.example"];
        assert!(list_matches(list, "good.example"));
        assert!(!list_matches(list, "evil.example"));
        assert!(!list_matches(["!evil.example"], "good.example"));
    }

    #[test]
    fn lists_of_algorithms() {
        let all = ["a-1", "a-2", "b"];
        assert_eq!(algorithms("b,c", &all), ["b", "c"]);
        assert_eq!(algorithms("-a-*", &all), ["b"]);
        assert_eq!(algorithms("+c", &all), ["a-1", "a-2", "b", "c"]);
        assert_eq!(algorithms("^b", &all), ["b", "a-1", "a-2"]);
    }
}
