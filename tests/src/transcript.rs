//! What happened, in a form that two runs can be compared by.

/// The bytes that one side sent and the events it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Everything sent, in order.
    pub sent: Vec<u8>,
    /// The `Debug` text of each event, in order.
    pub events: Vec<String>,
}

impl Transcript {
    /// Panics where two runs part, saying where.
    pub fn assert_same(&self, other: &Self) {
        for (at, (ours, theirs)) in self.events.iter().zip(&other.events).enumerate() {
            assert_eq!(ours, theirs, "event {at} differs");
        }
        assert_eq!(self.events.len(), other.events.len(), "number of events");
        let differs = self.sent.iter().zip(&other.sent).position(|(a, b)| a != b);
        assert_eq!(differs, None, "the first byte sent that differs");
        assert_eq!(self.sent.len(), other.sent.len(), "bytes sent");
    }
}
