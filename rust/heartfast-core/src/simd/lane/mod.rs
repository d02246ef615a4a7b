//! Short-time transforms of many frames at once: one frame a lane, two frames a complex number.
//!
//! With L lanes, frames f to f + L - 1 are the real parts and the next L the imaginary parts of
//! L complex transforms, which run side by side, as if on single numbers (see [`plan`] and
//! [`radix`]). Samples come from a block of the signal turned by its hop, where neighbouring
//! frames stand side by side; values go to a [`Sink`] a bin and 2 L frames at a time, as they lie
//! in the rows of a picture.

mod pass;
mod plan;
mod radix;

use crate::simd::lanes::{Lanes, MOST_LANES};
use crate::simd::{Kernel, Level};
use pass::{Pass, Plain, Windowed};
use plan::{Plan, RowPair};

pub(crate) use radix::Complex;

/// What takes the values of frames, a bin of some neighbouring ones at a time.
pub(crate) trait Sink {
    /// The values of `bin` in the frames from `frame` on, one a lane, and in as many after them.
    /// Must be `#[inline(always)]`.
    fn take<V: Lanes>(&mut self, bin: usize, frame: usize, values: [Complex<V>; 2]);
}

/// A transform of one shape; see [`crate::stft::SingleStft`], which chooses it.
#[derive(Debug)]
pub(crate) struct LaneStft {
    plan: Plan,
    /// Of each input of the columns: its place in the turned block, and half of its window (the
    /// other half of the sum is the separation of two frames).
    inputs: Vec<(u32, f32)>,
    hop_length: usize,
    lead: usize,
    /// Rows of the turned block, and numbers from one to the next.
    turned_rows: usize,
    turned_stride: usize,
    /// Frames beyond a block of which the last frames of a block have samples.
    more_frames: usize,
    /// More than any place in `inputs`.
    places: usize,
}

/// Working memory of a [`LaneStft`].
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Rows that reach beyond the signal.
    edges: Aligned,
    turned: Aligned,
    column: Aligned,
    grid: Aligned,
    row: Aligned,
}

impl LaneStft {
    /// A transform, or nothing for a length that has none (see [`Plan::new`]). `window` stands
    /// `pad` points into `n_fft`; its first sample is `lead` before the time of a frame.
    pub(crate) fn new(
        window: &[f64],
        (hop_length, lead): (usize, usize),
        (n_fft, pad): (usize, usize),
    ) -> Option<Self> {
        let plan = Plan::new(n_fft)?;
        let win_length = window.len();
        // Sample k of frame f is sample k % hop of frame f + k / hop.
        let hop = hop_length.min(win_length);
        let turned_rows = hop.next_multiple_of(4);
        let more_frames = (win_length - 1) / hop_length;
        let turned_stride = (2 * MOST_LANES + more_frames).next_multiple_of(MOST_LANES);
        // Behind the last row there is one of zeros.
        let silence = (turned_rows * turned_stride) as u32;
        let input = |&sample: &u32| {
            let k = (sample as usize).wrapping_sub(pad);
            match window.get(k) {
                Some(&w) => {
                    let place = k % hop_length * turned_stride + k / hop_length;
                    (place as u32, (0.5 * w) as f32)
                }
                None => (silence, 0.0),
            }
        };
        let inputs: Vec<(u32, f32)> = plan.samples.iter().map(input).collect();
        let places = inputs.iter().map(|&(place, _)| place as usize + 1).max().unwrap_or(0);
        Some(Self {
            plan,
            inputs,
            hop_length,
            lead,
            turned_rows,
            turned_stride,
            more_frames,
            places,
        })
    }

    /// Gives the spectra of a block of frames of a signal, from `first` on, to `sink`: two for
    /// each lane of the level. Behind the signal's end there is silence.
    pub(crate) fn frames(
        &self,
        level: Level,
        signal: &[f32],
        first: usize,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) {
        level.run(ToGrid { stft: self, signal, first, scratch });
        for pair in &self.plan.pairs {
            level.run(Rows { stft: self, pair, scratch });
            level.run(Separate { pair, rows: scratch.row.get(), frame: first, sink });
        }
    }

