//! [`Lanes`] in the registers of AVX2 with FMA, and of AVX-512.
//!
//! Values of these types are only made by kernels that [`Level::run`](super::Level::run) calls,
//! which it does where the CPU has their instructions: that is why every call here is sound. A
//! closure would be compiled for any CPU, so there are none around vectors.

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// Eight lanes.
#[derive(Clone, Copy)]
pub(crate) struct F32x8(__m256);

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

/// The methods that are one instruction each.
macro_rules! instructions {
    ($count:literal, $one:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
     $fmadd:ident, $fnmadd:ident, $max:ident, $sqrt:ident) => {
        const COUNT: usize = $count;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $one(x) })
        }

        #[inline(always)]
        unsafe fn read(from: *const f32) -> Self {
            // SAFETY: the CPU has the instruction (see the module); the rest is the caller's.
            Self(unsafe { $load(from) })
        }

        #[inline(always)]
        unsafe fn write(self, to: *mut f32) {
            // SAFETY: the CPU has the instruction (see the module); the rest is the caller's.
            unsafe { $store(to, self.0) }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $add(self.0, other.0) })
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $sub(self.0, other.0) })
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $mul(self.0, other.0) })
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $fmadd(self.0, factor.0, term.0) })
        }

        #[inline(always)]
        fn neg_mul_add(self, factor: Self, term: Self) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $fnmadd(self.0, factor.0, term.0) })
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $max(self.0, other.0) })
        }

        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: the CPU has the instruction (see the module).
            Self(unsafe { $sqrt(self.0) })
        }
    };
}

impl Lanes for F32x8 {
    instructions!(
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps,
        _mm256_fnmadd_ps,
        _mm256_max_ps,
        _mm256_sqrt_ps
    );

    #[inline(always)]
    fn exponent_and_mantissa(self) -> (Self, Self) {
        // SAFETY: the CPU has the instructions (see the module).
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
            let none = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, _mm256_set1_ps(f32::MIN_POSITIVE));
            let nothing = _mm256_set1_ps(f32::NEG_INFINITY);
            let exponent = _mm256_blendv_ps(_mm256_cvtepi32_ps(exponent), nothing, none);
            let mantissa = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
            let mantissa = _mm256_or_si256(mantissa, _mm256_set1_epi32(0x3f80_0000));
            (Self(exponent), Self(_mm256_castsi256_ps(mantissa)))
        }
    }

    #[inline(always)]
    unsafe fn write_u16([a, b]: [Self; 2], to: *mut u16) {
        // SAFETY: the CPU has the instructions (see the module); the rest is the caller's.
        unsafe {
            // What is too large for an i32 would come out as the least one; packing saturates.
            let most = _mm256_set1_ps(65_535.0);
            let a = _mm256_cvtps_epi32(_mm256_min_ps(most, a.0));
            let b = _mm256_cvtps_epi32(_mm256_min_ps(most, b.0));
            // Packed by halves, whose quarters then change places.
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(a, b));
            _mm256_storeu_si256(to.cast(), packed);
        }
    }

    #[inline(always)]
    unsafe fn columns(rows: *const f32, stride: usize) -> [Self; 4] {
        // The low half has row k, the high half row k + 4.
        macro_rules! pair {
            ($k:literal) => {
                _mm256_insertf128_ps::<1>(
                    _mm256_castps128_ps256(_mm_loadu_ps(rows.add($k * stride))),
                    _mm_loadu_ps(rows.add(($k + 4) * stride)),
                )
            };
        }
        // SAFETY: the CPU has the instructions (see the module); the rest is the caller's.
        unsafe {
            let (a, b, c, d) = (pair!(0), pair!(1), pair!(2), pair!(3));
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            [
                Self(_mm256_shuffle_ps::<0x44>(ab_low, cd_low)),
                Self(_mm256_shuffle_ps::<0xee>(ab_low, cd_low)),
                Self(_mm256_shuffle_ps::<0x44>(ab_high, cd_high)),
                Self(_mm256_shuffle_ps::<0xee>(ab_high, cd_high)),
            ]
        }
    }
}

impl Lanes for F32x16 {
    instructions!(
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        _mm512_fnmadd_ps,
        _mm512_max_ps,
        _mm512_sqrt_ps
    );

    #[inline(always)]
    fn exponent_and_mantissa(self) -> (Self, Self) {
        // SAFETY: the CPU has the instructions (see the module).
        unsafe {
            let mantissa = _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_ZERO>(self.0);
            (Self(_mm512_getexp_ps(self.0)), Self(mantissa))
        }
    }

    #[inline(always)]
    unsafe fn write_u16([a, b]: [Self; 2], to: *mut u16) {
        // SAFETY: the CPU has the instructions (see the module); the rest is the caller's.
        unsafe {
            // As with eight lanes, but packed by quarters.
            let most = _mm512_set1_ps(65_535.0);
            let a = _mm512_cvtps_epi32(_mm512_min_ps(most, a.0));
            let b = _mm512_cvtps_epi32(_mm512_min_ps(most, b.0));
            let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
            let packed = _mm512_permutexvar_epi64(order, _mm512_packus_epi32(a, b));
            _mm512_storeu_si512(to.cast(), packed);
        }
    }

    #[inline(always)]
    unsafe fn columns(rows: *const f32, stride: usize) -> [Self; 4] {
        // The quarters have the rows k, k + 4, k + 8, k + 12: put there while they are loaded,
        // they need no shuffle that crosses quarters.
        macro_rules! four {
            ($k:literal) => {{
                let v = _mm512_castps128_ps512(_mm_loadu_ps(rows.add($k * stride)));
                let next = _mm_loadu_ps(rows.add(($k + 4) * stride));
                let v = _mm512_insertf32x4::<1>(v, next);
                let next = _mm_loadu_ps(rows.add(($k + 8) * stride));
                let v = _mm512_insertf32x4::<2>(v, next);
                let next = _mm_loadu_ps(rows.add(($k + 12) * stride));
                _mm512_insertf32x4::<3>(v, next)
            }};
        }
        // SAFETY: the CPU has the instructions (see the module); the rest is the caller's.
        unsafe {
            let (a, b, c, d) = (four!(0), four!(1), four!(2), four!(3));
            let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            [
                Self(_mm512_shuffle_ps::<0x44>(ab_low, cd_low)),
                Self(_mm512_shuffle_ps::<0xee>(ab_low, cd_low)),
                Self(_mm512_shuffle_ps::<0x44>(ab_high, cd_high)),
                Self(_mm512_shuffle_ps::<0xee>(ab_high, cd_high)),
            ]
        }
    }
}
