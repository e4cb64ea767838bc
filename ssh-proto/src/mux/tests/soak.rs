//! Random calls on two sides: every byte arrives once and in order, and nothing is left at the end.

use alloc::collections::BTreeMap;

use super::*;

/// A generator of Knuth's; good enough to choose calls.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, faces: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % faces
    }
}

/// What one side knows of its channels.
#[derive(Default)]
struct Book {
    /// Bytes written and read; the n-th byte of a channel is n modulo 251.
    written: BTreeMap<u64, usize>,
    read: BTreeMap<u64, usize>,
    /// Channels that may be used, and the name that both sides know them by.
    open: Vec<(ChannelId, u64)>,
}

fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect()
}

struct Player {
    side: Side,
    book: Book,
}

impl Player {
    fn play(&mut self, dice: &mut Dice) {
        if self.book.open.is_empty() {
            return;
        }
        let place = dice.roll(self.book.open.len());
        let (id, name) = self.book.open[place];
        let mux = &mut self.side.mux;
        match dice.roll(40) {
            0 => {
                let _ = mux.close(id);
            }
            1 => {
                let _ = mux.finish(id);
            }
            2..20 => {
                let written = self.book.written.entry(name).or_default();
                let piece = bytes(*written, dice.roll(3000));
                let taken = if dice.roll(2) == 0 {
                    mux.write(id, DataStream::Data, &piece)
                } else {
                    mux.write_bytes(id, DataStream::Data, &mut piece.into())
                };
                *written += taken.unwrap_or(0);
            }
            _ => {
                if let Ok(Some(chunk)) = mux.read(id) {
                    let read = self.book.read.entry(name).or_default();
                    assert!(chunk.bytes == bytes(*read, chunk.bytes.len()));
                    *read += chunk.bytes.len();
                }
            }
        }
    }

    /// Takes a message of the other side, and all events.
    fn take(&mut self, payload: Bytes, copy: bool, accept: bool) {
        self.side.feed_payload(payload, copy).unwrap();
        self.events(accept);
    }

    fn events(&mut self, accept: bool) {
        while let Some(event) = self.side.event() {
            let (mux, out) = (&mut self.side.mux, &mut self.side.out);
            match event {
                MuxEvent::OpenRequested {
                    id,
                    kind: ChannelKind::Unknown { body, .. },
                } if accept => {
                    let name = u64::from_be_bytes(body[..].try_into().unwrap());
                    mux.accept_open(id, out).unwrap();
                    self.book.open.push((id, name));
                }
                MuxEvent::OpenRequested { id, .. } => {
                    mux.reject_open(id, OpenFailure::CONNECT_FAILED, "", out)
                        .unwrap();
                }
                MuxEvent::OpenFailed { id, .. } | MuxEvent::Closed { id } => {
                    assert_eq!(
                        mux.write(id, DataStream::Data, b""),
                        Err(ChannelError::Closed)
                    );
                    self.book.open.retain(|(open, _)| *open != id);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn random_calls_keep_every_byte_and_leave_nothing() {
    let limits = Limits {
        channels: 6,
        window_size: 5000,
        max_packet_size: 700,
        channel_send_buffer: 4000,
        ..Limits::default()
    };
    let mut total = 0;
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let mut next_name = 0u64;
        let mut players = [Role::Client, Role::Server].map(|role| {
            let mut side = Side::new(role, &limits);
            side.mux.allow_open(PeerOpens::ALL);
            Player {
                side,
                book: Book::default(),
            }
        });
        for _ in 0..3000 {
            let turn = dice.roll(2);
            let [a, b] = &mut players;
            let (us, them) = if turn == 0 { (a, b) } else { (b, a) };
            match dice.roll(60) {
                0 => {
                    let kind = ChannelKind::Unknown {
                        name: "soak".into(),
                        body: Bytes::copy_from_slice(&next_name.to_be_bytes()),
                    };
                    if let Ok(id) = us.side.mux.open(&kind, &mut us.side.out) {
                        us.book.open.push((id, next_name));
                        next_name += 1;
                    }
                }
                1..30 => us.play(&mut dice),
                _ => {
                    if let Some(payload) = us.side.send_one() {
                        us.events(true);
                        them.take(payload, dice.roll(2) == 0, dice.roll(5) > 0);
                    }
                }
            }
        }
        // Everything is closed, and each side takes what is left.
        loop {
            let mut quiet = true;
            for turn in [0, 1] {
                let [a, b] = &mut players;
                let (us, them) = if turn == 0 { (a, b) } else { (b, a) };
                for (id, _) in us.book.open.clone() {
                    let _ = us.side.mux.close(id);
                }
                us.events(true);
                while let Some(payload) = us.side.send_one() {
                    quiet = false;
                    us.events(true);
                    them.take(payload, true, true);
                }
            }
            if quiet {
                break;
            }
        }
        assert!(next_name > 5);
        for player in &players {
            let mux = &player.side.mux;
            assert_eq!((mux.table.len(), mux.unread, mux.unanswered), (0, 0, 0));
            assert!(player.book.open.is_empty() && !mux.wants_transmit());
        }
        for (us, them) in [(0, 1), (1, 0)] {
            for (name, read) in &players[us].book.read {
                assert!(*read <= players[them].book.written[name]);
                total += read;
            }
        }
    }
    assert!(total > 1 << 20, "{total}");
}