    /// Turns a block of the signal: row k has sample k of each frame.
    #[inline(always)]
    fn turn<V: Lanes>(&self, signal: &[f32], first: usize, edges: &mut Aligned, to: &mut [f32]) {
        let Self { turned_rows, turned_stride, hop_length, lead, .. } = *self;
        let silence = turned_rows * turned_stride;
        to[silence..].fill(0.0);
        edges.fit(V::COUNT * turned_rows);
        let frames = 2 * V::COUNT + self.more_frames;
        // A few last ones by themselves.
        let single = if frames % V::COUNT <= V::COUNT / 4 { frames % V::COUNT } else { 0 };
        let whole = (frames - single).next_multiple_of(V::COUNT);
        assert!(turned_rows.is_multiple_of(4) && whole <= turned_stride && silence <= to.len());
        for column in whole..whole + single {
            edges.fit(turned_rows);
            let row = &mut edges.get_mut()[..turned_rows];
            row.fill(0.0);
            copy_part(signal, (first + column) * hop_length, lead, row);
            for (x, to) in row.iter().zip(to[column..].iter_mut().step_by(turned_stride)) {
                *to = *x;
            }
        }
        for column in (0..whole).step_by(V::COUNT) {
            // In samples from `lead` before the signal's start.
            let start = (first + column) * hop_length;
            let samples = (V::COUNT - 1) * hop_length + turned_rows;
            let inside = start.checked_sub(lead).and_then(|start| signal.get(start..));
            let (from, stride) = match inside.and_then(|inside| inside.get(..samples)) {
                Some(inside) => (inside, hop_length),
                None => {
                    let edges = &mut edges.get_mut()[..V::COUNT * turned_rows];
                    edges.fill(0.0);
                    for (k, row) in edges.chunks_exact_mut(turned_rows).enumerate() {
                        copy_part(signal, start + k * hop_length, lead, row);
                    }
                    (&*edges, turned_rows)
                }
            };
            for k in (0..turned_rows).step_by(4) {
                // SAFETY: `from` has the first `turned_rows` numbers of each row.
                let columns = unsafe { V::columns(from.as_ptr().add(k), stride) };
                for (j, numbers) in columns.into_iter().enumerate() {
                    let place = (k + j) * turned_stride + column;
                    // SAFETY: a whole vector of one of `turned_rows` rows, which `to` has.
                    unsafe { numbers.write(to.as_mut_ptr().add(place)) };
                }
            }
        }
    }

    /// Transforms the columns: of samples, each into its column of `grid`.
    #[inline(always)]
    fn columns<V: Lanes>(&self, turned: &[f32], buffers: &mut [f32], grid: &mut [f32]) {
        let Plan { rows, columns, column_stages, .. } = &self.plan;
        let (rows, columns) = (*rows, *columns);
        let [first, following @ ..] = column_stages.as_slice() else { return };
        let (width, grid_stride) = (2 * V::COUNT, self.plan.grid_stride::<V>());
        let (mut source, mut target) = buffers.split_at_mut(rows * width);
        for column in 0..columns {
            let inputs = &self.inputs[column * rows..][..rows];
            let windowed = Windowed { turned, inputs, places: self.places };
            let within = Pass { size: rows, column, to_start: 0, to_step: width };
            let to_grid = Pass { to_start: column * width, to_step: grid_stride, ..within };
            let [between @ .., last] = following else {
                to_grid.run::<V>(first, windowed, grid);
                continue;
            };
            within.run::<V>(first, windowed, source);
            for stage in between {
                within.run::<V>(stage, Plain(source), target);
                std::mem::swap(&mut source, &mut target);
            }
            to_grid.run::<V>(last, Plain(source), grid);
        }
    }

    /// Transforms the rows of a pair, into the first two rows of `buffers`, which has three.
    #[inline(always)]
    fn rows<V: Lanes>(&self, pair: &RowPair, grid: &[f32], buffers: &mut [f32]) {
        let Plan { columns, row_stages, .. } = &self.plan;
        let [first, following @ ..] = row_stages.as_slice() else { return };
        let (width, grid_stride) = (2 * V::COUNT, self.plan.grid_stride::<V>());
        let row_len = columns * width;
        let (results, other) = buffers.split_at_mut(2 * row_len);
        let pass = Pass { size: *columns, column: 0, to_start: 0, to_step: width };
        let count = if pair.rows[0] == pair.rows[1] { 1 } else { 2 };
        for (&row, result) in pair.rows[..count].iter().zip(results.chunks_exact_mut(row_len)) {
            // By turns between two places, so that the last stage ends in the right one.
            let (mut source, mut target) = (result, &mut other[..row_len]);
            if following.len() % 2 == 1 {
                std::mem::swap(&mut source, &mut target);
            }
            pass.run::<V>(first, Plain(&grid[row * grid_stride..][..row_len]), source);
            for stage in following {
                pass.run::<V>(stage, Plain(source), target);
                std::mem::swap(&mut source, &mut target);
            }
        }
    }
}

// The work is in three kernels: in one, all of it would be compiled for each sink anew.

/// Samples of a block of frames to where the rows begin.
struct ToGrid<'g> {
    stft: &'g LaneStft,
    signal: &'g [f32],
    first: usize,
    scratch: &'g mut Scratch,
}

impl Kernel for ToGrid<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { stft, signal, first, scratch: Scratch { edges, turned, column, grid, .. } } =
            self;
        let rows = stft.plan.rows;
        turned.fit(stft.turned_rows * stft.turned_stride + 2 * MOST_LANES);
        column.fit(2 * rows * 2 * V::COUNT);
        grid.fit(rows * stft.plan.grid_stride::<V>());
        stft.turn::<V>(signal, first, edges, turned.get_mut());
        stft.columns::<V>(turned.get(), column.get_mut(), grid.get_mut());
    }
}

/// The transforms of the rows of a pair.
struct Rows<'r> {
    stft: &'r LaneStft,
    pair: &'r RowPair,
    scratch: &'r mut Scratch,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { stft, pair, scratch: Scratch { grid, row, .. } } = self;
        row.fit(3 * stft.plan.columns * 2 * V::COUNT);
        stft.rows::<V>(pair, grid.get(), row.get_mut());
    }
}

