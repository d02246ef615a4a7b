//! The kernels one by one: `cargo bench -p heartfast-core [-- NAME]`.

// criterion's macros make functions without documentation.
#![allow(missing_docs)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::expect_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use heartfast_core::Cancel;
use heartfast_core::audio::{Audio, decode};
use heartfast_core::config::SpectrogramConfig;
use heartfast_core::level::{GrayScale, fast_log2};
use heartfast_core::limits::Limits;
use heartfast_core::png::Encoder;
use heartfast_core::raster::{Color, Image};
use heartfast_core::stft::{Complex, Framing, Stft, spectra};
use heartfast_core::tile::{Painter, Tile};
use heartfast_core::window::Window;

/// Sample rates of heart sounds and of music.
const RATES: [u32; 2] = [4000, 44_100];
/// Window lengths of 50 ms at common rates, powers of two, and one with a large prime factor.
const LENGTHS: [usize; 8] = [200, 256, 400, 1024, 2048, 2205, 2206, 2400];

fn noise(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn window(c: &mut Criterion) {
    let mut group = c.benchmark_group("window");
    for n in [200, 2205] {
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| Window::Gaussian.samples(black_box(n), true));
        });
    }
}

/// Framing, windowing, transform and the separation of pairs, by lanes where the length has them
/// (into rows) and by pairs (whose spectra nobody takes); elements are frames.
fn fft(c: &mut Criterion) {
    const FRAMES: usize = 64;
    let mut group = c.benchmark_group("fft");
    for n in LENGTHS {
        let window = Window::Gaussian.samples(n, true);
        let framing = Framing { window, hop_length: n / 2, n_fft: n, center: true };
        let signal = noise(n / 2 * (FRAMES - 1));
        let mut rows = vec![Complex::new(0.0, 0.0); (n / 2 + 1) * FRAMES];
        group.throughput(Throughput::Elements(FRAMES as u64));
        group.bench_function(BenchmarkId::new("spectra", n), |b| {
            b.iter(|| spectra(&framing, (&signal, signal.len()), &mut rows, 1, &Cancel::new()));
        });
        let stft = Stft::<f32>::new(&Window::Gaussian.samples(n, true), n / 2, n, true)
            .expect("a transform");
        let (signal, mut scratch) = (noise(n / 2 * FRAMES), stft.scratch());
        group.throughput(Throughput::Elements(FRAMES as u64));
        group.bench_function(BenchmarkId::new("pairs", n), |b| {
            b.iter(|| {
                let sink = |_, spectrum: &[_]| {
                    black_box(spectrum.len());
                };
                stft.for_each_frame(&signal, 0..FRAMES, &mut scratch, &Cancel::new(), sink)
            });
        });
    }
}

/// Compiled for any CPU here; within a tile the same loops are compiled for this one.
fn levels(c: &mut Criterion) {
    const N: usize = 1 << 16;
    let power: Vec<f32> = noise(N).iter().map(|x| x * x).collect();
    let mut out = vec![0u8; N];
    let mut logs = vec![0f32; N];
    let mut group = c.benchmark_group("levels");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("log2", |b| {
        b.iter(|| {
            for (log, &p) in logs.iter_mut().zip(black_box(&power)) {
                *log = fast_log2(p);
            }
            black_box(&mut logs);
        });
    });
    group.bench_function("quantise", |b| {
        let gray = GrayScale::new(1.0, 80.0);
        b.iter(|| {
            for (level, &p) in out.iter_mut().zip(black_box(&power)) {
                *level = gray.level(p);
            }
            black_box(&mut out);
        });
    });
}

/// A whole tile, and its PNG, of 8 s of noise; elements are pixels.
fn tile_and_png(c: &mut Criterion) {
    let config = SpectrogramConfig::default();
    for rate in RATES {
        let mut painter = Painter::new(&config).expect("a painter");
        let mut samples = noise(8 * rate as usize);
        let Tile { width, height, pixels, .. } =
            painter.tile(&mut samples, rate, &Cancel::new()).expect("a tile");
        let pixels = pixels.to_vec();
        let image = Image { width, height, pixels: &pixels, color: Color::Gray };
        let mut group = c.benchmark_group("tile");
        group.throughput(Throughput::Elements(pixels.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(rate), |b| {
            b.iter(|| painter.tile(&mut samples, rate, &Cancel::new()).map(|t| t.height));
        });
        group.finish();
        let (mut encoder, mut file) = (Encoder::default(), Vec::new());
        let mut group = c.benchmark_group("png");
        group.throughput(Throughput::Bytes(pixels.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(rate), |b| {
            b.iter(|| encoder.encode_into(&image, &[], &mut file, &Cancel::new()));
        });
    }
}

/// A plain 16-bit WAV in memory; bytes are the file's.
fn decoding(c: &mut Criterion) {
    let samples = noise(8 * 44_100);
    let data: Vec<u8> =
        samples.iter().flat_map(|x| ((x * 32_767.0) as i16).to_le_bytes()).collect();
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(44_100u32.to_le_bytes());
    file.extend(88_200u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    let length = (file.len() - 8) as u32;
    file[4..8].copy_from_slice(&length.to_le_bytes());
    let mut audio = Audio::default();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(file.len() as u64));
    let limits = Limits::default();
    group.bench_function("wav", |b| {
        b.iter(|| decode(&file, &mut audio, &limits, &Cancel::new()));
    });
}

criterion_group!(kernels, window, fft, levels, tile_and_png, decoding);
criterion_main!(kernels);
