//! Checked reads of FlatBuffers: every offset is followed only after it has been compared with the
//! length of the file, every error names the place.
//!
//! Nothing here allocates by a length from the file, and nothing is aligned: files of the wild
//! are not, and the checks do not need it. Formulas: the FlatBuffers binary format. A table starts
//! with a signed distance back to its vtable; a vtable is `[u16 own size, u16 table size, u16 place
//! of field 0, ...]`; a vector is `[u32 count, elements]`; references are u32 distances forward.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;

use crate::{Error, Result};

/// A buffer within a file; `start` is where it lies there, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Buffer<'a> {
    bytes: &'a [u8],
    start: usize,
}

/// A value of fixed size, little-endian.
pub(crate) trait Scalar: Copy {
    /// The size in bytes.
    const SIZE: usize;
    /// Reads `SIZE` bytes; the caller has cut them.
    fn from_le(bytes: &[u8]) -> Self;
    /// Its `SIZE` bytes.
    fn to_le(self) -> Vec<u8>;
}

macro_rules! scalar {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            const SIZE: usize = size_of::<$type>();
            fn from_le(bytes: &[u8]) -> Self {
                bytes.try_into().map_or_else(|_| Self::default(), Self::from_le_bytes)
            }

            fn to_le(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        }
    )*};
}
scalar!(u8, i8, u16, i32, u32, i64, u64, f32);

/// A reference to a table, as an element of a vector.
#[derive(Clone, Copy)]
pub(crate) struct Reference;

impl<'a> Buffer<'a> {
    /// All of `bytes`, which lie at `start` of the file.
    pub fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, start }
    }

    #[cold]
    #[inline(never)]
    fn beyond(&self, what: &str, at: usize, needed: usize) -> Error {
        let offset = self.start.saturating_add(at);
        let end = self.start.saturating_add(self.bytes.len());
        Error::format(format!(
            "{what} needs {needed} bytes at offset {offset:#x}, beyond the end of the data at \
             {end:#x}: the file is truncated or damaged"
        ))
        .with("offset", offset)
        .with("needed", needed)
        .with("length", end)
    }

    fn cut(&self, at: usize, size: usize, what: &str) -> Result<&'a [u8]> {
        at.checked_add(size)
            .and_then(|end| self.bytes.get(at..end))
            .ok_or_else(|| self.beyond(what, at, size))
    }

    fn scalar<T: Scalar>(&self, at: usize, what: &str) -> Result<T> {
        self.cut(at, T::SIZE, what).map(T::from_le)
    }

    /// Follows the u32 distance that stands at `at`.
    fn follow(&self, at: usize, what: &str) -> Result<usize> {
        let distance = self.scalar::<u32>(at, what)?;
        usize::try_from(distance)
            .ok()
            .and_then(|distance| at.checked_add(distance))
            .ok_or_else(|| self.beyond(what, at, usize::MAX))
    }

    /// The four bytes of the file identifier, if there are so many.
    pub fn identifier(&self) -> Option<&'a [u8]> {
        self.bytes.get(4..8)
    }

    /// The root table.
    pub fn root(&self, what: &'static str) -> Result<Table<'a>> {
        self.table(self.follow(0, what)?, what)
    }

    fn table(&self, at: usize, what: &'static str) -> Result<Table<'a>> {
        let back = i64::from(self.scalar::<i32>(at, what)?);
        let vtable = i64::try_from(at)
            .ok()
            .and_then(|at| at.checked_sub(back))
            .and_then(|vtable| usize::try_from(vtable).ok())
            .ok_or_else(|| self.beyond(what, at, 4))?;
        let vtable_size = self.scalar::<u16>(vtable, what)?;
        self.cut(vtable, usize::from(vtable_size), what)?;
        Ok(Table { buffer: *self, at, vtable, vtable_size, what })
    }
}

/// A table: fields found by number through the vtable, absent ones have a default.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    buffer: Buffer<'a>,
    at: usize,
    vtable: usize,
    vtable_size: u16,
    what: &'static str,
}

