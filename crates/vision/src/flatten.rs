//! What is seen of transparent pixels: a colour behind them, or the colour that they have.

use achado_model::{Error, Result};

/// Puts RGBA pixels on a colour, and finds out whether anything can be told from them: a drawing whose
/// colours are all one is lost where its transparency is not seen.
#[derive(Clone, Debug)]
pub struct Flatten {
    /// Given by the caller, so that a picture with nothing on it is meant.
    is_chosen: bool,
    over: Option<[u8; 3]>,
    first: Option<([u8; 3], u8)>,
    has_one_colour: bool,
    has_one_alpha: bool,
    is_opaque: bool,
}

impl Flatten {
    /// On the caller's `background`, or else on `page`; without either, colours are those that are
    /// stored.
    pub fn new(background: Option<[u8; 3]>, page: Option<[u8; 3]>) -> Self {
        Self {
            is_chosen: background.is_some(),
            over: background.or(page),
            first: None,
            has_one_colour: true,
            has_one_alpha: true,
            is_opaque: true,
        }
    }

    /// Takes the next RGBA pixels of a picture, in place.
    pub fn pixels(&mut self, rgba: &mut [u8]) {
        let pixels = rgba.as_chunks_mut::<4>().0;
        let Some(&[.., alpha]) = pixels.first() else { return };
        if pixels.iter().fold(u8::MAX, |all, pixel| all & pixel[3]) != u8::MAX {
            self.is_opaque = false;
            let first = self.first.map_or(alpha, |(_, alpha)| alpha);
            self.has_one_alpha &= pixels.iter().all(|pixel| pixel[3] == first);
            if let Some(over) = self.over {
                pixels.iter_mut().for_each(|pixel| *pixel = composite(*pixel, over));
            }
        } else {
            self.has_one_alpha &= self.first.is_none_or(|(_, alpha)| alpha == u8::MAX);
        }
        let [r, g, b, _] = pixels[0];
        let (colour, _) = *self.first.get_or_insert(([r, g, b], alpha));
        // Ends with the first pixel of another colour.
        self.has_one_colour &=
            self.has_one_colour && pixels.iter().all(|&[r, g, b, _]| [r, g, b] == colour);
    }

    /// Whether the picture can be used.
    ///
    /// # Errors
    /// `INVALID_INPUT` where it has alpha and one colour only.
    pub fn check(&self) -> Result<()> {
        let is_clear = self.has_one_alpha && self.first.is_some_and(|(_, alpha)| alpha == 0);
        if self.is_opaque || !self.has_one_colour || (self.has_one_alpha && !is_clear) {
            return Ok(());
        }
        let message = match self.over {
            _ if is_clear && self.is_chosen => return Ok(()),
            _ if is_clear => {
                "the picture is transparent everywhere, nothing is drawn on it; draw first, or give \
                 the color behind it as preprocess.background"
            }
            None => {
                "the pixels of the picture have one color and differ in transparency alone, which is \
                 not seen; give the color behind them as preprocess.background, such as \"white\""
            }
            Some(_) => {
                "the pixels of the picture have one color, that of the background behind its \
                 transparent pixels; give another as preprocess.background, such as \"black\""
            }
        };
        Err(Error::invalid_input(message).with("option", "preprocess.background"))
    }
}

/// A pixel on a colour, rounded to the nearest.
fn composite([r, g, b, alpha]: [u8; 4], over: [u8; 3]) -> [u8; 4] {
    let alpha = u32::from(alpha);
    let mix = |colour: u8, behind: u8| {
        ((u32::from(colour) * alpha + u32::from(behind) * (255 - alpha) + 127) / 255) as u8
    };
    [mix(r, over[0]), mix(g, over[1]), mix(b, over[2]), u8::MAX]
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Option<[u8; 3]> = Some([255; 3]);

    fn flat(
        background: Option<[u8; 3]>,
        page: Option<[u8; 3]>,
        rgba: &[[u8; 4]],
    ) -> Result<Vec<u8>> {
        let mut whole = rgba.as_flattened().to_vec();
        let mut flatten = Flatten::new(background, page);
        flatten.pixels(&mut whole);
        // The same in pieces.
        let mut rows = rgba.as_flattened().to_vec();
        let mut pieces = Flatten::new(background, page);
        rows.chunks_mut(4).for_each(|row| pieces.pixels(row));
        assert_eq!(rows, whole);
        assert_eq!(pieces.check(), flatten.check());
        flatten.check().map(|()| whole)
    }

    #[test]
    fn pixels_are_put_on_a_colour() {
        let rgba = [[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 128]];
        let on_white = [200, 100, 0, 255, 255, 255, 255, 255, 227, 177, 127, 255];
        assert_eq!(flat(None, WHITE, &rgba).unwrap(), on_white);
        assert_eq!(flat(WHITE, None, &rgba).unwrap(), on_white);
        let on_blue = flat(Some([0, 0, 255]), WHITE, &rgba).unwrap();
        assert_eq!(on_blue[4..8], [0, 0, 255, 255]);
        // As stored: one colour, and alpha that is not seen.
        assert!(flat(None, None, &rgba).unwrap_err().message.contains("preprocess.background"));
        let mut two = rgba;
        two[1][0] = 7;
        assert_eq!(flat(None, None, &two).unwrap(), two.as_flattened());
    }

    #[test]
    fn one_colour_is_an_error_only_where_alpha_tells_more() {
        let is_refused = |background, page, rgba: &[[u8; 4]]| flat(background, page, rgba).is_err();
        let black = [[0, 0, 0, 255], [0, 0, 0, 0]];
        assert!(is_refused(None, None, &black));
        assert!(!is_refused(None, WHITE, &black));
        assert!(is_refused(Some([0; 3]), WHITE, &black));
        let white = [[255, 255, 255, 255], [0, 0, 0, 0]];
        assert!(!is_refused(None, None, &white));
        assert!(is_refused(None, WHITE, &white));
        let clear = [[0; 4]; 3];
        assert!(is_refused(None, None, &clear));
        assert!(is_refused(None, WHITE, &clear));
        assert!(!is_refused(WHITE, WHITE, &clear));
        // An opaque or evenly transparent surface is of one colour indeed.
        assert!(!is_refused(None, WHITE, &[[9, 9, 9, 255]; 3]));
        assert!(!is_refused(None, None, &[[9, 9, 9, 128]; 3]));
    }
}
