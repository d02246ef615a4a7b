//! Vectors of `f32`, one type an instruction set, behind one trait.
//!
//! A kernel that is generic over [`Lanes`] does to every lane what it says of one number. Its
//! twin on [`Portable`] is plain Rust, which any CPU and Miri can run.

/// The most lanes that there are.
pub(crate) const MOST_LANES: usize = 16;

/// Some `f32` side by side.
pub(crate) trait Lanes: Copy {
    /// How many.
    const COUNT: usize;
    /// The same number in every lane.
    fn splat(x: f32) -> Self;
    /// The [`Lanes::COUNT`] numbers from `at` on.
    #[inline(always)]
    fn load(from: &[f32], at: usize) -> Self {
        let from = &from[at..at + Self::COUNT];
        // SAFETY: the slice is that long.
        unsafe { Self::read(from.as_ptr()) }
    }
    /// Writes the lanes from `at` on.
    #[inline(always)]
    fn store(self, to: &mut [f32], at: usize) {
        let to = &mut to[at..at + Self::COUNT];
        // SAFETY: the slice is that long.
        unsafe { self.write(to.as_mut_ptr()) }
    }
    /// [`Lanes::load`] without a check.
    ///
    /// # Safety
    /// There are [`Lanes::COUNT`] numbers to be read.
    unsafe fn read(from: *const f32) -> Self;
    /// [`Lanes::store`] without a check.
    ///
    /// # Safety
    /// There are [`Lanes::COUNT`] numbers to be written.
    unsafe fn write(self, to: *mut f32);
    /// `self + other`
    fn add(self, other: Self) -> Self;
    /// `self - other`
    fn sub(self, other: Self) -> Self;
    /// `self * other`
    fn mul(self, other: Self) -> Self;
    /// `self * factor + term`, rounded once where the CPU can
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `term - self * factor`, rounded once where the CPU can
    fn neg_mul_add(self, factor: Self, term: Self) -> Self;
    /// The larger of each two; `other` where `self` is not a number.
    fn max(self, other: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The exponents, and the mantissas from 1 up to 2, of numbers that are not negative. The
    /// exponent of 0 is minus infinity, and so may be those of subnormal numbers.
    fn exponent_and_mantissa(self) -> (Self, Self);
    /// Writes both, rounded and brought into 16 bits, from `at` on.
    #[inline(always)]
    fn store_u16(pair: [Self; 2], to: &mut [u16], at: usize) {
        let to = &mut to[at..at + 2 * Self::COUNT];
        // SAFETY: the slice is that long.
        unsafe { Self::write_u16(pair, to.as_mut_ptr()) }
    }
    /// [`Lanes::store_u16`] without a check.
    ///
    /// # Safety
    /// Twice [`Lanes::COUNT`] numbers can be written.
    unsafe fn write_u16(pair: [Self; 2], to: *mut u16);
    /// The first `count` lanes, and zeros behind them.
    #[inline(always)]
    fn before(self, count: usize) -> Self {
        let mut lanes = [0.0; MOST_LANES];
        self.store(&mut lanes, 0);
        for lane in lanes.iter_mut().skip(count) {
            *lane = 0.0;
        }
        Self::load(&lanes, 0)
    }
    /// The first four numbers of each of [`Lanes::COUNT`] rows, which begin `stride` numbers
    /// apart: vector `k` of the result has number `k` of every row.
    ///
    /// # Safety
    /// There are such numbers to be read.
    unsafe fn columns(rows: *const f32, stride: usize) -> [Self; 4];
}

/// Lanes in plain Rust, which compilers make vectors of.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const N: usize>(pub(crate) [f32; N]);

impl<const N: usize> Portable<N> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut lanes = self.0;
        for (a, &b) in lanes.iter_mut().zip(&other.0) {
            *a = f(*a, b);
        }
        Self(lanes)
    }
}

impl<const N: usize> Lanes for Portable<N> {
    const COUNT: usize = N;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; N])
    }

    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { from.cast::<[f32; N]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[f32; N]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        // Every 64-bit ARM has the instruction; elsewhere it would be a slow call.
        if cfg!(target_arch = "aarch64") {
            let mut lanes = term.0;
            for ((c, &a), &b) in lanes.iter_mut().zip(&self.0).zip(&factor.0) {
                *c = a.mul_add(b, *c);
            }
            Self(lanes)
        } else {
            self.mul(factor).add(term)
        }
    }

    #[inline(always)]
    fn neg_mul_add(self, factor: Self, term: Self) -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::splat(0.0).sub(self).mul_add(factor, term)
        } else {
            term.sub(self.mul(factor))
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn exponent_and_mantissa(self) -> (Self, Self) {
        let exponent = self.0.map(|x| {
            let exponent = (x.to_bits() >> 23) as i32 - 127;
            if x < f32::MIN_POSITIVE { f32::NEG_INFINITY } else { exponent as f32 }
        });
        let mantissa = self.0.map(|x| f32::from_bits((x.to_bits() & 0x007f_ffff) | 0x3f80_0000));
        (Self(exponent), Self(mantissa))
    }

    #[inline(always)]
    unsafe fn write_u16(pair: [Self; 2], to: *mut u16) {
        // Adding 2^23 leaves the rounded number in the low bits.
        let numbers =
            pair.map(|v| v.0.map(|x| (x.clamp(0.0, 65_535.0) + 8_388_608.0).to_bits() as u16));
        // SAFETY: the caller's.
        unsafe { to.cast::<[[u16; N]; 2]>().write_unaligned(numbers) }
    }

    #[inline(always)]
    unsafe fn columns(rows: *const f32, stride: usize) -> [Self; 4] {
        let mut columns = [[0.0; N]; 4];
        for k in 0..N {
            for (j, column) in columns.iter_mut().enumerate() {
                // SAFETY: the caller's.
                column[k] = unsafe { *rows.add(k * stride + j) };
            }
        }
        columns.map(Self)
    }
}
