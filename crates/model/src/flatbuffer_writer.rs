//! Writes FlatBuffers front to back: a table first, what it refers to behind it.
//!
//! A file is described as a tree of [`Object`]s that borrow their bytes, then laid out once. The
//! same tree gives the same bytes. Formulas: the FlatBuffers binary format; see
//! [`crate::flatbuffer`] for its short form.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use crate::flatbuffer::Scalar;
use crate::{Error, ErrorCode, Result};

/// What a field may refer to.
#[derive(Clone, Debug)]
pub(crate) enum Object<'a> {
    Table(Table<'a>),
    /// Elements of `size` bytes, `alignment` the bytes that the first one is aligned to.
    Vector {
        bytes: Cow<'a, [u8]>,
        size: usize,
        alignment: usize,
    },
    Tables(Vec<Table<'a>>),
    /// Zero-terminated.
    Text(Cow<'a, str>),
}

#[derive(Clone, Debug)]
enum Field<'a> {
    Inline(Vec<u8>),
    Reference(Object<'a>),
}

impl Field<'_> {
    fn size(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Reference(_) => 4,
        }
    }
}

/// A table under construction. Fields that were not set are absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table<'a> {
    fields: Vec<(u16, Field<'a>)>,
}

impl<'a> Table<'a> {
    /// Sets a field of fixed size, also where it has its default.
    pub fn scalar<T: Scalar>(mut self, field: u16, value: T) -> Self {
        self.fields.push((field, Field::Inline(value.to_le())));
        self
    }

    /// Sets a bool field.
    pub fn flag(self, field: u16, value: bool) -> Self {
        self.scalar(field, u8::from(value))
    }

    /// Refers to an object.
    pub fn object(mut self, field: u16, object: Object<'a>) -> Self {
        self.fields.push((field, Field::Reference(object)));
        self
    }

    /// Refers to a table, or to the table of a union.
    pub fn table(self, field: u16, table: Table<'a>) -> Self {
        self.object(field, Object::Table(table))
    }

    /// Refers to a string.
    pub fn text(self, field: u16, text: impl Into<Cow<'a, str>>) -> Self {
        self.object(field, Object::Text(text.into()))
    }

    /// Refers to a vector of tables.
    pub fn tables(self, field: u16, tables: Vec<Table<'a>>) -> Self {
        self.object(field, Object::Tables(tables))
    }

    /// Refers to a vector of scalars.
    pub fn vector<T: Scalar>(self, field: u16, values: impl IntoIterator<Item = T>) -> Self {
        let bytes: Vec<u8> = values.into_iter().flat_map(T::to_le).collect();
        let (size, alignment) = (T::SIZE, T::SIZE);
        self.object(field, Object::Vector { bytes: bytes.into(), size, alignment })
    }

    /// Refers to a vector of bytes that begins at a multiple of `alignment`.
    pub fn bytes(self, field: u16, bytes: impl Into<Cow<'a, [u8]>>, alignment: usize) -> Self {
        self.object(field, Object::Vector { bytes: bytes.into(), size: 1, alignment })
    }
}

/// The file with `root` as its root table.
///
/// # Errors
/// `OUT_OF_MEMORY` for a file beyond 2 GiB, which the format cannot express.
pub(crate) fn write(root: Table<'_>, identifier: &[u8; 4]) -> Result<Vec<u8>> {
    let mut writer = Writer { out: vec![0; 8], vtables: BTreeMap::new(), queue: VecDeque::new() };
    writer.out.splice(4..8, identifier.iter().copied());
    writer.queue.push_back((0, Object::Table(root)));
    while let Some((reference, object)) = writer.queue.pop_front() {
        writer.object(reference, object)?;
    }
    Ok(writer.out)
}

struct Writer<'a> {
    out: Vec<u8>,
    /// Where each vtable stands; tables with the same fields share one.
    vtables: BTreeMap<Vec<u16>, usize>,
    /// Objects to be written, and where the reference to each stands.
    queue: VecDeque<(usize, Object<'a>)>,
}

#[cold]
fn too_large() -> Error {
    Error::new(
        ErrorCode::OutOfMemory,
        "the model is larger than 2 GiB, which .tflite files cannot be",
    )
}

/// A distance or a count as the format stores it; files stay below 2 GiB.
fn distance(value: usize) -> Result<u32> {
    i32::try_from(value).map(i32::unsigned_abs).map_err(|_| too_large())
}

impl<'a> Writer<'a> {
    /// Pads so that what follows `behind` further bytes stands at a multiple of `alignment`.
    fn align(&mut self, alignment: usize, behind: usize) {
        while !self.out.len().saturating_add(behind).is_multiple_of(alignment) {
            self.out.push(0);
        }
    }

