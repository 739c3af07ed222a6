//! Where the keys of an object and their values stand in its text.

use std::ops::Range;

/// So many entries of a short text take no allocation, and are faster looked through than searched, most of them by the
/// length of their keys alone.
pub(super) const FEW: usize = 6;

/// Where a key and its value stand.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
}

impl Entry {
    pub(super) fn new(key: Range<usize>, value: Range<usize>) -> Self {
        Self {
            key: short(key.start),
            key_len: short(key.len()),
            value: short(value.start),
            value_len: short(value.len()),
        }
    }

    /// The same entry in a text where what stood at `from` stands at `to`.
    pub(super) fn moved(self, from: usize, to: usize) -> Self {
        let moved = |place: u32| short(place as usize - from + to);
        Self {
            key: moved(self.key),
            value: moved(self.value),
            ..self
        }
    }

    pub(super) fn key(self) -> Range<usize> {
        self.key as usize..self.key as usize + self.key_len()
    }

    pub(super) fn key_len(self) -> usize {
        self.key_len as usize
    }

    pub(super) fn value(self) -> Range<usize> {
        self.value as usize..self.value as usize + self.value_len as usize
    }

    /// What it adds to the length of an object.
    pub(super) fn len(self) -> usize {
        super::entry_len(self.key_len(), self.value_len as usize)
    }

    /// Whether nothing but a comma parts it from the entry before.
    pub(super) fn follows(self, before: Self) -> bool {
        before.is_plain() && self.is_plain() && self.key == before.next_key()
    }

    /// Where the key of an entry that follows would begin.
    fn next_key(self) -> u32 {
        self.value
            .saturating_add(self.value_len)
            .saturating_add(BETWEEN_ENTRIES)
    }

    /// Whether nothing but a colon parts the value from the key.
    fn is_plain(self) -> bool {
        self.value.checked_sub(self.key) == self.key_len.checked_add(WITHIN_ENTRY)
    }
}

/// What does not fit is found out when all is written.
fn short(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// From the end of a value to the next key: `,"`.
const BETWEEN_ENTRIES: u32 = 2;
/// From the end of a key to its value: `":`.
const WITHIN_ENTRY: u32 = 2;

/// The entries of an object, in their order.
#[derive(Clone)]
pub(super) enum Index {
    Few(Few),
    Many(Vec<Entry>),
}

/// A few entries that follow each other in a short text: where one begins, the one before it has ended.
#[derive(Clone)]
pub(super) struct Few {
    len: u8,
    /// The last one that counts is where the key after all entries would begin.
    keys: [u16; FEW + 1],
    values: [u16; FEW],
}

impl Index {
    pub(super) const fn new() -> Self {
        Self::Few(Few {
            len: 0,
            keys: [0; FEW + 1],
            values: [0; FEW],
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len.into(),
            Self::Many(entries) => entries.len(),
        }
    }

    /// The entry at a place of their order, which has to be there.
    pub(super) fn get(&self, place: usize) -> Entry {
        match self {
            Self::Few(few) => few.get(place),
            Self::Many(entries) => entries[place],
        }
    }

    /// Adds an entry, of which there will be no more than `most`, as far as is known.
    pub(super) fn push(&mut self, entry: Entry, most: usize) {
        match self {
            Self::Few(few) => {
                if !few.push(entry) {
                    let mut entries = Vec::with_capacity(most.max(FEW + 1));
                    entries.extend(self.iter());
                    entries.push(entry);
                    *self = Self::Many(entries);
                }
            }
            Self::Many(entries) => entries.push(entry),
        }
    }

    /// Adds the entries at these places of another index, when what stands at `from` in its text was copied to `to`.
    pub(super) fn append(
        &mut self,
        other: &Self,
        places: Range<usize>,
        (from, to): (usize, usize),
        most: usize,
    ) {
        if let (Self::Few(few), Self::Few(other)) = (&mut *self, other)
            && few.append(other, places.clone(), (from, to))
        {
            return;
        }
        for entry in other.within(places) {
            self.push(entry.moved(from, to), most);
        }
    }

    /// Up to where the entries at these places, of which there is one at least, follow each other in the text.
    pub(super) fn end_of_run(&self, places: Range<usize>) -> usize {
        match self {
            Self::Few(_) => places.end,
            Self::Many(entries) => {
                let pairs = entries[places.clone()].windows(2);
                let followers = pairs.take_while(|pair| pair[1].follows(pair[0]));
                places.start + 1 + followers.count()
            }
        }
    }

    /// What all entries add to the length of an object.
    pub(super) fn entries_len(&self) -> usize {
        match self {
            Self::Few(few) => (few.keys[usize::from(few.len)] - few.keys[0]).into(),
            Self::Many(entries) => entries.iter().map(|entry| entry.len()).sum(),
        }
    }

    /// The first entry for which this holds.
    pub(super) fn find(&self, is_it: impl Fn(&Entry) -> bool) -> Option<Entry> {
        match self {
            Self::Few(few) => few.iter().find(is_it),
            Self::Many(entries) => entries.iter().find(|entry| is_it(entry)).copied(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.within(0..self.len())
    }

    /// Those at these places.
    pub(super) fn within(&self, places: Range<usize>) -> impl Iterator<Item = Entry> {
        places.map(|place| self.get(place))
    }
}

impl Few {
    fn get(&self, place: usize) -> Entry {
        Self::entry([self.keys[place], self.values[place], self.keys[place + 1]])
    }

    fn iter(&self) -> impl Iterator<Item = Entry> {
        let places = self.keys.windows(2).zip(&self.values);
        let entries = places.map(|(keys, value)| Self::entry([keys[0], *value, keys[1]]));
        entries.take(self.len.into())
    }

    /// The entry whose key, whose value and after which the next key begins there.
    fn entry(places: [u16; 3]) -> Entry {
        let [key, value, next] = places.map(u32::from);
        Entry {
            key,
            key_len: value - WITHIN_ENTRY - key,
            value,
            value_len: next - BETWEEN_ENTRIES - value,
        }
    }

    /// Adds an entry, if it is one that can be added here.
    fn push(&mut self, entry: Entry) -> bool {
        let place = usize::from(self.len);
        let follows = place == 0 || u32::from(self.keys[place]) == entry.key;
        let places = [entry.key, entry.value, entry.next_key()].map(u16::try_from);
        let [Ok(key), Ok(value), Ok(next)] = places else {
            return false;
        };
        if place == FEW || !follows || !entry.is_plain() {
            return false;
        }
        self.keys[place] = key;
        self.values[place] = value;
        self.keys[place + 1] = next;
        self.len += 1;
        true
    }

    /// Adds those at these places of another text, if they can be added here.
    fn append(&mut self, other: &Self, places: Range<usize>, (from, to): (usize, usize)) -> bool {
        let (Ok(from), Ok(to)) = (u16::try_from(from), u16::try_from(to)) else {
            return false;
        };
        let (first, next) = (usize::from(self.len), other.keys[places.end] - from);
        let Some(next) = next.checked_add(to) else {
            return false;
        };
        let moved = |place: u16| place - from + to;
        let follows = first == 0 || moved(other.keys[places.start]) == self.keys[first];
        if !follows || first + places.len() > FEW {
            return false;
        }
        for place in places {
            let last = usize::from(self.len);
            self.keys[last] = moved(other.keys[place]);
            self.values[last] = moved(other.values[place]);
            self.len += 1;
        }
        self.keys[usize::from(self.len)] = next;
        true
    }
}
