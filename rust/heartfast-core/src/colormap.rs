//! Colour maps, as palettes for indexed PNGs.

use crate::colormap_tables::{INFERNO, MAGMA, PLASMA, VIRIDIS};
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
}

/// The names that [`Colormap::from_name`] takes.
pub const COLORMAP_NAMES: [&str; 5] = ["gray", "viridis", "magma", "inferno", "plasma"];

impl Colormap {
    /// The map of that name (see [`COLORMAP_NAMES`]).
    ///
    /// # Errors
    /// [`Error::Value`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "gray" | "grey" => Self::Gray,
            "viridis" => Self::Viridis,
            "magma" => Self::Magma,
            "inferno" => Self::Inferno,
            "plasma" => Self::Plasma,
            _ => {
                let expected = format!("one of {}", COLORMAP_NAMES.join(", "));
                return Err(Error::value("colormap", expected, format_args!("{name:?}")));
            }
        })
    }

    /// The map's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gray => "gray",
            Self::Viridis => "viridis",
            Self::Magma => "magma",
            Self::Inferno => "inferno",
            Self::Plasma => "plasma",
        }
    }

    /// The 256 colours, sRGB; `None` for gray, which needs no palette.
    #[must_use]
    pub fn palette(self) -> Option<&'static [[u8; 3]; 256]> {
        match self {
            Self::Gray => None,
            Self::Viridis => Some(&VIRIDIS),
            Self::Magma => Some(&MAGMA),
            Self::Inferno => Some(&INFERNO),
            Self::Plasma => Some(&PLASMA),
        }
    }
}
