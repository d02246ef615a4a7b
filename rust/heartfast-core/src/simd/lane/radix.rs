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
        3 => three(x, [0, 1, 2]),
        4 => four(x, [0, 1, 2, 3]),
        5 => five(x),
        7 => seven(x),
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

#[inline(always)]
fn three<V: Lanes>(x: &mut [Complex<V>], [a, b, c]: [usize; 3]) {
    const SIN: f32 = 0.866_025_4;
    let sum = x[b].add(x[c]);
    let even = x[a].add_times(-0.5, sum);
    let odd = x[b].sub(x[c]).times(SIN);
    x[a] = x[a].add(sum);
    (x[b], x[c]) = even.turned(odd);
}

// Below, c1 and s1 are the cosine and the sine of one turn / R, c2 and s2 of two...

#[inline(always)]
fn five<V: Lanes>(x: &mut [Complex<V>]) {
    const C1: f32 = 0.309_017;
    const C2: f32 = -0.809_017;
    const S1: f32 = 0.951_056_54;
    const S2: f32 = 0.587_785_24;
    let (t1, d1) = (x[1].add(x[4]), x[1].sub(x[4]));
    let (t2, d2) = (x[2].add(x[3]), x[2].sub(x[3]));
    let even1 = x[0].add_times(C1, t1).add_times(C2, t2);
    let even2 = x[0].add_times(C2, t1).add_times(C1, t2);
    let odd1 = d1.times(S1).add_times(S2, d2);
    let odd2 = d1.times(S2).add_times(-S1, d2);
    x[0] = x[0].add(t1).add(t2);
    (x[1], x[4]) = even1.turned(odd1);
    (x[2], x[3]) = even2.turned(odd2);
}

#[inline(always)]
fn seven<V: Lanes>(x: &mut [Complex<V>]) {
    const C1: f32 = 0.623_489_8;
    const C2: f32 = -0.222_520_93;
    const C3: f32 = -0.900_968_85;
    const S1: f32 = 0.781_831_5;
    const S2: f32 = 0.974_927_9;
    const S3: f32 = 0.433_883_73;
    let (t1, d1) = (x[1].add(x[6]), x[1].sub(x[6]));
    let (t2, d2) = (x[2].add(x[5]), x[2].sub(x[5]));
    let (t3, d3) = (x[3].add(x[4]), x[3].sub(x[4]));
    let even1 = x[0].add_times(C1, t1).add_times(C2, t2).add_times(C3, t3);
    let even2 = x[0].add_times(C2, t1).add_times(C3, t2).add_times(C1, t3);
    let even3 = x[0].add_times(C3, t1).add_times(C1, t2).add_times(C2, t3);
    let odd1 = d1.times(S1).add_times(S2, d2).add_times(S3, d3);
    let odd2 = d1.times(S2).add_times(-S3, d2).add_times(-S1, d3);
    let odd3 = d1.times(S3).add_times(-S1, d2).add_times(S2, d3);
    x[0] = x[0].add(t1).add(t2).add(t3);
    (x[1], x[6]) = even1.turned(odd1);
    (x[2], x[5]) = even2.turned(odd2);
    (x[3], x[4]) = even3.turned(odd3);
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
    three(x, [0, 3, 6]);
    three(x, [1, 4, 7]);
    three(x, [2, 5, 8]);
    x[4] = x[4].twiddled(W[1]);
    x[7] = x[7].twiddled(W[2]);
    x[5] = x[5].twiddled(W[2]);
    x[8] = x[8].twiddled(W[4]);
    three(x, [0, 1, 2]);
    three(x, [3, 4, 5]);
    three(x, [6, 7, 8]);
    // Row k1, column k2 is value k1 + 3 k2.
    x.swap(1, 3);
    x.swap(2, 6);
    x.swap(5, 7);
}
