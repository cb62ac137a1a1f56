//! How the numbers of a world lie side by side in a few 64-bit words.
//!
//! Each place (a cell for each process, then the ledger and the history) has a field just wide
//! enough for the largest number met there so far, and no field lies across two words. So a step is
//! an addition to one word or two, and two worlds are equal where their words are. The first word has
//! a bit to spare, so that no world is all ones. When a number outgrows its field, every world is
//! packed anew with wider fields: a few times in a long search.

use crate::tables::Tables;

/// A world in `W` words.
pub type Key<const W: usize> = [u64; W];

/// The widths, in words, that the search is compiled for.
pub const WORDS: [usize; 8] = [1, 2, 3, 4, 6, 8, 16, 32];

#[derive(Clone, Copy, Debug, Default)]
pub struct Field {
    pub word: usize,
    pub shift: u32,
    pub mask: u64,
}

impl Field {
    #[inline(always)]
    fn word<const W: usize>(&self) -> usize {
        if W == 1 { 0 } else { self.word }
    }

    #[inline(always)]
    fn of<const W: usize>(&self, key: &Key<W>) -> u32 {
        (key[self.word::<W>()] >> self.shift & self.mask) as u32
    }

    /// See `Layout::change`.
    #[inline(always)]
    pub fn change<const W: usize>(&self, key: &mut Key<W>, from: u32, to: u32) {
        let change = (to as u64).wrapping_sub(from as u64) << self.shift;
        let word = &mut key[self.word::<W>()];
        *word = word.wrapping_add(change);
    }
}

#[derive(Clone, Debug)]
pub struct Layout {
    pub fields: Vec<Field>,
    /// The number of words: one of `WORDS`.
    pub words: usize,
}

fn bits(largest: u32) -> u32 {
    32 - largest.leading_zeros()
}

/// First fit of the widths, the widest first: the places, and the words that they take.
fn pack(widths: &[u32]) -> (Vec<Field>, usize) {
    let mut order: Vec<usize> = (0..widths.len()).collect();
    order.sort_by_key(|&place| (std::cmp::Reverse(widths[place]), place));
    let mut used: Vec<u32> = vec![1];
    let mut fields = vec![Field::default(); widths.len()];
    for place in order {
        let width = widths[place];
        let word = match used.iter().position(|&taken| taken + width <= 64) {
            Some(word) => word,
            None => {
                used.push(0);
                used.len() - 1
            }
        };
        // A field of no width reads as 0, wherever it is.
        let spare = (word == 0) as u32;
        let shift = if width == 0 { 0 } else { used[word] - spare };
        fields[place] = Field { word, shift, mask: (1u64 << width) - 1 };
        used[word] += width;
    }
    (fields, used.len())
}

impl Layout {
    /// Fields for numbers up to `largest`, with room to grow where that costs no word more.
    /// `None` where they take more words than the search is compiled for.
    pub fn of(largest: &[u32]) -> Option<Layout> {
        let exact: Vec<u32> = largest.iter().map(|&number| bits(number)).collect();
        let supported = |count: usize| WORDS.iter().copied().find(|&words| words >= count);
        let words = supported(pack(&exact).1)?;
        // The most slack that fits: growing costs a pass over every world.
        for slack in [3, 2, 1] {
            let roomy: Vec<u32> =
                exact.iter().map(|&width| if width == 0 { 0 } else { (width + slack).min(32) }).collect();
            let (fields, count) = pack(&roomy);
            if count <= words {
                return Some(Layout { fields, words });
            }
        }
        Some(Layout { fields: pack(&exact).0, words })
    }

    /// True where every one of the numbers fits into its field.
    pub fn fits(&self, largest: &[u32]) -> bool {
        self.fields.iter().zip(largest).all(|(field, &number)| number as u64 <= field.mask)
    }

    /// How a place is packed.
    #[inline(always)]
    pub fn field(&self, place: usize) -> Field {
        self.fields[place]
    }

    #[inline(always)]
    pub fn get<const W: usize>(&self, key: &Key<W>, place: usize) -> u32 {
        self.fields[place].of(key)
    }

    /// What stands at a place in the sense of `contract.Judge.place`.
    #[inline(always)]
    pub fn place<const W: usize>(&self, tables: &Tables, key: &Key<W>, place: usize) -> u32 {
        match place.checked_sub(tables.slots + 2) {
            None => self.get(key, place),
            Some(slot) => tables.state(slot, self.get(key, slot)),
        }
    }

    /// Replaces the number `from` at a place by `to`.
    ///
    /// Wrapping arithmetic is exact here: a sum of such changes never leaves a field in the end.
    #[inline(always)]
    pub fn change<const W: usize>(&self, key: &mut Key<W>, place: usize, from: u32, to: u32) {
        self.fields[place].change(key, from, to);
    }

    pub fn pack<const W: usize>(&self, numbers: &[u32]) -> Key<W> {
        let mut key = [0; W];
        for (place, &number) in numbers.iter().enumerate() {
            self.change(&mut key, place, 0, number);
        }
        key
    }

    pub fn unpack<const W: usize>(&self, key: &Key<W>, numbers: &mut Vec<u32>) {
        numbers.resize(self.fields.len(), 0);
        for (number, field) in numbers.iter_mut().zip(&self.fields) {
            *number = field.of(key);
        }
    }
}
