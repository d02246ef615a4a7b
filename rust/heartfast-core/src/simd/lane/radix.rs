//! Discrete Fourier transforms of 2 to 9 numbers, one in every lane, in registers.
//!
//! Odd lengths pair the numbers j and R - j, whose sum meets cosines and whose difference meets
//! sines; 8 and 9 are made of smaller ones (Cooley and Tukey 1965).

use crate::simd::lanes::Lanes;

/// A complex number in every lane.
#[derive(Clone, Copy)]
pub(crate) struct Complex<V> {
    pub(crate) re: V,
    pub(crate) im: V,
}

impl<V: Lanes> Complex<V> {
    /// Real and imaginary parts that stand one vector behind the other.
    ///
    /// # Safety
    /// There are two vectors to be read.
    #[inline(always)]
    pub(super) unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { Self { re: V::read(from), im: V::read(from.add(V::COUNT)) } }
    }

    /// # Safety
    /// There are two vectors to be written.
    #[inline(always)]
    pub(super) unsafe fn write(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            self.re.write(to);
            self.im.write(to.add(V::COUNT));
        }
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        Self { re: self.re.add(other.re), im: self.im.add(other.im) }
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        Self { re: self.re.sub(other.re), im: self.im.sub(other.im) }
    }

    #[inline(always)]
    fn times(self, factor: f32) -> Self {
        let factor = V::splat(factor);
        Self { re: self.re.mul(factor), im: self.im.mul(factor) }
    }

    /// `self + factor other`
    #[inline(always)]
    fn add_times(self, factor: f32, other: Self) -> Self {
        let factor = V::splat(factor);
        let (re, im) = (other.re.mul_add(factor, self.re), other.im.mul_add(factor, self.im));
        Self { re, im }
    }

    /// `self - i other` and `self + i other`
    #[inline(always)]
    fn turned(self, other: Self) -> (Self, Self) {
        (
            Self { re: self.re.add(other.im), im: self.im.sub(other.re) },
            Self { re: self.re.sub(other.im), im: self.im.add(other.re) },
        )
    }

    /// Turned back by an eighth of a turn.
    #[inline(always)]
    fn eighth(self) -> Self {
        const HALF_ROOT: f32 = std::f32::consts::FRAC_1_SQRT_2;
        Self { re: self.re.add(self.im), im: self.im.sub(self.re) }.times(HALF_ROOT)
    }

    /// The product with a number that all lanes share.
    #[inline(always)]
    pub(crate) fn twiddled(self, [re, im]: [f32; 2]) -> Self {
        let (re, im) = (V::splat(re), V::splat(im));
        Self {
            re: self.im.neg_mul_add(im, self.re.mul(re)),
            im: self.re.mul_add(im, self.im.mul(re)),
        }
    }
}

/// The lengths that [`transform`] knows.
pub(crate) const RADICES: [usize; 7] = [2, 3, 4, 5, 7, 8, 9];

/// Replaces `x` by its transform, `sum over j of x[j] exp(-2 pi i j k / R)`; R is one of
/// [`RADICES`].
#[inline(always)]
pub(crate) fn transform<V: Lanes, const R: usize>(x: &mut [Complex<V>; R]) {
    let x = x.as_mut_slice();
    match R {
        2 => two(x, [0, 1]),
        3 => odd::<V, 3, 1>(x, [0, 1, 2]),
        4 => four(x, [0, 1, 2, 3]),
        5 => odd::<V, 5, 2>(x, [0, 1, 2, 3, 4]),
        7 => odd::<V, 7, 3>(x, [0, 1, 2, 3, 4, 5, 6]),
        8 => eight(x),
        9 => nine(x),
        _ => unreachable!("no such radix"),
    }
}

#[inline(always)]
fn two<V: Lanes>(x: &mut [Complex<V>], [a, b]: [usize; 2]) {
    (x[a], x[b]) = (x[a].add(x[b]), x[a].sub(x[b]));
}

#[inline(always)]
fn four<V: Lanes>(x: &mut [Complex<V>], [a, b, c, d]: [usize; 4]) {
    let (even, odd) = (x[a].add(x[c]), x[b].add(x[d]));
    let (even_less, odd_less) = (x[a].sub(x[c]), x[b].sub(x[d]));
    (x[a], x[c]) = (even.add(odd), even.sub(odd));
    (x[b], x[d]) = even_less.turned(odd_less);
}

/// `cos(2 pi j k / R)` and `sin`, for j and k of 1 to H = (R - 1) / 2.
struct Rotations<const R: usize, const H: usize>;

