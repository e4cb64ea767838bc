//! OpenSSH's patterns: `*` and `?`, lists of them, and `!` in front of what is excluded (ssh_config(5), PATTERNS).

/// Whether the case of ASCII letters matters: not for hosts, but for whatever else is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    AnyCase,
    Exact,
}

impl Letters {
    const fn equal(self, one: u8, other: u8) -> bool {
        match self {
            Self::AnyCase => one.eq_ignore_ascii_case(&other),
            Self::Exact => one == other,
        }
    }
}

/// Whether a pattern of `*` and `?` matches the whole text.
///
/// Takes at most a step for each pair of bytes (libssh CVE-2026-0967 took exponentially many), so
/// that it is linear in the pattern for texts whose length is bounded.
pub(super) fn matches(pattern: &[u8], text: &[u8], letters: Letters) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last star, and the text from where that star has to take one byte more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', behind @ ..], _) => {
                // A star at the end takes the rest.
                if behind.is_empty() {
                    return true;
                }
                retry = Some((behind, text));
                pattern = behind;
            }
            ([letter, behind @ ..], [first, rest @ ..])
                if *letter == b'?' || letters.equal(*letter, *first) =>
            {
                (pattern, text) = (behind, rest);
            }
            ([], []) => return true,
            _ => match retry {
                Some((behind, [_, rest @ ..])) => {
                    retry = Some((behind, rest));
                    (pattern, text) = (behind, rest);
                }
                _ => return false,
            },
        }
    }
}

/// Whether one of the patterns between commas matches, and none of those with `!`.
pub(super) fn list_matches(patterns: &[u8], text: &[u8], letters: Letters) -> bool {
    let mut found = false;
    for pattern in patterns.split(|byte| *byte == b',') {
        match pattern.strip_prefix(b"!") {
            Some(excluded) if matches(excluded, text, letters) => return false,
            Some(_) => {}
            None => found = found || matches(pattern, text, letters),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::Letters::{AnyCase, Exact};
    use super::{list_matches, matches};

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", true),
            ("**", "x", true),
            ("*?", "", false),
            ("?*", "x", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*.example", "www.example", true),
            ("*.example", ".example", true),
            ("*.example", "example", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("*a*b", "xaxbxab", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("*a?a", "aaaab", false),
            ("WWW.*", "www.Example", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), AnyCase),
                fits,
                "{pattern} {text}"
            );
        }
    }

    /// All short patterns against all short texts, judged by the definition.
    #[test]
    fn agrees_with_the_definition() {
        fn defined(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern, text) {
                ([], []) => true,
                ([b'*', behind @ ..], _) => {
                    (0..=text.len()).any(|taken| defined(behind, &text[taken..]))
                }
                ([letter, behind @ ..], [first, rest @ ..]) => {
                    (*letter == b'?' || letter == first) && defined(behind, rest)
                }
                _ => false,
            }
        }
        fn words(letters: &[u8], longest: usize) -> Vec<Vec<u8>> {
            let mut words = Vec::from([Vec::new()]);
            let mut start = 0;
            for _ in 0..longest {
                let end = words.len();
                for at in start..end {
                    for letter in letters {
                        words.push([&words[at][..], &[*letter]].concat());
                    }
                }
                start = end;
            }
            words
        }
        let texts = words(b"ab", 5);
        for pattern in words(b"ab?*", 5) {
            for text in &texts {
                assert_eq!(matches(&pattern, text, Exact), defined(&pattern, text));
            }
        }
    }

    /// M5: what takes a matcher that tries every way longer than the universe lasts.
    #[test]
    fn m5_many_stars_take_no_time() {
        let pattern = b"*?".repeat(4000);
        assert!(!matches(
            &[&pattern[..], b"y"].concat(),
            &[b'x'; 255],
            Exact
        ));
        assert!(!matches(
            &[&b"*a".repeat(120)[..], b"b"].concat(),
            &[b'a'; 255],
            Exact
        ));
    }

    #[test]
    fn exclusion_wins() {
        let list = b"*.example,!evil.example";
        assert!(list_matches(list, b"good.example", Exact));
        assert!(!list_matches(list, b"evil.example", Exact));
        assert!(!list_matches(b"!evil.example,*", b"evil.example", Exact));
        assert!(!list_matches(b"!evil.example", b"good.example", Exact));
        assert!(list_matches(b"A", b"a", AnyCase) && !list_matches(b"A", b"a", Exact));
        assert!(!list_matches(b"", b"a", Exact) && !list_matches(b",,", b"a", Exact));
    }
}
