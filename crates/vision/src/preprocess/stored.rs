//! Preprocessing that the schema of a model's metadata has no field for, kept in its custom metadata:
//! lines of `name=value`, by JavaScript's names.

use achado_model::{Error, Metadata, Result};

use super::{Channels, Fit, Preprocess, Resize};

/// The name of the entry in the custom metadata.
pub const STORED_PREPROCESS: &str = "achado.preprocess";

const FITS: [(&str, Fit); 3] =
    [("stretch", Fit::Stretch), ("centerCrop", Fit::CenterCrop), ("contain", Fit::Contain)];
const RESIZES: [(&str, Resize); 3] =
    [("bilinear", Resize::Bilinear), ("nearest", Resize::Nearest), ("area", Resize::Area)];
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
        text
    }

    /// The same with what it leaves open taken from the file's custom metadata.
    ///
    /// # Errors
    /// `MODEL_FORMAT` for names and values that are not known here: they would be without effect.
    pub fn or_stored(&self, file: Option<&Metadata>) -> Result<Self> {
        let mut whole = self.clone();
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
                    whole.fit = whole.fit.or(Some(fit.1));
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
                    let fraction = value.parse().ok();
                    let fraction = fraction.filter(|part| *part > 0.0 && *part <= 1.0);
                    let fraction = fraction.ok_or_else(unknown)?;
                    whole.crop_fraction = whole.crop_fraction.or(Some(fraction));
                }
                _ => return Err(unknown()),
            }
        }
        Ok(whole)
    }
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
                        ..Preprocess::default()
                    };
                    let stored = file(&all.to_stored());
                    assert_eq!(Preprocess::default().or_stored(Some(&stored)), Ok(all));
                }
            }
        }
        assert_eq!(Preprocess::default().to_stored(), "");
        let asked = Preprocess { fit: Some(Fit::Contain), ..Preprocess::default() };
        let stored = file("fit=centerCrop\ncropFraction=0.5\n");
        let both = asked.or_stored(Some(&stored)).unwrap();
        assert_eq!((both.fit, both.crop_fraction), (Some(Fit::Contain), Some(0.5)));
        assert_eq!(asked.or_stored(None), Ok(asked.clone()));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in ["fit", "fit=cover", "cropFraction=2", "cropFraction=NaN", "color=1"] {
            let error = Preprocess::default().or_stored(Some(&file(text))).unwrap_err();
            assert!(error.message.contains(text), "{error}");
            assert_eq!(error.code.as_str(), "MODEL_FORMAT");
        }
    }
}
