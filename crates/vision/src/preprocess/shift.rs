//! Bytes that become elements by adding to them: what most models of 8 bits take.

/// From uint8 to int8.
const TOP_BIT: u8 = 128;

/// Elements are signed bytes: `x - 128` and one of two numbers, saturated. Where a model takes pixels
/// from -1 to 1, its zero point lies between two bytes: those below are rounded one way, those above
/// the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shift {
    /// The first byte that is `above`.
    from: u8,
    below: i8,
    above: i8,
    /// Bits that are flipped afterwards: those of uint8 elements.
    flip: u8,
}

impl Shift {
    /// Pixels as they are, less 128 where elements are signed.
    pub const fn none(is_signed: bool) -> Self {
        Self { from: 0, below: 0, above: 0, flip: if is_signed { 0 } else { TOP_BIT } }
    }

    /// What a table adds to the bytes, if it does that; int8 elements are two's complement bytes.
    pub fn of(table: &[u8; 256], is_signed: bool) -> Option<Self> {
        let flip = Self::none(is_signed).flip;
        // What is added, where nothing is saturated.
        let added = |x: u8| {
            let element = (table[usize::from(x)] ^ flip) as i8;
            let is_between = element != i8::MIN && element != i8::MAX;
            is_between.then(|| i16::from(element) - (i16::from(x) - i16::from(TOP_BIT)))
        };
        let mut all = 0..=u8::MAX;
        let below = all.clone().find_map(added)?;
        let above = all.clone().rev().find_map(added)?;
        let from = all.find(|&x| added(x) == Some(above))?;
        let (below, above) = (i8::try_from(below).ok()?, i8::try_from(above).ok()?);
        let shift = Self { from, below, above, flip };
        (0..=u8::MAX).all(|x| shift.element(x) == table[usize::from(x)]).then_some(shift)
    }

    /// The element of a byte.
    #[inline(always)]
    pub fn element(&self, x: u8) -> u8 {
        // Not `if`: compilers would choose between the two fields' addresses, byte by byte.
        let is_below = -i8::from(x < self.from);
        let more = self.above ^ (is_below & (self.below ^ self.above));
        ((x ^ TOP_BIT) as i8).saturating_add(more) as u8 ^ self.flip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_as_they_are() {
        let [signed, unsigned] = [true, false].map(Shift::none);
        for x in 0..=u8::MAX {
            assert_eq!(unsigned.element(x), x);
            assert_eq!(i16::from(signed.element(x) as i8), i16::from(x) - 128);
        }
    }

    #[test]
    fn two_numbers_saturated_are_found() {
        for is_signed in [true, false] {
            for (from, below, above) in [(0, 0, 0), (128, -1, 0), (100, 3, 2), (7, 5, 120)] {
                let Shift { flip, .. } = Shift::none(is_signed);
                let shift = Shift { from, below, above, flip };
                let table = core::array::from_fn(|x| shift.element(x as u8));
                let found = Shift::of(&table, is_signed).unwrap();
                assert!((0..=u8::MAX).all(|x| found.element(x) == table[usize::from(x)]));
            }
        }
    }

    #[test]
    fn other_tables_are_not() {
        let steep: [u8; 256] = core::array::from_fn(|x| (2 * x).min(255) as u8);
        let constant = [128; 256];
        let saturated: [u8; 256] = core::array::from_fn(|x| if x < 128 { 0 } else { 255 });
        let mut three: [u8; 256] = core::array::from_fn(|x| x as u8);
        (three[50], three[200]) = (51, 199);
        for table in [steep, constant, saturated, three] {
            assert_eq!(Shift::of(&table, false), None);
        }
    }
}
