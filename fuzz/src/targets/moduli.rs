//! The text of a file of moduli: every group that is read is one that may be used.

use ssh_proto::crypto::DhGroup;

/// Reads groups, and looks at public values in them.
pub fn moduli(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mut groups, mut last) = (0, 0);
    for item in DhGroup::parse_moduli(&text) {
        let group = match item {
            Ok(group) => group,
            Err(error) => {
                assert!(error.line > last && error.line <= text.lines().count());
                last = error.line;
                let _ = error.to_string();
                continue;
            }
        };
        groups += 1;
        assert!((2048..=8192).contains(&group.bits()));
        assert_eq!(group.prime().last().map(|byte| byte & 1), Some(1));
        let again = DhGroup::new(group.prime(), group.generator());
        assert_eq!(again.as_ref(), Ok(&group));
        // Neither 0, 1, p - 1, p nor anything above is a public value.
        let mut below = group.prime().to_vec();
        if let Some(byte) = below.last_mut() {
            *byte -= 1;
        }
        let above = [&[1], group.prime()].concat();
        for value in [&[][..], &[0], &[1], &below, group.prime(), &above] {
            assert!(!group.is_public_value(value));
        }
    }
    assert!(groups <= text.lines().count());
}
