//! Colour maps, as palettes for indexed PNGs.

use crate::colormap_tables as tables;
use crate::error::{Error, Result};

/// How gray levels are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colormap {
    /// Black to white; stored as 8-bit gray.
    Gray,
    /// Blue to yellow, perceptually uniform.
    Viridis,
    /// Black over purple to pale yellow.
    Magma,
    /// Black over red to yellow.
    Inferno,
    /// Blue over pink to yellow.
    Plasma,
    /// Blue to yellow, the same to eyes that do not tell red from green.
    Cividis,
    /// A rainbow without bands.
    Turbo,
    /// White to black, soundgen's default.
    Bw,
    /// White over blue, green and yellow to red.
    Seewave,
    /// White over yellow to red.
    Heat,
}

/// The names that [`Colormap::from_name`] takes.
pub const COLORMAP_NAMES: [&str; 10] =
    ["gray", "viridis", "magma", "inferno", "plasma", "cividis", "turbo", "bw", "seewave", "heat"];

impl Colormap {
    /// Every map, in the order of [`COLORMAP_NAMES`].
    const ALL: [Self; 10] = [
        Self::Gray,
        Self::Viridis,
        Self::Magma,
        Self::Inferno,
        Self::Plasma,
        Self::Cividis,
        Self::Turbo,
        Self::Bw,
        Self::Seewave,
        Self::Heat,
    ];

    /// The map of that name (see [`COLORMAP_NAMES`]).
    ///
    /// # Errors
    /// [`Error::Value`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        let known = if name == "grey" { "gray" } else { name };
        COLORMAP_NAMES
            .iter()
            .zip(Self::ALL)
            .find(|(n, _)| **n == known)
            .map(|(_, map)| map)
            .ok_or_else(|| {
                let expected = format!("one of {}", COLORMAP_NAMES.join(", "));
                Error::value("colormap", expected, format_args!("{name:?}"))
            })
    }

    /// The map's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        COLORMAP_NAMES[self as usize]
    }

    /// The 256 colours, sRGB; `None` for gray, which needs no palette.
    #[must_use]
    pub fn palette(self) -> Option<&'static [[u8; 3]; 256]> {
        match self {
            Self::Gray => None,
            Self::Viridis => Some(&tables::VIRIDIS),
            Self::Magma => Some(&tables::MAGMA),
            Self::Inferno => Some(&tables::INFERNO),
            Self::Plasma => Some(&tables::PLASMA),
            Self::Cividis => Some(&tables::CIVIDIS),
            Self::Turbo => Some(&tables::TURBO),
            Self::Bw => Some(&tables::BW),
            Self::Seewave => Some(&tables::SEEWAVE),
            Self::Heat => Some(&tables::HEAT),
        }
    }
}
