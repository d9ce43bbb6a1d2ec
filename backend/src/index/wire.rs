//! Plain little-endian bytes for the snapshot and the log.
//!
//! Nothing here trusts its input: every length is checked against what is left,
//! so that a damaged file is an error and never a panic or a huge allocation.

/// The bytes do not hold what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end early or do not fit together")]
pub(crate) struct Damaged;

/// A type of number that is stored in columns.
pub(crate) trait Number: Copy {
    /// Appends the little-endian form of all.
    fn write(numbers: &[Self], out: &mut Vec<u8>);
    /// Reads `count` numbers from the front.
    fn read(bytes: &mut &[u8], count: usize) -> Result<Vec<Self>, Damaged>;
}

macro_rules! number {
    ($type:ty, $size:expr) => {
        impl Number for $type {
            fn write(numbers: &[Self], out: &mut Vec<u8>) {
                out.reserve(numbers.len() * $size);
                for number in numbers {
                    out.extend_from_slice(&number.to_le_bytes());
                }
            }
            fn read(bytes: &mut &[u8], count: usize) -> Result<Vec<Self>, Damaged> {
                let length = count.checked_mul($size).ok_or(Damaged)?;
                let (mine, rest) = bytes.split_at_checked(length).ok_or(Damaged)?;
                *bytes = rest;
                let (chunks, _) = mine.as_chunks::<$size>();
                Ok(chunks
                    .iter()
                    .map(|chunk| <$type>::from_le_bytes(*chunk))
                    .collect())
            }
        }
    };
}
number!(u8, 1);
number!(u16, 2);
number!(u32, 4);
number!(u64, 8);

impl<const N: usize> Number for [u8; N] {
    fn write(numbers: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(numbers.as_flattened());
    }
    fn read(bytes: &mut &[u8], count: usize) -> Result<Vec<Self>, Damaged> {
        let length = count.checked_mul(N).ok_or(Damaged)?;
        let (mine, rest) = bytes.split_at_checked(length).ok_or(Damaged)?;
        *bytes = rest;
        Ok(mine.as_chunks::<N>().0.to_vec())
    }
}

/// Appends one number.
pub(crate) fn put<T: Number>(number: T, out: &mut Vec<u8>) {
    T::write(&[number], out);
}

/// Appends a column with its length.
pub(crate) fn put_column<T: Number>(column: &[T], out: &mut Vec<u8>) {
    put(column.len() as u64, out);
    T::write(column, out);
}

/// Appends a text with its length.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_column(text.as_bytes(), out);
}

/// Appends a text that may be missing.
pub(crate) fn put_option(text: Option<&str>, out: &mut Vec<u8>) {
    put(u8::from(text.is_some()), out);
    if let Some(text) = text {
        put_text(text, out);
    }
}

/// Takes one number.
pub(crate) fn take<T: Number>(bytes: &mut &[u8]) -> Result<T, Damaged> {
    Ok(T::read(bytes, 1)?[0])
}

/// Takes a column.
pub(crate) fn take_column<T: Number>(bytes: &mut &[u8]) -> Result<Vec<T>, Damaged> {
    let count = take_length(bytes)?;
    T::read(bytes, count)
}

/// Takes the length of a list whose items are at least one byte each.
pub(crate) fn take_length(bytes: &mut &[u8]) -> Result<usize, Damaged> {
    let count = usize::try_from(take::<u64>(bytes)?).map_err(|_| Damaged)?;
    if count > bytes.len() {
        return Err(Damaged);
    }
    Ok(count)
}

/// Takes a text.
pub(crate) fn take_text(bytes: &mut &[u8]) -> Result<String, Damaged> {
    String::from_utf8(take_column(bytes)?).map_err(|_| Damaged)
}

/// Takes a text that may be missing.
pub(crate) fn take_option(bytes: &mut &[u8]) -> Result<Option<String>, Damaged> {
    match take::<u8>(bytes)? {
        0 => Ok(None),
        1 => take_text(bytes).map(Some),
        _ => Err(Damaged),
    }
}

/// Items of varying length, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arena<T> {
    ends: Vec<u32>,
    items: Vec<T>,
}

impl<T: Number> Arena<T> {
    /// From where each item ends, and all of them.
    pub(crate) fn from_parts(ends: Vec<u32>, items: Vec<T>) -> Self {
        Self { ends, items }
    }

    /// Appends an item.
    pub(crate) fn push(&mut self, item: &[T]) {
        self.items.extend_from_slice(item);
        self.ends.push(self.items.len() as u32);
    }

    /// How many items.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where an item lies in [`all`](Self::all).
    pub(crate) fn range(&self, index: usize) -> std::ops::Range<usize> {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        start..self.ends[index] as usize
    }

    /// An item.
    pub(crate) fn get(&self, index: usize) -> &[T] {
        &self.items[self.range(index)]
    }

    /// The item that holds this position of [`all`](Self::all), looked for from `from` on,
    /// and where it ends.
    pub(crate) fn item_at(&self, position: usize, from: usize) -> (usize, usize) {
        let mut index = from;
        while self.ends[index] as usize <= position {
            index += 1;
        }
        (index, self.ends[index] as usize)
    }

    /// All items, end to end.
    pub(crate) fn all(&self) -> &[T] {
        &self.items
    }

    /// Gives back what was reserved and not used.
    pub(crate) fn shrink(&mut self) {
        self.ends.shrink_to_fit();
        self.items.shrink_to_fit();
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.ends.capacity() * 4 + self.items.capacity() * size_of::<T>()
    }

    /// Appends it to a file.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_column(&self.ends, out);
        put_column(&self.items, out);
    }

    /// Reads it, with the ends checked.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        let ends: Vec<u32> = take_column(bytes)?;
        let items: Vec<T> = take_column(bytes)?;
        let whole = ends.last().map_or(0, |&end| end as usize) == items.len();
        if whole && ends.is_sorted() {
            Ok(Self { ends, items })
        } else {
            Err(Damaged)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_comes_back_and_a_cut_one_does_not() {
        let mut arena = Arena::default();
        for item in [&b"one"[..], b"", b"three"] {
            arena.push(item);
        }
        let mut out = Vec::new();
        arena.write(&mut out);
        assert_eq!(Arena::<u8>::read(&mut out.as_slice()), Ok(arena.clone()));
        assert_eq!(arena.get(2), b"three");
        assert_eq!(arena.item_at(3, 0), (2, 8));
        for length in 0..out.len() {
            assert_eq!(Arena::<u8>::read(&mut &out[..length]), Err(Damaged));
        }
    }

    #[test]
    fn a_length_beyond_the_end_allocates_nothing() {
        let mut out = Vec::new();
        put(u64::MAX, &mut out);
        assert_eq!(take_column::<u64>(&mut out.as_slice()), Err(Damaged));
        assert_eq!(take_text(&mut out.as_slice()), Err(Damaged));
    }
}
