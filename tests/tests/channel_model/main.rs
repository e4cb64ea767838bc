//! A model of the connection protocol: random operations on both ends of a pair, against a few integers and queues for each channel that say what must have happened.
//!
//! After each operation what may be is checked; whenever the pair has come to rest, what must be:
//! nothing that can be delivered, answered or closed is left undone.

mod check;
mod model;

use ssh_proto::{ClientEvent, Connection, ExtendedData, PeerOpens, ServerEvent};
use ssh_tests::{Chunking, Connected, Mode, Pair, TestRng};

use self::model::{BUFFER, Model, PACKET, WINDOW, answer, answer_global};

/// The pair and its model.
struct Run {
    c: Connected,
    model: Model,
    rng: TestRng,
}

/// Calls a method of the model with the connection of a side.
macro_rules! on {
    ($run:expr, $side:expr, $method:ident $(, $argument:expr)*) => {{
        let (pair, model, side) = (&mut $run.c.pair, &mut $run.model, $side);
        match side {
            0 => model.$method(&mut pair.client, side $(, $argument)*),
            _ => model.$method(&mut pair.server, side $(, $argument)*),
        }
    }};
}

impl Run {
    fn new(mode: Mode, seed: u64, most: u32) -> Self {
        let builder = Pair::builder(mode)
            .client(|b| {
                b.peer_channels(PeerOpens::ALL)
                    .extended_data(ExtendedData::All)
            })
            .server(|b| b.extended_data(ExtendedData::All))
            .limits(|limits| {
                limits.window_size = WINDOW;
                limits.max_window_size = most;
                limits.max_packet_size = PACKET;
                limits.channel_send_buffer = BUFFER;
                limits.peer_rekeys = u32::MAX;
            });
        Self {
            c: Connected::of(builder),
            model: Model::new(most),
            rng: TestRng::new(seed),
        }
    }

    /// Passes events on to the model.
    fn events(&mut self) {
        let (c, model, rng) = (&mut self.c, &mut self.model, &mut self.rng);
        for event in c.client.events.drain(..) {
            if let ClientEvent::Shared(event) = event {
                model.saw(&mut c.pair.client, 0, event, rng);
            }
        }
        for event in c.server.events.drain(..) {
            if let ServerEvent::Shared(event) = event {
                model.saw(&mut c.pair.server, 1, event, rng);
            }
        }
    }

    fn step(&mut self) -> bool {
        let Connected {
            pair,
            client,
            server,
        } = &mut self.c;
        let is_busy = pair.step(client, server);
        self.events();
        self.model.check([&self.c.pair.client, &self.c.pair.server]);
        is_busy
    }

    fn rest(&mut self) {
        // Answers to events may bring more about.
        while self.step() {}
        let pair = &self.c.pair;
        assert!(!pair.client.wants_write() && !pair.server.wants_write());
        self.model.check_rest([&pair.client, &pair.server]);
    }

    fn operate(&mut self) {
        let side = self.rng.below(2);
        let live = self.model.channels.iter().filter(|(_, it)| !it.is_over);
        let numbers: Vec<u64> = live.map(|(number, _)| *number).collect();
        let choice = self.rng.below(100);
        if numbers.is_empty() || choice < 4 {
            return on!(self, side, open, &mut self.rng);
        }
        let number = numbers[self.rng.below(numbers.len())];
        let rng = &mut self.rng;
        match choice {
            4..28 => on!(self, side, write, number, rng),
            28..45 => on!(self, side, read, number, 1 + rng.below(5)),
            45..50 => on!(self, side, read, number, usize::MAX),
            50..60 => on!(self, side, request, number, rng),
            60..64 => on!(self, side, global_request, rng),
            64..76 => on!(self, side, answer_one, number, rng),
            76..78 => on!(self, side, finish, number),
            78 => on!(self, side, close, number),
            79..81 => {
                let size = [0, 1, PACKET, WINDOW, 3 * WINDOW][rng.below(5)];
                on!(self, side, set_window, number, size);
            }
            81 => {
                let pair = &mut self.c.pair;
                match side {
                    0 => pair.client.rekey(),
                    _ => pair.server.rekey(),
                }
                .expect("randomness");
            }
            82..95 => drop(self.step()),
            _ => self.rest(),
        }
        self.events();
        self.model.check([&self.c.pair.client, &self.c.pair.server]);
    }

    /// Brings everything to its end: what was written is read, what was asked is answered, and
    /// what is open is closed.
    fn wind_up(&mut self) {
        let sides = |model: &Model| -> Vec<(usize, u64)> {
            let numbers = model.channels.keys();
            numbers
                .flat_map(|number| [(0, *number), (1, *number)])
                .collect()
        };
        self.model.ends = true;
        self.rest();
        for (side, number) in sides(&self.model) {
            if self.model.channels[&number].opener != side {
                on!(self, side, decide, number);
            }
            on!(self, side, set_window, number, 2 * WINDOW);
        }
        self.rest();
        for (side, number) in sides(&self.model) {
            let channel = self.model.channels.get_mut(&number).expect("a channel");
            for token in channel.ends[1 - side].requests.held.split_off(0) {
                match side {
                    0 => answer(&mut self.c.pair.client, token),
                    _ => answer(&mut self.c.pair.server, token),
                }
            }
        }
        for token in self.model.globals[1].held.split_off(0) {
            answer_global(&mut self.c.pair.client, token);
        }
        for token in self.model.globals[0].held.split_off(0) {
            answer_global(&mut self.c.pair.server, token);
        }
        self.read_everything();
        for channel in self.model.channels.values() {
            if channel.ends.iter().all(|end| end.closed == 0) {
                let [client, server] = &channel.ends;
                assert_eq!((client.read, server.read), (server.written, client.written));
                assert!(client.requests.awaiting.is_empty());
                assert!(server.requests.awaiting.is_empty());
            }
        }
        assert!(
            self.model
                .globals
                .iter()
                .all(|globals| globals.awaiting.is_empty())
        );
        for (side, number) in sides(&self.model) {
            if self.rng.below(2) == 0 || side == 1 {
                on!(self, side, close, number);
            }
        }
        self.read_everything();
        assert!(self.model.channels.is_empty(), "{:?}", self.model.channels);
    }

    fn read_everything(&mut self) {
        loop {
            self.rest();
            let before = self.model.bytes;
            let numbers: Vec<u64> = self.model.channels.keys().copied().collect();
            for number in numbers {
                on!(self, 0, read, number, usize::MAX);
                on!(self, 1, read, number, usize::MAX);
            }
            self.rest();
            if self.model.bytes == before {
                return;
            }
        }
    }
}

#[test]
fn random_operations_follow_the_model() {
    let mut totals = [0; 3];
    for mode in Mode::ALL {
        let operations = match mode.chunking {
            Chunking::ByteAtATime => 250,
            _ => 700,
        };
        for seed in 0..8 {
            for most in [WINDOW, 8 * WINDOW] {
                // Shown on failure.
                println!("{mode:?}, seed {seed}, windows up to {most}");
                let mut run = Run::new(mode, seed, most);
                for _ in 0..operations {
                    run.operate();
                }
                run.wind_up();
                let Model {
                    bytes,
                    replies,
                    lived,
                    ..
                } = run.model;
                totals = [totals[0] + bytes, totals[1] + replies, totals[2] + lived];
            }
        }
    }
    println!("bytes, replies, channels: {totals:?}");
    assert!(
        totals[0] > 1 << 20 && totals[1] > 1000 && totals[2] > 300,
        "{totals:?}"
    );
}
