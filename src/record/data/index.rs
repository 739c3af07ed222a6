//! The index of an object: the offsets of its keys and values in the JSON text.

use std::ops::Range;

/// The largest number of entries that an index stores inline. They need no allocation, and a linear search through them is
/// faster than a binary search: most keys already differ in their length.
pub(super) const MAX_INLINE: usize = 6;

/// The offsets and lengths of a key and its value, in bytes.
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
            key: saturating_u32(key.start),
            key_len: saturating_u32(key.len()),
            value: saturating_u32(value.start),
            value_len: saturating_u32(value.len()),
        }
    }

    /// The same entry in another text, to which the text at `from` was copied at `to`.
    pub(super) fn moved(self, from: usize, to: usize) -> Self {
        let moved = |offset: u32| saturating_u32(offset as usize - from + to);
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

    /// How many bytes the entry adds to an object.
    pub(super) fn len(self) -> usize {
        entry_len(self.key_len(), self.value_len as usize)
    }

    /// Whether only a comma separates this entry from the one before it.
    pub(super) fn follows(self, before: Self) -> bool {
        before.is_plain() && self.is_plain() && self.key == before.next_key()
    }

    /// Where the key of an entry that follows directly would begin.
    fn next_key(self) -> u32 {
        self.value
            .saturating_add(self.value_len)
            .saturating_add(BETWEEN_ENTRIES)
    }

    /// Whether only a colon separates the value from the key.
    fn is_plain(self) -> bool {
        self.value.checked_sub(self.key) == self.key_len.checked_add(WITHIN_ENTRY)
    }
}

/// An object too long for an index is refused as a whole, by its length.
fn saturating_u32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// From the end of a value to the next key: `,"`.
const BETWEEN_ENTRIES: u32 = 2;
/// From the end of a key to its value: `":`.
const WITHIN_ENTRY: u32 = 2;

/// The entries of an object, in order.
#[derive(Clone)]
pub(super) enum Index {
    Inline(InlineEntries),
    Heap(Vec<Entry>),
}

/// A few entries of a short text that follow each other directly: each entry ends where the next one begins.
#[derive(Clone)]
pub(super) struct InlineEntries {
    len: u8,
    /// Where each key begins. After the last entry: where the next key would begin.
    keys: [u16; MAX_INLINE + 1],
    values: [u16; MAX_INLINE],
}