/// The spectra of the real and of the imaginary parts, from the symmetry of a real signal's.
struct Separate<'s, S> {
    pair: &'s RowPair,
    rows: &'s [f32],
    frame: usize,
    sink: &'s mut S,
}

impl<S: Sink> Kernel for Separate<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { pair, rows, frame, sink } = self;
        let width = 2 * V::COUNT;
        assert!(pair.places * width <= rows.len());
        for bin in &pair.bins {
            // SAFETY: the places of a pair's bins are below `places`.
            let (a, b) = unsafe {
                (
                    Complex::<V>::read(rows.as_ptr().add(bin.at as usize * width)),
                    Complex::<V>::read(rows.as_ptr().add(bin.mirror as usize * width)),
                )
            };
            let first = Complex { re: a.re.add(b.re), im: a.im.sub(b.im) };
            let second = Complex { re: a.im.add(b.im), im: b.re.sub(a.re) };
            sink.take(bin.bin as usize, frame, [first, second]);
        }
    }
}

/// Copies what there is of a signal that begins after `lead` samples of silence, from `start` on.
fn copy_part(signal: &[f32], start: usize, lead: usize, to: &mut [f32]) {
    let (begin, end) = (start.max(lead), (start + to.len()).min(lead + signal.len()));
    if begin < end {
        to[begin - start..end - start].copy_from_slice(&signal[begin - lead..end - lead]);
    }
}

/// Numbers that begin at a cache line: vectors in it cross none.
#[derive(Debug, Default)]
struct Aligned {
    buffer: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    const LINE: usize = 64;

    /// Makes it so long, of any content.
    fn fit(&mut self, len: usize) {
        if self.len < len {
            self.buffer = vec![0.0; len + Self::LINE / size_of::<f32>()];
            self.start = self.buffer.as_ptr().align_offset(Self::LINE).min(Self::LINE / 4);
            self.len = len;
        }
    }

    fn get(&self) -> &[f32] {
        &self.buffer[self.start..][..self.len]
    }

    fn get_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::{Complex, LaneStft, Scratch, Sink};
    use crate::simd::Level;
    use crate::simd::lanes::Lanes;

    /// The values of one block: bin by bin, frame by frame.
    struct Values(Vec<Vec<[f32; 2]>>);

    impl Sink for Values {
        fn take<V: Lanes>(&mut self, bin: usize, _: usize, values: [Complex<V>; 2]) {
            for z in values {
                let (mut re, mut im) = ([0.0; 16], [0.0; 16]);
                z.re.store(&mut re, 0);
                z.im.store(&mut im, 0);
                self.0[bin].extend(re.iter().zip(&im).take(V::COUNT).map(|(&re, &im)| [re, im]));
            }
        }
    }

    /// Numbers without a pattern, between -1 and 1.
    fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// The largest difference to the sum that defines the transform, over some bins and frames.
    fn error(n: usize, level: Level) -> Option<f64> {
        let (hop, lead) = (n / 3 + 1, n / 2);
        let window: Vec<f64> = (0..n).map(|k| 0.5 + k as f64 / n as f64).collect();
        let stft = LaneStft::new(&window, (hop, lead), (n, 0))?;
        let signal = noise(7 * n, n as u64);
        let mut values = Values(vec![Vec::new(); n / 2 + 1]);
        stft.frames(level, &signal, 1, &mut Scratch::default(), &mut values);
        let bins = if n < 64 { (0..=n / 2).collect() } else { vec![0, 1, n / 5, n / 3, n / 2] };
        let mut worst = 0.0f64;
        for bin in bins {
            for frame in [0, level.lanes() - 1, level.lanes(), 2 * level.lanes() - 1] {
                let (mut re, mut im) = (0.0, 0.0);
                for (k, w) in window.iter().enumerate() {
                    let at = ((frame + 1) * hop + k).checked_sub(lead);
                    let x = at.and_then(|at| signal.get(at)).map_or(0.0, |&x| f64::from(x)) * w;
                    let angle = -2.0 * PI * (bin * k % n) as f64 / n as f64;
                    (re, im) = (re + x * angle.cos(), im + x * angle.sin());
                }
                let [found_re, found_im] = values.0[bin][frame];
                worst = worst.max((f64::from(found_re) - re).abs());
                worst = worst.max((f64::from(found_im) - im).abs());
            }
        }
        Some(worst / (n as f64).sqrt())
    }

    #[test]
    fn every_length_is_the_sum_that_defines_it() {
        let mut lengths = 0;
        for n in (2..=4096).chain([4410, 4800, 5000, 8192, 10_000, 17_640, 22_050, 32_768]) {
            for level in Level::all() {
                if let Some(error) = error(n, level) {
                    assert!(error < 2e-6, "{n} points, {level:?}: {error}");
                    lengths += 1;
                }
            }
        }
        assert!(lengths >= 200 * Level::all().count(), "{lengths}");
    }
}
