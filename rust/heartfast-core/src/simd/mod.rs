//! Code compiled several times, for any CPU and for those of the last ten years, and chosen at
//! run time: the only folder with unsafe code.
//!
//! A kernel is written once; what it calls must be inlined, or it stays compiled for any CPU.
//! One that makes use of its [`Lanes`] may round differently from level to level (some fuse
//! multiplication and addition); the compiler does not fuse or reorder floating-point operations
//! by itself, so the others give the same everywhere.

#![allow(unsafe_code)]

pub(crate) mod lane;
pub(crate) mod lanes;
pub(crate) mod literals;
#[cfg(target_arch = "x86_64")]
mod x86;

use lanes::{Lanes, Portable};

/// Work that is worth wider registers. `run` must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;
    fn run<V: Lanes>(self) -> Self::Output;
}

/// Instructions that a kernel may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Those that every CPU of this kind has.
    Portable,
    /// AVX2, FMA and their companions (x86-64-v3).
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with vectors of any length (x86-64-v4).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The levels of this CPU, the best last.
    pub(crate) fn all() -> impl DoubleEndedIterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let found = {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512cd")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            [(Self::Portable, true), (Self::Avx2, avx2), (Self::Avx512, avx512)]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let found = [(Self::Portable, true)];
        found.into_iter().filter_map(|(level, there)| there.then_some(level))
    }

    /// The best of this CPU.
    pub(crate) fn best() -> Self {
        Self::all().next_back().unwrap_or(Self::Portable)
    }

    /// How many lanes its vectors have.
    pub(crate) fn lanes(self) -> usize {
        struct Count;
        impl Kernel for Count {
            type Output = usize;
            #[inline(always)]
            fn run<V: Lanes>(self) -> usize {
                V::COUNT
            }
        }
        self.run(Count)
    }

    /// The level for so many frames, two a lane: this one, unless a narrower one holds them all.
    pub(crate) fn for_frames(self, frames: usize) -> Self {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if frames <= 2 * Self::Avx2.lanes() => Self::Avx2,
            level => level,
        }
    }

    /// Runs a kernel, compiled for this level.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run::<Portable<4>>(),
            // SAFETY: the function needs these features and nothing else, and they are there:
            // `all` gives the level only then.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(kernel) },
        }
    }
}

/// Runs a kernel, compiled for the best level of this CPU.
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    Level::best().run(kernel)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<x86::F32x8>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(
    enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<x86::F32x16>()
}
