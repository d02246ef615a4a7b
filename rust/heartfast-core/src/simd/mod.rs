//! Code compiled twice, for any CPU and for those of the last ten years, and chosen at run time.
//!
//! A kernel is written once, in plain Rust that vectorises; what it calls must be inlined, or it
//! stays compiled for any CPU. Nothing here changes a result: the compiler does not fuse or
//! reorder floating-point operations by itself.

// The only unsafe code of the crate.
#![allow(unsafe_code)]

pub(crate) mod literals;

/// Work that is worth wider registers. `run` must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

/// Runs a kernel, compiled for AVX2 and its companions (x86-64-v3) where the CPU has them.
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the function needs these features and nothing else, and they are there.
        return unsafe { x86_64_v3(kernel) };
    }
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn x86_64_v3<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
