//! Prefix codes of limited length from symbol counts (RFC 1951, 3.2.2).

/// One code of DEFLATE: for each symbol its bits, as they go into the stream (the first bit of
/// the code lowest), and their number; 0 bits for symbols that do not occur.
pub(super) struct Code<const N: usize> {
    pub(super) bits: [u16; N],
    pub(super) lengths: [u8; N],
}

impl<const N: usize> Code<N> {
    /// A code for these counts, as good as the best within a few bits in 10,000, with no symbol over `limit` bits. A lone symbol gets
    /// one bit.
    pub(super) fn new(counts: &[u32; N], limit: usize) -> Self {
        let lengths = lengths(counts, limit);
        // Canonical codes: shorter first, then by symbol (RFC 1951, 3.2.2).
        let mut per_length = [0u16; 16];
        for &length in lengths.iter().filter(|&&length| length > 0) {
            per_length[usize::from(length)] += 1;
        }
        let mut next = [0u16; 16];
        for length in 1..16 {
            next[length] = (next[length - 1] + per_length[length - 1]) << 1;
        }
        let mut bits = [0; N];
        for (bits, &length) in bits.iter_mut().zip(&lengths) {
            if length > 0 {
                let code = &mut next[usize::from(length)];
                *bits = code.reverse_bits() >> (16 - length);
                *code += 1;
            }
        }
        Self { bits, lengths }
    }

    /// The bits of a symbol and their number.
    pub(super) fn of(&self, symbol: usize) -> (u64, u32) {
        (u64::from(self.bits[symbol]), u32::from(self.lengths[symbol]))
    }
}

/// Code lengths by the method of Moffat and Katajainen (1995), which needs no tree, then cut
/// to the limit by moving leaves until the Kraft sum fits again.
fn lengths<const N: usize>(counts: &[u32; N], limit: usize) -> [u8; N] {
    let mut lengths = [0; N];
    if counts.iter().filter(|&&count| count > 0).count() <= 1 {
        for (length, &count) in lengths.iter_mut().zip(counts) {
            *length = u8::from(count > 0);
        }
        return lengths;
    }
    let mut symbols = [0; N];
    let n = sort(counts, &mut symbols);
    let symbols = &symbols[..n];
    let mut depths = [0; N];
    for (depth, s) in depths.iter_mut().zip(symbols) {
        *depth = counts[usize::from(*s)];
    }
    minimum_redundancy(&mut depths[..n]);
    let mut per_length = [0usize; 64];
    for &depth in &depths[..n] {
        per_length[limit.min(depth as usize)] += 1;
    }
    // Too long codes were shortened above, so there are too many codes now: lengthen others,
    // the longest below the limit first, which costs least.
    let mut kraft: usize = (1..=limit).map(|l| per_length[l] << (limit - l)).sum();
    while kraft > 1 << limit {
        per_length[limit] -= 1;
        if let Some(l) = (1..limit).rev().find(|&l| per_length[l] > 0) {
            per_length[l] -= 1;
            per_length[l + 1] += 2;
        }
        kraft -= 1;
    }
    let mut rarest_first = symbols.iter();
    for length in (1..=limit).rev() {
        for &s in rarest_first.by_ref().take(per_length[length]) {
            lengths[usize::from(s)] = length as u8;
        }
    }
    lengths
}

/// Puts the symbols that occur, the rarest first, into `symbols`, and returns how many there are.
///
/// Counts that differ by less than a sixteenth may come in either order: what that costs is not
/// to be measured, and one look at each is enough.
fn sort<const N: usize>(counts: &[u32; N], symbols: &mut [u16; N]) -> usize {
    // The bits of a float are its logarithm in sixteenths, but for the curve in between.
    let bucket = |count: u32| ((count as f32).to_bits() >> 19) as usize - (127 << 4);
    // Room for counts up to 2^20; a block has fewer bytes.
    let mut starts = [0u16; 20 << 4];
    for &count in counts.iter().filter(|&&count| count > 0) {
        starts[bucket(count)] += 1;
    }
    let mut n = 0;
    for start in &mut starts {
        (*start, n) = (n, n + *start);
    }
    for (symbol, &count) in (0..).zip(counts) {
        if count > 0 {
            let place = &mut starts[bucket(count)];
            symbols[usize::from(*place)] = symbol;
            *place += 1;
        }
    }
    usize::from(n)
}

/// Replaces weights, about sorted ascending, by the depths of their leaves in a Huffman tree.
fn minimum_redundancy(a: &mut [u32]) {
    let n = a.len();
    // Left to right: weights become internal nodes, each then the index of its parent.
    a[0] += a[1];
    let (mut root, mut leaf) = (0, 2);
    for next in 1..n - 1 {
        for child in 0..2 {
            let weight = if leaf >= n || (root < next && a[root] < a[leaf]) {
                let weight = a[root];
                a[root] = next as u32;
                root += 1;
                weight
            } else {
                leaf += 1;
                a[leaf - 1]
            };
            a[next] = if child == 0 { weight } else { a[next] + weight };
        }
    }
    // Right to left: depths of the internal nodes, then of the leaves.
    a[n - 2] = 0;
    for node in (0..n - 2).rev() {
        a[node] = a[a[node] as usize] + 1;
    }
    let (mut available, mut depth) = (1, 0);
    let mut root = n as isize - 2;
    let mut next = n as isize - 1;
    while available > 0 {
        let mut used = 0;
        while root >= 0 && a[root as usize] == depth {
            used += 1;
            root -= 1;
        }
        while available > used {
            a[next as usize] = depth;
            next -= 1;
            available -= 1;
        }
        available = 2 * used;
        depth += 1;
    }
}
