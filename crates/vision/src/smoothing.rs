//! Scores of a video that do not flicker: exponential smoothing from frame to frame.

use achado_model::Result;

use crate::options::invalid;

/// How the scores of a frame are blended with those before:
/// `smoothed = share * smoothed + (1 - share) * scores`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// What is kept of the past: from 0 (nothing) to below 1.
    pub share: f32,
    /// Whether the frame is the first of a video, with no past.
    pub restart: bool,
}

/// The smoothed scores of every output, by class.
#[derive(Debug, Default)]
pub(crate) struct Smoothed {
    heads: Vec<Vec<f32>>,
}

impl Smoothed {
    /// Checks the share, and forgets the past if there is none.
    pub fn start(&mut self, heads: usize, smoothing: Option<&Smoothing>) -> Result<()> {
        let Some(&Smoothing { share, restart }) = smoothing else { return Ok(()) };
        if !(0.0..1.0).contains(&share) {
            return Err(invalid("smoothing", &format!("must be from 0 to below 1, is {share}")));
        }
        self.heads.resize_with(heads, Vec::new);
        if restart {
            self.heads.iter_mut().for_each(Vec::clear);
        }
        Ok(())
    }

    /// What turns the scores of output `head`, given by class from 0 up, into smoothed ones.
    pub fn head(
        &mut self,
        head: usize,
        smoothing: Option<&Smoothing>,
    ) -> impl FnMut(usize, f32) -> f32 {
        let mut past = smoothing.map(|smoothing| (smoothing.share, &mut self.heads[head]));
        move |class, score| {
            let Some((share, past)) = &mut past else { return score };
            let Some(smoothed) = past.get_mut(class) else {
                past.push(score);
                return score;
            };
            // A NaN would stay for ever.
            *smoothed =
                if smoothed.is_nan() { score } else { *share * *smoothed + (1.0 - *share) * score };
            *smoothed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(smoothed: &mut Smoothed, smoothing: Option<Smoothing>, scores: &[f32]) -> Vec<f32> {
        smoothed.start(1, smoothing.as_ref()).unwrap();
        let mut smooth = smoothed.head(0, smoothing.as_ref());
        scores.iter().enumerate().map(|(class, &score)| smooth(class, score)).collect()
    }

    #[test]
    fn scores_follow_slowly_and_start_anew() {
        let mut smoothed = Smoothed::default();
        let half = |restart| Some(Smoothing { share: 0.5, restart });
        assert_eq!(frame(&mut smoothed, half(true), &[1.0, 0.0]), [1.0, 0.0]);
        assert_eq!(frame(&mut smoothed, half(false), &[0.0, 1.0]), [0.5, 0.5]);
        // A picture in between is no part of the video.
        assert_eq!(frame(&mut smoothed, None, &[9.0, 9.0]), [9.0, 9.0]);
        assert_eq!(frame(&mut smoothed, half(false), &[0.0, 1.0]), [0.25, 0.75]);
        assert_eq!(frame(&mut smoothed, half(true), &[0.0, 1.0]), [0.0, 1.0]);
        let none = Some(Smoothing { share: 0.0, restart: false });
        assert_eq!(frame(&mut smoothed, none, &[0.3, 0.7]), [0.3, 0.7]);
    }

    #[test]
    fn a_nan_passes() {
        let mut smoothed = Smoothed::default();
        let half = |restart| Some(Smoothing { share: 0.5, restart });
        assert!(frame(&mut smoothed, half(true), &[f32::NAN])[0].is_nan());
        assert_eq!(frame(&mut smoothed, half(false), &[0.5]), [0.5]);
    }

    #[test]
    fn shares_out_of_range_are_refused() {
        for share in [-0.1, 1.0, f32::NAN, f32::INFINITY] {
            let error = Smoothed::default()
                .start(1, Some(&Smoothing { share, restart: true }))
                .unwrap_err();
            assert!(error.message.contains("smoothing: must be from 0 to below 1"), "{error}");
        }
    }
}