impl<const R: usize, const H: usize> Rotations<R, H> {
    const COS: [f32; H] = Self::table().0;
    const SIN: [f32; H] = Self::table().1;

    /// The cosines and sines of 1 to H turns / R, by rotating on: this runs while compiling,
    /// where there is no `cos`.
    const fn table() -> ([f32; H], [f32; H]) {
        let (cos, sin) = match R {
            3 => (-0.5, 0.866_025_403_784_438_6),
            5 => (0.309_016_994_374_947_45, 0.951_056_516_295_153_5),
            7 => (0.623_489_801_858_733_6, 0.781_831_482_468_029_8),
            _ => panic!("no odd radix"),
        };
        let (mut c, mut s): (f64, f64) = (cos, sin);
        let mut tables = ([0.0; H], [0.0; H]);
        let mut k = 0;
        while k < H {
            (tables.0[k], tables.1[k]) = (c as f32, s as f32);
            (c, s) = (c * cos - s * sin, c * sin + s * cos);
            k += 1;
        }
        tables
    }

    /// The cosine and the sine of j k turns / R.
    #[inline(always)]
    fn of(j: usize, k: usize) -> (f32, f32) {
        let turn = j * k % R;
        if turn <= H {
            (Self::COS[turn - 1], Self::SIN[turn - 1])
        } else {
            (Self::COS[R - turn - 1], -Self::SIN[R - turn - 1])
        }
    }
}

/// An odd prime length R, H = (R - 1) / 2.
#[inline(always)]
fn odd<V: Lanes, const R: usize, const H: usize>(x: &mut [Complex<V>], at: [usize; R]) {
    let first = x[at[0]];
    let mut sums = [first; H];
    let mut differences = [first; H];
    let mut total = first;
    for j in 0..H {
        let (a, b) = (x[at[j + 1]], x[at[R - 1 - j]]);
        (sums[j], differences[j]) = (a.add(b), a.sub(b));
        total = total.add(sums[j]);
    }
    x[at[0]] = total;
    for k in 1..=H {
        let (cos, sin) = Rotations::<R, H>::of(1, k);
        let mut even = first.add_times(cos, sums[0]);
        let mut odd = differences[0].times(sin);
        for j in 2..=H {
            let (cos, sin) = Rotations::<R, H>::of(j, k);
            even = even.add_times(cos, sums[j - 1]);
            odd = odd.add_times(sin, differences[j - 1]);
        }
        (x[at[k]], x[at[R - k]]) = even.turned(odd);
    }
}

#[inline(always)]
fn eight<V: Lanes>(x: &mut [Complex<V>]) {
    four(x, [0, 2, 4, 6]);
    four(x, [1, 3, 5, 7]);
    // The odd ones, turned by 0, 1/8, 2/8 and 3/8, join the even ones.
    let (b, c, d) = (x[3].eighth(), x[5], x[7].eighth());
    let (x0, x4) = (x[0].add(x[1]), x[0].sub(x[1]));
    let (x1, x5) = (x[2].add(b), x[2].sub(b));
    let (x2, x6) = x[4].turned(c);
    let (x3, x7) = x[6].turned(d);
    (x[0], x[1], x[2], x[3]) = (x0, x1, x2, x3);
    (x[4], x[5], x[6], x[7]) = (x4, x5, x6, x7);
}

#[inline(always)]
fn nine<V: Lanes>(x: &mut [Complex<V>]) {
    const W: [[f32; 2]; 5] = [
        [1.0, 0.0],
        [0.766_044_44, -0.642_787_64],
        [0.173_648_18, -0.984_807_7],
        [-0.5, -0.866_025_4],
        [-0.939_692_6, -0.342_020_15],
    ];
    odd::<V, 3, 1>(x, [0, 3, 6]);
    odd::<V, 3, 1>(x, [1, 4, 7]);
    odd::<V, 3, 1>(x, [2, 5, 8]);
    x[4] = x[4].twiddled(W[1]);
    x[7] = x[7].twiddled(W[2]);
    x[5] = x[5].twiddled(W[2]);
    x[8] = x[8].twiddled(W[4]);
    odd::<V, 3, 1>(x, [0, 1, 2]);
    odd::<V, 3, 1>(x, [3, 4, 5]);
    odd::<V, 3, 1>(x, [6, 7, 8]);
    // Row k1, column k2 is value k1 + 3 k2.
    x.swap(1, 3);
    x.swap(2, 6);
    x.swap(5, 7);
}
