//! `heartfast._core`: takes Python objects apart, leaves the interpreter, calls the core, and
//! puts Python objects together. No logic.

use pyo3::prelude::*;

mod arrays;
mod audio;
mod batch;
mod config;
mod errors;
mod features;
mod figure;
mod image;
mod in_memory;
mod info;
mod interrupt;
mod remote;
mod selection;
mod stages;
mod values;

#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", heartfast_core::VERSION)?;
    m.add("MAX_N_FFT", heartfast_core::config::MAX_N_FFT)?;
    m.add_class::<config::SpectrogramConfig>()?;
    m.add_class::<batch::Archive>()?;
    m.add_class::<batch::Recordings>()?;
    m.add_function(wrap_pyfunction!(arrays::get_window, m)?)?;
    m.add_function(wrap_pyfunction!(arrays::stft, m)?)?;
    m.add_function(wrap_pyfunction!(arrays::apply_effects, m)?)?;
    m.add_function(wrap_pyfunction!(arrays::spectrogram, m)?)?;
    m.add_function(wrap_pyfunction!(audio::load, m)?)?;
    m.add_function(wrap_pyfunction!(batch::convert, m)?)?;
    m.add_function(wrap_pyfunction!(batch::open_archive, m)?)?;
    m.add_function(wrap_pyfunction!(features::describe, m)?)?;
    m.add_class::<features::Describer>()?;
    m.add_function(wrap_pyfunction!(features::feature_families, m)?)?;
    m.add_function(wrap_pyfunction!(figure::figure, m)?)?;
    m.add_function(wrap_pyfunction!(figure::figure_of_levels, m)?)?;
    m.add_function(wrap_pyfunction!(image::encode_png, m)?)?;
    m.add_function(wrap_pyfunction!(image::paint, m)?)?;
    m.add_function(wrap_pyfunction!(image::palette, m)?)?;
    m.add_function(wrap_pyfunction!(in_memory::convert_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(info::build_info, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::left_behind, m)?)?;
    m.add_function(wrap_pyfunction!(selection::selection_json, m)?)?;
    m.add_function(wrap_pyfunction!(stages::stage_times, m)?)?;
    Ok(())
}
