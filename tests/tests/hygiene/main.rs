//! Memory hygiene (P1, P3, P4): no secret stands in memory that is given back, keys do not outlive their use, and nothing leaves that was not written to leave.
//!
//! A global allocator looks into every block that is freed. Not seen by it: the stack, registers,
//! and what a system pages out.

mod allocator;
mod connections;
mod files;
mod provider;
mod wire;

#[global_allocator]
static ALLOCATOR: allocator::Watching = allocator::Watching;

/// The test itself: what is dropped in clear is found, also what a growing buffer leaves behind.
#[test]
fn p1_leaks_are_found() {
    use allocator::Watch;
    let watch = Watch::begin();
    let bytes: [u8; 40] = std::array::from_fn(|i| 0xa0 ^ (i as u8).wrapping_mul(37));
    allocator::secret("a secret", &bytes);
    drop([&[1, 2, 3], &bytes[..]].concat());
    assert_eq!(watch.leaks().len(), 1);

    // Half of it, too; but less than is looked for is not.
    allocator::secret("a secret", &bytes);
    drop(bytes[16..32].to_vec());
    drop(bytes[..15].to_vec());
    let leaks = watch.leaks();
    assert_eq!((leaks.len(), leaks[0].name), (1, "a secret"));

    // A buffer that moves as it grows, and is wiped only at the end.
    allocator::secret("a secret", &bytes);
    let mut grown = Vec::with_capacity(bytes.len());
    grown.extend_from_slice(&bytes);
    grown.extend_from_slice(&[0; 100]);
    grown.fill(0);
    drop(grown);
    assert_eq!(watch.leaks().len(), 1);

    allocator::secret("a secret", &bytes);
    let mut wiped = bytes.to_vec();
    wiped.fill(0);
    std::hint::black_box(&wiped);
    drop(wiped);
    watch.assert_clean("wiped");
}
