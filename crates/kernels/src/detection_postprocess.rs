//! TFLite_Detection_PostProcess: boxes from anchors, non-maximum suppression, the best detections.
//!
//! After `detection_postprocess.cc`. It runs once at the end of a detector on a few thousand
//! boxes, so the definition is the kernel. It allocates.

use core::cmp::Ordering;

use crate::order::order;

/// The operator's attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionPostprocess {
    /// Detections to give.
    pub max_detections: usize,
    /// Classes to give for each detection (fast suppression).
    pub max_classes_per_detection: usize,
    /// Detections of one class (regular suppression).
    pub detections_per_class: usize,
    /// Classes without background.
    pub num_classes: usize,
    /// Suppress class by class, instead of by each box's best class.
    pub use_regular_nms: bool,
    /// Boxes with lower scores are left out.
    pub score_threshold: f32,
    /// Boxes that overlap a better one by a larger share of their union are left out.
    pub iou_threshold: f32,
    /// What encodings are divided by: `y, x, h, w`.
    pub scale: [f32; 4],
}

/// What the operator gives: as long as there are detections, at most
/// `max_detections * max_classes_per_detection`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detections {
    /// `[top, left, bottom, right]` as shares of the picture.
    pub boxes: Vec<[f32; 4]>,
    /// Class of each, background not counted.
    pub classes: Vec<f32>,
    /// Score of each.
    pub scores: Vec<f32>,
    /// Boxes found; each has as many entries as there are classes for it.
    pub count: usize,
}

impl DetectionPostprocess {
    /// From encodings `[boxes, encoding_len]` (`y, x, h, w` first), scores
    /// `[boxes, classes with background]` and anchors `[boxes, 4]` (`y, x, h, w`).
    ///
    /// # Panics
    /// Where the slices do not fit each other.
    pub fn run(
        &self,
        encodings: &[f32],
        encoding_len: usize,
        scores: &[f32],
        anchors: &[f32],
    ) -> Detections {
        let boxes: Vec<[f32; 4]> = encodings
            .chunks_exact(encoding_len)
            .zip(anchors.chunks_exact(4))
            .map(|(encoding, anchor)| self.decode(encoding, anchor))
            .collect();
        let columns = scores.len() / boxes.len().max(1);
        if self.use_regular_nms {
            self.regular(&boxes, scores, columns)
        } else {
            self.fast(&boxes, scores, columns)
        }
    }

    fn decode(&self, encoding: &[f32], anchor: &[f32]) -> [f32; 4] {
        let at = |i: usize| f64::from(encoding[i]) / f64::from(self.scale[i]);
        let [y, x, h, w] = [0, 1, 2, 3].map(|i| f64::from(anchor[i]));
        let (y, x) = ((at(0) * h + y) as f32, (at(1) * w + x) as f32);
        let half_h = (0.5 * libm::exp(at(2)) * h) as f32;
        let half_w = (0.5 * libm::exp(at(3)) * w) as f32;
        [y - half_h, x - half_w, y + half_h, x + half_w]
    }

    /// Each box stands for its best class.
    fn fast(&self, boxes: &[[f32; 4]], scores: &[f32], columns: usize) -> Detections {
        let background = columns - self.num_classes;
        let kept = self.max_classes_per_detection.min(self.num_classes);
        let of = |row: usize| &scores[row * columns + background..(row + 1) * columns];
        let best: Vec<f32> = (0..boxes.len())
            .map(|row| of(row).iter().copied().fold(f32::NEG_INFINITY, f32::max))
            .collect();
        let mut found = Detections::default();
        for row in self.suppress(boxes, &best, self.max_detections) {
            let classes = falling(of(row));
            for &class in &classes[..kept] {
                found.push(boxes[row], class, of(row)[class]);
            }
            found.count += 1;
        }
        found
    }

    /// Class by class.
    fn regular(&self, boxes: &[[f32; 4]], scores: &[f32], columns: usize) -> Detections {
        let background = columns - self.num_classes;
        let most = self.detections_per_class.min(self.max_detections);
        let mut best: Vec<(f32, usize, usize)> = Vec::new();
        for class in 0..self.num_classes {
            let of = |row: usize| scores[row * columns + background + class];
            let class_scores: Vec<f32> = (0..boxes.len()).map(of).collect();
            let selected = self.suppress(boxes, &class_scores, most);
            best.extend(selected.into_iter().map(|row| (of(row), row, class)));
            // Stable: of equal scores the earlier class stays in front.
            let by_score = |a: usize, b: usize| best[b].0.partial_cmp(&best[a].0);
            let order = order(best.len(), &|a, b| by_score(a, b).unwrap_or(Ordering::Equal));
            best = order.into_iter().take(self.max_detections).map(|at| best[at]).collect();
        }
        let mut found = Detections::default();
        for (score, row, class) in best {
            found.push(boxes[row], class, score);
            found.count += 1;
        }
        found
    }

    /// At most `most` boxes in falling order of score, none of which overlaps a better one.
    fn suppress(&self, boxes: &[[f32; 4]], scores: &[f32], most: usize) -> Vec<usize> {
        let mut order = falling(scores);
        order.retain(|&row| scores[row] >= self.score_threshold);
        let mut selected: Vec<usize> = Vec::new();
        for row in order {
            if selected.len() == most {
                break;
            }
            let overlaps =
                |&other: &usize| overlap(&boxes[other], &boxes[row]) > self.iou_threshold;
            if !selected.iter().any(overlaps) {
                selected.push(row);
            }
        }
        selected
    }
}

impl Detections {
    fn push(&mut self, place: [f32; 4], class: usize, score: f32) {
        self.boxes.push(place);
        self.classes.push(class as f32);
        self.scores.push(score);
    }
}

/// The indexes of the scores in falling order; of equal ones the first first.
fn falling(scores: &[f32]) -> Vec<usize> {
    let by_score = |a: usize, b: usize| scores[b].partial_cmp(&scores[a]);
    order(scores.len(), &|a, b| by_score(a, b).unwrap_or(Ordering::Equal))
}

/// The intersection of two boxes over their union; 0 where a box has no area.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |[top, left, bottom, right]: &[f32; 4]| (bottom - top) * (right - left);
    let (area_a, area_b) = (area(a), area(b));
    if area_a <= 0.0 || area_b <= 0.0 {
        return 0.0;
    }
    let height = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let width = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    height * width / (area_a + area_b - height * width)
}
