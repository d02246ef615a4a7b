//! One stage of a transform on one column or row: where it reads, what it does, where it writes.

use super::plan::Stage;
use super::radix::{Complex, transform};
use crate::simd::lanes::Lanes;

/// Where a pass reads its numbers.
pub(super) trait Source: Copy {
    /// How many there are, in vectors of type `V`.
    fn count<V: Lanes>(self) -> usize;
    /// Number `at` of the column or row.
    ///
    /// # Safety
    /// `at` is below [`Source::count`].
    unsafe fn number<V: Lanes>(self, at: usize) -> Complex<V>;
}

/// Numbers of the pass before.
#[derive(Clone, Copy)]
pub(super) struct Plain<'s>(pub(super) &'s [f32]);

impl Source for Plain<'_> {
    #[inline(always)]
    fn count<V: Lanes>(self) -> usize {
        self.0.len() / (2 * V::COUNT)
    }

    #[inline(always)]
    unsafe fn number<V: Lanes>(self, at: usize) -> Complex<V> {
        // SAFETY: the caller's.
        unsafe { Complex::read(self.0.as_ptr().add(at * 2 * V::COUNT)) }
    }
}

/// Samples of the turned block under the window.
#[derive(Clone, Copy)]
pub(super) struct Windowed<'s> {
    pub(super) turned: &'s [f32],
    /// Their places, all below `places`, and weights.
    pub(super) inputs: &'s [(u32, f32)],
    pub(super) places: usize,
}

impl Source for Windowed<'_> {
    #[inline(always)]
    fn count<V: Lanes>(self) -> usize {
        // All of them, if there are two vectors at the last place.
        if self.places + 2 * V::COUNT <= self.turned.len() + 1 { self.inputs.len() } else { 0 }
    }

    #[inline(always)]
    unsafe fn number<V: Lanes>(self, at: usize) -> Complex<V> {
        // SAFETY: the caller's, who has asked `count`; places are below `places`.
        let (input, weight) = unsafe {
            let (place, weight) = *self.inputs.get_unchecked(at);
            (Complex::<V>::read(self.turned.as_ptr().add(place as usize)), V::splat(weight))
        };
        Complex { re: input.re.mul(weight), im: input.im.mul(weight) }
    }
}

/// A stage's work on one column or row of `size` numbers.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    pub(super) size: usize,
    pub(super) column: usize,
    /// Where the results go: the first one's place, and from one's to the next.
    pub(super) to_start: usize,
    pub(super) to_step: usize,
}

impl Pass {
    #[inline(always)]
    pub(super) fn run<V: Lanes>(self, stage: &Stage, from: impl Source, to: &mut [f32]) {
        let Self { size, column, to_start, to_step } = self;
        let Stage { radix, step, butterflies, .. } = *stage;
        let twiddles = match stage.twiddles.as_slice() {
            [] => &[],
            all if stage.per_column => &all[column * step * radix..][..step * radix],
            all => &all[..step * radix],
        };
        // What the reading and writing below relies on.
        assert!(butterflies * radix * step == size && from.count::<V>() >= size);
        assert!(to_start + (size - 1) * to_step + 2 * V::COUNT <= to.len());
        let to = to.as_mut_ptr();
        // Loops over the numbers of a butterfly are written out: else they go through memory.
        macro_rules! each {
            ($($radix:literal: $first:literal $($k:literal)*;)*) => {
                match radix {
                    $($radix => for outer in 0..butterflies {
                        for inner in 0..step {
                            let at = outer * $radix * step + inner;
                            // SAFETY: below `size`, which `from` has.
                            let mut x = unsafe {
                                [from.number::<V>(at), $(from.number::<V>(at + $k * step)),*]
                            };
                            transform(&mut x);
                            if !twiddles.is_empty() {
                                // SAFETY: there are so many for each of `step` butterflies.
                                $(x[$k] = x[$k].twiddled(unsafe {
                                    *twiddles.get_unchecked(inner * $radix + $k)
                                });)*
                            }
                            // SAFETY: at most the last number's place, which `to` has.
                            unsafe { x[$first].write(to.add(to_start + at * to_step)) };
                            // SAFETY: as above.
                            $(unsafe { x[$k].write(to.add(to_start + (at + $k * step) * to_step)) };)*
                        }
                    },)*
                    _ => unreachable!("no such radix"),
                }
            };
        }
        each! {
            2: 0 1;
            3: 0 1 2;
            4: 0 1 2 3;
            5: 0 1 2 3 4;
            7: 0 1 2 3 4 5 6;
            8: 0 1 2 3 4 5 6 7;
            9: 0 1 2 3 4 5 6 7 8;
        }
    }
}
