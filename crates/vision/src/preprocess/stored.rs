//! Preprocessing that the schema of a model's metadata has no field for, kept in its custom metadata:
//! lines of `name=value`, by JavaScript's names.

use achado_model::{Error, Metadata, Result};

use super::{Channels, Fit, Preprocess, Resize};

/// The name of the entry in the custom metadata.
pub const STORED_PREPROCESS: &str = "achado.preprocess";

const FITS: [(&str, Fit); 5] = Fit::NAMES;
const RESIZES: [(&str, Resize); 7] = Resize::NAMES;
const CHANNELS: [Channels; 3] = [Channels::Rgb, Channels::Bgr, Channels::Gray];

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

impl Preprocess {
    /// What the custom metadata keeps of it: all but `mean` and `std`, which have fields of their own.
    /// Empty where nothing is set.
    pub fn to_stored(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| text.push_str(&format!("{name}={value}\n"));
        if let Some(fit) = self.fit {
            line("fit", name_of(&FITS, fit));
        }
        if let Some(resize) = self.resize {
            line("resize", name_of(&RESIZES, resize));
        }
        if let Some(channels) = self.channels {
            line("channels", channels.name());
        }
        if let Some(fraction) = self.crop_fraction {
            line("cropFraction", &fraction.to_string());
        }
        if let Some(side) = self.short_side {
            line("shortSide", &side.to_string());
        }
        for (name, color) in [("padColor", self.pad_color), ("background", self.background)] {
            if let Some([red, green, blue]) = color {
                line(name, &format!("{red},{green},{blue}"));
            }
        }
        text
    }

    /// The same with what it leaves open taken from the file's custom metadata.
    ///
    /// # Errors
    /// `MODEL_FORMAT` for names and values that are not known here: they would be without effect.
    pub fn or_stored(&self, file: Option<&Metadata>) -> Result<Self> {
        let mut whole = self.clone();
        // One who says how pictures are cut means no other way of it.
        let cuts = self.fit.is_some() || self.crop_fraction.is_some() || self.short_side.is_some();
        let stored = file.and_then(|file| file.custom(STORED_PREPROCESS)).unwrap_or_default();
        for line in stored.lines() {
            let unknown = || {
                Error::format(format!(
                    "the model's custom metadata {STORED_PREPROCESS} has the line {line:?}, which \
                     is not known here: it is damaged, or of a later version"
                ))
            };
            let (name, value) = line.split_once('=').ok_or_else(unknown)?;
            match name {
                "fit" => {
                    let fit = FITS.iter().find(|(name, _)| *name == value).ok_or_else(unknown)?;
                    if !cuts {
                        whole.fit = Some(fit.1);
                    }
                }
                "resize" => {
                    let found = RESIZES.iter().find(|(name, _)| *name == value);
                    whole.resize = whole.resize.or(Some(found.ok_or_else(unknown)?.1));
                }
                "channels" => {
                    let found = CHANNELS.iter().find(|channels| channels.name() == value);
                    whole.channels = whole.channels.or(Some(*found.ok_or_else(unknown)?));
                }
                "cropFraction" => {
                    let fraction = decimal(value);
                    let fraction = fraction.filter(|part| *part > 0.0 && *part <= 1.0);
                    let fraction = fraction.ok_or_else(unknown)?;
                    if !cuts {
                        whole.crop_fraction = Some(fraction);
                    }
                }
                "shortSide" => {
                    let side = value.parse().ok().filter(|side| *side > 0).ok_or_else(unknown)?;
                    if !cuts {
                        whole.short_side = Some(side);
                    }
                }
                "padColor" | "background" => {
                    let parts: Vec<u8> = value.split(',').filter_map(|v| v.parse().ok()).collect();
                    let color: [u8; 3] = parts.try_into().map_err(|_| unknown())?;
                    let place = match name {
                        "padColor" => &mut whole.pad_color,
                        _ => &mut whole.background,
                    };
                    *place = place.or(Some(color));
                }
                _ => return Err(unknown()),
            }
        }
        Ok(whole)
    }
}

/// The number that decimal digits are, with a point or without: as it is written, not in
/// exponents. Parsing any `f32` would cost tables of 11 KB.
fn decimal(text: &str) -> Option<f32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut number = 0.0;
    let mut unit = 1.0;
    for digit in whole.chars().chain(part.chars()) {
        number = number * 10.0 + f64::from(digit.to_digit(10)?);
    }
    part.bytes().for_each(|_| unit *= 10.0);
    (!["", "."].contains(&text)).then_some((number / unit) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Metadata {
        let custom = vec![(STORED_PREPROCESS.to_owned(), text.to_owned())];
        Metadata { custom, ..Metadata::default() }
    }

    #[test]
    fn what_is_stored_is_read_and_the_caller_comes_first() {
        for (_, fit) in FITS {
            for (_, resize) in RESIZES {
                for channels in CHANNELS {
                    let all = Preprocess {
                        fit: Some(fit),
                        resize: Some(resize),
                        channels: Some(channels),
                        crop_fraction: Some(0.875),
                        short_side: Some(256),
                        pad_color: Some([1, 2, 255]),
                        background: Some([0, 128, 3]),
                        ..Preprocess::default()
                    };
                    let stored = file(&all.to_stored());
                    assert_eq!(Preprocess::default().or_stored(Some(&stored)), Ok(all));
                }
            }
        }
        let all = Preprocess {
            fit: Some(Fit::CenterCrop),
            short_side: Some(256),
            pad_color: Some([1, 2, 3]),
            background: Some([255; 3]),
            ..Preprocess::default()
        };
        let stored = file(&all.to_stored());
        assert_eq!(Preprocess::default().or_stored(Some(&stored)), Ok(all));
        let cut = Preprocess { crop_fraction: Some(0.5), ..Preprocess::default() };
        assert_eq!(cut.or_stored(Some(&stored)).unwrap().short_side, None);
        assert_eq!(Preprocess::default().to_stored(), "");
        let asked = Preprocess { fit: Some(Fit::Contain), ..Preprocess::default() };
        let stored = file("fit=centerCrop\ncropFraction=0.5\n");
        let both = asked.or_stored(Some(&stored)).unwrap();
        assert_eq!((both.fit, both.crop_fraction), (Some(Fit::Contain), None));
        assert_eq!(asked.or_stored(None), Ok(asked.clone()));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in
            ["fit", "fit=fill", "padColor=1,2", "cropFraction=2", "cropFraction=NaN", "color=1"]
        {
            let error = Preprocess::default().or_stored(Some(&file(text))).unwrap_err();
            assert!(error.message.contains(text), "{error}");
            assert_eq!(error.code.as_str(), "MODEL_FORMAT");
        }
    }
}
