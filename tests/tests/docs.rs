//! Documents that repeat the code are held to it: the limits page is generated, the README shows the examples.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The doc comments, names and defaults of `limits.rs`, as the page shows them.
fn limits_page(source: &str) -> String {
    let default_of = |field: &str| {
        let prefix = format!("            {field}: ");
        let line = source.lines().find(|line| line.starts_with(&prefix))?;
        Some(line[prefix.len()..].trim_end_matches(',').to_owned())
    };
    let (mut constants, mut fields) = (Vec::new(), Vec::new());
    let mut docs: Vec<&str> = Vec::new();
    for line in source.lines() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim());
            continue;
        }
        let doc = docs
            .join(" ")
            .replace("[`Self::", "`")
            .replace("[`", "`")
            .replace("`]", "`");
        if let Some(item) = line.strip_prefix("pub const ") {
            let (name, rest) = item.split_once(": ").unwrap();
            let value = rest.split_once(" = ").unwrap().1.trim_end_matches(';');
            constants.push(format!("| `{name}` | `{value}` | {doc} |"));
        } else if let Some(item) = line.strip_prefix("pub ").filter(|item| item.ends_with(',')) {
            let name = item.split_once(':').unwrap().0;
            let default = default_of(name).unwrap_or_else(|| panic!("{name} has no default"));
            fields.push(format!("| `{name}` | `{default}` | {doc} |"));
        }
        if !line.starts_with("#[") {
            docs.clear();
        }
    }
    assert!(
        constants.len() > 20 && fields.len() > 20,
        "limits.rs has another form than expected"
    );
    format!(
        "# Limits\n\n\
         Every bound on what a peer can make a connection hold or do stands in\n\
         `ssh-proto/src/limits.rs`, with its reason. This page is made from it: after a change there,\n\
         run `UPDATE_DOCS=1 cargo test -p ssh-tests --test docs`.\n\n\
         ## Per connection\n\n\
         Fields of `Limits`, set through `limits` of the config builders. Clients are built with\n\
         `login_grace` and `decision_timeout` off, since people are asked there.\n\n\
         | field | default | what and why |\n|---|---|---|\n{}\n\n\
         ## Fixed\n\n\
         | constant | value | what and why |\n|---|---|---|\n{}\n",
        fields.join("\n"),
        constants.join("\n")
    )
}

#[test]
fn the_limits_page_is_that_of_the_code() {
    let page = limits_page(&read("ssh-proto/src/limits.rs"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join("docs/limits.md"), &page).unwrap();
    }
    assert!(
        read("docs/limits.md") == page,
        "run UPDATE_DOCS=1 cargo test -p ssh-tests --test docs"
    );
}

#[test]
fn the_readme_shows_the_examples() {
    let readme = read("README.md");
    for example in [
        "ssh-proto/examples/quickstart.rs",
        "ssh-io-std/examples/quickstart_std.rs",
    ] {
        let code = read(example);
        let code = code.split_once("\n\n").unwrap().1.trim_end();
        assert!(
            readme.contains(code),
            "README.md does not show {example} as it is"
        );
    }
}

/// What stands in the source between two texts.
fn between<'s>(source: &'s str, start: &str, end: &str) -> &'s str {
    let (_, rest) = source.split_once(start).unwrap();
    rest.split_once(end).unwrap().0
}

/// What a source says of flags: the arms of the parser, and those that are refused for now.
fn flags_of(arms: &str, quote: char) -> Vec<&str> {
    let lines = arms.lines().map(str::trim);
    let arms = lines.filter(|line| line.starts_with(quote));
    let quoted = arms.flat_map(|arm| {
        let patterns = arm.split_once(" =>").map_or(arm, |(patterns, _)| patterns);
        patterns.split(quote).skip(1).step_by(2)
    });
    quoted.collect()
}

