//! The zip at the end of a model: its associated files, stored or deflated.
//!
//! A minimal reader (APPNOTE 6.3.10 without zip64, encryption, spanning): sizes are taken from the
//! central directory, limited before anything is allocated, and the CRC-32 is compared.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use crate::limits::{Budget, MAX_ASSOCIATED_FILE_BYTES};
use crate::{Error, Result};

pub(super) const END: &[u8; 4] = b"PK\x05\x06";
const END_SIZE: usize = 22;
pub(super) const DIRECTORY_ENTRY: &[u8; 4] = b"PK\x01\x02";
const DIRECTORY_ENTRY_SIZE: usize = 46;
pub(super) const LOCAL_HEADER: &[u8; 4] = b"PK\x03\x04";
const LOCAL_HEADER_SIZE: usize = 30;
/// The comment at the end has a 16-bit length.
const MAX_COMMENT: usize = 0xffff;

const STORED: usize = 0;
const DEFLATED: usize = 8;
const FLAG_ENCRYPTED: usize = 1;

/// The central directory of a zip at the end of a file.
#[derive(Clone, Copy)]
pub(super) struct Archive<'a> {
    file: &'a [u8],
    directory: &'a [u8],
    /// What to add to the zip's offsets: they count from the beginning of the file where the zip
    /// was appended in place, from the beginning of the zip where it was concatenated.
    base: usize,
}

struct Entry<'a> {
    flags: usize,
    method: usize,
    crc32: u32,
    compressed: usize,
    size: usize,
    name: &'a [u8],
    local: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

fn damaged(what: &str) -> Error {
    Error::format(format!("the zip at the end of the model is damaged: {what}"))
}

impl<'a> Archive<'a> {
    /// The zip at the end of `file`, or `None` if there is none.
    pub fn open(file: &'a [u8]) -> Result<Option<Self>> {
        let last = file.len().checked_sub(END_SIZE);
        let Some(end) = last.and_then(|last| {
            let first = last.saturating_sub(MAX_COMMENT);
            (first..=last).rev().find(|&at| file.get(at..).is_some_and(|b| b.starts_with(END)))
        }) else {
            return Ok(None);
        };
        let place = || {
            let size = size_at(file, end.checked_add(12)?)?;
            let offset = size_at(file, end.checked_add(16)?)?;
            let start = end.checked_sub(size)?;
            let base = start.checked_sub(offset)?;
            Some(Self { file, directory: file.get(start..end)?, base })
        };
        place().map(Some).ok_or_else(|| damaged("its directory lies outside the file"))
    }

    fn entries(self) -> impl Iterator<Item = Result<Entry<'a>>> {
        let mut rest = self.directory;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let parse = |rest: &'a [u8]| {
                if !rest.starts_with(DIRECTORY_ENTRY) {
                    return None;
                }
                let name_end = DIRECTORY_ENTRY_SIZE.checked_add(u16_at(rest, 28)?)?;
                let end =
                    name_end.checked_add(u16_at(rest, 30)?)?.checked_add(u16_at(rest, 32)?)?;
                let entry = Entry {
                    flags: u16_at(rest, 8)?,
                    method: u16_at(rest, 10)?,
                    crc32: u32_at(rest, 16)?,
                    compressed: size_at(rest, 20)?,
                    size: size_at(rest, 24)?,
                    local: size_at(rest, 42)?,
                    name: rest.get(DIRECTORY_ENTRY_SIZE..name_end)?,
                };
                Some((entry, rest.get(end..)?))
            };
            match parse(rest) {
                Some((entry, next)) => {
                    rest = next;
                    Some(Ok(entry))
                }
                None => {
                    rest = &[];
                    Some(Err(damaged("its directory ends within an entry")))
                }
            }
        })
    }

    /// The bytes of the file `name`, or `None` if the zip has no such file.
    pub fn extract(self, name: &str, budget: &mut Budget) -> Result<Option<Cow<'a, [u8]>>> {
        for entry in self.entries() {
            let entry = entry?;
            if entry.name == name.as_bytes() {
                return self.read(&entry, name, budget).map(Some);
            }
        }
        Ok(None)
    }

    fn read(self, entry: &Entry<'a>, name: &str, budget: &mut Budget) -> Result<Cow<'a, [u8]>> {
        if entry.flags & FLAG_ENCRYPTED != 0 {
            return Err(damaged(&format!("{name:?} is encrypted")));
        }
        if entry.size > MAX_ASSOCIATED_FILE_BYTES {
            return Err(Error::format(format!(
                "{name:?} in the zip at the end of the model has {} bytes, the limit is \
                 {MAX_ASSOCIATED_FILE_BYTES}",
                entry.size
            )));
        }
        let data = self.data(entry).ok_or_else(|| {
            damaged(&format!("{name:?} lies outside the file; the file may be truncated"))
        })?;
        let bytes = match entry.method {
            STORED => Cow::Borrowed(data),
            DEFLATED => {
                budget.take_bytes(entry.size)?;
                let mut bytes = vec![0; entry.size];
                let written = miniz_oxide::inflate::decompress_slice_iter_to_slice(
                    &mut bytes,
                    std::iter::once(data),
                    false,
                    true,
                )
                .map_err(|_| damaged(&format!("{name:?} does not inflate")))?;
                bytes.truncate(written);
                Cow::Owned(bytes)
            }
            method => {
                return Err(damaged(&format!(
                    "{name:?} is compressed by method {method}; only stored (0) and deflate (8) \
                     are read"
                )));
            }
        };
        if bytes.len() != entry.size || crc32(&bytes) != entry.crc32 {
            return Err(damaged(&format!("{name:?} has another CRC-32 than its directory says")));
        }
        Ok(bytes)
    }

    /// The stored or compressed bytes of an entry.
    fn data(self, entry: &Entry<'a>) -> Option<&'a [u8]> {
        let local = self.file.get(self.base.checked_add(entry.local)?..)?;
        if !local.starts_with(LOCAL_HEADER) {
            return None;
        }
        let start =
            LOCAL_HEADER_SIZE.checked_add(u16_at(local, 26)?)?.checked_add(u16_at(local, 28)?)?;
        local.get(start..start.checked_add(entry.compressed)?)
    }
}

/// CRC-32 of ISO 3309 (reflected polynomial 0xedb88320), four bits at a time: label files are
/// short, and a 64-byte table keeps the download small.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0u32; 16];
        let mut index = 0;
        while index < 16 {
            let mut crc = index as u32;
            let mut bit = 0;
            while bit < 4 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[index] = crc;
            index += 1;
        }
        table
    };
    let step = |crc: u32, nibble: u32| (crc >> 4) ^ TABLE[((crc ^ nibble) & 15) as usize];
    !bytes.iter().fold(!0, |crc, &byte| {
        let byte = u32::from(byte);
        step(step(crc, byte & 15), byte >> 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_is_that_of_the_catalogue() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn no_zip_is_none() {
        assert!(Archive::open(b"").unwrap().is_none());
        assert!(Archive::open(&[7; 100]).unwrap().is_none());
    }
}
