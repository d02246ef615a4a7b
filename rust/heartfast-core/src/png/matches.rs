//! Spans of a block: literals, and copies of what was before them (RFC 1951, 3.2.5).

use super::filter::{LOG_BITS, log, order};

/// Shortest and longest match.
pub(super) const SHORTEST: usize = 3;
pub(super) const LONGEST: usize = 258;

/// Literal bytes of a block, then `copies` bytes that are those `distance` before them.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) copies: usize,
    pub(super) distance: usize,
}

impl Span {
    /// The lengths of the matches that copy them.
    pub(super) fn matches(self) -> impl Iterator<Item = usize> {
        (0..self.copies).step_by(LONGEST).map(move |at| LONGEST.min(self.copies - at))
    }
}

/// Cuts a block at runs of one byte. They are found where eight bytes in a row, a multiple of
/// eight from the start, are the same: shorter ones save next to nothing.
#[inline(always)]
pub(super) fn find_runs(data: &[u8], spans: &mut Vec<Span>) {
    spans.clear();
    let (words, _) = data.as_chunks::<8>();
    let (mut start, mut k) = (0, 0);
    while k < words.len() {
        // Most of the time there is none: eight words at once say so fast.
        if let Some(several) = words.get(k..k + 8)
            && !several.iter().fold(false, |any, &word| any | is_run(word))
        {
            k += 8;
            continue;
        }
        if !is_run(words[k]) {
            k += 1;
            continue;
        }
        let byte = words[k][0];
        let before = data[start..8 * k].iter().rev().take_while(|&&b| b == byte).count();
        let end = 8 * k - before + 1;
        let same = words[k..].iter().take_while(|&word| *word == words[k]).count();
        let after = data[8 * (k + same)..].iter().take_while(|&&b| b == byte).count();
        let mut copies = 8 * (k + same) + after - end;
        // What is left is no match if it is too short for one.
        if copies % LONGEST < SHORTEST {
            copies -= copies % LONGEST;
        }
        if copies > 0 {
            spans.push(Span { start, end, copies, distance: 1 });
            start = end + copies;
        }
        k += same;
    }
    if start < data.len() {
        spans.push(Span { start, end: data.len(), copies: 0, distance: 1 });
    }
}

/// Whether eight bytes are the same.
#[inline(always)]
fn is_run(word: [u8; 8]) -> bool {
    let word = u64::from_ne_bytes(word);
    word == word.rotate_left(8)
}

/// Finds repeats in a block, for pictures that have some: figures, flat areas.
#[derive(Default)]
pub(super) struct Matcher {
    /// The last place of each hash and, of each place, the one before it with the same hash; all
    /// one higher, 0 is none.
    heads: Vec<u32>,
    before: Vec<u32>,
}

impl Matcher {
    const HASH_BITS: u32 = 14;
    /// So many bits a match is taken to cost, measured on tiles: its own, and what the codes of
    /// literals lose to its symbols.
    const COST: u64 = 48;
    /// DEFLATE's window.
    const FARTHEST: usize = 1 << 15;
    /// So many places are tried for each match.
    const TRIES: usize = 16;

    /// Cuts a block at its repeats.
    pub(super) fn find(&mut self, data: &[u8], spans: &mut Vec<Span>) {
        spans.clear();
        self.heads.clear();
        self.heads.resize(1 << Self::HASH_BITS, 0);
        self.before.clear();
        self.before.resize(data.len(), 0);
        let worth = Self::worth(data);
        let (mut start, mut at) = (0, 0);
        while at < data.len() {
            let (mut copies, mut distance) = self.longest(data, at);
            self.insert(data, at);
            if copies < worth {
                at += 1;
                continue;
            }
            // A byte later there may be a longer one.
            while let (next, to) = self.longest(data, at + 1)
                && next > copies
            {
                self.insert(data, at + 1);
                (at, copies, distance) = (at + 1, next, to);
            }
            spans.push(Span { start, end: at, copies, distance });
            (at + 1..at + copies).for_each(|at| self.insert(data, at));
            at += copies;
            start = at;
        }
        if start < data.len() {
            spans.push(Span { start, end: data.len(), copies: 0, distance: 1 });
        }
    }

    /// How many bytes cost as much as a match, at their entropy, but no more than a run ought to have.
    fn worth(data: &[u8]) -> usize {
        let mut counts = [0u32; 256];
        data.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        let n = data.len() as u64;
        let bits = n * u64::from(log(n as u32)) - order(&counts);
        let worth = ((Self::COST * n) << LOG_BITS) / bits.max(1);
        worth.clamp(4, 24) as usize
    }

    fn hash(data: &[u8], at: usize) -> Option<usize> {
        let four = u32::from_le_bytes(*data.get(at..)?.first_chunk()?);
        Some((four.wrapping_mul(0x9e37_79b1) >> (32 - Self::HASH_BITS)) as usize)
    }

    fn insert(&mut self, data: &[u8], at: usize) {
        if let Some(hash) = Self::hash(data, at) {
            self.before[at] = self.heads[hash];
            self.heads[hash] = at as u32 + 1;
        }
    }

    /// The length of the longest match at `at`, or 0, and how far back it is.
    fn longest(&self, data: &[u8], at: usize) -> (usize, usize) {
        let mut best = (0, 0);
        let mut place = Self::hash(data, at).map_or(0, |hash| self.heads[hash]) as usize;
        for _ in 0..Self::TRIES {
            if place == 0 || at - (place - 1) > Self::FARTHEST || best.0 == LONGEST {
                break;
            }
            let pairs = data[at..].iter().zip(&data[place - 1..]).take(LONGEST);
            let same = pairs.take_while(|(a, b)| a == b).count();
            if same > best.0 {
                best = (same, at - (place - 1));
            }
            place = self.before[place - 1] as usize;
        }
        best
    }
}

/// A symbol of DEFLATE's alphabets, and the value and number of its extra bits.
pub(super) struct Symbol {
    pub(super) symbol: usize,
    pub(super) value: u64,
    pub(super) extra: u32,
}

/// That of a match's length.
pub(super) fn length_symbol(length: usize) -> Symbol {
    match length - SHORTEST {
        255 => Symbol { symbol: 285, value: 0, extra: 0 },
        rest => stepped(rest, 2, 257),
    }
}

/// That of a match's distance.
pub(super) fn distance_symbol(distance: usize) -> Symbol {
    stepped(distance - 1, 1, 0)
}

/// Symbols from `first` on: 2^(bits + 1) without extra bits, then 2^bits each with one more.
fn stepped(rest: usize, bits: u32, first: usize) -> Symbol {
    if rest < 2 << bits {
        return Symbol { symbol: first + rest, value: 0, extra: 0 };
    }
    let extra = rest.ilog2() - bits;
    let step = ((extra as usize + 1) << bits) + (rest >> extra & ((1 << bits) - 1));
    Symbol { symbol: first + step, value: rest as u64 & ((1 << extra) - 1), extra }
}