#[test]
fn every_flag_of_the_example_server_and_client_is_described() {
    let page = read("docs/examples.md");
    let (server_page, client_page) = page.split_once("## Client").unwrap();
    let source = read("ssh-io-std/examples/server/args.rs");
    let (source, _) = source.split_once("#[cfg(test)]").unwrap();
    let flags = flags_of(between(source, "match flag {", "later if"), '"');
    assert!(flags.len() > 20, "{flags:?}");
    let usage = between(source, "USAGE: &str = \"", "\";");
    for flag in &flags {
        assert!(usage.contains(flag), "{flag} is not in the usage");
    }
    let later = between(source, "const LATER", "];").split('"');
    let later: Vec<&str> = later.skip(1).step_by(2).collect();
    assert!(later.contains(&"--sftp"));
    for flag in flags.into_iter().chain(later) {
        let described = [format!("`{flag}`"), format!("`{flag} ")];
        let described = described.iter().any(|flag| server_page.contains(flag));
        assert!(described, "{flag} is not in docs/examples.md");
    }

    let source = read("ssh-io-std/examples/client/options.rs");
    let keywords = read("ssh-io-std/examples/client/keywords.rs");
    let flags = flags_of(between(&source, "match flag {", "_ if LATER"), '\'');
    assert!(flags.len() > 20, "{flags:?}");
    let usage = between(&keywords, "USAGE: &str = \"", "\";");
    for flag in &flags {
        let flag = format!("-{flag} ");
        assert!(usage.contains(&flag), "{flag} is not in the usage");
    }
    let later = between(&keywords, "LATER: &str = \"", "\";");
    let flags = flags.iter().map(|flag| format!("-{flag}"));
    let later = later.chars().map(|flag| format!("-{flag}"));
    let long = ["--password-fd".to_owned(), "--help".to_owned()];
    for flag in flags.chain(later).chain(long) {
        let described = [format!("`{flag}`"), format!("`{flag} ")];
        let described = described.iter().any(|flag| client_page.contains(flag));
        assert!(described, "{flag} is not in docs/examples.md");
    }
    let used = flags_of(between(&keywords, "const USED", "];"), '"');
    assert!(used.len() > 20);
    for keyword in used {
        let described = client_page.contains(&format!("`{keyword}`"));
        assert!(described, "{keyword} is not in docs/examples.md");
    }
}

#[test]
fn links_between_documents_hold() {
    let mut checked = 0;
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/algorithms.md",
        "docs/architecture.md",
        "docs/driving.md",
        "docs/examples.md",
        "docs/interop.md",
        "docs/performance.md",
        "docs/reference-api.md",
    ] {
        let base = root().join(page);
        for link in read(page).split("](").skip(1) {
            let target = link.split(')').next().unwrap().split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = base.parent().unwrap().join(target);
            assert!(
                path.exists(),
                "{page} links to {target}, which is not there"
            );
            checked += 1;
        }
    }
    assert!(checked > 5);
}

/// The tokens that the core hands out, and what takes each of them by value.
fn tokens_and_answers() -> Vec<(String, Vec<String>)> {
    let tokens = read("ssh-proto/src/engine/token.rs") + &read("ssh-proto/src/engine/policy.rs");
    let names = tokens.split("#[must_use = ").skip(1).filter_map(|rest| {
        let (_, name) = rest.split_once("pub struct ")?;
        Some(name.split([' ', '(', '<']).next()?.to_owned())
    });
    let faces = [
        "client",
        "server",
        "server/auth",
        "server/policy",
        "connection",
    ];
    let faces = faces.map(|name| read(&format!("ssh-proto/src/{name}.rs")));
    let mut found: Vec<(String, Vec<String>)> = names.map(|name| (name, Vec::new())).collect();
    for face in &faces {
        // Methods of a trait have no `pub`; those that are private stand in `pub(crate)` or bare
        // behind four blanks in the others.
        let start = match face.contains("pub trait Connection") {
            true => "\n    fn ",
            false => "\n    pub fn ",
        };
        for method in face.split(start).skip(1) {
            let (head, _) = method.split_once('{').unwrap_or((method, ""));
            let (name, arguments) = head.split_once('(').unwrap();
            for (token, answers) in &mut found {
                let takes = [',', ')'].map(|end| arguments.contains(&format!(": {token}{end}")));
                if takes.contains(&true) {
                    answers.push(name.to_owned());
                }
            }
        }
    }
    found
}

/// Each token has one row, which names all that answers it.
#[test]
fn every_token_and_its_answers_are_in_the_table() {
    let page = read("docs/driving.md");
    let table = between(&page, "## Tokens", "\n## ");
    let tokens = tokens_and_answers();
    assert!(tokens.len() > 12, "{tokens:?}");
    for (token, answers) in tokens {
        assert!(!answers.is_empty(), "nothing answers {token}");
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| {
                let token = format!("`{token}`");
                line.split('|')
                    .nth(2)
                    .is_some_and(|cell| cell.contains(&token))
            })
            .collect();
        let [row] = rows[..] else {
            panic!("{token} has {} rows", rows.len());
        };
        for answer in answers {
            assert_eq!(
                row.matches(&format!("`{answer}`")).count(),
                1,
                "{answer} in the row of {token}"
            );
        }
    }
}
