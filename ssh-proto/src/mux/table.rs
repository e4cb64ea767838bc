//! The table of channels: wire numbers are indices, and ids of channels that are gone never match again.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::types::ChannelId;

/// A slab that hands out the lowest free index.
pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    /// No slot below is free.
    lowest_free: usize,
    occupied: usize,
}

/// A slot that is free costs two words.
struct Slot<T> {
    /// Changes when the slot becomes free. A slot at the last generation is never used again.
    generation: u32,
    value: Option<Box<T>>,
}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            lowest_free: 0,
            occupied: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.occupied
    }

    /// Adds a value; `None` if the numbers of the wire are used up.
    pub(super) fn insert(&mut self, value: T) -> Option<ChannelId> {
        let index = self
            .slots
            .iter()
            .enumerate()
            .skip(self.lowest_free)
            .find(|(_, slot)| slot.value.is_none() && slot.generation != u32::MAX)
            .map_or(self.slots.len(), |(index, _)| index);
        let number = u32::try_from(index).ok()?;
        if index == self.slots.len() {
            self.slots.push(Slot {
                generation: 0,
                value: None,
            });
        }
        let slot = self.slots.get_mut(index)?;
        slot.value = Some(Box::new(value));
        self.lowest_free = index.saturating_add(1);
        self.occupied = self.occupied.saturating_add(1);
        Some(ChannelId {
            index: number,
            generation: slot.generation,
        })
    }

    pub(super) fn get(&self, id: ChannelId) -> Option<&T> {
        let slot = self.slots.get(usize::try_from(id.index).ok()?)?;
        slot.value
            .as_deref()
            .filter(|_| slot.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: ChannelId) -> Option<&mut T> {
        let slot = self.slots.get_mut(usize::try_from(id.index).ok()?)?;
        let generation = slot.generation;
        slot.value
            .as_deref_mut()
            .filter(|_| generation == id.generation)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.value.as_deref())
    }

    /// The id of the value with this wire number.
    pub(super) fn find(&self, number: u32) -> Option<ChannelId> {
        let slot = self.slots.get(usize::try_from(number).ok()?)?;
        slot.value.as_ref().map(|_| ChannelId {
            index: number,
            generation: slot.generation,
        })
    }

    pub(super) fn remove(&mut self, id: ChannelId) -> Option<Box<T>> {
        let index = usize::try_from(id.index).ok()?;
        let slot = self.slots.get_mut(index)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.saturating_add(1);
        self.lowest_free = self.lowest_free.min(index);
        self.occupied = self.occupied.saturating_sub(1);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h3_the_lowest_index_is_reused_and_a_stale_id_finds_nothing() {
        let mut table = Table::new();
        let ids = [10, 11, 12].map(|value| table.insert(value).unwrap());
        assert_eq!(ids.map(|id| id.index), [0, 1, 2]);
        assert_eq!(table.remove(ids[1]).as_deref(), Some(&11));
        assert_eq!(table.remove(ids[0]).as_deref(), Some(&10));
        assert!(table.remove(ids[0]).is_none());
        let next = table.insert(13).unwrap();
        assert_eq!((next.index, next.generation), (0, 1));
        assert_eq!(table.get(next), Some(&13));
        assert_eq!(table.get(ids[0]), None);
        assert_eq!(table.get_mut(ids[0]), None);
        assert_eq!(table.find(0), Some(next));
        assert_eq!(table.find(1), None);
        assert_eq!(table.find(u32::MAX), None);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn h3_a_million_channels_leave_one_slot() {
        let mut table = Table::new();
        for _ in 0..1_000_000 {
            let id = table.insert(()).unwrap();
            table.remove(id).unwrap();
        }
        assert_eq!(table.slots.len(), 1);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn n8_a_slot_at_the_last_generation_is_retired() {
        let mut table = Table::new();
        let id = table.insert(1).unwrap();
        table.slots[0].generation = u32::MAX - 1;
        let last = table.find(0).unwrap();
        assert_ne!(id, last);
        table.remove(last).unwrap();
        assert_eq!(table.insert(2).unwrap().index, 1);
        assert_eq!(table.get(last), None);
    }
}
