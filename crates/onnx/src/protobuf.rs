//! The wire format of Protocol Buffers: fields of a message in the order of the file, nothing
//! copied, every length compared with what is there.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Error, Result};

/// The bytes of a message, a string or a packed list, and where they lie in the file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span<'a> {
    pub bytes: &'a [u8],
    pub start: usize,
}

/// The value of one field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64,
    Fixed32(u32),
    Span(Span<'a>),
}

fn damaged(what: &str, at: usize) -> Error {
    Error::format(format!("{what} at offset {at:#x}: the file is truncated or damaged"))
        .with("offset", at)
}

impl<'a> Span<'a> {
    /// The fields of a message.
    pub fn fields(self) -> Fields<'a> {
        Fields { span: self, at: 0 }
    }

    /// A string.
    pub fn text(self) -> Result<&'a str> {
        str::from_utf8(self.bytes).map_err(|_| damaged("a string that is not UTF-8", self.start))
    }

    /// The varints of a packed list.
    pub fn varints(self) -> impl Iterator<Item = Result<u64>> + use<'a> {
        let mut fields = self.fields();
        std::iter::from_fn(move || (!fields.is_at_end()).then(|| fields.varint()))
    }
}

/// Walks through the fields of a message.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    span: Span<'a>,
    at: usize,
}

impl<'a> Fields<'a> {
    fn is_at_end(&self) -> bool {
        self.at >= self.span.bytes.len()
    }

    fn place(&self) -> usize {
        self.span.start.saturating_add(self.at)
    }

    fn cut(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length);
        let bytes = end.and_then(|end| self.span.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| {
            damaged(&format!("a field of {length} bytes that leaves its message"), self.place())
        })?;
        self.at = self.at.saturating_add(length);
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.span.bytes.get(self.at) else { break };
            self.at = self.at.saturating_add(1);
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged("a number without end", self.place()))
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>)> {
        let place = self.place();
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                // No message of ONNX has one: it is skipped.
                self.cut(8)?;
                Wire::Fixed64
            }
            5 => Wire::Fixed32(self.cut(4)?.try_into().map_or(0, u32::from_le_bytes)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let start = self.place();
                Wire::Span(Span { bytes: self.cut(length)?, start })
            }
            kind => return Err(damaged(&format!("a field of wire type {kind}"), place)),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_at_end() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            // What follows has no meaning.
            self.at = self.span.bytes.len();
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Vec<(u64, Wire<'_>)> {
        Span { bytes, start: 0 }.fields().collect::<Result<_>>().unwrap()
    }

    #[test]
    fn fields_are_read_in_order() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f];
        let fields = fields(&bytes);
        assert!(matches!(fields[0], (1, Wire::Varint(150))));
        let (2, Wire::Span(span)) = fields[1] else { panic!("{fields:?}") };
        assert_eq!((span.text().unwrap(), span.start), ("hi", 5));
        assert!(matches!(fields[2], (3, Wire::Fixed32(0x3f80_0000))));
    }

    #[test]
    fn damage_is_named_with_its_offset() {
        let error = |bytes: &[u8]| {
            Span { bytes, start: 16 }.fields().collect::<Result<Vec<_>>>().unwrap_err().message
        };
        assert!(error(&[0x12, 9, 1]).contains("9 bytes that leaves its message at offset 0x12"));
        assert!(error(&[0x08, 0x80]).contains("a number without end"));
        assert!(error(&[0x08]).contains("a number without end"));
        assert!(error(&[0xff; 11]).contains("a number without end"));
        assert!(error(&[0x0b]).contains("wire type 3"));
    }
}