impl<'a> Table<'a> {
    fn place(&self, field: u16) -> Result<Option<usize>> {
        let entry = field.saturating_mul(2).saturating_add(4);
        if entry.saturating_add(2) > self.vtable_size {
            return Ok(None);
        }
        let entry = self.vtable.saturating_add(usize::from(entry));
        let distance = usize::from(self.buffer.scalar::<u16>(entry, self.what)?);
        Ok((distance != 0).then(|| self.at.saturating_add(distance)))
    }

    /// Field number `field`, or `default` where it is absent.
    pub fn scalar<T: Scalar>(&self, field: u16, default: T) -> Result<T> {
        match self.place(field)? {
            Some(at) => self.buffer.scalar(at, self.what),
            None => Ok(default),
        }
    }

    /// A bool field, false where it is absent.
    pub fn flag(&self, field: u16) -> Result<bool> {
        Ok(self.scalar::<u8>(field, 0)? != 0)
    }

    /// A table, or the table of a union.
    pub fn table(&self, field: u16, what: &'static str) -> Result<Option<Table<'a>>> {
        match self.place(field)? {
            Some(at) => {
                let at = self.buffer.follow(at, what)?;
                self.buffer.table(at, what).map(Some)
            }
            None => Ok(None),
        }
    }

    /// A vector of scalars, empty where it is absent.
    pub fn vector<T: Scalar>(&self, field: u16, what: &'static str) -> Result<Vector<'a, T>> {
        self.elements(field, what, T::SIZE)
    }

    /// A vector of tables, empty where it is absent.
    pub fn tables(&self, field: u16, what: &'static str) -> Result<Vector<'a, Reference>> {
        self.elements(field, what, 4)
    }

    fn elements<T>(
        &self,
        field: u16,
        what: &'static str,
        element_size: usize,
    ) -> Result<Vector<'a, T>> {
        let (at, bytes) = self.element_bytes(field, what, element_size)?;
        Ok(Vector { buffer: self.buffer, at, bytes, what, element: PhantomData })
    }

    /// Where a vector's elements begin, and their bytes.
    fn element_bytes(
        &self,
        field: u16,
        what: &'static str,
        element_size: usize,
    ) -> Result<(usize, &'a [u8])> {
        let Some(at) = self.place(field)? else { return Ok((0, &[])) };
        let at = self.buffer.follow(at, what)?;
        let count = self.buffer.scalar::<u32>(at, what)?;
        let at = at.saturating_add(4);
        let size = usize::try_from(count).ok().and_then(|count| count.checked_mul(element_size));
        let bytes = self.buffer.cut(at, size.unwrap_or(usize::MAX), what)?;
        Ok((at, bytes))
    }

    /// A string; bytes that are not UTF-8 become U+FFFD. Empty where it is absent.
    pub fn string(&self, field: u16, what: &'static str) -> Result<Cow<'a, str>> {
        Ok(String::from_utf8_lossy(self.vector::<u8>(field, what)?.bytes))
    }
}

/// A vector whose elements all lie within the buffer.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a, T> {
    buffer: Buffer<'a>,
    at: usize,
    bytes: &'a [u8],
    what: &'static str,
    element: PhantomData<T>,
}

impl<'a, T: Scalar> Vector<'a, T> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes.chunks_exact(T::SIZE).len()
    }

    /// The elements in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        self.bytes.chunks_exact(T::SIZE).map(T::from_le)
    }
}

impl<'a> Vector<'a, u8> {
    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the bytes lie in the file.
    pub fn range(&self) -> Range<usize> {
        let start = self.buffer.start.saturating_add(self.at);
        start..start.saturating_add(self.bytes.len())
    }
}

impl<'a> Vector<'a, Reference> {
    /// The number of tables.
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// The table `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<Result<Table<'a>>> {
        let entry = index.checked_mul(4)?;
        (entry < self.bytes.len()).then(|| {
            let at = self.at.saturating_add(entry);
            self.buffer.table(self.buffer.follow(at, self.what)?, self.what)
        })
    }

    /// The tables in order.
    pub fn iter(self) -> impl Iterator<Item = Result<Table<'a>>> {
        (0..self.len()).map_while(move |index| self.get(index))
    }
}