    /// Lets the reference at `reference` point to the end of what has been written.
    fn refer(&mut self, reference: usize) -> Result<()> {
        let distance = distance(self.out.len().saturating_sub(reference))?;
        if let Some(place) = self.out.get_mut(reference..reference.saturating_add(4)) {
            place.copy_from_slice(&distance.to_le_bytes());
        }
        Ok(())
    }

    fn object(&mut self, reference: usize, object: Object<'a>) -> Result<()> {
        match object {
            Object::Table(table) => self.table(reference, table),
            Object::Vector { bytes, size, alignment } => {
                self.align(alignment.max(4), 4);
                self.refer(reference)?;
                let count = bytes.len().checked_div(size).unwrap_or(0);
                self.out.extend(distance(count)?.to_le_bytes());
                self.out.extend_from_slice(&bytes);
                Ok(())
            }
            Object::Text(text) => {
                self.align(4, 0);
                self.refer(reference)?;
                self.out.extend(distance(text.len())?.to_le_bytes());
                self.out.extend_from_slice(text.as_bytes());
                self.out.push(0);
                Ok(())
            }
            Object::Tables(tables) => {
                self.align(4, 0);
                self.refer(reference)?;
                self.out.extend(distance(tables.len())?.to_le_bytes());
                for table in tables {
                    self.queue.push_back((self.out.len(), Object::Table(table)));
                    self.out.extend([0; 4]);
                }
                Ok(())
            }
        }
    }

    fn table(&mut self, reference: usize, mut table: Table<'a>) -> Result<()> {
        // Largest first: behind the distance of 4 bytes, each field is then aligned to its size.
        table.fields.sort_by_key(|(number, field)| (std::cmp::Reverse(field.size()), *number));
        let fields = table.fields.iter().map(|(number, _)| usize::from(*number));
        let count = fields.max().map_or(0, |most| most.saturating_add(1));
        let mut places = vec![0u16; count];
        let mut end = 4usize;
        for (number, field) in &table.fields {
            if let Some(place) = places.get_mut(usize::from(*number)) {
                *place = u16::try_from(end).map_err(|_| too_large())?;
            }
            end = end.saturating_add(field.size());
        }
        let sizes = [count.saturating_mul(2).saturating_add(4), end];
        let mut vtable = Vec::with_capacity(count.saturating_add(2));
        for size in sizes {
            vtable.push(u16::try_from(size).map_err(|_| too_large())?);
        }
        vtable.extend(places);
        let at = match self.vtables.get(&vtable) {
            Some(&at) => at,
            None => {
                self.align(2, 0);
                let at = self.out.len();
                self.out.extend(vtable.iter().flat_map(|entry| entry.to_le_bytes()));
                self.vtables.insert(vtable, at);
                at
            }
        };
        let widest = table.fields.iter().map(|(_, field)| field.size()).max().unwrap_or(4);
        self.align(widest.max(4), 4);
        self.refer(reference)?;
        let back = distance(self.out.len().saturating_sub(at))?;
        self.out.extend(back.to_le_bytes());
        for (_, field) in table.fields {
            match field {
                Field::Inline(bytes) => self.out.extend(bytes),
                Field::Reference(object) => {
                    self.queue.push_back((self.out.len(), object));
                    self.out.extend([0; 4]);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flatbuffer::Buffer;

    #[test]
    fn what_is_written_is_read() {
        let child = || Table::default().scalar(2, 7i32).text(0, "name");
        let root = Table::default()
            .flag(0, true)
            .scalar(1, 1u64 << 40)
            .vector(2, [1.5f32, -2.0])
            .tables(4, vec![child(), child(), Table::default()])
            .bytes(5, vec![9u8; 5], 16)
            .table(6, child());
        let file = write(root.clone(), b"TEST").unwrap();
        assert_eq!(file, write(root, b"TEST").unwrap());
        let buffer = Buffer::new(&file, 0);
        assert_eq!(buffer.identifier(), Some(b"TEST".as_slice()));
        let table = buffer.root("root").unwrap();
        assert!(table.flag(0).unwrap());
        assert_eq!(table.scalar(1, 0u64).unwrap(), 1 << 40);
        assert_eq!(table.vector::<f32>(2, "v").unwrap().iter().collect::<Vec<_>>(), [1.5, -2.0]);
        assert_eq!(table.scalar(3, 5i32).unwrap(), 5);
        let tables = table.tables(4, "t").unwrap();
        assert_eq!(tables.len(), 3);
        for child in tables.iter().take(2) {
            let child = child.unwrap();
            assert_eq!(child.string(0, "s").unwrap(), "name");
            assert_eq!(child.scalar(2, 0i32).unwrap(), 7);
        }
        let bytes = table.vector::<u8>(5, "b").unwrap();
        assert_eq!(bytes.bytes(), [9; 5]);
        assert_eq!(bytes.range().start % 16, 0);
        assert!(table.table(7, "none").unwrap().is_none());
    }
}