impl Index {
    pub(super) const fn new() -> Self {
        Self::Inline(InlineEntries {
            len: 0,
            keys: [0; MAX_INLINE + 1],
            values: [0; MAX_INLINE],
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Inline(entries) => entries.len.into(),
            Self::Heap(entries) => entries.len(),
        }
    }

    /// The entry at a position, which must exist.
    pub(super) fn get(&self, position: usize) -> Entry {
        match self {
            Self::Inline(entries) => entries.get(position),
            Self::Heap(entries) => entries[position],
        }
    }

    /// Adds an entry. There will be `max_entries` at most, as far as the caller knows.
    pub(super) fn push(&mut self, entry: Entry, max_entries: usize) {
        match self {
            Self::Inline(inline) => {
                if !inline.push(entry) {
                    let mut entries = Vec::with_capacity(max_entries.max(MAX_INLINE + 1));
                    entries.extend(self.iter());
                    entries.push(entry);
                    *self = Self::Heap(entries);
                }
            }
            Self::Heap(entries) => entries.push(entry),
        }
    }

    /// Adds the entries at these positions of another index, whose text at `from` was copied to `to`.
    pub(super) fn append(
        &mut self,
        other: &Self,
        positions: Range<usize>,
        (from, to): (usize, usize),
        max_entries: usize,
    ) {
        if let (Self::Inline(inline), Self::Inline(other)) = (&mut *self, other)
            && inline.append(other, positions.clone(), (from, to))
        {
            return;
        }
        for entry in other.within(positions) {
            self.push(entry.moved(from, to), max_entries);
        }
    }

    /// The end of the first run of entries at these positions that follow each other directly in the text. There must be one
    /// entry at least.
    pub(super) fn end_of_run(&self, positions: Range<usize>) -> usize {
        match self {
            Self::Inline(_) => positions.end,
            Self::Heap(entries) => {
                let pairs = entries[positions.clone()].windows(2);
                let followers = pairs.take_while(|pair| pair[1].follows(pair[0]));
                positions.start + 1 + followers.count()
            }
        }
    }

    /// How many bytes all entries add to an object.
    pub(super) fn entries_len(&self) -> usize {
        match self {
            Self::Inline(entries) => {
                (entries.keys[usize::from(entries.len)] - entries.keys[0]).into()
            }
            Self::Heap(entries) => entries.iter().map(|entry| entry.len()).sum(),
        }
    }

    /// The first entry that matches.
    pub(super) fn find(&self, matches: impl Fn(&Entry) -> bool) -> Option<Entry> {
        match self {
            Self::Inline(entries) => entries.iter().find(matches),
            Self::Heap(entries) => entries.iter().find(|entry| matches(entry)).copied(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.within(0..self.len())
    }

    /// The entries at these positions.
    pub(super) fn within(&self, positions: Range<usize>) -> impl Iterator<Item = Entry> {
        positions.map(|position| self.get(position))
    }
}

impl InlineEntries {
    fn get(&self, position: usize) -> Entry {
        Self::entry([
            self.keys[position],
            self.values[position],
            self.keys[position + 1],
        ])
    }

    fn iter(&self) -> impl Iterator<Item = Entry> {
        let offsets = self.keys.windows(2).zip(&self.values);
        let entries = offsets.map(|(keys, value)| Self::entry([keys[0], *value, keys[1]]));
        entries.take(self.len.into())
    }

    /// The entry with these offsets of its key, of its value, and of the key after it.
    fn entry(offsets: [u16; 3]) -> Entry {
        let [key, value, next] = offsets.map(u32::from);
        Entry {
            key,
            key_len: value - WITHIN_ENTRY - key,
            value,
            value_len: next - BETWEEN_ENTRIES - value,
        }
    }

    /// Adds an entry, and returns whether it can be stored inline.
    fn push(&mut self, entry: Entry) -> bool {
        let position = usize::from(self.len);
        let follows = position == 0 || u32::from(self.keys[position]) == entry.key;
        let offsets = [entry.key, entry.value, entry.next_key()].map(u16::try_from);
        let [Ok(key), Ok(value), Ok(next)] = offsets else {
            return false;
        };
        if position == MAX_INLINE || !follows || !entry.is_plain() {
            return false;
        }
        self.keys[position] = key;
        self.values[position] = value;
        self.keys[position + 1] = next;
        self.len += 1;
        true
    }

    /// Adds the entries at these positions of another index, and returns whether they can be stored inline.
    fn append(
        &mut self,
        other: &Self,
        positions: Range<usize>,
        (from, to): (usize, usize),
    ) -> bool {
        let (Ok(from), Ok(to)) = (u16::try_from(from), u16::try_from(to)) else {
            return false;
        };
        let (first, next) = (usize::from(self.len), other.keys[positions.end] - from);
        let Some(next) = next.checked_add(to) else {
            return false;
        };
        let moved = |offset: u16| offset - from + to;
        let follows = first == 0 || moved(other.keys[positions.start]) == self.keys[first];
        if !follows || first + positions.len() > MAX_INLINE {
            return false;
        }
        for position in positions {
            let last = usize::from(self.len);
            self.keys[last] = moved(other.keys[position]);
            self.values[last] = moved(other.values[position]);
            self.len += 1;
        }
        self.keys[usize::from(self.len)] = next;
        true
    }
}

/// How many bytes an entry adds to an object, its comma included.
pub(crate) fn entry_len(key: usize, value: usize) -> usize {
    "\"\":,".len() + key + value
}
