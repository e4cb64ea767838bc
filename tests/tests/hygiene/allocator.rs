//! An allocator that looks for the secrets of a test in every block that is freed, those that a growing `Vec` leaves behind included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is looked for: so many bytes in a row, wherever they stand.
const CHUNK: usize = 16;

/// What new memory is full of.
pub(crate) const UNWRITTEN: u8 = 0xd5;

const MAX_CHUNKS: usize = 4096;
const MAX_LEAKS: usize = 32;

/// A part of a secret that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leak {
    /// Of which secret.
    pub(crate) name: &'static str,
    /// The size of the block that was freed.
    pub(crate) block: usize,
}

struct Table {
    /// Which beginnings there are, so that most of a block is passed over quickly.
    starts: [u64; 1024],
    chunks: [([u8; CHUNK], &'static str); MAX_CHUNKS],
    count: usize,
    leaks: [Leak; MAX_LEAKS],
    leak_count: usize,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    starts: [0; 1024],
    chunks: [([0; CHUNK], ""); MAX_CHUNKS],
    count: 0,
    leaks: [Leak { name: "", block: 0 }; MAX_LEAKS],
    leak_count: 0,
});

/// Whether there is anything to look for.
static WATCHING: AtomicBool = AtomicBool::new(false);

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn start(bytes: &[u8]) -> (usize, u64) {
        let start = usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
        (start / 64, 1 << (start % 64))
    }

    fn add(&mut self, name: &'static str, chunk: [u8; CHUNK]) -> bool {
        let known = self.chunks[..self.count].iter().any(|(c, _)| *c == chunk);
        if known || self.count == MAX_CHUNKS {
            return known;
        }
        let (word, bit) = Self::start(&chunk);
        self.starts[word] |= bit;
        self.chunks[self.count] = (chunk, name);
        self.count += 1;
        true
    }

    /// The name of a secret of which a part stands in these bytes.
    fn find(&self, block: &[u8]) -> Option<&'static str> {
        block.windows(CHUNK).find_map(|window| {
            let (word, bit) = Self::start(window);
            if self.starts[word] & bit == 0 {
                return None;
            }
            let mut chunks = self.chunks[..self.count].iter();
            chunks
                .find(|(chunk, _)| chunk == window)
                .map(|(_, name)| *name)
        })
    }
}

thread_local! {
    /// Set while a backtrace is printed, which itself allocates.
    static PRINTING: Cell<bool> = const { Cell::new(false) };
}

/// The allocator.
pub(crate) struct Watching;

// SAFETY: forwards to the system's allocator and only reads before a block is freed.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as our caller promised.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            // Every byte can be read later, and none is of a block that was freed before.
            // SAFETY: the block is as long as that, and nobody else's.
            unsafe { block.write_bytes(UNWRITTEN, layout.size()) };
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as our caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() >= CHUNK && WATCHING.load(Ordering::Relaxed) {
            // SAFETY: the block is still allocated, nobody else uses it any more, and it was
            // initialised by `alloc`.
            let block = unsafe { std::slice::from_raw_parts(pointer, layout.size()) };
            look_into(block);
        }
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    // The default of `realloc` makes a new block and frees the old one by the functions above.
}

fn look_into(block: &[u8]) {
    // Nothing may allocate while the table is locked.
    let mut table = table();
    let Some(name) = table.find(block) else {
        return;
    };
    let count = table.leak_count;
    if let Some(leak) = table.leaks.get_mut(count) {
        *leak = Leak {
            name,
            block: block.len(),
        };
        table.leak_count += 1;
    }
    drop(table);
    if !PRINTING.replace(true) {
        if std::env::var_os("HYGIENE_BACKTRACE").is_some() {
            let size = block.len();
            eprintln!(
                "{name} in a freed block of {size} bytes\n{}",
                std::backtrace::Backtrace::force_capture()
            );
        }
        PRINTING.set(false);
    }
}

/// A test's turn: secrets are looked for until it is dropped. With `HYGIENE_BACKTRACE` in the
/// environment, the place where a block with a secret is freed is printed.
pub(crate) struct Watch {
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Watch {
    /// One at a time: the table is of the whole process.
    pub(crate) fn begin() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        forget();
        WATCHING.store(true, Ordering::Relaxed);
        Self { _turn: turn }
    }

    /// What was found since the last call. The secrets of one scene are not looked for in the next.
    pub(crate) fn leaks(&self) -> Vec<Leak> {
        let mut found = [Leak { name: "", block: 0 }; MAX_LEAKS];
        let count = {
            let table = table();
            found[..table.leak_count].copy_from_slice(&table.leaks[..table.leak_count]);
            table.leak_count
        };
        forget();
        found[..count].to_vec()
    }

    /// Asserts that nothing was found, but that there was something to look for.
    #[track_caller]
    pub(crate) fn assert_clean(&self, scene: &str) {
        let secrets = table().count;
        assert!(secrets > 0, "{scene}: no secret was named");
        assert_eq!(self.leaks(), [], "{scene}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHING.store(false, Ordering::Relaxed);
        forget();
    }
}

fn forget() {
    let mut table = table();
    table.starts = [0; 1024];
    table.count = 0;
    table.leak_count = 0;
}

/// Names a secret of at least 16 bytes: any 16 of it that begin at a multiple of 16, and its last
/// 16, are not to be seen in a block that is freed.
pub(crate) fn secret(name: &'static str, bytes: &[u8]) {
    assert!(bytes.len() >= CHUNK, "{name} is too short to be found");
    let room = {
        let mut table = table();
        let (chunks, _) = bytes.as_chunks::<CHUNK>();
        let last = bytes.last_chunk::<CHUNK>();
        let mut chunks = chunks.iter().chain(last);
        chunks.all(|chunk| table.add(name, *chunk))
    };
    assert!(room, "more secrets than the table holds");
}
